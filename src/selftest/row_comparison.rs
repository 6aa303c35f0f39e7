//! Compares the rows of one table before and after some migrations.

use std::collections::{BTreeMap, VecDeque};

use crate::document::diagnostic::Rule;
use crate::schema::{Column, Table};
use crate::selftest::column_writes::ColumnWrite;
use crate::sql::affinity::Affinity;

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
    comparison: Comparison,
}

/// How the values of a column before and after are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// They must be the same.
    Same,
    /// They must have the same meaning, in whatever type.
    SameMeaning,
    /// They must not become NULL.
    NotNull,
}

/// A value that did not survive.
struct Change {
    description: String,
    /// Whether the value before was neither NULL nor empty.
    is_plain: bool,
    comparison: Comparison,
}

/// Compares the rows of the table called `name` in lower case, in the columns that exist before and
/// after. `write_of` returns how a migration writes a column, given by its name and its position
/// after.
pub(crate) fn compare_rows(
    name: &str,
    old: &TableRows,
    new: &TableRows,
    write_of: &dyn Fn(&str, usize) -> ColumnWrite,
) -> Vec<Difference> {
    let all_columns = shared_columns(&old.table, &new.table, write_of);
    let same_columns: Vec<SharedColumn> = all_columns
        .iter()
        .copied()
        .filter(|column| column.comparison == Comparison::Same)
        .collect();
    let key_columns = key_columns(&old.table, &new.table, &same_columns);
    let identity_columns = key_columns.as_ref().unwrap_or(&same_columns);
    // Rows with equal values are matched in the order of the table.
    let mut new_rows_by_identity: BTreeMap<Vec<&String>, VecDeque<&RowValues>> = BTreeMap::new();
    for row in &new.rows {
        let identity = identity_columns.iter().map(|column| &row[column.new_index]).collect();
        new_rows_by_identity.entry(identity).or_default().push_back(row);
    }
    let mut missing_rows = Vec::new();
    let mut changes_by_column: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
    for row in &old.rows {
        let identity: Vec<_> =
            identity_columns.iter().map(|column| &row[column.old_index]).collect();
        let Some(new_row) = new_rows_by_identity.get_mut(&identity).and_then(VecDeque::pop_front)
        else {
            missing_rows.push(row);
            continue;
        };
        for column in &all_columns {
            let (old_value, new_value) = (&row[column.old_index], &new_row[column.new_index]);
            if !column.comparison.accepts(old_value, new_value) {
                let is_plain = !["NULL", "''"].contains(&old_value.as_str());
                let (old_value, new_value) = (shorten(old_value), shorten(new_value));
                let row = describe_row(&old.table, row);
                let description = format!("{old_value} became {new_value} where {row}");
                let change = Change { description, is_plain, comparison: column.comparison };
                changes_by_column.entry(column.old_index).or_default().push(change);
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
        differences.extend(changes_difference(name, old, index, &changes));
    }
    differences
}

/// Describes the values of a column that did not survive.
fn changes_difference(
    name: &str,
    old: &TableRows,
    column_index: usize,
    changes: &[Change],
) -> Option<Difference> {
    let column = &old.table.columns[column_index].name;
    let (count, total) = (changes.len(), old.rows.len());
    // A short description is easy to read.
    let example =
        changes.iter().min_by_key(|change| (!change.is_plain, change.description.len()))?;
    let rows = format!("{count} of {total} rows");
    let what = match example.comparison {
        Comparison::Same => format!("changes in {rows}, but no migration writes it"),
        Comparison::SameMeaning => format!("loses its value in {rows} by the conversion"),
        Comparison::NotNull => format!("becomes NULL in {rows}"),
    };
    Some(Difference {
        rule: Rule::RowChange,
        table: name.to_owned(),
        subject: column.to_lowercase(),
        message: format!("column `{name}.{column}` {what}: {}", example.description),
    })
}

impl Comparison {
    /// Whether a value, given as an SQL literal, may become another.
    fn accepts(self, old: &str, new: &str) -> bool {
        match self {
            Self::Same => old == new,
            Self::SameMeaning => old == "NULL" || same_meaning(old, new),
            Self::NotNull => new != "NULL" || old == "NULL" || old == "''",
        }
    }
}

/// Whether two SQL literals are the same value, in whatever type: `'5'`, `5` and `5.0`.
fn same_meaning(old: &str, new: &str) -> bool {
    let (old_text, new_text) = (content(old), content(new));
    if old_text == new_text {
        return true;
    }
    // Text with leading zeros is no number: a postal code, for example.
    let is_number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.starts_with(|first: char| first.is_ascii_digit())
            && !(digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit()))
    };
    if !is_number(&old_text) || !is_number(&new_text) {
        return false;
    }
    match (old_text.parse::<i64>(), new_text.parse::<i64>()) {
        (Ok(old), Ok(new)) => old == new,
        _ => match (old_text.parse::<f64>(), new_text.parse::<f64>()) {
            (Ok(old), Ok(new)) => (old - new).abs() <= f64::EPSILON * old.abs(),
            _ => false,
        },
    }
}

/// The text inside an SQL literal. A blob that holds text counts as that text.
fn content(literal: &str) -> String {
    let inner = |quoted: &str| quoted.strip_suffix('\'').map(str::to_owned);
    if let Some(text) = literal.strip_prefix('\'').and_then(inner) {
        return text.replace("''", "'");
    }
    let bytes = literal.strip_prefix("X'").and_then(inner).and_then(|hex| hex::decode(hex).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| literal.to_owned())
}

/// The columns that exist before and after, except those that a migration writes freely.
fn shared_columns(
    old_table: &Table,
    new_table: &Table,
    write_of: &dyn Fn(&str, usize) -> ColumnWrite,
) -> Vec<SharedColumn> {
    let mut shared_columns = Vec::new();
    for (old_index, column) in old_table.columns.iter().enumerate() {
        let after = new_table
            .columns
            .iter()
            .enumerate()
            .find(|(_, after)| after.name.eq_ignore_ascii_case(&column.name));
        let Some((new_index, after)) = after else { continue };
        let affinity = |column: &Column| Affinity::from_declared_type(&column.declared_type);
        let comparison = match write_of(&column.name, new_index) {
            ColumnWrite::Copied if affinity(column) == affinity(after) => Comparison::Same,
            ColumnWrite::Copied | ColumnWrite::Cast => Comparison::SameMeaning,
            ColumnWrite::Computed => Comparison::NotNull,
            ColumnWrite::Free => continue,
        };
        shared_columns.push(SharedColumn { old_index, new_index, comparison });
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
    let columns_and_values = table.columns.iter().zip(row);
    let has_primary_key = table.columns.iter().any(|column| column.primary_key_position > 0);
    let parts: Vec<String> = columns_and_values
        .filter(|(column, _)| !has_primary_key || column.primary_key_position > 0)
        .map(|(column, value)| format!("`{}` is {}", column.name, shorten(value)))
        .collect();
    parts.join(" and ")
}

/// Describes a counter that falls.
pub(crate) fn counter_message(table: &str, before: i64, after: i64) -> String {
    format!(
        "the AUTOINCREMENT counter of table `{table}` falls from {before} to {after}, so that ids of deleted rows are used again"
    )
}

/// An SQL literal on one line, cut off if it is long.
pub(crate) fn shorten(literal: &str) -> String {
    const MAX_LENGTH: usize = 40;
    let shown = literal.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
    if shown.chars().count() > MAX_LENGTH {
        shown.chars().take(MAX_LENGTH).chain(['…']).collect()
    } else {
        shown
    }
}
