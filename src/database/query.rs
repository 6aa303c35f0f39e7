//! Declares what a query on one database yields: columns, rows one by one, or an error with its place
//! in the statement.

use std::io;
use std::ops::Range;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::error::sqlite_message;
use crate::database::error_span::error_span;
use crate::source::SourceSlice;
use crate::sql::read_statement::{ReadStatementError, single_read_statement};
use crate::sql::value::SqlValue;

/// A text that is exactly one statement, which reads.
#[derive(Clone, Debug)]
pub struct ReadQuery {
    statement: String,
}

impl ReadQuery {
    /// Checks SQL without a database.
    ///
    /// # Errors
    ///
    /// The SQL is empty, has several statements or one that writes.
    pub fn new(sql: &str) -> Result<Self, QueryError> {
        match single_read_statement(sql) {
            Ok(statement) => Ok(Self { statement: statement.to_owned() }),
            Err(ReadStatementError { reason, span }) => {
                Err(QueryError::Statement { message: reason, span: Some(span) })
            }
        }
    }

    /// Lets SQLite parse the statement, without a table.
    ///
    /// # Errors
    ///
    /// The statement is not SQL. Names that only a database can have are not checked.
    pub fn check_syntax(&self, setup: &ConnectionSetup) -> Result<(), QueryError> {
        let Ok(connection) = open_in_memory(setup) else { return Ok(()) };
        let Err(error) = connection.prepare(&self.statement).map(drop) else { return Ok(()) };
        let message = sqlite_message(&error);
        let is_syntax_error = message.ends_with("syntax error")
            || message.starts_with("incomplete input")
            || message.starts_with("unrecognized token");
        if !is_syntax_error {
            return Ok(());
        }
        let span = error_span(&SourceSlice::new(&self.statement, 0), &error);
        Err(QueryError::Statement { message, span: Some(span) })
    }

    /// The statement, without a semicolon at its end.
    #[must_use]
    pub fn statement(&self) -> &str {
        &self.statement
    }
}

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The statement is wrong, writes, or fails in this database.
    #[error("{message}")]
    Statement {
        /// SQLite's message, or why the statement is refused.
        message: String,
        /// The bytes of the SQL that the message is about.
        span: Option<Range<usize>>,
    },
    /// The rows cannot be kept until they are printed.
    #[error("cannot write a temporary file for the rows: {0}")]
    TemporaryFile(#[from] io::Error),
}

/// What takes the result of a query.
pub(crate) trait RowSink {
    /// Sets the names of the columns, before the first row.
    fn set_columns(&mut self, columns: Vec<String>);

    fn push_row(&mut self, values: &[SqlValue]) -> Result<(), QueryError>;
}
