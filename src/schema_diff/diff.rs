//! Defines the result of comparing two schemas: the statements of a migration, or why none exist.

use crate::database::error::DatabaseError;
use crate::migrate::error::{Error, ErrorKind};

/// The statements that lead from one schema to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaDiff {
    /// The SQL of a block; empty if the schemas are the same.
    pub sql: String,
    /// What a person has to check, one message each.
    pub warnings: Vec<String>,
}

/// Why no statements lead from one schema to another.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// A virtual table that is declared differently, and whose rows cannot be copied.
    #[error(
        "the virtual table `{table}` is declared differently, and its rows cannot be read back from it; write the statements for it by hand"
    )]
    VirtualTable {
        /// The table's name.
        table: String,
    },
    /// An error of SQLite.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for DiffError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<DiffError> for Error {
    fn from(error: DiffError) -> Self {
        match error {
            DiffError::Database(error) => error.into(),
            DiffError::VirtualTable { .. } => Self::new(ErrorKind::Other, error),
        }
    }
}
