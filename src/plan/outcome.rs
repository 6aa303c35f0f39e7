//! What became of one database, as a value: where it came and on which way, or why it was left as it
//! was.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::database::error::DatabaseError;
use crate::document::tag::Point;
use crate::plan::Refusal;

/// Why a database was left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It could not be read or changed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What it says of itself does not fit the document.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file may not be opened at all.
    #[error("{0}")]
    NotOpened(String),
}

impl Failure {
    /// Whether nobody can tell if the database was changed, which a server alone can leave open:
    /// its answer was lost, and it does not answer any more.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        match self {
            #[cfg(feature = "server")]
            Self::Database(DatabaseError::Unknown { .. }) => true,
            _ => false,
        }
    }

    /// The bytes of the document that the failure is about.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Database(error) => error.span(),
            Self::Refused(Refusal::Edited { edits }) => edits.first().map(|edit| edit.span.clone()),
            Self::Refused(_) | Self::NotOpened(_) => None,
        }
    }
}

/// The way that all databases go that start from the same place.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where they stood.
    pub from: Point,
    /// Where it leads.
    pub to: Point,
    /// The migrations that ran, in order.
    pub steps: Vec<(Point, Point)>,
}

/// What a database went through.
#[derive(Clone, Debug)]
pub struct Passage {
    /// The way that it went.
    pub route: Arc<Route>,
    /// What was noticed on the way.
    pub notes: Vec<String>,
    /// From lock to commit.
    pub duration: Duration,
}

/// What became of a database that was to be brought to a target.
#[derive(Debug)]
pub enum Verdict {
    /// Steps were run and committed.
    Upgraded(Passage),
    /// Reverse blocks were run and committed.
    Downgraded(Passage),
    /// Steps were run and checked, and then rolled back, as a rehearsal is.
    Rehearsed(Passage),
    /// A new database was put in its place.
    Renewed {
        /// Where that stands.
        at: Point,
    },
    /// It was there already.
    Current {
        /// Where it stands.
        at: Point,
    },
    /// A version was written down, found from the schema or given.
    Recorded {
        /// Where it stands from now on.
        at: Point,
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
    Above {
        /// Where it stands.
        at: Point,
    },
    /// It is below the target of a downgrade, and was left alone.
    Below {
        /// Where it stands.
        at: Point,
    },
    /// Nothing of it was changed.
    Failed {
        /// Where it stands, as far as that is known.
        at: Option<Point>,
        /// Why.
        failure: Box<Failure>,
    },
    /// It was not begun: the run ended before.
    Skipped,
}

impl Verdict {
    /// A database that was told to stop was not begun; any other failure is one.
    pub(crate) fn from_failure(at: Option<Point>, failure: Failure) -> Self {
        match failure {
            Failure::Database(DatabaseError::Interrupted) => Self::Skipped,
            failure => Self::Failed { at, failure: Box::new(failure) },
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
        let Self::Failed { failure, .. } = self else { return false };
        matches!(**failure, Failure::Database(DatabaseError::Busy { .. }))
    }
}
