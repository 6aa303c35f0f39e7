//! Reads the version of one database and plans the steps that are pending. Changes nothing.

use std::sync::Arc;

use semver::Version;

use crate::database::ReadDatabase;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::policy::AheadPolicy;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::detect::Detection;
use crate::migrate::detector::Detector;
use crate::migrate::identify::{Detected, Identified};
use crate::migrate::imported_versions::VersionTableReport;
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
    pub detection: Option<Arc<Detection>>,
    /// What the version tables of other tools record, for a database without a history.
    pub version_tables: Vec<VersionTableReport>,
    /// Why an upgrade would refuse the database. A database that is ahead has none if
    /// [`AheadPolicy::Allow`] applies.
    pub error: Option<Box<MigrateError>>,
}

/// What the status of a database is compared with.
#[derive(Clone, Copy, Debug)]
pub struct StatusQuery<'q, 'a> {
    /// The document.
    pub changelog: &'q Changelog<'a>,
    /// The detector for this document. Without it the version of a database without a history is
    /// not detected.
    pub detector: Option<&'q Detector<'q, 'a>>,
    /// The version up to which migrations are pending.
    pub target: VersionIndex,
    /// What a version above head means.
    pub ahead: AheadPolicy,
}

/// A document with the detector for it, if it was replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusDocument<'q, 'c, 'a> {
    pub(crate) changelog: &'c Changelog<'a>,
    pub(crate) detector: Option<&'q Detector<'c, 'a>>,
    /// What a version above head means for a run up.
    pub(crate) ahead: AheadPolicy,
}

impl StatusDocument<'_, '_, '_> {
    /// Fails if the replay is that of another changelog: its scripts would run under wrong versions.
    pub(crate) fn check(&self) -> Result<(), MigrateError> {
        match self.detector {
            Some(detector) if !detector.is_of(self.changelog) => Err(MigrateError::ForeignReplay),
            _ => Ok(()),
        }
    }

    /// The version of a database that is above head, if an error is about that and a run to the
    /// target allows it.
    pub(crate) fn allowed_ahead(
        &self,
        target: Target,
        error: &MigrateError,
    ) -> Option<VersionPoint> {
        match (self.ahead, target, error) {
            (AheadPolicy::Allow, Target::Up(_), MigrateError::Plan(error)) => {
                error.version_above_head()
            }
            _ => None,
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
    document: StatusDocument<'_, '_, '_>,
    scope: Scope,
    state: &HistoryState,
    database: &dyn ReadDatabase,
) -> Result<ChainPosition, MigrateError> {
    Ok(locate_with_source(document, scope, state, database)?.position)
}

/// The position of a database on the chain.
pub(crate) struct Located {
    pub(crate) position: ChainPosition,
    /// Where a detected version is from, if not from the schema alone.
    pub(crate) source: Option<String>,
    /// What a person should know about the version tables of other tools.
    pub(crate) notes: Vec<String>,
}

/// Finds the position of a database as [`locate_database`] does, and where it is from.
pub(crate) fn locate_with_source(
    document: StatusDocument<'_, '_, '_>,
    scope: Scope,
    state: &HistoryState,
    database: &dyn ReadDatabase,
) -> Result<Located, MigrateError> {
    let detected = detect(document, scope, state, database)?;
    let position = locate_with(document.changelog, scope, state, database, detected.as_ref())?;
    Ok(match detected {
        Some(Detected::Existing(identified)) => {
            let Identified { source, notes, .. } = *identified;
            Located { position, source, notes }
        }
        Some(Detected::New) | None => Located { position, source: None, notes: Vec::new() },
    })
}

/// What a database without a history is; none if it has one, or without a detector.
fn detect(
    document: StatusDocument<'_, '_, '_>,
    scope: Scope,
    state: &HistoryState,
    database: &dyn ReadDatabase,
) -> Result<Option<Detected>, DatabaseError> {
    match (state, document.detector) {
        (HistoryState::Unversioned, Some(detector)) => detector.identify(scope, database).map(Some),
        _ => Ok(None),
    }
}

fn locate_with(
    changelog: &Changelog<'_>,
    scope: Scope,
    state: &HistoryState,
    database: &dyn ReadDatabase,
    detected: Option<&Detected>,
) -> Result<ChainPosition, MigrateError> {
    let resolve_detection = || match detected {
        None => Err(PlanError::UnrelatedSchema { scope }),
        Some(Detected::New) => Ok(ChainPosition::Empty),
        Some(Detected::Existing(identified)) => {
            identified.resolve(scope).map(ChainPosition::Detected)
        }
    };
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
    document: StatusDocument<'_, '_, '_>,
    target: Target,
    scope: Scope,
    database: &dyn ReadDatabase,
) -> Result<DatabaseStatus, DatabaseError> {
    let changelog = document.changelog;
    let state = database.history_state()?;
    let detected = detect(document, scope, &state, database)?;
    let version = match &state {
        HistoryState::Versioned(entry) => Some(entry.to.clone()),
        HistoryState::Empty | HistoryState::Unversioned => None,
    };
    let located = locate_with(changelog, scope, &state, database, detected.as_ref());
    let mut status = match located {
        Ok(chain_position) => located_status(changelog, target, scope, chain_position),
        Err(MigrateError::Database(error)) => return Err(error),
        Err(error) => {
            let is_allowed = document.allowed_ahead(target, &error).is_some();
            let status = DatabaseStatus::from_error(None, error);
            if is_allowed { DatabaseStatus { error: None, ..status } } else { status }
        }
    };
    status.version = version;
    if state == HistoryState::Unversioned && status.state != DatabaseState::New {
        status.state = DatabaseState::Unversioned;
    }
    if let Some(Detected::Existing(identified)) = detected {
        status.detection = Some(identified.detection);
        status.version_tables = identified.tables;
    }
    Ok(status)
}

/// The status of a database at a position of the chain.
fn located_status(
    changelog: &Changelog<'_>,
    target: Target,
    scope: Scope,
    chain_position: ChainPosition,
) -> DatabaseStatus {
    let (steps, error) = match plan_steps(changelog, scope, chain_position, target) {
        Ok(steps) => (steps, None),
        Err(error) => (Vec::new(), Some(Box::new(error.into()))),
    };
    DatabaseStatus {
        state: match chain_position {
            ChainPosition::Empty => DatabaseState::New,
            ChainPosition::Detected(_) => DatabaseState::Unversioned,
            _ if steps.is_empty() => DatabaseState::Current,
            _ => DatabaseState::Behind,
        },
        version: None,
        pending: end_versions(changelog, &steps),
        steps,
        position: match chain_position {
            ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => {
                Some(VersionIndex::new(position))
            }
            ChainPosition::Empty | ChainPosition::BelowBaseline => None,
        },
        detection: None,
        version_tables: Vec::new(),
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
            | MigrateError::StoredReverse { .. }
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
            version_tables: Vec::new(),
            error: Some(Box::new(error)),
        }
    }
}
