//! Fills the tables of a database with a few rows each that satisfy its constraints: parents
//! before children. Reports the tables that accept no row, or rows only without triggers.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::schema::Schema;
use crate::selftest::insert_row::{InsertResult, insert_row};
use crate::selftest::orphans::remove_orphans;
use crate::selftest::row_choices::RowSource;
use crate::selftest::table_spec::{TableSpec, fill_order};
use crate::selftest::values::{DataProfile, ROWS_PER_TABLE};
use crate::sql::lexer::quote_identifier;

/// What was inserted, and what was not.
#[derive(Clone, Debug, Default)]
pub(crate) struct FillReport {
    /// Tables that have rows.
    pub(crate) table_count: usize,
    pub(crate) row_count: usize,
    pub(crate) gaps: Vec<FillGap>,
}

/// A table that could not be filled as intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FillGap {
    pub(crate) table: String,
    pub(crate) kind: GapKind,
    /// SQLite's message, or what else prevented the rows.
    pub(crate) reason: String,
}

/// How a table was filled with less than intended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// No row satisfies its constraints: the table was tested empty.
    NoRows,
    /// Rows were inserted only with the table's triggers disabled.
    TriggersOff,
}

/// Fills every ordinary table, in one transaction. `later_schema` is the schema to which the
/// document leads: typical rows satisfy its constraints too, as far as possible.
///
/// # Errors
///
/// SQLite's, for anything but a rejected row: an interrupt above all.
pub(crate) fn fill_tables(
    connection: &Connection,
    profile: DataProfile,
    later_schema: &Schema,
) -> rusqlite::Result<FillReport> {
    let table_specs = TableSpec::read_all(connection, profile, later_schema)?;
    connection.execute_batch("BEGIN")?;
    let mut gaps = BTreeMap::new();
    let mut filled_tables = BTreeSet::new();
    for index in fill_order(&table_specs) {
        let source = RowSource {
            connection,
            table_specs: &table_specs,
            filled_tables: &filled_tables,
            profile,
        };
        let gap = fill_table(&source, &table_specs[index])?;
        filled_tables.insert(table_specs[index].name.to_ascii_lowercase());
        gaps.extend(gap.map(|gap| (index, gap)));
    }
    remove_orphans(connection, &table_specs, &table_specs)?;
    let mut report = FillReport::default();
    for (index, table_spec) in table_specs.iter().enumerate() {
        let count_query = format!("SELECT count(*) FROM {}", quote_identifier(&table_spec.name));
        let rows: u32 = connection.query_row(&count_query, [], |row| row.get(0))?;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        report.row_count += rows;
        report.table_count += usize::from(rows > 0);
        let gap_from_orphans = || {
            (rows == 0).then(|| FillGap {
                table: table_spec.name.clone(),
                kind: GapKind::NoRows,
                reason: "each of its rows needs a parent row that could not be inserted".to_owned(),
            })
        };
        report.gaps.extend(gaps.remove(&index).or_else(gap_from_orphans));
    }
    connection.execute_batch("COMMIT")?;
    Ok(report)
}

/// Inserts the rows of one table. Returns the gap if it is not filled as intended.
fn fill_table(source: &RowSource<'_>, table_spec: &TableSpec) -> rusqlite::Result<Option<FillGap>> {
    let gap = |kind, reason| Some(FillGap { table: table_spec.name.clone(), kind, reason });
    let mut trigger_gap = None;
    for row in 0..ROWS_PER_TABLE {
        match insert_row(source, table_spec, row)? {
            InsertResult::Inserted => {}
            InsertResult::InsertedWithoutTriggers(reason) => {
                trigger_gap = gap(GapKind::TriggersOff, reason);
            }
            InsertResult::Rejected(reason) if row == 0 => return Ok(gap(GapKind::NoRows, reason)),
            // The constraints permit no further row.
            InsertResult::Rejected(_) => break,
        }
    }
    Ok(trigger_gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_new_database(sql: &str, profile: DataProfile) -> (Connection, FillReport) {
        let connection = Connection::open_in_memory().unwrap();
        crate::database::connection::apply_security_settings(&connection).unwrap();
        connection.execute_batch(sql).unwrap();
        let report = fill_tables(&connection, profile, &Schema::new()).unwrap();
        let broken: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(broken, 0, "{sql}");
        (connection, report)
    }

    #[track_caller]
    fn assert_filled(sql: &str, rows: usize) {
        for profile in [DataProfile::EdgeCases, DataProfile::Typical] {
            let (_, report) = fill_new_database(sql, profile);
            assert_eq!((report.row_count, report.gaps), (rows, vec![]), "{profile:?}");
        }
    }

    #[track_caller]
    fn count_rows(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_table_gets_its_rows() {
        assert_filled("CREATE TABLE t (a)", 6);
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY)", 6);
        assert_filled("CREATE TABLE t (a BOOLEAN NOT NULL, b DATE NOT NULL, UNIQUE (a, b))", 6);
        assert_filled("CREATE TABLE t (a TEXT UNIQUE CHECK (a IN ('x', 'y', 'z')) NOT NULL)", 3);
        assert_filled("CREATE TABLE t (a TEXT NOT NULL CHECK (length(a) = 36) UNIQUE)", 6);
        assert_filled("CREATE TABLE t (a TEXT CHECK (a GLOB '[0-9][0-9]') NOT NULL)", 6);
        assert_filled("CREATE TABLE t (a INT CHECK (typeof(a) = 'integer') NOT NULL)", 6);
        assert_filled("CREATE TABLE t (a, b AS (a + 1) STORED, c DEFAULT (1))", 6);
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL) STRICT", 6);
    }

    #[test]
    fn children_have_parents() {
        assert_filled(
            "CREATE TABLE c (p REFERENCES p NOT NULL); CREATE TABLE p (a TEXT PRIMARY KEY)",
            12,
        );
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY, b INT NOT NULL REFERENCES t)", 6);
        assert_filled(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b); \
             CREATE TABLE b (id INTEGER PRIMARY KEY, a INT NOT NULL REFERENCES a)",
            12,
        );
        assert_filled(
            "CREATE TABLE a (x INT, y TEXT, PRIMARY KEY (x, y)) WITHOUT ROWID; \
             CREATE TABLE b (x INT, y TEXT, FOREIGN KEY (x, y) REFERENCES a, PRIMARY KEY (x, y))",
            12,
        );
    }

    #[test]
    fn unusable_foreign_key_does_not_prevent_rows() {
        let sql =
            "CREATE TABLE p (a TEXT, b TEXT); CREATE TABLE c (a TEXT NOT NULL REFERENCES p (a));
                   CREATE TABLE d (a TEXT REFERENCES nowhere)";
        let connection = Connection::open_in_memory().unwrap();
        crate::database::connection::apply_security_settings(&connection).unwrap();
        connection.execute_batch(sql).unwrap();
        let report = fill_tables(&connection, DataProfile::EdgeCases, &Schema::new()).unwrap();
        assert_eq!((report.table_count, report.row_count), (3, 18), "{:?}", report.gaps);
        assert_eq!(count_rows(&connection, "c JOIN p USING (a)"), 6);
    }

    #[test]
    fn only_edge_case_rows_are_unusual() {
        let sql = "CREATE TABLE t (a TEXT, b INTEGER DEFAULT 77)";
        let (edge_cases, _) = fill_new_database(sql, DataProfile::EdgeCases);
        let (typical, _) = fill_new_database(sql, DataProfile::Typical);
        for condition in ["a IS NULL", "a = ''", "a LIKE '%\"%'", "b < 0", "b = 77", "b > 1 << 52"]
        {
            assert!(count_rows(&edge_cases, &format!("t WHERE {condition}")) > 0, "{condition}");
        }
        assert_eq!(count_rows(&typical, "t WHERE a > '' AND b > 0"), 6);
    }

    #[test]
    fn typical_rows_satisfy_later_constraints() {
        let later_schema = Connection::open_in_memory().unwrap();
        later_schema.execute_batch("CREATE TABLE t (a TEXT CHECK (a IN ('x', 'y')))").unwrap();
        let later_schema = crate::database::schema_reader::read_schema(&later_schema).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a TEXT)").unwrap();
        fill_tables(&connection, DataProfile::Typical, &later_schema).unwrap();
        assert_eq!(count_rows(&connection, "t WHERE a IN ('x', 'y')"), 6);
    }

    #[test]
    fn tables_that_cannot_be_filled_are_reported() {
        let sql = "CREATE TABLE t (a INT PRIMARY KEY CHECK (a <> a)); CREATE TABLE c (a INT NOT NULL REFERENCES t)";
        let (_, report) = fill_new_database(sql, DataProfile::EdgeCases);
        let gaps: Vec<_> = report.gaps.iter().map(|gap| (&*gap.table, gap.kind)).collect();
        assert_eq!(gaps, [("t", GapKind::NoRows), ("c", GapKind::NoRows)]);
    }

    #[test]
    fn filling_is_deterministic() {
        let sql = "CREATE TABLE t (a, b TEXT, c REAL, d BLOB, e DATE, UNIQUE (b, c))";
        let rows = |profile| {
            let (connection, _) = fill_new_database(sql, profile);
            let all = "SELECT group_concat(quote(a) || quote(b) || quote(c) || quote(d) || quote(e)) FROM t";
            connection.query_row(all, [], |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(rows(DataProfile::EdgeCases), rows(DataProfile::EdgeCases));
        assert_ne!(rows(DataProfile::EdgeCases), rows(DataProfile::Typical));
    }
}
