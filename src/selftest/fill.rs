//! Fills tables of a database with a few rows each that satisfy its constraints: parents before
//! children. Reports the tables that accept no row, or rows only without triggers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use crate::database::error::{DatabaseError, sqlite_message};
use crate::schema::Schema;
use crate::selftest::insert_row::{
    InsertResult, Rejection, RejectionKind, insert_row, update_columns,
};
use crate::selftest::orphans::remove_orphans;
use crate::selftest::row_choices::RowSource;
use crate::selftest::snapshot::{find_table, is_ordinary_table};
use crate::selftest::state_check::{highest_rowid, leave_gaps};
use crate::selftest::table_spec::{TableSpec, fill_order};
use crate::selftest::values::{DataProfile, ROWS_PER_TABLE, RowPlan};
use crate::sql::lexer::quote_identifier;

/// How many rows a table gets at most, however often it is changed.
const MAX_ROWS: usize = 4 * ROWS_PER_TABLE;

/// A table that could not be filled as intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FillGap {
    pub(crate) table: String,
    pub(crate) kind: GapKind,
    /// SQLite's message, or what else prevented the rows.
    pub(crate) reason: String,
    /// The assertion that left rows out.
    pub(crate) span: Option<Range<usize>>,
}

/// How a table was filled with less than intended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// No row satisfies its constraints: the table was tested empty.
    NoRows,
    /// Rows were inserted only with the table's triggers disabled, since a trigger rejects them.
    TriggersOff,
    /// Generated rows do not meet a `-- tatmig:assert`, and were left out.
    AssertedAway,
    /// Rows cannot be inserted, since a trigger of the table cannot run.
    BrokenTrigger,
    /// The rows need a function or collation that only the application can execute, or values that
    /// only the application can make.
    NeedsApplication,
}

/// What to fill, and with what.
pub(crate) struct FillRequest<'f> {
    pub(crate) connection: &'f Connection,
    /// The schema of the database.
    pub(crate) schema: &'f Schema,
    /// The schema to which the document leads: typical rows satisfy its constraints too, as far as
    /// possible.
    pub(crate) later_schema: &'f Schema,
    pub(crate) profile: DataProfile,
    /// The tables, in lower case, each with the columns that are to be filled in existing rows.
    pub(crate) tables: BTreeMap<String, BTreeSet<String>>,
    /// Whether an extension may refuse values that no constraint of the schema refuses.
    pub(crate) has_extensions: bool,
    /// Ends the fill once set.
    pub(crate) cancel: &'f AtomicBool,
}

/// The result of a fill.
#[derive(Debug, Default)]
pub(crate) struct FillReport {
    pub(crate) gaps: Vec<FillGap>,
    /// How many rows each of the tables has, by its name in lower case.
    pub(crate) row_counts: BTreeMap<String, usize>,
}

impl FillRequest<'_> {
    /// Fills the tables, in one transaction. Names of anything but an ordinary table are ignored.
    ///
    /// # Errors
    ///
    /// SQLite's, for anything but a rejected row, and an interrupt.
    pub(crate) fn run(&self) -> Result<FillReport, DatabaseError> {
        let table_specs = self.table_specs()?;
        let connection = self.connection;
        connection.execute_batch("BEGIN")?;
        let mut gaps = BTreeMap::new();
        let mut filled_tables = BTreeSet::new();
        let mut filled_specs = Vec::new();
        for index in fill_order(&table_specs) {
            let table_spec = &table_specs[index];
            let name = table_spec.name.to_ascii_lowercase();
            // Other tables are here only because the ones to fill refer to them.
            let Some(changed_columns) = self.tables.get(&name) else {
                filled_tables.insert(name);
                continue;
            };
            let source = RowSource {
                connection,
                table_specs: &table_specs,
                filled_tables: &filled_tables,
                profile: self.profile,
            };
            let gap = self.fill_table(&source, table_spec, changed_columns)?;
            gaps.extend(gap.map(|gap| (name.clone(), gap)));
            filled_tables.insert(name);
            filled_specs.push(table_spec);
        }
        remove_orphans(connection, &table_specs, filled_specs.iter().copied())?;
        let mut report = FillReport::default();
        for table_spec in filled_specs {
            let rows = count_rows(connection, &table_spec.name)?;
            let name = table_spec.name.to_ascii_lowercase();
            let gap_from_orphans = || {
                (rows == 0).then(|| FillGap {
                    table: table_spec.name.clone(),
                    kind: GapKind::NoRows,
                    reason: "each of its rows needs a parent row that could not be inserted"
                        .to_owned(),
                    span: None,
                })
            };
            report.gaps.extend(gaps.remove(&name).or_else(gap_from_orphans));
            report.row_counts.insert(name, rows);
        }
        connection.execute_batch("COMMIT")?;
        report.gaps.extend(self.tables.keys().filter_map(|name| self.virtual_table_gap(name)));
        Ok(report)
    }

    /// The gap of an empty virtual table of an extension: what its rows have to be is unknown.
    fn virtual_table_gap(&self, name: &str) -> Option<FillGap> {
        let object = find_table(self.schema, name)?;
        let module = object.module().filter(|module| module.shadow_suffixes().is_none())?;
        let reason = match count_rows(self.connection, &object.name) {
            Ok(0) => format!("it is a virtual table of the module `{}`", module.module),
            Ok(_) => return None,
            Err(error) => sqlite_message(&error),
        };
        let table = object.name.clone();
        Some(FillGap { table, kind: GapKind::NeedsApplication, reason, span: None })
    }

    /// The tables to fill, and the parents that they refer to.
    fn table_specs(&self) -> Result<Vec<TableSpec>, DatabaseError> {
        let mut names: BTreeSet<String> = self.tables.keys().cloned().collect();
        let objects = self.tables.keys().filter_map(|name| find_table(self.schema, name));
        let parents = objects.flat_map(|object| &object.structure().foreign_keys);
        names.extend(parents.map(|key| key.parent.to_ascii_lowercase()));
        let mut table_specs = Vec::with_capacity(names.len());
        for name in names {
            if let Some(object) = find_table(self.schema, &name)
                && is_ordinary_table(self.connection, &name)?
            {
                table_specs.push(TableSpec::new(object, self.profile, self.later_schema));
            }
        }
        Ok(table_specs)
    }

    /// Inserts rows into one table, and fills the changed columns of the rows that it has. Returns
    /// the gap if it is not filled as intended.
    fn fill_table(
        &self,
        source: &RowSource<'_>,
        table_spec: &TableSpec,
        changed_columns: &BTreeSet<String>,
    ) -> Result<Option<FillGap>, DatabaseError> {
        let connection = self.connection;
        let base = count_rows(connection, &table_spec.name)?;
        if base > 0 && !changed_columns.is_empty() {
            let is_changed = |column_index: usize| {
                let name = table_spec.table.columns[column_index].name.to_ascii_lowercase();
                changed_columns.contains(&name) && !table_spec.is_primary_key(column_index)
            };
            update_columns(source, table_spec, &is_changed)?;
        }
        // A full table gets a row that is removed again, to see whether it still accepts one.
        let is_full = base + ROWS_PER_TABLE > MAX_ROWS;
        if is_full {
            connection.execute_batch("SAVEPOINT probe")?;
        }
        let highest_rowid = highest_rowid(connection, &table_spec.name);
        let result =
            self.insert_rows(source, table_spec, base, if is_full { 1 } else { ROWS_PER_TABLE });
        if is_full {
            connection.execute_batch("ROLLBACK TO probe; RELEASE probe")?;
        } else if let Some(object) = find_table(self.schema, &table_spec.name.to_ascii_lowercase())
        {
            leave_gaps(connection, self.schema, object, highest_rowid)?;
        }
        result
    }

    fn insert_rows(
        &self,
        source: &RowSource<'_>,
        table_spec: &TableSpec,
        base: usize,
        count: usize,
    ) -> Result<Option<FillGap>, DatabaseError> {
        let gap = |kind, rejection: Rejection| {
            let (table, reason) = (table_spec.name.clone(), rejection.reason);
            let kind = match rejection.kind {
                RejectionKind::Unusable => GapKind::BrokenTrigger,
                RejectionKind::NeedsApplication => GapKind::NeedsApplication,
                RejectionKind::Values if self.has_extensions => GapKind::NeedsApplication,
                RejectionKind::Constraint | RejectionKind::Values => kind,
            };
            Some(FillGap { table, kind, reason, span: None })
        };
        let mut trigger_gap = None;
        let mut has_inserted = base > 0;
        for row in 0..count {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(DatabaseError::Interrupted);
            }
            match insert_row(source, table_spec, RowPlan::new(base, row, self.profile))? {
                InsertResult::Inserted => has_inserted = true,
                InsertResult::InsertedWithoutTriggers(rejection) => {
                    has_inserted = true;
                    trigger_gap = gap(GapKind::TriggersOff, rejection);
                }
                // The constraints permit no further row.
                InsertResult::Rejected(rejection) if has_inserted => {
                    return Ok(match rejection.kind {
                        RejectionKind::Constraint | RejectionKind::Values => trigger_gap,
                        RejectionKind::Unusable | RejectionKind::NeedsApplication => {
                            gap(GapKind::NoRows, rejection)
                        }
                    });
                }
                InsertResult::Rejected(rejection) => return Ok(gap(GapKind::NoRows, rejection)),
            }
        }
        Ok(trigger_gap)
    }
}

fn count_rows(connection: &Connection, table: &str) -> rusqlite::Result<usize> {
    let query = format!("SELECT count(*) FROM {}", quote_identifier(table));
    let rows: u32 = connection.query_row(&query, [], |row| row.get(0))?;
    Ok(usize::try_from(rows).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::connection::apply_security_settings;
    use crate::document::extensions::SchemaTrust;

    fn fill_all(
        connection: &Connection,
        profile: DataProfile,
        later_schema: &Schema,
    ) -> FillReport {
        let schema = crate::database::schema_reader::read_schema(connection).unwrap();
        let tables = schema.keys().map(|key| (key.name.clone(), BTreeSet::new())).collect();
        let cancel = &AtomicBool::new(false);
        let request = FillRequest {
            connection,
            schema: &schema,
            later_schema,
            profile,
            tables,
            has_extensions: false,
            cancel,
        };
        request.run().unwrap()
    }

    fn row_count(report: &FillReport) -> usize {
        report.row_counts.values().sum()
    }

    fn fill_new_database(sql: &str, profile: DataProfile) -> (Connection, FillReport) {
        let connection = Connection::open_in_memory().unwrap();
        apply_security_settings(&connection, SchemaTrust::default()).unwrap();
        connection.execute_batch(sql).unwrap();
        let report = fill_all(&connection, profile, &Schema::new());
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
            assert_eq!((row_count(&report), report.gaps), (rows, vec![]), "{sql}: {profile:?}");
        }
    }

    #[track_caller]
    fn count_rows(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_table_gets_its_rows() {
        assert_filled("CREATE TABLE t (a)", 12);
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY)", 12);
        assert_filled("CREATE TABLE t (a BOOLEAN NOT NULL, b DATE NOT NULL, UNIQUE (a, b))", 12);
        assert_filled("CREATE TABLE t (a TEXT UNIQUE CHECK (a IN ('x', 'y', 'z')) NOT NULL)", 3);
        assert_filled("CREATE TABLE t (a TEXT NOT NULL CHECK (length(a) = 36) UNIQUE)", 12);
        assert_filled("CREATE TABLE t (a TEXT CHECK (a GLOB '[0-9][0-9]') NOT NULL)", 12);
        assert_filled("CREATE TABLE t (a INT CHECK (typeof(a) = 'integer') NOT NULL)", 12);
        assert_filled("CREATE TABLE t (a, b AS (a + 1) STORED, c DEFAULT (1))", 12);
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL) STRICT", 12);
    }

    #[test]
    fn children_have_parents() {
        assert_filled(
            "CREATE TABLE c (p REFERENCES p NOT NULL); CREATE TABLE p (a TEXT PRIMARY KEY)",
            24,
        );
        assert_filled("CREATE TABLE t (a INTEGER PRIMARY KEY, b INT NOT NULL REFERENCES t)", 12);
        assert_filled(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b); \
             CREATE TABLE b (id INTEGER PRIMARY KEY, a INT NOT NULL REFERENCES a)",
            24,
        );
        assert_filled(
            "CREATE TABLE a (x INT, y TEXT, PRIMARY KEY (x, y)) WITHOUT ROWID; \
             CREATE TABLE b (x INT, y TEXT, FOREIGN KEY (x, y) REFERENCES a, PRIMARY KEY (x, y))",
            24,
        );
    }

    #[test]
    fn unusable_foreign_key_does_not_prevent_rows() {
        let sql =
            "CREATE TABLE p (a TEXT, b TEXT); CREATE TABLE c (a TEXT NOT NULL REFERENCES p (a));
                   CREATE TABLE d (a TEXT REFERENCES nowhere)";
        let connection = Connection::open_in_memory().unwrap();
        apply_security_settings(&connection, SchemaTrust::default()).unwrap();
        connection.execute_batch(sql).unwrap();
        let report = fill_all(&connection, DataProfile::EdgeCases, &Schema::new());
        assert_eq!((report.gaps.len(), row_count(&report)), (0, 36), "{:?}", report.gaps);
        assert_eq!(count_rows(&connection, "c WHERE a IN (SELECT a FROM p)"), 12);
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
        assert_eq!(count_rows(&typical, "t WHERE a > '' AND b > 0"), 12);
    }

    #[test]
    fn typical_rows_satisfy_later_constraints() {
        let later_schema = Connection::open_in_memory().unwrap();
        later_schema.execute_batch("CREATE TABLE t (a TEXT CHECK (a IN ('x', 'y')))").unwrap();
        let later_schema = crate::database::schema_reader::read_schema(&later_schema).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a TEXT)").unwrap();
        fill_all(&connection, DataProfile::Typical, &later_schema);
        assert_eq!(count_rows(&connection, "t WHERE a IN ('x', 'y')"), 12);
    }

    #[test]
    fn tables_that_cannot_be_filled_are_reported() {
        let sql = "CREATE TABLE t (a INT NOT NULL PRIMARY KEY CHECK (a <> a)); CREATE TABLE c (a INT NOT NULL REFERENCES t)";
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
