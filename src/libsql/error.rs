//! Converts the error at a step of a batch to the error that a file would have had there.

use std::ops::Range;

use rusqlite::ffi;

use crate::database::assertion::describe_row;
use crate::database::error::{DatabaseError, StatementCause};
use crate::database::error_span::error_span;
use crate::database::job::{MigrationJob, Statement};
use crate::libsql::analysis::StatementPosition;
use crate::libsql::program::{BatchFailure, StepKind, TransactionState};
use crate::source::first_line_span;
use crate::sql::value::Rows;
use crate::sqld::error::ServerError;
use crate::sqld::protocol::SqlError;
use crate::sqlite::safety_checks::undocumented_rows_error;

/// The bytes of the document that an error of a statement is about. `offset` is the byte of the
/// statement that the server reported, if it reported one.
pub(crate) fn error_span_in_document(
    statement: &Statement<'_>,
    message: &str,
    offset: Option<usize>,
) -> Range<usize> {
    error_span(&statement.sql, &as_rusqlite_error(message, offset))
}

/// The error of a statement of the document that failed inside the transaction.
pub(crate) fn statement_error(
    job: &MigrationJob<'_>,
    position: StatementPosition,
    error: &SqlError,
) -> DatabaseError {
    statement_error_in(job, position, error, TransactionState::Open)
}

fn statement_error_in(
    job: &MigrationJob<'_>,
    position: StatementPosition,
    error: &SqlError,
    transaction: TransactionState,
) -> DatabaseError {
    let step = &job.steps[position.step];
    let statement = &step.script.statements[position.statement];
    let (message, offset) = error.message_and_offset();
    let span = error_span_in_document(statement, &message, offset);
    let migration = step.label.clone();
    // An extended code is `SQLITE_CONSTRAINT_UNIQUE` and the like.
    let is_constraint = error.code().starts_with("SQLITE_CONSTRAINT");
    let cause = if is_constraint { StatementCause::Constraint } else { StatementCause::Other };
    match transaction {
        TransactionState::Ended => {
            DatabaseError::EndedTransaction { migration, message, cause, span }
        }
        TransactionState::Open => DatabaseError::Statement { migration, message, cause, span },
    }
}

/// The error of a batch that did not run to its end. If a check failed, `check_rows` are the
/// rows of the step before it: the counts of a rebuilt table, or the rows of an assertion.
pub(crate) fn batch_error(
    job: &MigrationJob<'_>,
    failure: BatchFailure,
    check_rows: &Rows,
) -> DatabaseError {
    let BatchFailure { kind, error, transaction } = failure;
    let Some(error) = error else {
        return match kind {
            StepKind::Statement(position) => {
                let message = "the transaction was over after it".to_owned();
                let error = SqlError { code: None, message };
                statement_error_in(job, position, &error, TransactionState::Ended)
            }
            _ => DatabaseError::LockStolen,
        };
    };
    if is_lock_stolen(&error) {
        return DatabaseError::LockStolen;
    }
    let check_value = |column| check_rows.first().map_or(0, |row| row.integer(column));
    match kind {
        StepKind::Begin if is_busy(&error) => DatabaseError::Busy { holder: None },
        StepKind::PrimaryCheck if is_check_failure(&error) => ServerError::NotPrimary.into(),
        StepKind::Precondition
            if is_check_failure(&error) || error.message.contains("no such table") =>
        {
            DatabaseError::ConcurrentChange
        }
        StepKind::Statement(position) => statement_error_in(job, position, &error, transaction),
        StepKind::RowLossCheck { step, table, .. } => {
            let step = &job.steps[step];
            let (migration, table) =
                (step.label.clone(), step.script.rebuilt_tables[table].clone());
            let span = step.script.rebuild_span(&table);
            let (before, after) = (check_value(0), check_value(1));
            DatabaseError::RowLoss { migration, table, before, after, span }
        }
        StepKind::CounterCheck { step, table, .. } if is_check_failure(&error) => {
            let step = &job.steps[step];
            let (migration, table) =
                (step.label.clone(), step.script.rebuilt_tables[table].clone());
            let (before, after) = (check_value(0), check_value(1));
            let span = step.script.rebuild_span(&table);
            DatabaseError::CounterReset { migration, table, before, after, span }
        }
        StepKind::AssertionCheck { position, .. } if is_check_failure(&error) => {
            let step = &job.steps[position.step];
            let statement = &step.script.statements[position.statement];
            let columns = statement.assertion.as_ref().map_or(&[][..], |found| &found.columns);
            DatabaseError::AssertionFailed {
                migration: step.label.clone(),
                reason: statement.assertion_reason(),
                rows: check_rows.iter().map(|row| describe_row(columns, &row.0)).collect(),
                span: first_line_span(&statement.sql),
            }
        }
        StepKind::EmptyTableCheck(position) if is_check_failure(&error) => {
            let step = &job.steps[position.step];
            let statement = &step.script.statements[position.statement];
            let table = statement.dropped_table.as_ref().map_or("", |dropped| &dropped.name);
            undocumented_rows_error(table, statement, step)
        }
        StepKind::SchemaCheck if is_check_failure(&error) => DatabaseError::ConcurrentChange,
        _ => DatabaseError::Server(error.into()),
    }
}

/// Whether a check failed on purpose: it evaluated [`RAISE`](crate::libsql::program::RAISE).
pub(crate) fn is_check_failure(error: &SqlError) -> bool {
    error.message.contains("integer overflow")
}

pub(crate) fn is_busy(error: &SqlError) -> bool {
    error.code() == "SQLITE_BUSY" || error.message.contains("database is locked")
}

/// Whether the server ended the transaction because another client waited for its lock.
pub(crate) fn is_lock_stolen(error: &SqlError) -> bool {
    error.code() == "TRANSACTION_TIMEOUT" || error.message.contains("timed-out")
}

/// Converts an error to what rusqlite returns for the same error, so that its place can be found.
pub(crate) fn as_rusqlite_error(message: &str, offset: Option<usize>) -> rusqlite::Error {
    rusqlite::Error::SqlInputError {
        error: ffi::Error::new(ffi::SQLITE_ERROR),
        msg: message.to_owned(),
        sql: String::new(),
        offset: offset.and_then(|offset| i32::try_from(offset).ok()).unwrap_or(-1),
    }
}
