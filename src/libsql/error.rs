//! Why a batch stopped: an error of the server's at one of its steps, as the error that a file would
//! have had there.

use std::ops::Range;

use rusqlite::ffi;

use crate::database::error::DatabaseError;
use crate::database::error_span::error_span;
use crate::database::job::{MigrationJob, Statement};
use crate::libsql::program::{BatchFailure, StepKind};
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{SqlError, Value};

/// The bytes of the document that an error is about.
pub(crate) fn error_span_in_document(
    statement: &Statement<'_>,
    (message, offset): (&str, Option<usize>),
) -> Range<usize> {
    error_span(&statement.sql, &as_rusqlite_error(message, offset))
}

/// A statement that failed.
pub(crate) fn statement_error(
    job: &MigrationJob<'_>,
    (step, statement_index): (usize, usize),
    (error, has_transaction_ended): (&SqlError, bool),
) -> DatabaseError {
    let step = &job.steps[step];
    let statement = &step.script.statements[statement_index];
    let (message, offset) = error.message_and_offset();
    let span = error_span_in_document(statement, (&message, offset));
    let migration = step.label.clone();
    if has_transaction_ended {
        DatabaseError::EndedTransaction { migration, message, span }
    } else {
        DatabaseError::Statement { migration, message, span }
    }
}

/// Why a batch did not get to its end.
pub(crate) fn batch_error(
    job: &MigrationJob<'_>,
    failure: BatchFailure,
    rows: &[Vec<Value>],
) -> DatabaseError {
    let BatchFailure { kind, error, has_transaction_ended } = failure;
    let Some(error) = error else {
        return match kind {
            StepKind::Statement(step, index) => {
                let error = SqlError {
                    code: None,
                    message: "the transaction was over after it".to_owned(),
                };
                statement_error(job, (step, index), (&error, true))
            }
            _ => DatabaseError::LockStolen,
        };
    };
    if is_lock_stolen(&error) {
        return DatabaseError::LockStolen;
    }
    match kind {
        StepKind::Begin if is_busy(&error) => DatabaseError::Busy { holder: None },
        StepKind::PrimaryCheck if is_check_failure(&error) => ServerError::NotPrimary.into(),
        StepKind::Precondition
            if is_check_failure(&error) || error.message.contains("no such table") =>
        {
            DatabaseError::ConcurrentChange
        }
        StepKind::Statement(step, nth) => {
            statement_error(job, (step, nth), (&error, has_transaction_ended))
        }
        StepKind::RowLossCheck(step, nth, _) => {
            let count_at = |column: usize| {
                rows.first().and_then(|row| row.get(column)?.as_integer()).unwrap_or(0)
            };
            let step = &job.steps[step];
            let (migration, table) = (step.label.clone(), step.script.rebuilt_tables[nth].clone());
            DatabaseError::RowLoss { migration, table, before: count_at(0), after: count_at(1) }
        }
        StepKind::SchemaCheck if is_check_failure(&error) => DatabaseError::ConcurrentChange,
        _ => DatabaseError::Server(error.into()),
    }
}

/// Whether a query of tatmig's failed because it was to.
pub(crate) fn is_check_failure(error: &SqlError) -> bool {
    error.message.contains("integer overflow")
}

pub(crate) fn is_busy(error: &SqlError) -> bool {
    error.code() == "SQLITE_BUSY" || error.message.contains("database is locked")
}

/// The server gave the lock to somebody who waited for it.
pub(crate) fn is_lock_stolen(error: &SqlError) -> bool {
    error.code() == "TRANSACTION_TIMEOUT" || error.message.contains("timed-out")
}

/// An error of the server's as if SQLite had told it here, for its place to be found.
pub(crate) fn as_rusqlite_error(message: &str, offset: Option<usize>) -> rusqlite::Error {
    rusqlite::Error::SqlInputError {
        error: ffi::Error::new(ffi::SQLITE_ERROR),
        msg: message.to_owned(),
        sql: String::new(),
        offset: offset.and_then(|offset| i32::try_from(offset).ok()).unwrap_or(-1),
    }
}
