//! Represents the outcome of a run for one database: the version that it reached and the steps that ran, or
//! the reason why it was left unchanged.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::database::error::DatabaseError;
use crate::document::diagnostic::Rule;
use crate::document::tag::VersionPoint;
use crate::plan::error::PlanError;

/// Why a database was left unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The database could not be read or changed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database's history or schema does not fit the document.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The database was not opened, for the reason given.
    #[error("{0}")]
    CannotOpen(String),
    /// A migrator has the replay of another changelog.
    #[error("the replay is that of another changelog; run the replay of this one")]
    ForeignReplay,
    /// A reverse block that the system database stores failed. It is not part of the document any
    /// more.
    #[error(
        "the reverse block `{versions}` that was stored when the migration was applied: {error}"
    )]
    StoredReverse {
        /// The versions of the reverse block.
        versions: String,
        /// Why it failed.
        error: Box<DatabaseError>,
    },
    /// The work on the database panicked. Its transaction was rolled back.
    #[error("an internal error of tatmig: {message}; report it with this message")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
}

impl MigrateError {
    /// Whether an interrupt ended the work, and nothing is wrong with the database.
    pub(crate) fn is_interrupted(&self) -> bool {
        matches!(self, Self::Database(DatabaseError::Interrupted))
    }

    /// Whether it is unknown if the database was changed. Only a libSQL server can leave this
    /// open: its response was lost, and the history cannot be read either.
    #[must_use]
    pub fn is_indeterminate(&self) -> bool {
        match self {
            #[cfg(feature = "server")]
            Self::Database(DatabaseError::OutcomeUnknown { .. }) => true,
            _ => false,
        }
    }

    /// The error of the database, wherever the statement that failed is written.
    fn database_error(&self) -> Option<&DatabaseError> {
        match self {
            Self::Database(error) => Some(error),
            Self::StoredReverse { error, .. } => Some(error),
            Self::Plan(_) | Self::CannotOpen(_) | Self::ForeignReplay | Self::Panicked { .. } => {
                None
            }
        }
    }

    /// The rule that the database or its rows broke; `sql` for another statement that failed. None
    /// if the error is not about the document.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        if matches!(self, Self::Plan(PlanError::ChecksumMismatch { .. })) {
            return Some(Rule::Edited);
        }
        match self.database_error()? {
            DatabaseError::EndedTransaction { .. } => Some(Rule::EndedTransaction),
            DatabaseError::AssertionFailed { .. } => Some(Rule::Assert),
            DatabaseError::CounterReset { .. } => Some(Rule::CounterReset),
            DatabaseError::RowLoss { .. } => Some(Rule::RowLoss),
            DatabaseError::ForeignKeyViolations { .. } => Some(Rule::ForeignKeys),
            DatabaseError::SafetyRule { rule, .. } => Some(*rule),
            error => error.span().map(|_| Rule::Sql),
        }
    }

    /// The first rows that the error is about, each as a message shows it.
    #[must_use]
    pub fn rows(&self) -> &[String] {
        match self.database_error() {
            Some(
                DatabaseError::AssertionFailed { rows, .. }
                | DatabaseError::ConstraintFailed { rows, .. }
                | DatabaseError::ForeignKeyViolations { violations: rows, .. },
            ) => rows,
            _ => &[],
        }
    }

    /// What to do about the error, if it is not part of the message.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.database_error()?.help()
    }

    /// The byte range of the document that the error is about.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Database(error) => error.span(),
            Self::Plan(PlanError::ChecksumMismatch { changed_migrations }) => {
                changed_migrations.first().map(|changed_migration| changed_migration.span.clone())
            }
            Self::Plan(_)
            | Self::StoredReverse { .. }
            | Self::CannotOpen(_)
            | Self::ForeignReplay
            | Self::Panicked { .. } => None,
        }
    }
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

/// The result of the upgrade that follows an adoption, from a trial on an empty copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AtHead {
    /// The upgrade succeeds, and these differences from head's schema remain.
    Reached(Vec<String>),
    /// The upgrade fails, for the reason given.
    Fails(String),
}

/// How the databases of a path begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathStart {
    /// The database is new, and the run creates its schema.
    New,
    /// The database has objects, or a history.
    Existing,
}

/// The steps that all databases at one version share.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MigrationPath {
    /// Whether the run creates the schema of a new database.
    pub start: PathStart,
    /// The version before the first step.
    pub from: VersionPoint,
    /// The version after the last step.
    pub to: VersionPoint,
    /// The versions before and after each step, in the order in which they run.
    pub steps: Vec<(VersionPoint, VersionPoint)>,
}

/// The steps that ran on a database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppliedRun {
    /// The steps.
    pub path: Arc<MigrationPath>,
    /// Remarks that did not fail the run, such as a column that existed already.
    pub notes: Vec<String>,
    /// How many rows each step inserted, updated or deleted, triggers included, in the order of the
    /// steps. Empty if this is unknown, as on a server.
    pub rows_changed: Vec<u64>,
    /// The time from the lock to the commit.
    pub duration: Duration,
}

/// The outcome of a run for one database. Exhaustive, since a caller must report each of them.
#[derive(Debug)]
pub enum Outcome {
    /// Migrations were applied and committed.
    Upgraded(AppliedRun),
    /// Reverse blocks were run and committed.
    Downgraded(AppliedRun),
    /// The last migration was undone by its reverse block, applied again as it is now, and
    /// committed.
    Redone(AppliedRun),
    /// The steps ran, passed every check, and were rolled back: a rehearsal.
    Rehearsed(AppliedRun),
    /// The database was replaced with a new one.
    Reset {
        /// The version of the new database.
        version: VersionPoint,
        /// Remarks that did not fail the run, such as another journal mode.
        notes: Vec<String>,
    },
    /// The database was at the target version already.
    Current {
        /// Its version.
        version: VersionPoint,
    },
    /// A version was recorded in the history; no statement of the document ran.
    VersionRecorded {
        /// The version recorded.
        version: VersionPoint,
        /// The differences from the document's schema at that version, each as text.
        drift: Vec<String>,
        /// Remarks about a version that was proposed.
        notes: Vec<String>,
        /// What an upgrade to head will do to them; none if the database is not adopted or is at
        /// head.
        at_head: Option<AtHead>,
    },
    /// Seed blocks were run and committed.
    Seeded {
        /// Remarks that did not fail the run.
        notes: Vec<String>,
        /// The time from the lock to the commit.
        duration: Duration,
    },
    /// The database is above the target version and was left unchanged.
    AheadOfTarget {
        /// Its version.
        version: VersionPoint,
    },
    /// The database is below the target version of a downgrade and was left unchanged.
    BehindTarget {
        /// Its version.
        version: VersionPoint,
    },
    /// The run failed, and the database was left unchanged.
    Failed {
        /// Its version, if known.
        version: Option<VersionPoint>,
        /// The reason.
        error: Box<MigrateError>,
    },
    /// The run ended before this database was changed: it was interrupted, or it stopped after the
    /// failure of another database.
    Skipped,
}

impl Outcome {
    /// The outcome of an error. An interrupted database is skipped, not failed.
    pub(crate) fn from_error(version: Option<VersionPoint>, error: MigrateError) -> Self {
        match error {
            error if error.is_interrupted() => Self::Skipped,
            error => Self::Failed { version, error: Box::new(error) },
        }
    }

    /// Whether the run failed for this database. A skipped database did not fail.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// Whether the database is not as it was before the run.
    #[must_use]
    pub fn changes_database(&self) -> bool {
        match self {
            Self::Upgraded(_)
            | Self::Downgraded(_)
            | Self::Redone(_)
            | Self::Reset { .. }
            | Self::VersionRecorded { .. }
            | Self::Seeded { .. } => true,
            Self::Rehearsed(_)
            | Self::Current { .. }
            | Self::AheadOfTarget { .. }
            | Self::BehindTarget { .. }
            | Self::Failed { .. }
            | Self::Skipped => false,
        }
    }

    /// Whether the run failed because another program holds a lock on the database.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let Self::Failed { error, .. } = self else { return false };
        matches!(**error, MigrateError::Database(DatabaseError::Busy { .. }))
    }
}
