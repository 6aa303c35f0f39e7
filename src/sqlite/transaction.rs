//! One database, one transaction: lock, look again, run every step, check, record, commit. Any
//! error rolls all of it back.

use std::collections::BTreeMap;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};

use crate::database::already_applied::FailedColumnChange;
use crate::database::error::{DatabaseError, sqlite_message};
use crate::database::error_span::error_span;
use crate::database::foreign_key_violations::{
    ForeignKeyViolations, IntroducedViolations, MAX_LISTED_VIOLATIONS,
};
use crate::database::history;
use crate::database::history::CompletedStep;
use crate::database::history_entry::HistoryState;
use crate::database::job::{
    CompiledScript, JobResult, MigrationJob, Statement, Step, TransactionEnd,
};
use crate::database::postcondition::unmet_changes;
use crate::database::schema_reader::read_table;
use crate::document::diagnostic::Rule;
use crate::source::first_line_span;
use crate::sql::lexer;
use crate::sqlite::authorizer::StatementAuthorizer;

/// Applies an order on a connection whose foreign keys are off. `stop` is asked between
/// statements.
pub(crate) fn apply(
    connection: &Connection,
    authorizer: &StatementAuthorizer,
    (job, expected): (&MigrationJob<'_>, &HistoryState),
    is_cancelled: &dyn Fn() -> bool,
) -> Result<JobResult, DatabaseError> {
    let started = Instant::now();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let execution = JobExecution { connection, authorizer, job, is_cancelled };
    let result = execution.run_steps(expected).and_then(|notes| {
        if is_cancelled() {
            return Err(DatabaseError::Interrupted);
        }
        match job.transaction_end {
            TransactionEnd::Commit => commit(connection, (job, expected))?,
            TransactionEnd::Rollback => connection.execute_batch("ROLLBACK")?,
        }
        Ok(JobResult { notes, duration: started.elapsed() })
    });
    if result.is_err() && !connection.is_autocommit() {
        // A rollback can only fail when there is nothing left to roll back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    result.map_err(|error| match error {
        DatabaseError::Interrupted | DatabaseError::Busy { .. } => error,
        // What was made for the database as it was may have failed for that.
        error => match (history::is_unchanged(connection, expected), &error) {
            (Ok(false), _) => DatabaseError::ConcurrentChange,
            // No statement is to blame where not even the record can be read.
            (Err(other), DatabaseError::Statement { .. }) => other,
            (Ok(true) | Err(_), _) => error,
        },
    })
}

/// Commits. What fails behind the point of no return, giving back a lock for instance, takes
/// nothing back: then the record tells that it is done.
fn commit(
    connection: &Connection,
    (job, expected): (&MigrationJob<'_>, &HistoryState),
) -> Result<(), DatabaseError> {
    let last_rowid = connection.last_insert_rowid();
    let Err(error) = connection.execute_batch("COMMIT") else { return Ok(()) };
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    let writes_history = job.steps.iter().any(|step| step.history_entry.is_some())
        && history::state(connection).is_ok_and(|state| {
            !state.has_same_last_entry(expected)
                && matches!(state, HistoryState::Versioned(last) if last.id == last_rowid)
        });
    if writes_history { Ok(()) } else { Err(error.into()) }
}

/// Whether columns were there, each by its table and its name.
type ColumnsBefore<'o> = BTreeMap<(&'o str, &'o str), bool>;

struct JobExecution<'r> {
    connection: &'r Connection,
    authorizer: &'r StatementAuthorizer,
    job: &'r MigrationJob<'r>,
    is_cancelled: &'r dyn Fn() -> bool,
}

impl JobExecution<'_> {
    /// Everything between BEGIN and COMMIT; returns the notes.
    fn run_steps(&self, expected: &HistoryState) -> Result<Vec<String>, DatabaseError> {
        let (connection, job) = (self.connection, self.job);
        let writes_history = job.steps.iter().any(|step| step.history_entry.is_some());
        let mut last_entry_id = match expected {
            // The number of the row that is written behind the last one tells that it is.
            HistoryState::Versioned(entry) if writes_history => entry.id,
            _ if !history::is_unchanged(connection, expected)? => {
                return Err(DatabaseError::ConcurrentChange);
            }
            HistoryState::Versioned(record) => record.id,
            HistoryState::Empty | HistoryState::Unversioned => {
                if writes_history {
                    history::create_table(connection)?;
                }
                0
            }
        };
        let columns_before = self.columns_before()?;
        let violations_before = ForeignKeyViolations::scan(connection, &job.modified_tables)?;
        let mut notes = Vec::new();
        for step in &job.steps {
            let started = Instant::now();
            let mut already_applied_notes = Vec::new();
            let rows_before = self.count_rows(step.script)?;
            for statement in &step.script.statements {
                if (self.is_cancelled)() {
                    return Err(DatabaseError::Interrupted);
                }
                already_applied_notes.extend(self.run_statement(
                    statement,
                    &step.label,
                    &columns_before,
                )?);
            }
            if step.script.resets_connection {
                reset_connection(connection)?;
            }
            self.check_row_loss(step, &rows_before)?;
            let note =
                (!already_applied_notes.is_empty()).then(|| already_applied_notes.join("; "));
            if let Some(entry) = &step.history_entry {
                let (scope, note) = (job.scope, note.as_deref());
                let completed = CompletedStep { entry, scope, duration: started.elapsed(), note };
                last_entry_id = history::append_entry(connection, last_entry_id, completed)?;
            }
            history::store_sources(connection, &step.sources)?;
            notes.extend(note);
        }
        self.check_foreign_keys(&violations_before, &mut notes)?;
        let mut unmet = unmet_changes(connection, &job.expected_changes)?;
        if !unmet.is_empty() {
            let accepted_drift = history::accepted_drift(connection)?;
            unmet.retain(|description| !accepted_drift.contains(description));
        }
        if !unmet.is_empty() {
            return Err(DatabaseError::PostconditionFailed { unmet });
        }
        Ok(notes)
    }

    /// The columns that steps add or drop, each with its table, and whether it was there before
    /// the run; without those of tables that were not there.
    fn columns_before(&self) -> Result<ColumnsBefore<'_>, DatabaseError> {
        let (connection, main) = (self.connection, Some("main"));
        let mut columns = ColumnsBefore::new();
        let statements = self.job.steps.iter().flat_map(|step| &step.script.statements);
        for change in statements.filter_map(|statement| statement.column_change.as_ref()) {
            let (table, column) = (change.table(), change.column());
            if connection.table_exists(main, table)? {
                let exists = connection.column_exists(main, table, column)?;
                columns.insert((table, column), exists);
                continue;
            }
            // A step of this run may rename the table to this name.
            let original_name = self.job.table_renames.original_name(&table.to_ascii_lowercase());
            if connection.table_exists(main, original_name.as_str())? {
                let there = connection.column_exists(main, original_name.as_str(), column)?;
                columns.insert((table, column), there);
            }
        }
        Ok(columns)
    }

    /// How many rows the tables hold that a step makes anew; none of a table that is not there.
    fn count_rows(&self, script: &CompiledScript<'_>) -> Result<Vec<Option<i64>>, DatabaseError> {
        if script.allows(Rule::RowLoss) {
            return Ok(Vec::new());
        }
        let count_table = |table: &String| {
            let exists: bool = self.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE)",
                [table],
                |row| row.get(0),
            )?;
            if !exists {
                return Ok(None);
            }
            // The table itself: a damaged index may hold fewer rows, and a copy made through it.
            let sql =
                format!("SELECT count(*) FROM {} NOT INDEXED", lexer::quote_identifier(table));
            Ok(Some(self.connection.query_row(&sql, [], |row| row.get(0))?))
        };
        script.rebuilt_tables.iter().map(count_table).collect()
    }

    /// The row guard: a table that was made anew holds no fewer rows than before.
    fn check_row_loss(
        &self,
        step: &Step<'_, '_>,
        before: &[Option<i64>],
    ) -> Result<(), DatabaseError> {
        if before.is_empty() {
            return Ok(());
        }
        let after = self.count_rows(step.script)?;
        for ((table, before), after) in step.script.rebuilt_tables.iter().zip(before).zip(after) {
            let (before, after) = (before.unwrap_or(0), after.unwrap_or(0));
            if after < before {
                let (table, migration) = (table.clone(), step.label.clone());
                return Err(DatabaseError::RowLoss { migration, table, before, after });
            }
        }
        Ok(())
    }

    /// Runs one statement; returns a note if what it does had been done before this run.
    fn run_statement(
        &self,
        statement: &Statement<'_>,
        migration: &str,
        columns_before: &ColumnsBefore<'_>,
    ) -> Result<Option<String>, DatabaseError> {
        self.authorizer.enable();
        let result = execute_to_completion(self.connection, statement.sql.text());
        self.authorizer.disable();
        let migration = migration.to_owned();
        if let Err(error) = &result
            && is_environment_error(error)
        {
            // It rolls back the transaction as well, and no statement is to blame.
            return Err(result.err().map_or(DatabaseError::Interrupted, DatabaseError::from));
        }
        if self.connection.is_autocommit() {
            let (message, span) = match result {
                Err(error) => (sqlite_message(&error), error_span(&statement.sql, &error)),
                Ok(()) => ("it committed".to_owned(), first_line_span(&statement.sql)),
            };
            return Err(DatabaseError::EndedTransaction { migration, message, span });
        }
        let Err(error) = result else { return Ok(None) };
        let span = error_span(&statement.sql, &error);
        if let Some(message) = self.authorizer.take_denial() {
            return Err(DatabaseError::Statement { migration, message, span });
        }
        if let Some(change) = &statement.column_change {
            let failed = FailedColumnChange {
                change,
                existed_before: columns_before.get(&(change.table(), change.column())).copied(),
                message: &sqlite_message(&error),
                migration: &migration,
                span: &span,
            };
            let table_now = || Ok(read_table(self.connection, change.table())?);
            if let Some(note) = failed.already_applied(table_now)? {
                return Ok(Some(note));
            }
        }
        Err(match DatabaseError::from(error) {
            DatabaseError::Sqlite(error) => {
                DatabaseError::Statement { migration, message: sqlite_message(&error), span }
            }
            other => other,
        })
    }

    fn check_foreign_keys(
        &self,
        before: &ForeignKeyViolations,
        notes: &mut Vec<String>,
    ) -> Result<(), DatabaseError> {
        let job = self.job;
        if job.modified_tables.is_empty() {
            return Ok(());
        }
        let after = ForeignKeyViolations::scan(self.connection, &job.modified_tables_after())?;
        let IntroducedViolations { mut descriptions, rows } =
            after.introduced_since(before, &job.table_renames);
        let is_allowed = job.allows_violations();
        if rows > 0 && !is_allowed {
            if descriptions.len() > MAX_LISTED_VIOLATIONS {
                let more = descriptions.len() - MAX_LISTED_VIOLATIONS;
                descriptions.truncate(MAX_LISTED_VIOLATIONS);
                descriptions.push(format!("and {more} more"));
            }
            return Err(DatabaseError::ForeignKeyViolations { violations: descriptions, rows });
        }
        if after.row_count() > 0 {
            let rows = after.row_count();
            let noun = if rows == 1 { "row refers" } else { "rows refer" };
            let explanation =
                if is_allowed { "that are missing" } else { "that were missing before already" };
            notes.push(format!("{rows} {noun} to parents {explanation}"));
        }
        for key in after.unusable_keys.difference(&before.unusable_keys) {
            notes.push(format!(
                "SQLite cannot use the foreign key {key}: its parent columns are not unique"
            ));
        }
        Ok(())
    }
}

/// Whether what went wrong has nothing to do with the statement.
fn is_environment_error(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::OperationInterrupted
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ReadOnly
        )
    )
}

/// Runs a statement to its end, whether it returns rows or not.
pub(crate) fn execute_to_completion(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// Takes back what a block may have left on the connection, so that each block starts as it
/// would alone.
pub(crate) fn reset_connection(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, false)?;
    let mut temp_objects = connection.prepare(
        "SELECT type, name FROM sqlite_temp_schema WHERE type IN ('table', 'view', 'trigger') \
         AND name NOT LIKE 'sqlite$_%' ESCAPE '$' ORDER BY type = 'table'",
    )?;
    let leftovers: Vec<(String, String)> = temp_objects
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (kind, name) in leftovers {
        connection.execute_batch(&format!(
            "DROP {kind} IF EXISTS temp.{}",
            lexer::quote_identifier(&name)
        ))?;
    }
    Ok(())
}
