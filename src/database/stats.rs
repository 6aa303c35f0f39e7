//! Counts the pages of a database and the rows of each table, as values that can be summed over a
//! fleet.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::database::session::{Query, Session, SessionError};
use crate::sql::lexer;

/// The size of one database, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// How many databases were counted.
    pub databases: u64,
    /// The rows of each table by its name, without tatmig's and SQLite's own tables. None for a
    /// table that needs a module or collation which this SQLite does not have.
    pub tables: BTreeMap<String, Option<u64>>,
    /// The length of the main file, in bytes.
    pub file_bytes: u64,
    /// The length of the write-ahead log, in bytes.
    pub wal_bytes: u64,
    /// How many pages the main file has.
    pub pages: u64,
    /// How many of them are unused.
    pub free_pages: u64,
    /// The bytes of the unused pages.
    pub free_bytes: u64,
}

impl Stats {
    /// The rows of all tables that can be read.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.values().flatten().copied().fold(0, u64::saturating_add)
    }
}

impl AddAssign<&Self> for Stats {
    /// A number that is too large, which only a broken server returns, stays at the largest.
    fn add_assign(&mut self, other: &Self) {
        self.databases += other.databases;
        for (table, rows) in &other.tables {
            let sum = self.tables.entry(table.clone()).or_insert(Some(0));
            *sum = sum.zip(*rows).map(|(left, right)| left.saturating_add(right));
        }
        for (sum, number) in [
            (&mut self.file_bytes, other.file_bytes),
            (&mut self.wal_bytes, other.wal_bytes),
            (&mut self.pages, other.pages),
            (&mut self.free_pages, other.free_pages),
            (&mut self.free_bytes, other.free_bytes),
        ] {
            *sum = sum.saturating_add(number);
        }
    }
}

/// Counts the pages of a database and the rows of its tables.
pub(crate) fn read<S: Session>(session: &S) -> Result<Stats, S::Error> {
    let names = session.query(TABLE_NAMES_QUERY, &[])?;
    let names: Vec<String> = names.into_iter().map(|mut row| row.take_text(0)).collect();
    let mut queries: Vec<Query<'_>> = SIZE_QUERIES.map(Query::new).into();
    queries.extend(
        names.iter().map(|name| {
            Query::new(format!("SELECT count(*) FROM {}", lexer::quote_main_table(name)))
        }),
    );
    let mut results = session.query_all(&queries)?.into_iter().map(|result| {
        // SQLite's integers are signed, but none of these is negative.
        result.map(|rows| rows.first().map_or(0, |row| row.integer(0).unsigned_abs()))
    });
    let mut next_size = || results.next().unwrap_or(Ok(0));
    let (pages, page_size, free_pages) = (next_size()?, next_size()?, next_size()?);
    let mut tables = BTreeMap::new();
    for (name, result) in names.into_iter().zip(results) {
        let rows = match result {
            Ok(rows) => Some(rows),
            // A table with a module or a collation that only the application has.
            Err(error) if error.is_sql_error() => None,
            Err(error) => return Err(error),
        };
        tables.insert(name, rows);
    }
    let file_bytes = pages.saturating_mul(page_size);
    let free_bytes = free_pages.saturating_mul(page_size);
    Ok(Stats { databases: 1, tables, file_bytes, wal_bytes: 0, pages, free_pages, free_bytes })
}

/// The queries for the size of a database: pages, bytes of a page, unused pages.
const SIZE_QUERIES: [&str; 3] = [
    "SELECT * FROM pragma_page_count('main')",
    "SELECT * FROM pragma_page_size('main')",
    // This one takes no argument, and reads `main`.
    "SELECT * FROM pragma_freelist_count",
];

/// The names of the tables whose rows are counted.
const TABLE_NAMES_QUERY: &str = "\
SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') \
AND name NOT LIKE 'sqlite$_%' ESCAPE '$' AND name NOT LIKE '$_tatmig$_%' ESCAPE '$'";

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
