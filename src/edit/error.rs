//! Errors of edits to a document.

use semver::Version;

use crate::document::diagnostic::DocumentError;
use crate::migrate::error::{Error, ErrorKind};

/// Why a document is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The description says nothing.
    #[error("a migration needs a description: `-m \"what it is for\"`")]
    MissingDescription,
    /// A version that the chain cannot go to.
    #[error("`{to}` is not above head, which is {head}; the next versions are {next_versions}")]
    NotAboveHead {
        /// The version.
        to: Version,
        /// The document's head.
        head: Version,
        /// What could be meant.
        next_versions: String,
    },
    /// Build metadata has no order.
    #[error("`{0}` has build metadata, which has no order; leave out what stands behind `+`")]
    BuildMetadata(Version),
    /// A planned migration starts at head or has the version.
    #[error("{message}; {help}")]
    PlannedConflict {
        /// What is in the way, and where.
        message: String,
        /// What to do.
        help: String,
    },
    /// No planned migration leads to the version.
    #[error("{0}")]
    NotPlanned(String),
    /// The edited document could not be used.
    #[error("the document would be unusable with this, so it is left as it is:\n{0}")]
    InvalidDocument(DocumentError),
    /// The edited document would say something else than it should.
    #[error("the document would not say what it should with this, so it is left as it is: {0}")]
    VerificationFailed(String),
    /// SQLite's, where statements are told from comments.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl From<EditError> for Error {
    fn from(error: EditError) -> Self {
        match error {
            EditError::InvalidDocument(error) => error.into(),
            EditError::Sqlite(error) => error.into(),
            EditError::VerificationFailed(_) => Self::new(ErrorKind::Other, error),
            EditError::MissingDescription
            | EditError::NotAboveHead { .. }
            | EditError::BuildMetadata(_)
            | EditError::PlannedConflict { .. }
            | EditError::NotPlanned(_) => Self::new(ErrorKind::Argument, error),
        }
    }
}
