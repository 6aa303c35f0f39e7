//! Runs a job in one transaction: locks the database, reads its history again, runs every step,
//! checks the result, appends the history rows and commits. Any error rolls everything back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};

use crate::database::already_applied::{ColumnState, FailedColumnChange};
use crate::database::assertion::failing_rows;
use crate::database::declared::{explain_commit_error, without_comparisons};
use crate::database::error::{DatabaseError, StatementCause, sqlite_message};
use crate::database::error_span::error_span;
use crate::database::foreign_key_violations::{
    ForeignKeyViolations, IntroducedViolations, MAX_LISTED_VIOLATIONS, missing_parents_note,
};
use crate::database::history;
use crate::database::history::CompletedStep;
use crate::database::history_entry::HistoryState;
use crate::database::job::{
    ColumnChange, JobResult, MigrationJob, Statement, Step, TableContents, TransactionEnd,
};
use crate::database::offending_rows::offending_rows_query;
use crate::database::postcondition::unmet_changes_of_job;
use crate::database::schema_reader::read_table;
use crate::database::session::Session;
use crate::schema::difference::AcceptedDrift;
use crate::source::first_line_span;
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::full_text_checks::FullTextChecks;
use crate::sqlite::missing_collations::run_with_substitutes;
use crate::sqlite::rebuilt_tables::RebuiltTables;
use crate::sqlite::safety_checks::SafetyChecks;
use crate::sqlite::split_rebuilds::SplitRebuilds;
use crate::sqlite::temporary::{TemporaryObjects, reset_connection};
use crate::sqlite::undocumented_object::undocumented_object;

/// Runs a job on a connection whose `foreign_keys` pragma is off. `is_cancelled` is called before
/// each statement and before the commit.
///
/// # Errors
///
/// `ConcurrentChange` if the history is no longer `expected`; else what failed. In both cases the
/// transaction is rolled back.
pub(crate) fn apply(
    connection: &Connection,
    authorizer: &StatementAuthorizer,
    job: &MigrationJob<'_>,
    expected: &HistoryState,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<JobResult, DatabaseError> {
    let started = Instant::now();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let execution = JobExecution { connection, authorizer, job, is_cancelled };
    let result = execution.run_steps(expected).and_then(|result| {
        if is_cancelled() {
            return Err(DatabaseError::Interrupted);
        }
        match job.transaction_end {
            TransactionEnd::Commit => commit(connection, job, expected)?,
            TransactionEnd::Rollback => connection.execute_batch("ROLLBACK")?,
        }
        Ok(JobResult { duration: started.elapsed(), ..result })
    });
    if result.is_err() && !connection.is_autocommit() {
        // A rollback fails only if the transaction has ended already.
        let _ = connection.execute_batch("ROLLBACK");
    }
    result.map_err(|error| match error {
        DatabaseError::Interrupted | DatabaseError::Busy { .. } => error,
        // The job was planned for the expected state, so a change of the state may be the cause.
        error => match (history::is_unchanged(connection, expected), &error) {
            (Ok(false), _) => DatabaseError::ConcurrentChange,
            // If not even the history can be read, the statement is not the cause.
            (Err(other), DatabaseError::Statement { .. }) => other,
            (Ok(true) | Err(_), _) => error,
        },
    })
}

/// Commits. COMMIT can report an error after the data is durable, for example when unlocking
/// fails; the history row then decides whether the commit succeeded.
fn commit(
    connection: &Connection,
    job: &MigrationJob<'_>,
    expected: &HistoryState,
) -> Result<(), DatabaseError> {
    let last_rowid = connection.last_insert_rowid();
    let Err(error) = connection.execute_batch("COMMIT") else { return Ok(()) };
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    let is_committed = writes_history(job)
        && history::state(connection).is_ok_and(|state| {
            !state.has_same_last_entry(expected)
                && matches!(state, HistoryState::Versioned(last) if last.id == last_rowid)
        });
    if is_committed { Ok(()) } else { Err(explain_commit_error(error).into()) }
}

fn writes_history(job: &MigrationJob<'_>) -> bool {
    job.steps.iter().any(|step| step.history_entry.is_some())
}

/// Whether each column, given by table and name, existed before the run.
type ColumnsBefore<'o> = BTreeMap<(&'o str, &'o str), bool>;

/// A statement that failed.
struct StatementPlace {
    migration: String,
    cause: StatementCause,
    span: Range<usize>,
}

/// A job that is running inside its transaction.
struct JobExecution<'r> {
    connection: &'r Connection,
    authorizer: &'r StatementAuthorizer,
    job: &'r MigrationJob<'r>,
    is_cancelled: &'r dyn Fn() -> bool,
}

impl JobExecution<'_> {
    /// Runs everything between BEGIN and COMMIT.
    fn run_steps(&self, expected: &HistoryState) -> Result<JobResult, DatabaseError> {
        let mut last_entry_id = self.prepare_history(expected)?;
        let columns_before = self.columns_before()?;
        let mut safety_checks = SafetyChecks::begin(self.connection, self.authorizer, self.job)?;
        let violations_before =
            ForeignKeyViolations::scan(self.connection, &self.job.modified_tables)?;
        let mut result = JobResult::default();
        let mut split_rebuilds = SplitRebuilds::find(self.job);
        for (index, step) in self.job.steps.iter().enumerate() {
            let started = Instant::now();
            split_rebuilds.before_step(self.connection, index)?;
            let changes_before = self.connection.total_changes();
            let note = self.run_step(step, &columns_before, &mut safety_checks)?;
            result.rows_changed.push(self.connection.total_changes() - changes_before);
            split_rebuilds.after_step(self.connection, self.job, index)?;
            if let Some(entry) = &step.history_entry {
                let (scope, note) = (self.job.scope, note.as_deref());
                let completed = CompletedStep { entry, scope, duration: started.elapsed(), note };
                last_entry_id = history::append_entry(self.connection, last_entry_id, completed)?;
            }
            history::store_sources(self.connection, &step.sources)?;
            result.notes.extend(note);
        }
        safety_checks.after_last_step(self.job)?;
        self.check_foreign_keys(&violations_before, &mut result.notes)?;
        self.check_expected_changes()?;
        Ok(result)
    }

    /// Checks that the history is as expected, and creates its table if it is missing and needed.
    /// Returns the id of the last history row, or 0 without one.
    fn prepare_history(&self, expected: &HistoryState) -> Result<i64, DatabaseError> {
        let writes_history = writes_history(self.job);
        match expected {
            // Appending the next row checks that its id follows the last one's, so the history
            // need not be read again.
            HistoryState::Versioned(entry) if writes_history => Ok(entry.id),
            _ if !history::is_unchanged(self.connection, expected)? => {
                Err(DatabaseError::ConcurrentChange)
            }
            HistoryState::Versioned(entry) => Ok(entry.id),
            HistoryState::Empty | HistoryState::Unversioned => {
                if writes_history {
                    history::create_table(self.connection)?;
                }
                Ok(0)
            }
        }
    }

    /// Runs the statements of one step; returns a note if some of them were already applied.
    fn run_step(
        &self,
        step: &Step<'_, '_>,
        columns_before: &ColumnsBefore<'_>,
        safety_checks: &mut SafetyChecks<'_>,
    ) -> Result<Option<String>, DatabaseError> {
        let mut notes = Vec::new();
        let rebuilt_tables = RebuiltTables::read(self.connection, step.script)?;
        let full_text_checks = FullTextChecks::read(self.connection, step.script)?;
        let temporary_objects = if step.script.resets_connection {
            TemporaryObjects::read(self.connection)?
        } else {
            TemporaryObjects::default()
        };
        for (index, statement) in step.script.statements.iter().enumerate() {
            if (self.is_cancelled)() {
                return Err(DatabaseError::Interrupted);
            }
            safety_checks.before_statement(statement, step)?;
            let note = self.run_statement(statement, &step.label, columns_before);
            let note = note.map_err(|error| self.add_offending_rows(error, step, index))?;
            if note.is_some()
                && let Some(ColumnChange::Add { table, definition }) = &statement.column_change
            {
                safety_checks.add_applied_column(table, definition)?;
            }
            notes.extend(note);
            safety_checks.after_statement(statement, step)?;
        }
        safety_checks.after_step(step)?;
        if step.script.resets_connection {
            reset_connection(self.connection, &temporary_objects)?;
        }
        rebuilt_tables.check(self.connection, step)?;
        full_text_checks.check(self.connection, step)?;
        Ok((!notes.is_empty()).then(|| notes.join("; ")))
    }

    /// Checks that the schema contains the changes that the job was to make, apart from drift
    /// that `adopt` accepted.
    fn check_expected_changes(&self) -> Result<(), DatabaseError> {
        let mut unmet = unmet_changes_of_job(self.connection, self.job)?;
        if !unmet.is_empty() {
            let accepted_drift = self.accepted_drift()?;
            unmet.retain(|difference| !accepted_drift.accepts(difference));
        }
        DatabaseError::postcondition(&unmet).map_or(Ok(()), Err)
    }

    /// The drift that the history accepts; none for a job that writes no history.
    fn accepted_drift(&self) -> Result<AcceptedDrift, DatabaseError> {
        if self.connection.table_exists(Some("main"), history::TABLE_NAME)? {
            Ok(history::accepted_drift(self.connection)?)
        } else {
            Ok(AcceptedDrift::default())
        }
    }

    /// Whether each column that a step adds or drops existed before the run. Columns of tables
    /// that did not exist are left out.
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
            // The table may still have the name that a step of this run changes.
            let original_name = self.job.table_renames.original_name(&table.to_ascii_lowercase());
            if connection.table_exists(main, original_name.as_str())? {
                let exists = connection.column_exists(main, original_name.as_str(), column)?;
                columns.insert((table, column), exists);
            }
        }
        Ok(columns)
    }

    /// Runs one statement; returns a note if the statement was already applied before this run.
    fn run_statement(
        &self,
        statement: &Statement<'_>,
        migration: &str,
        columns_before: &ColumnsBefore<'_>,
    ) -> Result<Option<String>, DatabaseError> {
        self.authorizer.enable();
        let result = match &statement.assertion {
            None => {
                let sql = statement.sql.text();
                let run = || execute_to_completion(self.connection, sql);
                run_with_substitutes(self.connection, self.authorizer, sql, run).map(|()| None)
            }
            Some(_) => (self.connection.prepare(statement.sql.text()))
                .and_then(|mut select| failing_rows(&mut select)),
        };
        self.authorizer.disable();
        let migration = migration.to_owned();
        if let Err(error) = &result
            && is_environment_error(error)
        {
            // SQLite rolls back the transaction for some of these, and the statement is not the
            // cause.
            return Err(result.err().map_or(DatabaseError::Interrupted, DatabaseError::from));
        }
        if self.connection.is_autocommit() {
            let cause =
                result.as_ref().err().map_or(StatementCause::Other, StatementCause::from_error);
            let (message, span) = match result {
                Err(error) => (sqlite_message(&error), error_span(&statement.sql, &error)),
                Ok(_) => ("it ended the transaction".to_owned(), first_line_span(&statement.sql)),
            };
            return Err(DatabaseError::EndedTransaction { migration, message, cause, span });
        }
        let error = match result {
            Ok(None) => return Ok(None),
            Ok(Some(_)) if self.has_no_rows() => return Ok(None),
            Ok(Some(rows)) => {
                let reason = statement.assertion_reason();
                let span = first_line_span(&statement.sql);
                return Err(DatabaseError::AssertionFailed { migration, reason, rows, span });
            }
            Err(error) => error,
        };
        let (cause, span) =
            (StatementCause::from_error(&error), error_span(&statement.sql, &error));
        if let Some(message) = self.authorizer.take_denial() {
            return Err(DatabaseError::Statement { migration, message, cause, span });
        }
        let failed = FailedColumnChange {
            change: statement.column_change.as_ref(),
            existed_before: (statement.column_change.as_ref())
                .and_then(|change| columns_before.get(&(change.table(), change.column())).copied()),
            message: &sqlite_message(&error),
            migration: &migration,
            span: &span,
        };
        if let Some(note) = self.column_note(&failed)? {
            return Ok(Some(note));
        }
        if self.has_no_rows() && error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
            return Ok(None);
        }
        let place = StatementPlace { migration, cause, span };
        Err(self.statement_error(error, place))
    }

    /// The error of a statement, of which nothing else is known than SQLite's error.
    fn statement_error(&self, error: rusqlite::Error, place: StatementPlace) -> DatabaseError {
        let StatementPlace { migration, cause, span } = place;
        match DatabaseError::from(error) {
            DatabaseError::Sqlite(error) => {
                let message = sqlite_message(&error);
                match undocumented_object(self.job, &message) {
                    Some((kind, name)) => DatabaseError::UndocumentedObject {
                        migration,
                        message,
                        kind: kind.to_string(),
                        name,
                        span,
                    },
                    None => DatabaseError::Statement { migration, message, cause, span },
                }
            }
            other => other,
        }
    }

    /// Adds to the error of a statement the rows that violate its constraint, if a query finds them.
    fn add_offending_rows(
        &self,
        error: DatabaseError,
        step: &Step<'_, '_>,
        index: usize,
    ) -> DatabaseError {
        let DatabaseError::Statement { message, .. } = &error else { return error };
        let statements = step.script.statement_texts(index);
        let Some(query) = offending_rows_query(&statements, message) else { return error };
        let queries = std::iter::once(&query).chain(query.without_row_ids.as_deref());
        let mut results = queries.map(|query| (query, self.connection.query(&query.sql, &[])));
        // A query that fails finds no rows.
        match results.find_map(|(query, rows)| Some((query, rows.ok()?))) {
            Some((query, rows)) => error.with_offending_rows(query.describe(&rows)),
            None => error,
        }
    }

    /// A note if a failed statement for a column is already applied.
    fn column_note(
        &self,
        failed: &FailedColumnChange<'_>,
    ) -> Result<Option<String>, DatabaseError> {
        let table_now = |table: &str| read_table(self.connection, table);
        match failed.state(table_now)? {
            ColumnState::NotApplied => Ok(None),
            ColumnState::AlreadyApplied(note) => Ok(Some(note)),
            ColumnState::Different(column) => {
                column.require_accepted(&self.accepted_drift()?)?;
                Ok(Some(column.note()))
            }
        }
    }

    /// Whether the database is an empty copy, in which a statement fails for want of rows.
    fn has_no_rows(&self) -> bool {
        self.job.contents == TableContents::Nothing
    }

    /// Checks that the run introduced no foreign key violations, and notes those that exist.
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
        let IntroducedViolations { mut descriptions, tables, rows } =
            after.introduced_since(before, &job.table_renames);
        let is_allowed = job.allows_violations();
        if rows > 0 && !is_allowed {
            if descriptions.len() > MAX_LISTED_VIOLATIONS {
                let more = descriptions.len() - MAX_LISTED_VIOLATIONS;
                descriptions.truncate(MAX_LISTED_VIOLATIONS);
                descriptions.push(format!("and {more} more"));
            }
            let (violations, span) = (descriptions, job.last_statement_naming(&tables));
            return Err(DatabaseError::ForeignKeyViolations { violations, rows, span });
        }
        if after.row_count() > 0 {
            notes.push(missing_parents_note(after.row_count(), is_allowed));
        }
        notes.extend(after.unchecked.iter().cloned());
        for key in after.unusable_keys.difference(&before.unusable_keys) {
            notes.push(format!(
                "SQLite cannot use the foreign key {key}: its parent columns are not unique"
            ));
        }
        Ok(())
    }
}

/// Whether an error comes from the disk, the file or an interrupt and not from the statement.
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

/// Runs a statement to its end and discards the rows that it returns.
pub(crate) fn execute_to_completion(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    without_comparisons(|| {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(())
    })
}
