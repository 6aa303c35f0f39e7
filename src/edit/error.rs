//! Defines the errors of edits to a document.

use semver::Version;

use crate::document::diagnostic::DocumentError;
use crate::migrate::error::{Error, ErrorKind};

/// Why an edit was refused. The document is left unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The description is empty.
    #[error("a migration needs a description; pass `-m \"what it is for\"`")]
    MissingDescription,
    /// The new version is not above head.
    #[error(
        "`{to}` is not above head, which is {head}; use a higher version, such as {next_versions}"
    )]
    NotAboveHead {
        /// The new version.
        to: Version,
        /// The document's head.
        head: Version,
        /// The next patch, minor and major version, in backticks.
        next_versions: String,
    },
    /// The new version has build metadata.
    #[error(
        "`{0}` has build metadata, which does not count when versions are compared; remove the \
         `+` and what follows it"
    )]
    BuildMetadata(Version),
    /// A planned migration starts at head or has the new version, or a heading plans several
    /// migrations.
    #[error("{message}; {help}")]
    PlannedConflict {
        /// What conflicts, and where it is.
        message: String,
        /// What to do.
        help: String,
    },
    /// No planned migration leads to the version, or another one must be released first.
    #[error("{0}")]
    NotPlanned(String),
    /// No migration can be renumbered, or it is not known which one.
    #[error("{0}")]
    CannotRenumber(String),
    /// The document has errors that have to be corrected first.
    #[error("the document has errors that have to be corrected first:\n{0}")]
    UnusableDocument(DocumentError),
    /// The edited document would have errors.
    #[error("the edited document would have errors, so the document is left unchanged:\n{0}")]
    InvalidDocument(DocumentError),
    /// The edited document would differ from what was requested.
    #[error(
        "the edited document would not be as requested, so the document is left unchanged: {0}"
    )]
    VerificationFailed(String),
    /// SQLite's, while it decides which comments are SQL that is commented out.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl From<EditError> for Error {
    fn from(error: EditError) -> Self {
        match error {
            EditError::InvalidDocument(error) | EditError::UnusableDocument(error) => error.into(),
            EditError::Sqlite(error) => error.into(),
            EditError::VerificationFailed(_) => Self::new(ErrorKind::Other, error),
            EditError::MissingDescription
            | EditError::NotAboveHead { .. }
            | EditError::BuildMetadata(_)
            | EditError::PlannedConflict { .. }
            | EditError::NotPlanned(_)
            | EditError::CannotRenumber(_) => Self::new(ErrorKind::Argument, error),
        }
    }
}
