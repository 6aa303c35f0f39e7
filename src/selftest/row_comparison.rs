//! Compares the rows of one table before and after some migrations.

use std::collections::BTreeMap;

use crate::document::diagnostic::Rule;
use crate::schema::Table;

/// The values of a row, each as an SQL literal of SQLite's `quote()`.
pub(crate) type RowValues = Vec<String>;

/// A table and its rows. The values are in the order of the table's columns, from which generated
/// columns have been removed.
pub(crate) struct TableRows {
    pub(crate) table: Table,
    pub(crate) rows: Vec<RowValues>,
}

/// Something that some migrations lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) rule: Rule,
    /// The table, in lower case.
    pub(crate) table: String,
    /// The column, index or trigger, in lower case; empty for whole rows. It distinguishes the
    /// differences of a table.
    pub(crate) subject: String,
    pub(crate) message: String,
}

/// A column that exists before and after, by its positions.
#[derive(Clone, Copy)]
struct SharedColumn {
    old_index: usize,
    new_index: usize,
}

/// Compares the rows of the table called `name` in lower case, in the columns that exist
/// unchanged before and after. Columns for which `is_written` holds (name and position after) are
/// left out, since a migration changes them on purpose.
pub(crate) fn compare_rows(
    name: &str,
    old: &TableRows,
    new: &TableRows,
    is_written: &dyn Fn(&str, usize) -> bool,
) -> Vec<Difference> {
    let shared_columns = shared_columns(&old.table, &new.table, is_written);
    let key_columns = key_columns(&old.table, &new.table, &shared_columns);
    let identity_columns = key_columns.as_ref().unwrap_or(&shared_columns);
    let mut new_rows_by_identity: BTreeMap<Vec<&String>, Vec<&RowValues>> = BTreeMap::new();
    for row in &new.rows {
        let identity = identity_columns.iter().map(|column| &row[column.new_index]).collect();
        new_rows_by_identity.entry(identity).or_default().push(row);
    }
    let mut missing_rows = Vec::new();
    let mut changes_by_column: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for row in &old.rows {
        let identity: Vec<_> =
            identity_columns.iter().map(|column| &row[column.old_index]).collect();
        let Some(new_row) = new_rows_by_identity.get_mut(&identity).and_then(Vec::pop) else {
            missing_rows.push(row);
            continue;
        };
        for column in &shared_columns {
            let (old_value, new_value) = (&row[column.old_index], &new_row[column.new_index]);
            if old_value != new_value {
                let description = describe_row(&old.table, row);
                changes_by_column
                    .entry(column.old_index)
                    .or_default()
                    .push(format!("{old_value} became {new_value} where {description}"));
            }
        }
    }
    // Without a key, a row that changed cannot be distinguished from one that was deleted.
    let rule = if key_columns.is_none() && new.rows.len() >= old.rows.len() {
        Rule::RowChange
    } else {
        Rule::RowLoss
    };
    let mut differences: Vec<Difference> =
        missing_rows_difference(name, old, &missing_rows, rule).into_iter().collect();
    for (index, changes) in changes_by_column {
        let column = &old.table.columns[index].name;
        let (count, total, first) = (changes.len(), old.rows.len(), &changes[0]);
        let message = format!(
            "column `{name}.{column}` changes in {count} of {total} rows, but no migration writes it: {first}"
        );
        differences.push(Difference {
            rule: Rule::RowChange,
            table: name.to_owned(),
            subject: column.to_lowercase(),
            message,
        });
    }
    differences
}

/// The columns that exist before and after with the same declaration, and that no migration writes.
fn shared_columns(
    old_table: &Table,
    new_table: &Table,
    is_written: &dyn Fn(&str, usize) -> bool,
) -> Vec<SharedColumn> {
    let mut shared_columns = Vec::new();
    for (old_index, column) in old_table.columns.iter().enumerate() {
        let new_index = new_table.columns.iter().position(|after| after.matches(column));
        if let Some(new_index) = new_index
            && !is_written(&column.name, new_index)
        {
            shared_columns.push(SharedColumn { old_index, new_index });
        }
    }
    shared_columns
}

/// The columns of the primary key, if both tables have the same key and no migration writes it.
fn key_columns(
    old_table: &Table,
    new_table: &Table,
    shared_columns: &[SharedColumn],
) -> Option<Vec<SharedColumn>> {
    let key_columns: Option<Vec<SharedColumn>> = old_table
        .primary_key()
        .iter()
        .map(|name| {
            let mut columns = shared_columns.iter().copied();
            columns.find(|column| old_table.columns[column.old_index].name == *name)
        })
        .collect();
    key_columns
        .filter(|columns| !columns.is_empty() && columns.len() == new_table.primary_key().len())
}

fn missing_rows_difference(
    name: &str,
    old: &TableRows,
    missing_rows: &[&RowValues],
    rule: Rule,
) -> Option<Difference> {
    let first = describe_row(&old.table, missing_rows.first()?);
    let example = if missing_rows.len() == 1 { "the one" } else { "for example the one" };
    let (count, total) = (missing_rows.len(), old.rows.len());
    let verb = if rule == Rule::RowLoss { "loses" } else { "has changed values in" };
    let message =
        format!("table `{name}` {verb} {count} of its {total} rows, {example} where {first}");
    Some(Difference { rule, table: name.to_owned(), subject: String::new(), message })
}

/// Describes a row by its primary key, or by all of its values if the table has none.
fn describe_row(table: &Table, row: &RowValues) -> String {
    const MAX_LENGTH: usize = 40;
    let columns_and_values = table.columns.iter().zip(row);
    let has_primary_key = table.columns.iter().any(|column| column.primary_key_position > 0);
    let parts: Vec<String> = columns_and_values
        .filter(|(column, _)| !has_primary_key || column.primary_key_position > 0)
        .map(|(column, value)| {
            let mut value =
                value.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
            if value.chars().count() > MAX_LENGTH {
                value = value.chars().take(MAX_LENGTH).chain(['…']).collect();
            }
            format!("`{}` is {value}", column.name)
        })
        .collect();
    parts.join(" and ")
}
