//! Compares what a database holds before and after some migrations: the rows of the tables that
//! still exist, in the columns that no migration writes, and the indexes and triggers that no
//! migration drops by name.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::database::job::CompiledScript;
use crate::document::diagnostic::Rule;
use crate::schema::lost_objects::has_renamed_copy;
use crate::schema::renames::Renames;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::selftest::column_writes::{ColumnWrite, StatementWrite, WrittenColumn, column_writes};
use crate::selftest::row_comparison::{Difference, RowValues, TableRows, compare_rows};
use crate::sql::lexer;
use crate::sql::lexer::quote_identifier;

/// The schema of a database, and the rows of some of its ordinary tables.
pub(crate) struct Snapshot<'s> {
    schema: &'s Schema,
    /// By the table's name in lower case.
    tables: BTreeMap<String, TableRows>,
}

impl<'s> Snapshot<'s> {
    /// Reads the rows of the named tables, in lower case, from a database that has a schema. Names
    /// of anything but an ordinary table are left out.
    pub(crate) fn capture(
        connection: &Connection,
        schema: &'s Schema,
        table_names: &BTreeSet<String>,
    ) -> rusqlite::Result<Self> {
        let mut tables = BTreeMap::new();
        for name in table_names {
            let Some(object) = find_table(schema, name) else { continue };
            if !is_ordinary_table(connection, name)? {
                continue;
            }
            let mut table = object.structure().clone();
            table.columns.retain(|column| column.hidden == 0);
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| format!("quote({})", quote_identifier(&column.name)))
                .collect();
            // NOT INDEXED: the order of the rows is then that of the table, before and after.
            let sql = format!(
                "SELECT {} FROM {} NOT INDEXED",
                columns.join(", "),
                quote_identifier(name)
            );
            let mut row_query = connection.prepare(&sql)?;
            let rows = row_query
                .query_map([], |row| (0..columns.len()).map(|index| row.get(index)).collect())?
                .collect::<rusqlite::Result<Vec<RowValues>>>()?;
            tables.insert(name.clone(), TableRows { table, rows });
        }
        Ok(Self { schema, tables })
    }

    fn has_table(&self, name: &str) -> bool {
        find_table(self.schema, name).is_some()
    }
}

/// The table that a name in lower case belongs to.
pub(crate) fn find_table<'s>(schema: &'s Schema, name: &str) -> Option<&'s Object> {
    let object = schema.get(&ObjectKey { is_trigger: false, name: name.to_owned() })?;
    (object.kind == ObjectKind::Table).then_some(object)
}

/// Whether a table is neither virtual nor the shadow of a virtual table.
pub(crate) fn is_ordinary_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let mut query = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_list(?1) WHERE schema = 'main' AND type = 'table')",
    )?;
    query.query_row([name], |row| row.get(0))
}

/// What the migrations between two snapshots change on purpose.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntendedChanges {
    pub(crate) table_renames: Renames,
    /// How they write columns, each given with the name that the table had then, in lower case.
    column_writes: BTreeMap<(String, WrittenColumn), ColumnWrite>,
    /// Indexes and triggers that they drop by name, in lower case.
    dropped_objects: BTreeSet<String>,
    allowed_rules: Vec<Rule>,
}

impl IntendedChanges {
    /// Adds what the statements of a migration change.
    pub(crate) fn add_script(&mut self, script: &CompiledScript<'_>) {
        self.table_renames.append(&script.operations.table_renames);
        self.dropped_objects.extend(script.dropped_objects.iter().cloned());
        self.allowed_rules.extend(&script.allowed_rules);
        let mut writes = BTreeMap::new();
        for statement in &script.statements {
            for StatementWrite { table, column, write } in column_writes(statement.sql.text()) {
                let known = writes.entry((table, column)).or_insert(write);
                *known = write.max(*known);
            }
        }
        // Columns that are updated in another way: by a trigger, for example.
        for (table, column) in &script.updated_columns {
            let key = (table.clone(), WrittenColumn::Name(column.clone()));
            writes.entry(key).or_insert(ColumnWrite::Free);
        }
        for (key, write) in writes {
            let known = self.column_writes.entry(key).or_insert(write);
            *known = write.max(*known);
        }
    }

    pub(crate) fn allows(&self, rule: Rule) -> bool {
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

    /// How a column is written. The table is given by all of its names.
    fn column_write(
        &self,
        table_names: &BTreeSet<String>,
        column: &str,
        index: usize,
    ) -> ColumnWrite {
        let columns =
            [WrittenColumn::Name(column.to_ascii_lowercase()), WrittenColumn::Position(index)];
        let keys = table_names
            .iter()
            .flat_map(|table| columns.iter().map(|column| (table.clone(), column.clone())));
        let writes = keys.filter_map(|key| self.column_writes.get(&key).copied());
        writes.max().unwrap_or(ColumnWrite::Copied)
    }
}

/// Compares two snapshots. Returns what is lost, except what the blocks allow.
pub(crate) fn differences(
    before: &Snapshot<'_>,
    after: &Snapshot<'_>,
    intended_changes: &IntendedChanges,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, old) in &before.tables {
        let renamed_to = intended_changes.table_renames.final_name(name);
        let is_renamed =
            renamed_to != *name && after.has_table(&renamed_to) && !before.has_table(&renamed_to);
        let name_after = if is_renamed { &renamed_to } else { name };
        if let Some(new) = after.tables.get(name_after) {
            let table_names = intended_changes.names_of_table(name);
            let write_of = |column: &str, index: usize| {
                intended_changes.column_write(&table_names, column, index)
            };
            differences.extend(compare_rows(name, old, new, &write_of));
        }
    }
    compare_objects(before, after, intended_changes, &mut differences);
    differences.retain(|difference| !intended_changes.allows(difference.rule));
    differences
}

/// Finds indexes and triggers that no longer exist although their table or view does, and although
/// no migration drops them by name.
fn compare_objects(
    before: &Snapshot<'_>,
    after: &Snapshot<'_>,
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
    for (key, object) in before.schema {
        let is_dependent = matches!(object.kind, ObjectKind::Index | ObjectKind::Trigger);
        let name = object.name.to_ascii_lowercase();
        let table = object.table.to_ascii_lowercase();
        if !is_dependent
            || after.schema.contains_key(key)
            || intended_changes.dropped_objects.contains(&name)
            || !(exists_after(&table)
                || exists_after(&intended_changes.table_renames.final_name(&table)))
            || references_dropped_column(object, before, after)
            || has_renamed_copy(object, after.schema)
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
fn references_dropped_column(object: &Object, before: &Snapshot<'_>, after: &Snapshot<'_>) -> bool {
    let table = object.table.to_ascii_lowercase();
    let find = |snapshot: &Snapshot<'_>| find_table(snapshot.schema, &table).cloned();
    let (Some(old), Some(new)) = (find(before), find(after)) else { return false };
    let (old, new) = (old.structure(), new.structure());
    let text = &object.sql;
    old.columns.iter().filter(|column| new.column(&column.name).is_none()).any(|column| {
        lexer::tokens(text, 0).any(|token| {
            let token_text = &text[token.range];
            !token_text.starts_with('\'')
                && lexer::unquote(token_text).eq_ignore_ascii_case(&column.name)
        })
    })
}
