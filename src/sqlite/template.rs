//! Builds a new database once, in memory, and writes its pages to many empty files, each in one
//! transaction of that file. While the steps contain only DDL, all new databases are equal, so
//! the result is the same as running the steps in each file, in half the time. The history rows
//! give the time at which the template was built.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::database::connection::{ConnectOptions, open_in_memory};
use crate::database::error::DatabaseError;
use crate::database::history;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob, TransactionEnd};
use crate::database::template::DatabaseTemplate;
use crate::document::tag::Scope;
use crate::schema;
use crate::sql::lexer;
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::paths::side_file;
use crate::sqlite::transaction::apply;

impl DatabaseTemplate {
    /// Builds the template that a job leaves in an empty file. `None` if a statement may write
    /// rows, which may differ between databases, or if the job fails: running it in the file then
    /// reports the error with its context.
    pub(crate) fn from_job(job: &MigrationJob<'_>, options: &ConnectOptions) -> Option<Self> {
        let mut statements = job.steps.iter().flat_map(|step| &step.script.statements);
        // A template pays off for users only: there is one system database, and its history also
        // stores the sources of migrations.
        let is_for_many = job.scope == Scope::User && job.transaction_end == TransactionEnd::Commit;
        if !is_for_many || !statements.all(|statement| is_pure_ddl(statement.sql.text())) {
            return None;
        }
        Self::build(job, options).ok().flatten()
    }

    fn build(
        job: &MigrationJob<'_>,
        options: &ConnectOptions,
    ) -> Result<Option<Self>, DatabaseError> {
        let mut memory = open_in_memory(&options.setup)?;
        let authorizer = StatementAuthorizer::install(&mut memory)?;
        let result =
            apply(&memory, &authorizer, job, &HistoryState::Empty, &|| options.is_cancelled())?;
        let HistoryState::Versioned(entry) = history::state(&memory)? else { return Ok(None) };
        if has_application_rows(&memory)? {
            return Ok(None);
        }
        let bytes = memory.serialize("main")?.to_vec();
        Ok(Some(Self { bytes, last_entry_id: entry.id, notes: result.notes }))
    }

    /// Writes the template to the file of a connection.
    ///
    /// # Errors
    ///
    /// `ConcurrentChange` if the file is no longer empty; else what failed. The file is unchanged.
    pub(crate) fn write_to(
        &self,
        connection: &mut Connection,
        path: &Path,
        options: &ConnectOptions,
    ) -> Result<JobResult, DatabaseError> {
        let started = Instant::now();
        if options.is_cancelled() {
            return Err(DatabaseError::Interrupted);
        }
        let mut source = open_in_memory(&options.setup)?;
        source.deserialize_read_exact("main", &*self.bytes, self.bytes.len(), true)?;
        let write_result = copy_to_empty_file(&source, connection, path);
        let job_result = |duration: Duration| JobResult {
            notes: self.notes.clone(),
            duration,
            ..JobResult::default()
        };
        match write_result {
            Ok(()) => Ok(job_result(started.elapsed())),
            Err(error @ (DatabaseError::ConcurrentChange | DatabaseError::Busy { .. })) => {
                Err(error)
            }
            // The write can report an error after the data is durable; the history row decides.
            Err(error) => match history::state(connection) {
                Ok(HistoryState::Versioned(entry)) if entry.id == self.last_entry_id => {
                    Ok(job_result(started.elapsed()))
                }
                _ => Err(error),
            },
        }
    }
}

/// Copies all pages of a database into an empty file, in one transaction.
fn copy_to_empty_file(
    source: &Connection,
    connection: &mut Connection,
    path: &Path,
) -> Result<(), DatabaseError> {
    // The path may have been replaced by another file before SQLite opened it.
    let pages: i64 = connection.query_row("PRAGMA main.page_count", [], |row| row.get(0))?;
    if pages != 0 {
        return Err(DatabaseError::ConcurrentChange);
    }
    let backup = Backup::new(source, connection)?;
    let step = |pages| match backup.step(pages)? {
        StepResult::Busy | StepResult::Locked => Err(DatabaseError::Busy { holder: None }),
        result => Ok(result),
    };
    // A step of 0 pages begins the write transaction: from here on no other program writes to the
    // file, so its length can be checked.
    step(0)?;
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    if !matches!(length, Ok(0)) || side_file(path, "-wal").exists() {
        return Err(DatabaseError::ConcurrentChange);
    }
    while step(-1)? != StepResult::Done {}
    Ok(())
}

/// Whether a statement changes only the schema, so that its effect does not depend on rows.
pub(crate) fn is_pure_ddl(statement: &str) -> bool {
    // `CREATE TABLE … AS SELECT …` has no parenthesis before its `AS`.
    let tokens = lexer::tokens(statement, 0).map(|token| (token.kind, &statement[token.range]));
    let head = tokens.take_while(|(_, text)| *text != "(");
    let words: Vec<String> = head
        .filter(|(kind, _)| *kind == lexer::TokenKind::Word)
        .map(|(_, word)| word.to_ascii_lowercase())
        .collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    match words.first().map(String::as_str) {
        Some("create") => !(has("table") && has("as")),
        Some(first) => ["alter", "drop", "pragma"].contains(&first),
        None => true,
    }
}

/// Whether a table other than tatmig's holds a row: creating a virtual table may write rows.
fn has_application_rows(connection: &Connection) -> rusqlite::Result<bool> {
    let mut tables =
        connection.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'")?;
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in tables.iter().filter(|table| !schema::is_tatmig_name(table)) {
        let query = format!("SELECT EXISTS (SELECT 1 FROM {})", lexer::quote_main_table(table));
        if connection.query_row(&query, [], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::connection::ConnectionSetup;
    use crate::database::history_entry::{HistoryEvent, NewHistoryEntry};
    use crate::database::job::{EMPTY_SCRIPT, Step};

    fn empty_job() -> MigrationJob<'static> {
        let entry = NewHistoryEntry {
            event: HistoryEvent::Upgrade,
            from: "baseline".to_owned(),
            to: "1.0.0".to_owned(),
            checksum: None,
            chain: None,
            note: None,
        };
        let label = String::new();
        let step =
            Step { script: &EMPTY_SCRIPT, label, history_entry: Some(entry), sources: Vec::new() };
        MigrationJob::new(Scope::User, vec![step])
    }

    #[test]
    fn statements_that_may_write_rows_are_not_pure_ddl() {
        for sql in [
            "CREATE TABLE t (a TEXT DEFAULT (hex(1)), as_of TEXT)",
            "create temp table t(a)",
            "CREATE VIEW v AS SELECT 1",
            "-- a note\nCREATE UNIQUE INDEX IF NOT EXISTS i ON t (a)",
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
            "ALTER TABLE t ADD COLUMN b",
            "DROP TABLE t",
            "PRAGMA user_version = 7",
        ] {
            assert!(is_pure_ddl(sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE t AS SELECT random()",
            "CREATE TABLE IF NOT EXISTS main.t /* ( */ as values (1)",
            "create temp table \"a (\" AS SELECT 1",
            "INSERT INTO t SELECT 1 WHERE random() % 2",
            "WITH n AS (SELECT 1) INSERT INTO t SELECT * FROM n",
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "REPLACE INTO t VALUES (1)",
            "SELECT 1",
            "ANALYZE",
        ] {
            assert!(!is_pure_ddl(sql), "{sql}");
        }
    }

    #[test]
    fn a_template_is_only_written_to_an_empty_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let busy_timeout = std::time::Duration::from_secs(1);
        let options = ConnectOptions { busy_timeout, setup: ConnectionSetup::default() };
        let template = DatabaseTemplate::from_job(&empty_job(), &options).unwrap();
        let mut connection = Connection::open(&path).unwrap();
        template.write_to(&mut connection, &path, &options).unwrap();
        let HistoryState::Versioned(entry) = history::state(&connection).unwrap() else { panic!() };
        assert_eq!((entry.id, &*entry.to), (1, "1.0.0"));

        // A file that another program filled before the lock was taken stays unchanged.
        let path = directory.path().join("b.db");
        let mut connection = Connection::open(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE own (x); INSERT INTO own VALUES (7)").unwrap();
        let error = template.write_to(&mut connection, &path, &options).unwrap_err();
        assert!(matches!(error, DatabaseError::ConcurrentChange), "{error}");
        let own: i64 = other.query_row("SELECT x FROM own", [], |row| row.get(0)).unwrap();
        assert_eq!((own, history::state(&other).unwrap()), (7, HistoryState::Unversioned));
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let error = template.write_to(&mut connection, &path, &options).unwrap_err();
        assert!(matches!(error, DatabaseError::Busy { .. }), "{error}");
    }
}
