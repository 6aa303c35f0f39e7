//! Runs one statement that reads on a connection, and passes its rows on as SQLite steps through them.

use rusqlite::Connection;

use crate::database::declared::{with_section, without_comparisons};
use crate::database::error::{DatabaseError, is_sql_error, sqlite_message};
use crate::database::error_span::error_span;
use crate::database::query::{QueryError, RowSink};
use crate::source::SourceSlice;
use crate::sqlite::authorizer::{AuthorizerMode, StatementAuthorizer};

/// Runs a statement. An `Err` is that of the database, the inner one that of the statement.
pub(crate) fn run_query(
    connection: &Connection,
    authorizer: &StatementAuthorizer,
    statement: &str,
    sink: &mut dyn RowSink,
) -> Result<Result<(), QueryError>, DatabaseError> {
    authorizer.enable_mode(AuthorizerMode::Query);
    let result = step_through(connection, statement, sink);
    authorizer.disable();
    match result {
        Err(StepError::Sqlite(error)) => {
            if let Some(reason) = authorizer.take_denial() {
                return Ok(Err(QueryError::Statement { message: reason, span: None }));
            }
            if !is_sql_error(&error) {
                return Err(error.into());
            }
            let span = error_span(&SourceSlice::new(statement, 0), &error);
            let message = with_section(sqlite_message(&error));
            Ok(Err(QueryError::Statement { message, span: Some(span) }))
        }
        Err(StepError::Query(error)) => Ok(Err(error)),
        Ok(()) => Ok(Ok(())),
    }
}

enum StepError {
    Sqlite(rusqlite::Error),
    Query(QueryError),
}

impl From<rusqlite::Error> for StepError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<QueryError> for StepError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

fn step_through(
    connection: &Connection,
    statement: &str,
    sink: &mut dyn RowSink,
) -> Result<(), StepError> {
    let mut prepared = connection.prepare(statement)?;
    let refused = |message: &str| QueryError::Statement { message: message.to_owned(), span: None };
    if !prepared.readonly() {
        return Err(refused("`query` only reads databases, and this statement writes").into());
    }
    if prepared.parameter_count() > 0 {
        return Err(refused("the statement has parameters; write the values in it").into());
    }
    sink.set_columns(prepared.column_names().map(str::to_owned).collect());
    let column_count = prepared.column_count();
    let mut rows = prepared.query([])?;
    // A row whose order depends on a declared collation is not passed on.
    while let Some(row) = without_comparisons(|| rows.next())? {
        let values = (0..column_count).map(|column| Ok(row.get_ref(column)?.into()));
        let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
        sink.push_row(&values)?;
    }
    Ok(())
}
