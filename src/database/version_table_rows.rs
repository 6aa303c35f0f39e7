//! Reads the rows of version tables: one function for each form that tools record their migrations in.

use std::collections::HashMap;

use crate::sql::value::{Row, SqlValue};

/// A migration that a version table records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// What identifies the migration, as a message shows it.
    pub(crate) key: String,
    /// Other texts that identify it as well.
    pub(crate) other_keys: Vec<String>,
    /// Whether the tool runs the migration again whenever it changes, so that it has no place in the
    /// order.
    pub(crate) is_repeatable: bool,
}

impl Record {
    pub(crate) fn new(key: String) -> Self {
        Self { key, ..Self::default() }
    }
}

/// What a version table records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    /// The migrations that are applied, in the order of the table.
    pub(crate) applied: Vec<Record>,
    /// Migrations that are applied together with all before them.
    pub(crate) applied_up_to: Vec<Record>,
    /// A version up to which Flyway counts everything as applied, whether it has a migration for that
    /// version or not.
    pub(crate) baseline: Option<String>,
    /// Why the table cannot decide, each as the rest of a sentence that begins with its name.
    pub(crate) problems: Vec<String>,
}

/// Tables with one row for each applied migration. The first column identifies it.
pub(crate) fn keys(rows: &[Row]) -> Records {
    let mut records = Records::default();
    for row in rows {
        records.add_key(row.value(0));
    }
    records
}

/// goose: the first column is the version, the second whether the row applied it or undid it. The last
/// row of a version counts. Version 0 marks the creation of the table.
pub(crate) fn goose(rows: &[Row]) -> Records {
    let (mut records, mut applied) = (Records::default(), LastRows::default());
    for row in rows.iter().filter(|row| *row.value(0) != SqlValue::Integer(0)) {
        match key_of(row.value(0)) {
            Some(version) if is_true(row.value(1)) => applied.add(Record::new(version)),
            Some(version) => applied.remove(&version),
            None => records.add_problem(MISSING_KEY),
        }
    }
    records.applied = applied.into_records();
    records
}

/// golang-migrate: one row with the last version, and whether its migration failed.
pub(crate) fn golang_migrate(rows: &[Row]) -> Records {
    let mut records = Records::default();
    for row in rows {
        let Some(version) = key_of(row.value(0)) else {
            records.add_problem(MISSING_KEY);
            continue;
        };
        if is_true(row.value(1)) {
            records.add_problem(format!(
                "marks `{version}` as dirty: that migration failed, and part of it may be applied"
            ));
        }
        // Below the first version.
        if version != "-1" {
            records.applied_up_to.push(Record::new(version));
        }
    }
    if rows.len() > 1 {
        records.add_problem(format!("has {} rows, where golang-migrate keeps one", rows.len()));
    }
    records
}

/// sqlx: the version, and whether its migration succeeded.
pub(crate) fn sqlx(rows: &[Row]) -> Records {
    let mut records = Records::default();
    for row in rows {
        match key_of(row.value(0)) {
            Some(version) if !is_true(row.value(1)) => records
                .add_problem(format!("marks `{version}` as failed, and part of it may be applied")),
            _ => records.add_key(row.value(0)),
        }
    }
    records
}

/// Flyway: version, type, script and success, in the order in which they were installed. A repeatable
/// migration has no version. A row of the type BASELINE counts all versions up to its own as applied;
/// one of a type that begins with UNDO, and DELETE, undoes what an earlier row applied.
pub(crate) fn flyway(rows: &[Row]) -> Records {
    let (mut records, mut applied) = (Records::default(), LastRows::default());
    for row in rows {
        let kind = row.text(1).to_ascii_uppercase();
        let version = key_of(row.value(0));
        let is_repeatable = version.is_none();
        let Some(key) = version.or_else(|| key_of(row.value(2))) else {
            records.add_problem(MISSING_KEY);
            continue;
        };
        if kind == "SCHEMA" {
            // The row of Flyway's own CREATE SCHEMA.
        } else if !is_true(row.value(3)) {
            records.add_problem(format!("marks `{key}` as failed, and part of it may be applied"));
        } else if kind.starts_with("UNDO") || kind == "DELETE" {
            applied.remove(&key);
        } else if kind == "BASELINE" || kind == "SQL_BASELINE" {
            records.baseline = Some(key);
        } else {
            applied.add(Record { is_repeatable, ..Record::new(key) });
        }
    }
    records.applied = applied.into_records();
    records
}

/// Drizzle: the time of the migration in the journal, the hash of its file and, in later releases, its
/// name.
pub(crate) fn drizzle(rows: &[Row]) -> Records {
    let mut records = Records::default();
    for row in rows {
        let mut keys = [0, 2, 1].into_iter().filter_map(|column| key_of(row.value(column)));
        match keys.next() {
            Some(key) => {
                let other_keys = keys.collect();
                records.applied.push(Record { other_keys, ..Record::new(key) });
            }
            None => records.add_problem(MISSING_KEY),
        }
    }
    records
}

/// Prisma: the name, when the migration finished, and when it was marked as rolled back.
pub(crate) fn prisma(rows: &[Row]) -> Records {
    let (mut records, mut applied) = (Records::default(), LastRows::default());
    for row in rows {
        let is_finished = *row.value(1) != SqlValue::Null;
        let is_rolled_back = *row.value(2) != SqlValue::Null;
        match key_of(row.value(0)) {
            _ if is_rolled_back => {}
            Some(name) if !is_finished => records.add_problem(format!(
                "has no time at which `{name}` finished: it failed or was interrupted, and part of it may be applied"
            )),
            Some(name) => applied.add(Record::new(name)),
            None => records.add_problem(MISSING_KEY),
        }
    }
    records.applied = applied.into_records();
    records
}

/// Alembic: the last revision of each branch.
pub(crate) fn alembic(rows: &[Row]) -> Records {
    let mut records = Records::default();
    for row in rows {
        match key_of(row.value(0)) {
            Some(revision) => records.applied_up_to.push(Record::new(revision)),
            None => records.add_problem(MISSING_KEY),
        }
    }
    if records.applied_up_to.len() > 1 {
        let revisions = records.applied_up_to.iter().map(|record| format!("`{}`", record.key));
        let revisions = revisions.collect::<Vec<_>>().join(", ");
        records.add_problem(format!("has the heads of several branches: {revisions}"));
    }
    records
}

/// Records of which a later row may undo or repeat an earlier one.
#[derive(Default)]
struct LastRows {
    records: Vec<Option<Record>>,
    indexes: HashMap<String, usize>,
}

impl LastRows {
    fn add(&mut self, record: Record) {
        self.remove(&record.key);
        self.indexes.insert(record.key.clone(), self.records.len());
        self.records.push(Some(record));
    }

    fn remove(&mut self, key: &str) {
        if let Some(index) = self.indexes.remove(key) {
            self.records[index] = None;
        }
    }

    /// In the order of their last rows.
    fn into_records(self) -> Vec<Record> {
        self.records.into_iter().flatten().collect()
    }
}

const MISSING_KEY: &str = "has a row without a key";

impl Records {
    fn add_key(&mut self, value: &SqlValue) {
        match key_of(value) {
            Some(key) => self.applied.push(Record::new(key)),
            None => self.add_problem(MISSING_KEY),
        }
    }

    fn add_problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }
}

/// A value as a key; a time in milliseconds is a whole number, whatever SQLite stores it as.
fn key_of(value: &SqlValue) -> Option<String> {
    let text = match value {
        #[expect(clippy::cast_possible_truncation, reason = "checked by the comparison")]
        SqlValue::Real(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            (*number as i64).to_string()
        }
        value => value.to_text()?,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether a value of a column with truth values is true. SQLite has no type for them.
fn is_true(value: &SqlValue) -> bool {
    match value {
        SqlValue::Integer(number) => *number != 0,
        SqlValue::Real(number) => *number != 0.0,
        SqlValue::Text(text) => {
            ["1", "t", "true", "yes"].iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
        }
        SqlValue::Null | SqlValue::Blob(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SqlValue {
        SqlValue::from_text(text)
    }

    fn applied(records: &Records) -> Vec<&str> {
        records.applied.iter().map(|record| record.key.as_str()).collect()
    }

    #[test]
    fn the_last_row_of_a_version_counts_in_goose() {
        let row = |version, is_applied| {
            Row(vec![SqlValue::Integer(version), SqlValue::Integer(is_applied)])
        };
        let records = goose(&[row(0, 1), row(1, 1), row(2, 1), row(2, 0), row(1, 0), row(1, 1)]);
        assert_eq!(applied(&records), ["1"]);
        assert!(records.problems.is_empty());
    }

    #[test]
    fn flyway_undoes_baselines_and_repeats() {
        let row = |version: Option<&str>, kind: &str, script: &str, success| {
            let version = SqlValue::from_optional_text(version);
            Row(vec![version, text(kind), text(script), SqlValue::Integer(success)])
        };
        let records = flyway(&[
            row(Some("0"), "SCHEMA", "", 1),
            row(Some("1.1"), "BASELINE", "", 1),
            row(Some("2"), "SQL", "V2__a.sql", 1),
            row(None, "SQL", "R__views.sql", 1),
            row(Some("3"), "SQL", "V3__b.sql", 1),
            row(Some("3"), "UNDO_SQL", "U3__b.sql", 1),
            row(None, "SQL", "R__views.sql", 1),
            row(Some("4"), "SQL", "V4__c.sql", 0),
        ]);
        assert_eq!(applied(&records), ["2", "R__views.sql"]);
        assert!(records.applied[1].is_repeatable && !records.applied[0].is_repeatable);
        assert_eq!(records.baseline.as_deref(), Some("1.1"));
        let failed = "marks `4` as failed, and part of it may be applied";
        assert_eq!(records.problems, [failed]);
    }

    #[test]
    fn prisma_forgets_what_was_rolled_back() {
        let row = |name: &str, finished: Option<&str>, rolled_back: Option<&str>| {
            let values = [finished, rolled_back].map(SqlValue::from_optional_text);
            Row(std::iter::once(text(name)).chain(values).collect())
        };
        let records = prisma(&[
            row("1_a", Some("t"), None),
            row("2_b", None, Some("t")),
            row("2_b", Some("t"), None),
            row("3_c", None, None),
        ]);
        assert_eq!(applied(&records), ["1_a", "2_b"]);
        assert_eq!(records.problems.len(), 1);
        assert!(records.problems[0].contains("`3_c`"));
    }

    #[test]
    fn odd_values_are_problems_and_no_keys() {
        let odd = [SqlValue::Null, SqlValue::Blob(vec![1]), text("  ")];
        let rows: Vec<Row> = odd.into_iter().map(|value| Row(vec![value])).collect();
        for read in [keys, golang_migrate, sqlx, flyway, drizzle, alembic] {
            let records = read(&rows);
            assert!(records.applied.is_empty() && records.applied_up_to.is_empty());
            assert!(records.problems.iter().any(|problem| problem == MISSING_KEY));
        }
        let real = SqlValue::Real(1_700_000_000_000.0);
        assert_eq!(key_of(&real).as_deref(), Some("1700000000000"));
    }
}
