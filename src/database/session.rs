//! Runs queries on a database: on a connection to a file or, in one HTTP request, on a namespace
//! of a libSQL server. Everything that tatmig reads from a database is written once, over
//! [`Session`].

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, Transaction, params_from_iter};

use crate::database::declared::without_comparisons;
use crate::database::error::{DatabaseError, is_sql_error, sqlite_message};
use crate::sql::value::{Row, Rows, SqlValue};
#[cfg(feature = "server")]
use crate::sqld::error::ServerError;

/// A query with the values of its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Query<'q> {
    pub(crate) sql: Cow<'q, str>,
    pub(crate) parameters: Vec<SqlValue>,
}

impl<'q> Query<'q> {
    pub(crate) fn new(sql: impl Into<Cow<'q, str>>) -> Self {
        Self { sql: sql.into(), parameters: Vec::new() }
    }

    /// A query whose only parameter is a text.
    pub(crate) fn with_text(sql: impl Into<Cow<'q, str>>, text: &str) -> Self {
        Self { sql: sql.into(), parameters: vec![SqlValue::from_text(text)] }
    }
}

/// Runs queries that only read.
pub(crate) trait Session {
    type Error: SessionError;

    /// Runs queries in one read transaction, which all of them see the same state in. Each result
    /// is at the index of its query, and each query may fail alone. On a server this is one
    /// request. Inside an open transaction, the queries run in that one.
    fn query_all(
        &self,
        queries: &[Query<'_>],
    ) -> Result<Vec<Result<Rows, Self::Error>>, Self::Error>;

    /// Runs one query.
    fn query(&self, sql: &str, parameters: &[SqlValue]) -> Result<Rows, Self::Error>;

    /// The connection to SQLite, if this is one.
    fn connection(&self) -> Option<&Connection> {
        None
    }

    /// Runs queries in one read transaction, all of which have to succeed.
    fn query_each(&self, queries: &[Query<'_>]) -> Result<Vec<Rows>, Self::Error> {
        self.query_all(queries)?.into_iter().collect()
    }
}

/// An error of a query.
pub(crate) trait SessionError: Into<DatabaseError> {
    /// Whether SQLite refuses what the query says, such as a table that does not exist, rather
    /// than the state of the file or of the server.
    fn is_sql_error(&self) -> bool;

    /// Whether SQLite found damaged pages.
    fn is_corruption(&self) -> bool;

    /// SQLite's message, without the SQL.
    fn message(&self) -> String;
}

impl Session for Connection {
    type Error = rusqlite::Error;

    fn connection(&self) -> Option<&Connection> {
        Some(self)
    }

    fn query_all(&self, queries: &[Query<'_>]) -> rusqlite::Result<Vec<rusqlite::Result<Rows>>> {
        let transaction = read_transaction(self)?;
        let results =
            queries.iter().map(|query| self.query(&query.sql, &query.parameters)).collect();
        transaction.map_or(Ok(()), Transaction::finish)?;
        Ok(results)
    }

    fn query(&self, sql: &str, parameters: &[SqlValue]) -> rusqlite::Result<Rows> {
        // Most queries are constants that run again on the same connection.
        let mut statement = self.prepare_cached(sql)?;
        let column_count = statement.column_count();
        without_comparisons(|| {
            let mut cursor = statement.query(params_from_iter(parameters))?;
            let mut rows = Rows::new();
            while let Some(row) = cursor.next()? {
                let values = (0..column_count).map(|column| Ok(row.get_ref(column)?.into()));
                rows.push(Row(values.collect::<rusqlite::Result<_>>()?));
            }
            Ok(rows)
        })
    }
}

/// Begins a read transaction. Returns none if one is open: an application's connection may be
/// inside a transaction.
pub(crate) fn read_transaction(
    connection: &Connection,
) -> rusqlite::Result<Option<Transaction<'_>>> {
    connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()
}

impl From<ValueRef<'_>> for SqlValue {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl SessionError for rusqlite::Error {
    fn is_sql_error(&self) -> bool {
        is_sql_error(self)
    }

    fn is_corruption(&self) -> bool {
        self.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
    }

    fn message(&self) -> String {
        sqlite_message(self)
    }
}

impl SessionError for DatabaseError {
    fn is_sql_error(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_sql_error(error),
            #[cfg(feature = "server")]
            Self::Server(ServerError::Sql { .. }) => true,
            _ => false,
        }
    }

    fn is_corruption(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.is_corruption(),
            #[cfg(feature = "server")]
            Self::Server(ServerError::Sql { code, .. }) => code == "SQLITE_CORRUPT",
            _ => false,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Sqlite(error) => sqlite_message(error),
            #[cfg(feature = "server")]
            Self::Server(ServerError::Sql { message, .. }) => message.clone(),
            error => error.to_string(),
        }
    }
}
