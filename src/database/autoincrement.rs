//! Reads the AUTOINCREMENT counters that SQLite keeps in `sqlite_sequence`. A rebuild that loses the
//! counter of its table makes SQLite use the ids of deleted rows again.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use crate::database::schema_reader::read_table;
use crate::sql::table_definition::TableDefinition;

/// The counters of some tables, by the names of the tables in lower case. A table without a counter
/// is left out.
pub(crate) type Counters = BTreeMap<String, i64>;

/// A counter that is lower than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoweredCounter {
    /// In lower case.
    pub(crate) table: String,
    pub(crate) before: i64,
    /// 0 if the table has no counter any more.
    pub(crate) after: i64,
}

/// Reads the counters of tables, which are given in lower case.
pub(crate) fn read_counters(
    connection: &Connection,
    tables: &[String],
) -> rusqlite::Result<Counters> {
    let mut counters = Counters::new();
    // SQLite creates the table with the first AUTOINCREMENT table.
    if tables.is_empty() || !connection.table_exists(Some("main"), "sqlite_sequence")? {
        return Ok(counters);
    }
    // Of two rows for one table SQLite uses the first.
    let mut statement = connection.prepare(
        "SELECT CAST(seq AS INTEGER) FROM main.sqlite_sequence \
         WHERE name = ?1 COLLATE NOCASE AND seq IS NOT NULL ORDER BY rowid LIMIT 1",
    )?;
    for table in tables {
        if let Some(counter) = statement.query_row([table], |row| row.get(0)).optional()? {
            counters.insert(table.clone(), counter);
        }
    }
    Ok(counters)
}

/// The first counter that is lower now than before, of the tables that still have AUTOINCREMENT: a
/// rebuild may remove it on purpose.
pub(crate) fn find_lowered_counter(
    connection: &Connection,
    before: &Counters,
) -> rusqlite::Result<Option<LoweredCounter>> {
    let tables: Vec<String> = before.keys().cloned().collect();
    let after = read_counters(connection, &tables)?;
    for (table, before) in before {
        let after = after.get(table).copied().unwrap_or(0);
        if after < *before && is_autoincrement(connection, table)? {
            let (table, before) = (table.clone(), *before);
            return Ok(Some(LoweredCounter { table, before, after }));
        }
    }
    Ok(None)
}

fn is_autoincrement(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let table = read_table(connection, table)?;
    Ok(table.table_definition().is_some_and(TableDefinition::is_autoincrement))
}
