//! Runs one statement that reads on a namespace, in a transaction that is rolled back.

use crate::database::error::DatabaseError;
use crate::database::error_span::error_span;
use crate::database::query::{QueryError, RowSink};
use crate::libsql::error::as_rusqlite_error;
use crate::libsql::namespace::{DATABASE_FILE_QUERY, Namespace};
use crate::source::SourceSlice;
use crate::sqld::error::ServerError;
use crate::sqld::protocol::{BatchStep, SqlError};

impl Namespace {
    /// Runs a statement that reads. An `Err` is that of the namespace, the inner one that of the
    /// statement.
    pub(crate) fn run_query(
        &self,
        statement: &str,
        sink: &mut dyn RowSink,
    ) -> Result<Result<(), QueryError>, DatabaseError> {
        let queries = vec![
            BatchStep::query(DATABASE_FILE_QUERY, Vec::new()),
            BatchStep::query(statement, Vec::new()),
        ];
        let mut results = match self.run_read_batch(queries) {
            Ok(results) => results,
            // The server reports SQL that its own parser refuses for the whole batch.
            Err(DatabaseError::Server(ServerError::Sql { code, message })) => {
                let error = SqlError { code: Some(code), message };
                return Ok(Err(statement_error(statement, &error)));
            }
            Err(error) => return Err(error),
        };
        let file = results.required_rows(1)?.first().map(|row| row.text(0));
        self.check_opened_namespace(&file.unwrap_or_default())?;
        if let Err(error) = &results.steps[2] {
            return Ok(Err(statement_error(statement, error)));
        }
        sink.set_columns(results.take_columns(2));
        let rows = results.take_rows(2).ok_or_else(|| results.step_error(2))?;
        for row in rows {
            if let Err(error) = sink.push_row(&row.0) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

fn statement_error(statement: &str, error: &SqlError) -> QueryError {
    let (message, offset) = error.message_and_offset();
    if error.code() == "RESPONSE_TOO_LARGE" {
        let message = format!("{message}; add a LIMIT to the statement");
        return QueryError::Statement { message, span: None };
    }
    let span = error_span(&SourceSlice::new(statement, 0), &as_rusqlite_error(&message, offset));
    QueryError::Statement { message, span: Some(span) }
}
