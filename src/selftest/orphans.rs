//! Deletes generated rows whose foreign keys refer to no parent row.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::database::declared::{is_declared, undoing_comparisons};
use crate::selftest::table_spec::{TableSpec, find_parent, parent_columns};
use crate::sql::lexer::quote_identifier;

/// Deletes the rows of `children` that refer to missing parents, then the rows that referred to
/// the deleted ones, until every reference is satisfied. Returns whether any row was deleted.
///
/// Foreign keys that SQLite cannot use (no such parent table or column) are ignored. Triggers are
/// disabled meanwhile, so that a deletion has no other effect.
pub(crate) fn remove_orphans<'s>(
    connection: &Connection,
    table_specs: &[TableSpec],
    children: impl IntoIterator<Item = &'s TableSpec>,
) -> rusqlite::Result<bool> {
    let statements: Vec<String> = children
        .into_iter()
        .flat_map(|table_spec| orphan_deletions(table_specs, table_spec))
        .collect();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let result = delete_until_stable(connection, &statements);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    result
}

/// Runs statements until a round deletes nothing. This ends, because every other round deletes at
/// least one row.
fn delete_until_stable(connection: &Connection, statements: &[String]) -> rusqlite::Result<bool> {
    let mut has_removed = false;
    loop {
        let mut removed_rows = 0;
        for sql in statements {
            match undoing_comparisons(connection, || connection.execute(sql, [])) {
                Ok(count) => removed_rows += count,
                // Only the application can compare the keys of these rows.
                Err(error) if is_declared(&error.to_string()) => {}
                Err(error) => return Err(error),
            }
        }
        if removed_rows == 0 {
            return Ok(has_removed);
        }
        has_removed = true;
    }
}

/// For each usable foreign key of a table, the statement that deletes the rows without a parent.
fn orphan_deletions(table_specs: &[TableSpec], table_spec: &TableSpec) -> Vec<String> {
    let deletions = table_spec.foreign_keys.iter().filter_map(|key| {
        let parent = find_parent(table_specs, key)?;
        let names = parent_columns(key, &parent.table);
        let columns_exist = names.iter().all(|name| parent.table.column(name).is_some());
        if names.len() != key.columns.len() || !columns_exist {
            return None;
        }
        let child_column = |name: &String| {
            format!("{}.{}", quote_identifier(&table_spec.name), quote_identifier(name))
        };
        let not_null_conditions =
            key.columns.iter().map(|name| format!("{} IS NOT NULL", child_column(name)));
        let pairs = names.iter().zip(&key.columns);
        let key_conditions = pairs.map(|(parent, child_name)| {
            format!("p.{} = {}", quote_identifier(parent), child_column(child_name))
        });
        Some(format!(
            "DELETE FROM {} WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
            quote_identifier(&table_spec.name),
            not_null_conditions.collect::<Vec<_>>().join(" AND "),
            quote_identifier(&parent.name),
            key_conditions.collect::<Vec<_>>().join(" AND "),
        ))
    });
    deletions.collect()
}
