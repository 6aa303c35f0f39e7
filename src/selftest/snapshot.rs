//! Compares what a database holds before and after some migrations: the rows of the tables that
//! still exist, in the columns that no migration writes, and the indexes and triggers that no
//! migration drops by name.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::database::job::CompiledScript;
use crate::database::schema_reader::{read_schema, read_table};
use crate::document::diagnostic::Rule;
use crate::schema::renames::Renames;
use crate::schema::{Object, ObjectKind, Schema, is_sqlite_name, is_tatmig_name};
use crate::selftest::insert_select;
use crate::selftest::row_comparison::{Difference, RowValues, TableRows, compare_rows};
use crate::sql::lexer;
use crate::sql::lexer::quote_identifier;

/// The schema of a database, and the rows of its ordinary tables.
pub(crate) struct Snapshot {
    schema: Schema,
    /// By the table's name in lower case.
    tables: BTreeMap<String, TableRows>,
}

impl Snapshot {
    /// Reads a database.
    pub(crate) fn capture(connection: &Connection) -> rusqlite::Result<Self> {
        let mut table_list = connection.prepare(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'",
        )?;
        let names = table_list
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        let mut tables = BTreeMap::new();
        for name in names.into_iter().filter(|name| !is_sqlite_name(name) && !is_tatmig_name(name))
        {
            let mut table = read_table(connection, &name)?.structure().clone();
            table.columns.retain(|column| column.hidden == 0);
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| format!("quote({})", quote_identifier(&column.name)))
                .collect();
            let sql = format!("SELECT {} FROM {}", columns.join(", "), quote_identifier(&name));
            let mut row_query = connection.prepare(&sql)?;
            let rows = row_query
                .query_map([], |row| (0..columns.len()).map(|index| row.get(index)).collect())?
                .collect::<rusqlite::Result<Vec<RowValues>>>()?;
            tables.insert(name.to_ascii_lowercase(), TableRows { table, rows });
        }
        Ok(Self { schema: read_schema(connection)?, tables })
    }
}

/// What the migrations between two snapshots change on purpose.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntendedChanges {
    table_renames: Renames,
    /// Columns whose values they write: the name that the table had then, and the column, both in
    /// lower case.
    written_columns: BTreeSet<(String, String)>,
    /// The same with the column's position, where an INSERT names no columns.
    written_positions: BTreeSet<(String, usize)>,
    /// Indexes and triggers that they drop by name, in lower case.
    dropped_objects: BTreeSet<String>,
    allowed_rules: Vec<Rule>,
}

impl IntendedChanges {
    /// Adds what the statements of a migration change.
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

    /// Every name that a table, or a table that replaced it under its name, had in between.
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

    /// Whether a column is written. The table is given by all of its names.
    pub(crate) fn writes_column(
        &self,
        table_names: &BTreeSet<String>,
        column: &str,
        index: usize,
    ) -> bool {
        let column = column.to_ascii_lowercase();
        table_names.iter().any(|name| {
            self.written_columns.contains(&(name.clone(), column.clone()))
                || self.written_positions.contains(&(name.clone(), index))
        })
    }
}

/// Compares two snapshots. Returns what is lost, except what the blocks allow.
pub(crate) fn differences(
    before: &Snapshot,
    after: &Snapshot,
    intended_changes: &IntendedChanges,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, old) in &before.tables {
        let renamed_to = intended_changes.table_renames.final_name(name);
        let is_renamed = renamed_to != *name
            && after.tables.contains_key(&renamed_to)
            && !before.tables.contains_key(&renamed_to);
        let name_after = if is_renamed { &renamed_to } else { name };
        if let Some(new) = after.tables.get(name_after) {
            let table_names = intended_changes.names_of_table(name);
            let is_written = |column: &str, index: usize| {
                intended_changes.writes_column(&table_names, column, index)
            };
            differences.extend(compare_rows(name, old, new, &is_written));
        }
    }
    compare_objects(before, after, intended_changes, &mut differences);
    differences.retain(|difference| !intended_changes.allows(difference.rule));
    differences
}

/// Finds indexes and triggers that no longer exist although their table or view does, and although
/// no migration drops them by name.
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
            || references_dropped_column(object, before, after)
            || has_renamed_copy(object, after)
        {
            continue;
        }
        let (kind, object_name) = (object.kind, &object.name);
        let message = format!(
            "{kind} `{object_name}` is lost: it was dropped with the old table `{}` and never recreated",
            object.table
        );
        let (rule, subject) = (Rule::ObjectLoss, name);
        differences.push(Difference { rule, table, subject, message });
    }
}

/// Whether an index or a trigger contains the name of a column that its table no longer has. It was
/// then dropped on purpose.
fn references_dropped_column(object: &Object, before: &Snapshot, after: &Snapshot) -> bool {
    let table = object.table.to_ascii_lowercase();
    let (Some(old), Some(new)) = (before.tables.get(&table), after.tables.get(&table)) else {
        return false;
    };
    let (old, new) = (&old.table, &new.table);
    let text = &object.sql;
    old.columns.iter().filter(|column| new.column(&column.name).is_none()).any(|column| {
        lexer::tokens(text, 0).any(|token| {
            let token_text = &text[token.range];
            !token_text.starts_with('\'')
                && lexer::unquote(token_text).eq_ignore_ascii_case(&column.name)
        })
    })
}

/// Whether an index or a trigger with the same definition exists under another name.
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
