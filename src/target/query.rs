//! Runs a statement that reads on one database. No byte of the database changes.

use crate::database::connection::ConnectOptions;
use crate::database::query::{QueryError, ReadQuery, RowSink};
#[cfg(feature = "server")]
use crate::libsql::namespace::Namespace;
use crate::plan::outcome::MigrateError;
use crate::sql::value::SqlValue;
use crate::sqlite::file::SqliteFile;
use crate::target::row_spool::RowSpool;
use crate::target::{Location, TargetDatabase};

/// How many bytes of rows each database keeps in memory.
const ROWS_IN_MEMORY: usize = 64 << 10;

/// The result of a query on one database.
#[derive(Debug)]
#[non_exhaustive]
pub struct QueryRows {
    /// The names of the columns, as SQLite reports them: two may be the same.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: RowSpool,
}

/// Why a query has no result on one database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryFailure {
    /// The statement fails.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] MigrateError),
}

impl RowSink for QueryRows {
    fn set_columns(&mut self, columns: Vec<String>) {
        self.columns = columns;
    }

    fn push_row(&mut self, values: &[SqlValue]) -> Result<(), QueryError> {
        self.rows.push_row(values)
    }
}

impl TargetDatabase {
    /// Runs a statement that reads; no byte on the disk changes. All rows are of one state of the
    /// database.
    ///
    /// # Errors
    ///
    /// The statement fails, or the database cannot be read.
    pub fn query(
        &self,
        query: &ReadQuery,
        options: &ConnectOptions,
    ) -> Result<QueryRows, QueryFailure> {
        self.ensure_openable()?;
        let statement = query.statement();
        // A read may begin again, and then starts with no rows.
        let new_rows = || QueryRows { columns: Vec::new(), rows: RowSpool::new(ROWS_IN_MEMORY) };
        let result = match &self.location {
            Location::File(file) => SqliteFile::read(file, options, |file| {
                let mut rows = new_rows();
                Ok(file.query(statement, &mut rows)?.map(|()| rows))
            }),
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                let mut rows = new_rows();
                let namespace = Namespace::new(handle, name, options);
                let result = namespace.run_query(statement, &mut rows);
                result.map(|result| result.map(|()| rows))
            }
        };
        Ok(result.map_err(MigrateError::from)??)
    }
}
