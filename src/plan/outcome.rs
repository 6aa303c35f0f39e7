//! What became of one database, as a value: where it came and on which way, or why it was left as it
//! was.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::database::error::DatabaseError;
use crate::document::tag::VersionPoint;
use crate::plan::PlanError;

/// Why a database was left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// It could not be read or changed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What it says of itself does not fit the document.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The file may not be opened at all.
    #[error("{0}")]
    CannotOpen(String),
}

impl MigrateError {
    /// Whether nobody can tell if the database was changed, which a server alone can leave open:
    /// its answer was lost, and it does not answer any more.
    #[must_use]
    pub fn is_indeterminate(&self) -> bool {
        match self {
            #[cfg(feature = "server")]
            Self::Database(DatabaseError::OutcomeUnknown { .. }) => true,
            _ => false,
        }
    }

    /// The bytes of the document that the failure is about.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Database(error) => error.span(),
            Self::Plan(PlanError::ChecksumMismatch { changed_migrations }) => {
                changed_migrations.first().map(|changed_migration| changed_migration.span.clone())
            }
            Self::Plan(_) | Self::CannotOpen(_) => None,
        }
    }
}

/// The way that all databases go that start from the same place.
#[derive(Clone, Debug)]
pub struct MigrationPath {
    /// Where they stood.
    pub from: VersionPoint,
    /// Where it leads.
    pub to: VersionPoint,
    /// The migrations that ran, in order.
    pub steps: Vec<(VersionPoint, VersionPoint)>,
}

/// What a database went through.
#[derive(Clone, Debug)]
pub struct AppliedRun {
    /// The way that it went.
    pub path: Arc<MigrationPath>,
    /// What was noticed on the way.
    pub notes: Vec<String>,
    /// From lock to commit.
    pub duration: Duration,
}

/// What became of a database that was to be brought to a target.
#[derive(Debug)]
pub enum Outcome {
    /// Steps were run and committed.
    Upgraded(AppliedRun),
    /// Reverse blocks were run and committed.
    Downgraded(AppliedRun),
    /// Steps were run and checked, and then rolled back, as a rehearsal is.
    Rehearsed(AppliedRun),
    /// A new database was put in its place.
    Reset {
        /// Where that stands.
        version: VersionPoint,
    },
    /// It was there already.
    Current {
        /// Where it stands.
        version: VersionPoint,
    },
    /// A version was written down, found from the schema or given.
    VersionRecorded {
        /// Where it stands from now on.
        version: VersionPoint,
        /// In what it differs from the document there, each in words.
        drift: Vec<String>,
    },
    /// Seeds were run and committed.
    Seeded {
        /// What was noticed on the way.
        notes: Vec<String>,
        /// From lock to commit.
        duration: Duration,
    },
    /// It is above the target, and was left alone.
    AheadOfTarget {
        /// Where it stands.
        version: VersionPoint,
    },
    /// It is below the target of a downgrade, and was left alone.
    BehindTarget {
        /// Where it stands.
        version: VersionPoint,
    },
    /// Nothing of it was changed.
    Failed {
        /// Where it stands, as far as that is known.
        version: Option<VersionPoint>,
        /// Why.
        error: Box<MigrateError>,
    },
    /// It was not begun: the run ended before.
    Skipped,
}

impl Outcome {
    /// A database that was told to stop was not begun; any other failure is one.
    pub(crate) fn from_error(version: Option<VersionPoint>, error: MigrateError) -> Self {
        match error {
            MigrateError::Database(DatabaseError::Interrupted) => Self::Skipped,
            failure => Self::Failed { version, error: Box::new(failure) },
        }
    }

    /// Whether the database could not be brought to its target. An interrupted one is none: it
    /// was told to stop.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// Whether that was because another program uses the database.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let Self::Failed { error, .. } = self else { return false };
        matches!(**error, MigrateError::Database(DatabaseError::Busy { .. }))
    }
}
