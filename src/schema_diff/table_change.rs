//! Decides how a table that differs between two schemas is changed: by `ALTER TABLE`, by a rebuild,
//! or by creating a virtual table again. Whether `ALTER TABLE` suffices is tried in SQLite, on an
//! empty copy in memory.

use std::sync::Arc;

use rusqlite::Connection;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::schema_reader::read_schema;
use crate::schema::{Object, ObjectKind, Schema, compare};
use crate::schema_diff::error::DiffError;
use crate::schema_diff::placeholder::can_add_column;
use crate::schema_diff::statement::written_name;
use crate::schema_diff::{statement, virtual_table};
use crate::sql::table_definition::{ColumnDefinition, TableDefinition};

/// How a table that exists before and after is changed.
pub(crate) enum TableChange<'s> {
    Alter { table: &'s Arc<Object>, statements: Vec<String>, dropped_columns: Vec<String> },
    Rebuild { old: &'s Arc<Object>, new: &'s Arc<Object> },
    RecreateVirtual { old: &'s Arc<Object>, new: &'s Arc<Object> },
}

impl<'s> TableChange<'s> {
    /// Chooses the change. `sandbox` contains the tables of the old schema, without rows.
    pub(crate) fn choose(
        sandbox: &Connection,
        old: &'s Arc<Object>,
        new: &'s Arc<Object>,
    ) -> Result<Self, DiffError> {
        if old.is_virtual_table() || new.is_virtual_table() {
            if !old.is_virtual_table()
                || !new.is_virtual_table()
                || !virtual_table::can_be_copied(old)
            {
                return Err(DiffError::VirtualTable { table: new.name.clone() });
            }
            return Ok(Self::RecreateVirtual { old, new });
        }
        let old_definition = TableDefinition::parse(&old.sql);
        let new_definition = TableDefinition::parse(&new.sql);
        let table_name = written_name(old);
        let dropped_columns: Vec<String> = columns_missing_in(&new_definition, &old_definition)
            .map(|column| statement::first_token(&column.sql).to_owned())
            .collect();
        let mut statements: Vec<String> = dropped_columns
            .iter()
            .map(|column| format!("ALTER TABLE {table_name} DROP COLUMN {column};"))
            .collect();
        for column in columns_missing_in(&old_definition, &new_definition) {
            if !can_add_column(&new_definition, &column.spec) {
                return Ok(Self::Rebuild { old, new });
            }
            statements.push(statement::complete_statement(&format!(
                "ALTER TABLE {table_name} ADD COLUMN {}",
                column.sql
            )));
        }
        if !statements.is_empty() && produces_table(sandbox, &statements, new)? {
            return Ok(Self::Alter { table: old, statements, dropped_columns });
        }
        Ok(Self::Rebuild { old, new })
    }

    pub(crate) fn table_name(&self) -> &str {
        match self {
            Self::Alter { table, .. } => &table.name,
            Self::Rebuild { old, .. } | Self::RecreateVirtual { old, .. } => &old.name,
        }
    }

    /// Whether the old table is dropped, and its indexes and triggers with it.
    pub(crate) fn drops_table(&self) -> bool {
        !matches!(self, Self::Alter { .. })
    }

    /// Whether views and triggers that name the table would make the change fail.
    pub(crate) fn affects_dependents(&self) -> bool {
        match self {
            Self::Alter { dropped_columns, .. } => !dropped_columns.is_empty(),
            Self::Rebuild { .. } | Self::RecreateVirtual { .. } => true,
        }
    }
}

/// The columns of `definition` that `other` does not have.
pub(crate) fn columns_missing_in<'d>(
    other: &'d TableDefinition,
    definition: &'d TableDefinition,
) -> impl Iterator<Item = &'d ColumnDefinition> {
    definition.columns.iter().filter(|column| other.column(&column.spec.name).is_none())
}

/// Creates the tables of a schema in memory, with the indexes that do not change.
pub(crate) fn create_sandbox(
    old_schema: &Schema,
    new_schema: &Schema,
    setup: &ConnectionSetup,
) -> rusqlite::Result<Connection> {
    let connection = open_in_memory(setup)?;
    let tables = old_schema.values().filter(|object| object.kind == ObjectKind::Table);
    for table in statement::sort_by_dependency(tables) {
        create_object(&connection, table);
    }
    for (key, index) in old_schema.iter().filter(|(_, object)| object.kind == ObjectKind::Index) {
        if new_schema.get(key).is_some_and(|new_index| compare::is_equivalent(index, new_index)) {
            create_object(&connection, index);
        }
    }
    Ok(connection)
}

/// Creates an object. An object that SQLite refuses is missing then, and statements that need it
/// fail when they are tried.
fn create_object(connection: &Connection, object: &Object) {
    if let Ok(mut statement) = connection.prepare(&statement::complete_statement(&object.sql)) {
        let _ = statement.raw_execute();
    }
}

/// Whether statements turn the sandbox's table into the new one. The sandbox is not changed.
fn produces_table(
    sandbox: &Connection,
    statements: &[String],
    new: &Object,
) -> rusqlite::Result<bool> {
    sandbox.execute_batch("SAVEPOINT trial")?;
    let has_run = statements.iter().all(|sql| sandbox.execute_batch(sql).is_ok());
    let created = read_schema(sandbox)?;
    let is_produced = has_run
        && created.get(&new.key()).is_some_and(|created| compare::is_equivalent(created, new));
    sandbox.execute_batch("ROLLBACK TO trial; RELEASE trial")?;
    Ok(is_produced)
}

/// Whether the new table may reject rows that the old one accepted.
pub(crate) fn tightens_constraints(old: &Object, new: &Object) -> bool {
    let old_definition = TableDefinition::parse(&old.sql);
    let new_definition = TableDefinition::parse(&new.sql);
    let (old, new) = (&old_definition.constraints, &new_definition.constraints);
    let has_additions = |old: &[String], new: &[String]| new.iter().any(|item| !old.contains(item));
    let has_new_unique_key = new
        .unique_keys
        .iter()
        .any(|key| !old.unique_keys.iter().any(|old_key| old_key.terms == key.terms));
    let has_type_changes = || {
        new_definition.columns.iter().any(|column| {
            let old_column = old_definition.column(&column.spec.name);
            old_column.is_some_and(|old_column| {
                old_column.spec.declared_type != column.spec.declared_type
                    || old_column.spec.collation != column.spec.collation
            })
        })
    };
    has_additions(&old.checks, &new.checks)
        || has_new_unique_key
        || has_additions(&old.foreign_keys, &new.foreign_keys)
        || old.primary_key != new.primary_key
        || has_additions(&old.options, &new.options)
        || has_type_changes()
}
