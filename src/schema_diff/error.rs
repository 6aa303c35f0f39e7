//! Declares why no statements lead from one schema to another.

use crate::database::error::DatabaseError;
use crate::migrate::error::{Error, ErrorKind};

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
    /// A rename that is not written `old=new` or `table.old=new`.
    #[error(
        "`{text}` is not a rename; write `OLD=NEW` for a table, or `TABLE.OLD=NEW` for a column"
    )]
    MalformedRename {
        /// The text.
        text: String,
    },
    /// A rename of something that does not exist before, or still exists after.
    #[error(
        "the rename `{rename}` fits no table and no column: the old name must exist in the document's schema only, and the new name in the database only"
    )]
    UnknownRename {
        /// The rename.
        rename: String,
    },
    /// A rename that fits several tables or columns.
    #[error("the rename `{rename}` fits several tables or columns; write `TABLE.OLD=NEW`")]
    AmbiguousRename {
        /// The rename.
        rename: String,
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
            DiffError::VirtualTable { .. }
            | DiffError::MalformedRename { .. }
            | DiffError::UnknownRename { .. }
            | DiffError::AmbiguousRename { .. } => Self::new(ErrorKind::Other, error),
        }
    }
}
