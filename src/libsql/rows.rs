//! Reads the rows of a table page by page, and inserts rows with few statements.

use crate::database::error::DatabaseError;
use crate::database::session::Query;
use crate::libsql::contents::TableLayout;
use crate::libsql::endpoint::TransferEndpoint;
use crate::sql::lexer;
use crate::sql::value::{Rows, SqlValue};
use crate::sqld::error::ServerError;

/// Consecutive rows of a table.
pub(crate) type Page = Rows;

/// How many bytes of values and how many rows are sent at a time.
const MAX_BATCH_BYTES: usize = 1 << 20;
const MAX_BATCH_ROWS: usize = 2_000;

/// How many parameters a statement has at most: far below SQLite's limit, and few enough to be
/// prepared quickly.
const MAX_PARAMETERS: usize = 2_000;

/// How many rows one response has: the server limits a response to 10 MB, and a text takes two
/// characters for each byte.
const ROWS_PER_PAGE: usize = 500;

/// Passes each page of the rows of a table to `on_page`, in the table's order.
pub(crate) fn read_pages(
    session: &mut dyn TransferEndpoint,
    table: &TableLayout,
    on_page: &mut dyn FnMut(Page) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let columns: Vec<String> =
        table.columns.iter().map(|column| session.select_expression(column)).collect();
    let (columns, order_by) = (columns.join(", "), table.order_by.join(", "));
    let name = lexer::quote_identifier(&table.name);
    let width = table.columns.len() + usize::from(table.is_ordered_by_rowid);
    let (mut offset, mut page_size) = (0, ROWS_PER_PAGE);
    let mut last_rowid: Option<i64> = None;
    loop {
        let query = if table.is_ordered_by_rowid {
            let where_clause = last_rowid
                .map_or_else(String::new, |last_rowid| format!("WHERE {order_by} > {last_rowid} "));
            format!(
                "SELECT {columns}, {order_by} FROM {name} {where_clause}ORDER BY {order_by} LIMIT {page_size}"
            )
        } else {
            format!(
                "SELECT {columns} FROM {name} ORDER BY {order_by} LIMIT {page_size} OFFSET {offset}"
            )
        };
        let mut rows = match session.query_width(&query, width) {
            // The rows are large: try again with fewer.
            Err(DatabaseError::Server(ServerError::Sql { code, .. }))
                if code == "RESPONSE_TOO_LARGE" && page_size > 1 =>
            {
                page_size = (page_size / 8).max(1);
                continue;
            }
            rows => rows?,
        };
        if table.is_ordered_by_rowid {
            for row in &mut rows {
                let rowid = row.0.pop().and_then(|value| value.as_integer());
                // Otherwise a broken server could let this loop run for ever.
                if rowid.is_none() || rowid <= last_rowid {
                    let reason = format!("the rows of table `{}` are not ordered", table.name);
                    return Err(session.unexpected_rows(reason));
                }
                last_rowid = rowid;
            }
        }
        let count = rows.len();
        if count > page_size {
            let reason = format!("table `{}` has more rows than were asked for", table.name);
            return Err(session.unexpected_rows(reason));
        }
        offset += count;
        if count > 0 {
            on_page(rows)?;
        }
        if count < page_size {
            return Ok(());
        }
    }
}

/// Inserts rows into a table.
pub(crate) fn insert_rows(
    session: &mut dyn TransferEndpoint,
    table: &TableLayout,
    rows: Page,
) -> Result<(), DatabaseError> {
    let mut insert = InsertBuilder::new(table);
    let mut row_count = 0;
    for row in rows {
        insert.push_row(row.0);
        row_count += 1;
        if insert.batch_bytes >= MAX_BATCH_BYTES || row_count >= MAX_BATCH_ROWS {
            session.execute_all(insert.take_statements())?;
            row_count = 0;
        }
    }
    session.execute_all(insert.take_statements())
}

/// INSERT statements with several rows each.
struct InsertBuilder {
    /// `INSERT INTO … VALUES `.
    prefix: String,
    max_rows_per_statement: usize,
    /// Complete statements.
    statements: Vec<Query<'static>>,
    /// The size of the values of all statements, in bytes.
    batch_bytes: usize,
    /// The rows of the next statement, as SQL with placeholders.
    rows: Vec<String>,
    parameters: Vec<SqlValue>,
}

impl InsertBuilder {
    fn new(table: &TableLayout) -> Self {
        Self {
            prefix: format!(
                "INSERT INTO {} ({}) VALUES ",
                lexer::quote_identifier(&table.name),
                table.columns.join(", ")
            ),
            max_rows_per_statement: (MAX_PARAMETERS / table.columns.len().max(1)).max(1),
            statements: Vec::new(),
            batch_bytes: 0,
            rows: Vec::new(),
            parameters: Vec::new(),
        }
    }

    fn push_row(&mut self, values: Vec<SqlValue>) {
        let mut placeholders = Vec::with_capacity(values.len());
        for value in values {
            self.batch_bytes += byte_size(&value);
            placeholders.push(match value {
                SqlValue::Real(number) if number.is_infinite() => {
                    if number > 0.0 {
                        "9e999"
                    } else {
                        "-9e999"
                    }
                }
                SqlValue::Text(bytes)
                    if bytes.contains(&0) || std::str::from_utf8(&bytes).is_err() =>
                {
                    self.parameters.push(SqlValue::Blob(bytes));
                    "CAST(? AS TEXT)"
                }
                value => {
                    self.parameters.push(value);
                    "?"
                }
            });
        }
        self.rows.push(format!("({})", placeholders.join(", ")));
        if self.rows.len() >= self.max_rows_per_statement || self.batch_bytes >= MAX_BATCH_BYTES {
            self.finish_statement();
        }
    }

    fn finish_statement(&mut self) {
        if !self.rows.is_empty() {
            let sql = format!("{}{}", self.prefix, std::mem::take(&mut self.rows).join(", "));
            let parameters = std::mem::take(&mut self.parameters);
            self.statements.push(Query { sql: sql.into(), parameters });
        }
    }

    fn take_statements(&mut self) -> Vec<Query<'static>> {
        self.finish_statement();
        self.batch_bytes = 0;
        std::mem::take(&mut self.statements)
    }
}

/// About how many bytes a value takes in a request.
fn byte_size(value: &SqlValue) -> usize {
    8 + match value {
        SqlValue::Text(bytes) | SqlValue::Blob(bytes) => bytes.len(),
        SqlValue::Null | SqlValue::Integer(_) | SqlValue::Real(_) => 0,
    }
}
