//! What a database holds before a leg, held against what it holds after: the rows of the tables
//! that are still there, in the columns that no migration on the way touched, and the indexes and
//! triggers that nothing dropped by name.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::database::job::CompiledScript;
use crate::document::diagnostic::Rule;
use crate::schema;
use crate::schema::renames::Renames;
use crate::schema::{Object, ObjectKind, Schema, Table, is_sqlite_name, is_tatmig_name};
use crate::selftest::insert_select;
use crate::sql::lexer;
use crate::sql::lexer::quote_identifier;

/// A row: each value as SQLite writes it as a literal.
type RowValues = Vec<String>;

/// What a database holds.
pub(crate) struct Snapshot {
    schema: Schema,
    /// The rows of each ordinary table, by its name in lower case; the values are in the order of
    /// the columns that hold any.
    table_rows: BTreeMap<String, (Table, Vec<RowValues>)>,
}

impl Snapshot {
    pub(crate) fn capture(connection: &Connection) -> rusqlite::Result<Self> {
        let mut table_list = connection.prepare(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'",
        )?;
        let names = table_list
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        let mut table_rows = BTreeMap::new();
        for name in names.into_iter().filter(|name| !is_sqlite_name(name) && !is_tatmig_name(name))
        {
            let mut table = Table::read(connection, &name)?;
            table.columns.retain(|column| column.hidden == 0);
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| format!("quote({})", quote_identifier(&column.name)))
                .collect();
            let sql = format!("SELECT {} FROM {}", columns.join(", "), quote_identifier(&name));
            let mut row_query = connection.prepare(&sql)?;
            let values = row_query
                .query_map([], |row| (0..columns.len()).map(|index| row.get(index)).collect())?
                .collect::<rusqlite::Result<Vec<RowValues>>>()?;
            table_rows.insert(name.to_ascii_lowercase(), (table, values));
        }
        Ok(Self { schema: schema::read(connection)?, table_rows })
    }
}

/// What the migrations of a leg mean to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntendedChanges {
    table_renames: Renames,
    /// Columns whose values they write, each with its table as it was called then, in lower case.
    written_columns: BTreeSet<(String, String)>,
    /// The same by position, where a statement names none.
    written_positions: BTreeSet<(String, usize)>,
    /// Indexes and triggers that they drop by name, in lower case.
    dropped_objects: BTreeSet<String>,
    allowed_rules: Vec<Rule>,
}

impl IntendedChanges {
    pub(crate) fn add_script(&mut self, script: &CompiledScript<'_>) {
        self.table_renames.append(&script.operations.table_renames);
        self.written_columns.extend(script.updated_columns.iter().cloned());
        self.dropped_objects.extend(script.dropped_objects.iter().cloned());
        self.allowed_rules.extend(&script.allowed_rules);
        for statement in &script.statements {
            for (table, column) in insert_select::computed_columns(statement.sql.text()) {
                match column {
                    insert_select::InsertColumn::Name(name) => {
                        self.written_columns.insert((table, name));
                    }
                    insert_select::InsertColumn::Position(index) => {
                        self.written_positions.insert((table, index));
                    }
                }
            }
        }
    }

    fn allows(&self, rule: Rule) -> bool {
        self.allowed_rules.contains(&rule)
    }

    /// Every name that a table or its stand-in had on the way.
    pub(crate) fn names_of_table(&self, name: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::from([name.to_owned()]);
        loop {
            let added: Vec<String> = names
                .iter()
                .flat_map(|name| self.table_renames.names_next_to(name))
                .filter(|other| !names.contains(*other))
                .map(str::to_owned)
                .collect();
            if added.is_empty() {
                return names;
            }
            names.extend(added);
        }
    }

    fn writes_column(&self, names: &BTreeSet<String>, (column, index): (&str, usize)) -> bool {
        let column = column.to_ascii_lowercase();
        names.iter().any(|name| {
            self.written_columns.contains(&(name.clone(), column.clone()))
                || self.written_positions.contains(&(name.clone(), index))
        })
    }
}

/// Something that a leg lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) rule: Rule,
    /// The table, in lower case.
    pub(crate) table: String,
    /// What it is about, in words that tell it from others.
    pub(crate) subject: String,
    pub(crate) message: String,
}

/// What is lost from one snapshot to the next.
pub(crate) fn differences(
    before: &Snapshot,
    after: &Snapshot,
    intended_changes: &IntendedChanges,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, old_rows) in &before.table_rows {
        let renamed_to = intended_changes.table_renames.final_name(name);
        let is_renamed = renamed_to != *name
            && after.table_rows.contains_key(&renamed_to)
            && !before.table_rows.contains_key(&renamed_to);
        let name_after = if is_renamed { &renamed_to } else { name };
        if let Some(new_rows) = after.table_rows.get(name_after) {
            compare_rows((name, old_rows), new_rows, intended_changes, &mut differences);
        }
    }
    compare_objects(before, after, intended_changes, &mut differences);
    differences.retain(|difference| !intended_changes.allows(difference.rule));
    differences
}

fn compare_rows(
    (name, (old_table, old_rows)): (&String, &(Table, Vec<RowValues>)),
    (new_table, new_rows): &(Table, Vec<RowValues>),
    intended_changes: &IntendedChanges,
    differences: &mut Vec<Difference>,
) {
    let names = intended_changes.names_of_table(name);
    // Columns that are there before and after as they were, each with its place in both.
    let shared_columns: Vec<(usize, usize)> = old_table
        .columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| {
            let after = new_table.columns.iter().position(|after| after.matches(column))?;
            (!intended_changes.writes_column(&names, (&column.name, after)))
                .then_some((index, after))
        })
        .collect();
    let key_columns: Option<Vec<(usize, usize)>> = old_table
        .primary_key()
        .iter()
        .map(|part| {
            shared_columns
                .iter()
                .find(|(index, _)| old_table.columns[*index].name == *part)
                .copied()
        })
        .collect();
    let key_columns = key_columns.filter(|key_columns| {
        !key_columns.is_empty() && key_columns.len() == new_table.primary_key().len()
    });
    let identity_columns = key_columns.as_ref().unwrap_or(&shared_columns);
    let select_values = |row: &RowValues, columns: &mut dyn Iterator<Item = usize>| -> RowValues {
        columns.map(|index| row[index].clone()).collect()
    };
    let mut new_rows_by_identity: BTreeMap<RowValues, Vec<&RowValues>> = BTreeMap::new();
    for row in new_rows {
        new_rows_by_identity
            .entry(select_values(row, &mut identity_columns.iter().map(|(_, index)| *index)))
            .or_default()
            .push(row);
    }
    let mut missing_rows = Vec::new();
    let mut changes_by_column: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for row in old_rows {
        let identity_values =
            select_values(row, &mut identity_columns.iter().map(|(index, _)| *index));
        let Some(new_row) = new_rows_by_identity.get_mut(&identity_values).and_then(Vec::pop)
        else {
            missing_rows.push(describe_row(old_table, row));
            continue;
        };
        for (index, after) in
            shared_columns.iter().filter(|(index, after)| row[*index] != new_row[*after])
        {
            let description = describe_row(old_table, row);
            let (old_value, new_value) = (&row[*index], &new_row[*after]);
            changes_by_column
                .entry(*index)
                .or_default()
                .push(format!("{old_value} became {new_value} where {description}"));
        }
    }
    if let [first, ..] = missing_rows.as_slice() {
        let separator = if missing_rows.len() == 1 { ":" } else { ", among them" };
        let description = format!(
            "{} of its {} rows{separator} the one where {first}",
            missing_rows.len(),
            old_rows.len()
        );
        // Without a key a row that changed cannot be told from one that is gone.
        let (rule, message) = if key_columns.is_none() && new_rows.len() >= old_rows.len() {
            (Rule::RowChange, format!("table `{name}` has other values in {description}"))
        } else {
            (Rule::RowLoss, format!("table `{name}` loses {description}"))
        };
        differences.push(Difference { rule, table: name.clone(), subject: String::new(), message });
    }
    for (index, rows) in changes_by_column {
        let column = &old_table.columns[index].name;
        let (count, total, first) = (rows.len(), old_rows.len(), &rows[0]);
        let message = format!(
            "column `{name}.{column}` is not touched, and yet its value is another in {count} of {total} rows: {first}"
        );
        let (rule, subject) = (Rule::RowChange, column.to_lowercase());
        differences.push(Difference { rule, table: name.clone(), subject, message });
    }
}

/// A row in words: by its key, else by all that it holds.
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

/// Indexes and triggers that stood on something that still stands, and are gone without a word.
fn compare_objects(
    before: &Snapshot,
    after: &Snapshot,
    intended_changes: &IntendedChanges,
    differences: &mut Vec<Difference>,
) {
    let exists_after = |name: &str| {
        let mut objects = after.schema.values();
        objects.any(|object| {
            matches!(object.kind, ObjectKind::Table | ObjectKind::View)
                && object.name.eq_ignore_ascii_case(name)
        })
    };
    for (key, object) in &before.schema {
        let is_dependent = matches!(object.kind, ObjectKind::Index | ObjectKind::Trigger);
        let name = object.name.to_ascii_lowercase();
        let table = object.table.to_ascii_lowercase();
        if !is_dependent
            || after.schema.contains_key(key)
            || intended_changes.dropped_objects.contains(&name)
            || !(exists_after(&table)
                || exists_after(&intended_changes.table_renames.final_name(&table)))
            || references_dropped_column(object, (before, after))
            || has_renamed_copy(object, after)
        {
            continue;
        }
        let (kind, object_name) = (object.kind, &object.name);
        let message = format!(
            "{kind} `{object_name}` is lost: it went with the old table `{}`, and nothing makes it again",
            object.table
        );
        let (rule, subject) = (Rule::ObjectLoss, name);
        differences.push(Difference { rule, table, subject, message });
    }
}

/// Whether an index or a trigger names a column that its table has no more: then it went by intent.
fn references_dropped_column(object: &Object, (before, after): (&Snapshot, &Snapshot)) -> bool {
    let table = object.table.to_ascii_lowercase();
    let (Some((old, _)), Some((new, _))) =
        (before.table_rows.get(&table), after.table_rows.get(&table))
    else {
        return false;
    };
    let text = &object.sql;
    old.columns.iter().filter(|column| new.column(&column.name).is_none()).any(|column| {
        lexer::tokens(text, 0).any(|token| {
            let token_text = &text[token.range];
            !token_text.starts_with('\'')
                && lexer::unquote(token_text).eq_ignore_ascii_case(&column.name)
        })
    })
}

/// Whether the same stands there under another name.
fn has_renamed_copy(object: &Object, after: &Snapshot) -> bool {
    let normalize_without_name = |object: &Object| {
        let text = lexer::normalize_case(&object.sql);
        let name = lexer::normalize_case(&object.name);
        let name =
            if text.contains(&quote_identifier(&name)) { quote_identifier(&name) } else { name };
        text.replacen(&name, "", 1).replace("if not exists", "").replace("  ", " ")
    };
    let normalized = normalize_without_name(object);
    after
        .schema
        .values()
        .any(|other| other.kind == object.kind && normalize_without_name(other) == normalized)
}
