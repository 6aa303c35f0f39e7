//! Reads the order of the columns of a table, for statements that use a table by position.

use rusqlite::Connection;

use crate::sql::lexer;

/// The names of the columns of a table or view, in the order in which `SELECT *` returns them.
///
/// # Errors
///
/// An SQLite error if no such table exists, or if it is a view that does not compile.
pub(crate) fn read_column_order(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<String>> {
    let query = format!("SELECT * FROM {}", lexer::quote_identifier(table));
    let statement = connection.prepare(&query)?;
    Ok(statement.column_names().map(str::to_owned).collect())
}
