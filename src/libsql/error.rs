//! Why a batch stopped: an error of the server's at one of its steps, as the error that a file would
//! have had there.

use std::ops::Range;

use rusqlite::ffi;

use crate::database::error::DatabaseError;
use crate::database::error_span::error_span;
use crate::database::job::{Order, Statement};
use crate::libsql::program::{Mark, Stopped};
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{SqlError, Value};

/// The bytes of the document that an error is about.
pub(crate) fn span(
    statement: &Statement<'_>,
    (words, offset): (&str, Option<usize>),
) -> Range<usize> {
    error_span(&statement.sql, &as_sqlite(words, offset))
}

/// A statement that failed.
pub(crate) fn statement_error(
    order: &Order<'_>,
    (step, nth): (usize, usize),
    (error, ended): (&SqlError, bool),
) -> DatabaseError {
    let step = &order.steps[step];
    let statement = &step.script.statements[nth];
    let (message, offset) = error.words();
    let span = span(statement, (&message, offset));
    let migration = step.label.clone();
    if ended {
        DatabaseError::EndedTransaction { migration, message, span }
    } else {
        DatabaseError::Statement { migration, message, span }
    }
}

/// Why a batch did not get to its end.
pub(crate) fn stopped(order: &Order<'_>, why: Stopped, rows: &[Vec<Value>]) -> DatabaseError {
    let Stopped { mark, error, ended } = why;
    let Some(error) = error else {
        return match mark {
            Mark::Statement(step, nth) => {
                let error = SqlError {
                    code: None,
                    message: "the transaction was over after it".to_owned(),
                };
                statement_error(order, (step, nth), (&error, true))
            }
            _ => DatabaseError::LockTaken,
        };
    };
    if is_taken(&error) {
        return DatabaseError::LockTaken;
    }
    match mark {
        Mark::Begin if is_busy(&error) => DatabaseError::Busy { holder: None },
        Mark::Place if is_raised(&error) => ServerError::NotThePrimary.into(),
        Mark::Guard if is_raised(&error) || error.message.contains("no such table") => {
            DatabaseError::Moved
        }
        Mark::Statement(step, nth) => statement_error(order, (step, nth), (&error, ended)),
        Mark::Rows(step, nth, _) => {
            let number =
                |at: usize| rows.first().and_then(|row| row.get(at)?.integer()).unwrap_or(0);
            let step = &order.steps[step];
            let (migration, table) = (step.label.clone(), step.script.rebuilt[nth].clone());
            DatabaseError::RowLoss { migration, table, before: number(0), after: number(1) }
        }
        Mark::Schema if is_raised(&error) => DatabaseError::Moved,
        _ => DatabaseError::Server(error.into()),
    }
}

/// Whether a query of tatmig's failed because it was to.
pub(crate) fn is_raised(error: &SqlError) -> bool {
    error.message.contains("integer overflow")
}

pub(crate) fn is_busy(error: &SqlError) -> bool {
    error.code() == "SQLITE_BUSY" || error.message.contains("database is locked")
}

/// The server gave the lock to somebody who waited for it.
pub(crate) fn is_taken(error: &SqlError) -> bool {
    error.code() == "TRANSACTION_TIMEOUT" || error.message.contains("timed-out")
}

/// An error of the server's as if SQLite had told it here, for its place to be found.
pub(crate) fn as_sqlite(words: &str, offset: Option<usize>) -> rusqlite::Error {
    rusqlite::Error::SqlInputError {
        error: ffi::Error::new(ffi::SQLITE_ERROR),
        msg: words.to_owned(),
        sql: String::new(),
        offset: offset.and_then(|offset| i32::try_from(offset).ok()).unwrap_or(-1),
    }
}
