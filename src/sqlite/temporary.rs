//! Reads and drops temporary objects. Those that a block creates are dropped after it; those of an
//! application's connection stay, and must not hide a name of the document.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::sql::lexer;

/// One object of the temporary database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TemporaryObject {
    /// `table`, `index`, `view` or `trigger`.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// The table that an index or a trigger is on.
    pub(crate) table: String,
}

/// The objects of a connection's temporary database, without SQLite's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct TemporaryObjects(BTreeSet<TemporaryObject>);

impl TemporaryObjects {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut query = connection.prepare(
            "SELECT type, name, tbl_name FROM sqlite_temp_schema \
             WHERE name NOT LIKE 'sqlite$_%' ESCAPE '$'",
        )?;
        let objects = query.query_map([], |row| {
            Ok(TemporaryObject { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)? })
        })?;
        Ok(Self(objects.collect::<rusqlite::Result<_>>()?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TemporaryObject> {
        self.0.iter()
    }
}

/// Resets the connection state that a block may have changed, so that every block starts from the
/// same state: drops the temporary objects that are not in `kept` and turns `legacy_alter_table`
/// off.
pub(crate) fn reset_connection(
    connection: &Connection,
    kept: &TemporaryObjects,
) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, false)?;
    let current = TemporaryObjects::read(connection)?;
    let mut leftovers: Vec<_> = current.0.difference(&kept.0).collect();
    // A table takes its indexes and triggers with it.
    leftovers.sort_by_key(|object| object.kind == "table");
    for TemporaryObject { kind, name, .. } in leftovers {
        let name = lexer::quote_identifier(name);
        connection.execute_batch(&format!("DROP {kind} IF EXISTS temp.{name}"))?;
    }
    Ok(())
}
