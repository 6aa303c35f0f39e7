//! How much a database holds: its pages, and the rows of each of its tables, as values that can be
//! summed over a fleet.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use rusqlite::{Connection, Row, Transaction};

use crate::database::error::{DatabaseError, is_sql_error};
use crate::sql::lexer;

/// What one database holds, or several together.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// How many databases were counted.
    pub databases: u64,
    /// The rows of each table by its name, tatmig's own and SQLite's aside; none where SQLite
    /// cannot read a table, for want of the module that a virtual one is made with.
    pub tables: BTreeMap<String, Option<u64>>,
    /// The length of the main file, in bytes.
    pub file_bytes: u64,
    /// The length of the write-ahead log beside it, in bytes.
    pub wal_bytes: u64,
    /// Its pages.
    pub pages: u64,
    /// Those that hold nothing.
    pub free_pages: u64,
    /// The bytes in those.
    pub free_bytes: u64,
}

impl Stats {
    /// The rows of all tables that can be read.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.values().flatten().sum()
    }
}

impl AddAssign<&Self> for Stats {
    fn add_assign(&mut self, other: &Self) {
        self.databases += other.databases;
        for (table, rows) in &other.tables {
            let sum = self.tables.entry(table.clone()).or_insert(Some(0));
            *sum = sum.zip(*rows).map(|(left, right)| left + right);
        }
        self.file_bytes += other.file_bytes;
        self.wal_bytes += other.wal_bytes;
        self.pages += other.pages;
        self.free_pages += other.free_pages;
        self.free_bytes += other.free_bytes;
    }
}

/// Reads it in one transaction, so that a writer beside it does not show in half of the numbers.
pub(crate) fn read(connection: &Connection) -> Result<Stats, DatabaseError> {
    // An application's connection may be inside one.
    let transaction =
        connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()?;
    // SQLite's numbers are signed; none of these is ever below zero.
    let first_column = |row: &Row<'_>| row.get::<_, i64>(0).map(i64::unsigned_abs);
    let mut pragmas = [0; SIZE_PRAGMAS.len()];
    for (pragma, value) in SIZE_PRAGMAS.iter().zip(&mut pragmas) {
        *value = connection.pragma_query_value(None, pragma, first_column)?;
    }
    let mut names = connection.prepare(TABLE_NAMES_QUERY)?;
    let names: Vec<String> =
        names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut tables = BTreeMap::new();
    for name in names {
        let rows = match connection.query_row(&row_count_query(&name), [], first_column) {
            Ok(rows) => Some(rows),
            // A virtual table whose module only the application has.
            Err(error) if is_sql_error(&error) => None,
            Err(error) => return Err(error.into()),
        };
        tables.insert(name, rows);
    }
    transaction.map_or(Ok(()), Transaction::finish)?;
    Ok(build(tables, pragmas))
}

/// What is asked for its size.
pub(crate) const SIZE_PRAGMAS: [&str; 3] = ["page_count", "page_size", "freelist_count"];

/// The names of the tables whose rows are counted.
pub(crate) const TABLE_NAMES_QUERY: &str = "\
SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') \
AND name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig$_%' ESCAPE '$'";

/// The query that counts the rows of a table.
pub(crate) fn row_count_query(table: &str) -> String {
    format!("SELECT count(*) FROM {}", lexer::quote_identifier(table))
}

/// The rows of its tables, and the answers to [`SIZE_PRAGMAS`].
pub(crate) fn build(
    tables: BTreeMap<String, Option<u64>>,
    [pages, page_size, free_pages]: [u64; SIZE_PRAGMAS.len()],
) -> Stats {
    let (file_bytes, free_bytes) = (pages * page_size, free_pages * page_size);
    Stats { databases: 1, tables, file_bytes, wal_bytes: 0, pages, free_pages, free_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_keeps_every_table_and_marks_uncountable_ones() {
        let stats_with_tables = |tables: &[(&str, Option<u64>)]| Stats {
            databases: 1,
            tables: tables.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect(),
            file_bytes: 4096,
            pages: 1,
            ..Stats::default()
        };
        let mut sum = Stats::default();
        sum += &stats_with_tables(&[("notes", Some(2)), ("search", None)]);
        sum += &stats_with_tables(&[("notes", Some(3)), ("search", Some(9)), ("own", Some(1))]);
        let tables: Vec<_> = sum.tables.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
        assert_eq!(tables, [("notes", Some(5)), ("own", Some(1)), ("search", None)]);
        assert_eq!((sum.databases, sum.file_bytes, sum.pages, sum.rows()), (2, 8192, 2, 6));
    }
}
