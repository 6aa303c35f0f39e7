//! Reads the version of one database and plans the steps that are pending. Changes nothing.

use semver::Version;

use crate::database::ReadDatabase;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::detect::{self, Detection};
use crate::migrate::replay::Replay;
use crate::plan::error::PlanError;
use crate::plan::history_check::{chain_matches, changed_migrations};
use crate::plan::outcome::MigrateError;
use crate::plan::position::{ChainPosition, locate};
use crate::plan::steps::plan_steps;
use crate::plan::target::Target;

/// The state of a database compared with the document, as one word for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DatabaseState {
    /// The database has no objects.
    New,
    /// The database is at the target version.
    Current,
    /// Migrations are pending.
    Behind,
    /// The database has objects and no history.
    Unversioned,
    /// The database is at a version that is planned or not in the document.
    Ahead,
    /// A migration that the database applied was edited in the document afterwards.
    Edited,
    /// The database cannot be read.
    Error,
}

/// The status of a database compared with the document.
#[derive(Debug)]
#[non_exhaustive]
pub struct DatabaseStatus {
    /// The state as one word.
    pub state: DatabaseState,
    /// The last version in the history.
    pub version: Option<String>,
    /// The versions that the database would reach, one after the other, up to the target version.
    pub pending: Vec<Version>,
    /// The steps to the target version.
    pub steps: Vec<StepId>,
    /// The database's version, if it is a version of the document.
    pub position: Option<VersionIndex>,
    /// The result of detection, for a database without a history.
    pub detection: Option<Box<Detection>>,
    /// Why an upgrade would refuse the database.
    pub error: Option<Box<MigrateError>>,
}

/// What the status of a database is compared with.
#[derive(Clone, Copy, Debug)]
pub struct StatusQuery<'q, 'a> {
    /// The document.
    pub changelog: &'q Changelog<'a>,
    /// The replay of the document. Without it the version of a database without a history is not
    /// detected.
    pub replay: Option<&'q Replay<'a>>,
    /// The version up to which migrations are pending.
    pub target: VersionIndex,
}

/// A document with its replay, if it was replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplayedDocument<'q, 'a> {
    pub(crate) changelog: &'q Changelog<'a>,
    pub(crate) replay: Option<&'q Replay<'a>>,
}

impl ReplayedDocument<'_, '_> {
    /// Fails if the replay is that of another changelog: its scripts would run under wrong versions.
    pub(crate) fn check(&self) -> Result<(), MigrateError> {
        match self.replay {
            Some(replay) if !replay.is_of(self.changelog) => Err(MigrateError::ForeignReplay),
            _ => Ok(()),
        }
    }
}

/// Finds the position of a database on the chain, by detection if it has no history.
///
/// # Errors
///
/// The database cannot be read, does not fit the document, or applied a migration that was edited
/// afterwards.
pub(crate) fn locate_database(
    document: ReplayedDocument<'_, '_>,
    scope: Scope,
    state: &HistoryState,
    database: &dyn ReadDatabase,
) -> Result<ChainPosition, MigrateError> {
    let changelog = document.changelog;
    let detection = match (state, document.replay) {
        (HistoryState::Unversioned, Some(replay)) => {
            Some(detect::detect_version(changelog, replay, scope, &database.schema()?))
        }
        _ => None,
    };
    let resolve_detection =
        || detection.as_ref().map_or(Err(PlanError::UnrelatedSchema), Detection::resolve);
    let chain_position = locate(changelog, state, resolve_detection)?;
    if let (ChainPosition::AtVersion(position), HistoryState::Versioned(entry)) =
        (chain_position, state)
        && !chain_matches(changelog, scope, entry, position)
    {
        let changed_migrations =
            changed_migrations(changelog, scope, &database.history()?, position);
        if !changed_migrations.is_empty() {
            return Err(PlanError::ChecksumMismatch { changed_migrations }.into());
        }
    }
    Ok(chain_position)
}

/// The status of a database on the way to a target. A database that does not fit the document has
/// a status with an error.
///
/// # Errors
///
/// The database cannot be read.
pub(crate) fn database_status(
    document: ReplayedDocument<'_, '_>,
    target: Target,
    scope: Scope,
    database: &dyn ReadDatabase,
) -> Result<DatabaseStatus, DatabaseError> {
    let changelog = document.changelog;
    let state = database.history_state()?;
    if let (HistoryState::Unversioned, Some(replay)) = (&state, document.replay) {
        let detection = detect::detect_version(changelog, replay, scope, &database.schema()?);
        return Ok(detected_status(changelog, target, scope, detection));
    }
    let version = match &state {
        HistoryState::Versioned(entry) => Some(entry.to.clone()),
        HistoryState::Empty | HistoryState::Unversioned => None,
    };
    let chain_position = match locate_database(document, scope, &state, database) {
        Ok(chain_position) => chain_position,
        Err(MigrateError::Database(error)) => return Err(error),
        Err(error @ MigrateError::Plan(PlanError::UnrelatedSchema)) => {
            let status = DatabaseStatus::from_error(version, error);
            return Ok(DatabaseStatus { state: DatabaseState::Unversioned, ..status });
        }
        Err(error) => return Ok(DatabaseStatus::from_error(version, error)),
    };
    let (steps, error) = match plan_steps(changelog, scope, chain_position, target) {
        Ok(steps) => (steps, None),
        Err(error) => (Vec::new(), Some(Box::new(error.into()))),
    };
    Ok(DatabaseStatus {
        state: match chain_position {
            ChainPosition::Empty => DatabaseState::New,
            ChainPosition::Detected(_) => DatabaseState::Unversioned,
            _ if steps.is_empty() => DatabaseState::Current,
            _ => DatabaseState::Behind,
        },
        version,
        pending: end_versions(changelog, &steps),
        steps,
        position: match chain_position {
            ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => {
                Some(VersionIndex::new(position))
            }
            ChainPosition::Empty | ChainPosition::BelowBaseline => None,
        },
        detection: None,
        error,
    })
}

/// The status of a database whose version was detected from its schema.
fn detected_status(
    changelog: &Changelog<'_>,
    target: Target,
    scope: Scope,
    detection: Detection,
) -> DatabaseStatus {
    let resolved = detection.resolve();
    let position = resolved.as_ref().ok().copied();
    let planned = resolved.and_then(|position| {
        plan_steps(changelog, scope, ChainPosition::Detected(position), target)
    });
    let (steps, error) = match planned {
        Ok(steps) => (steps, None),
        Err(error) => (Vec::new(), Some(Box::new(error.into()))),
    };
    DatabaseStatus {
        state: DatabaseState::Unversioned,
        version: None,
        pending: end_versions(changelog, &steps),
        steps,
        position: position.map(VersionIndex::new),
        detection: Some(Box::new(detection)),
        error,
    }
}

fn end_versions(changelog: &Changelog<'_>, steps: &[StepId]) -> Vec<Version> {
    steps.iter().filter_map(|id| changelog.endpoints(*id)?.1.version().cloned()).collect()
}

impl DatabaseStatus {
    pub(crate) fn from_error(version: Option<String>, error: MigrateError) -> Self {
        let state = match &error {
            MigrateError::Plan(PlanError::ChecksumMismatch { .. }) => DatabaseState::Edited,
            MigrateError::Plan(_) => DatabaseState::Ahead,
            MigrateError::Database(_)
            | MigrateError::CannotOpen(_)
            | MigrateError::ForeignReplay
            | MigrateError::Panicked { .. } => DatabaseState::Error,
        };
        Self {
            state,
            version,
            pending: Vec::new(),
            steps: Vec::new(),
            position: None,
            detection: None,
            error: Some(Box::new(error)),
        }
    }
}
