//! Where one database stands on the document's chain, and what lies ahead of it. Nothing is changed.

use semver::Version;

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::history_entry::{HistoryEntry, HistoryState};
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::Scope;
use crate::migrate::detect;
use crate::migrate::detect::Detection;
use crate::migrate::replay::Replay;
use crate::plan;
use crate::plan::outcome::MigrateError;
use crate::plan::{ChainPosition, PlanError, Target};
use crate::target::TargetDatabase;

/// Where a database stands in words that programs can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseState {
    /// It holds nothing yet.
    New,
    /// At head.
    Current,
    /// Something is pending.
    Behind,
    /// It holds tables and no record.
    Unversioned,
    /// At a version that the document does not know.
    Ahead,
    /// A migration that it went through was edited since.
    Edited,
    /// It cannot be read.
    Error,
}

/// What reading a database tells of it.
#[derive(Debug)]
pub struct DatabaseStatus {
    /// In a word.
    pub state: DatabaseState,
    /// The version in its record.
    pub version: Option<String>,
    /// The versions that it would go through up to the target.
    pub pending: Vec<Version>,
    /// The steps that lead there.
    pub steps: Vec<StepId>,
    /// The position of the version where it stands, if it stands at one.
    pub position: Option<usize>,
    /// What its schema tells, where it has no record.
    pub detection: Option<Box<Detection>>,
    /// Why it is in that condition, where that is a failure.
    pub error: Option<Box<MigrateError>>,
}

impl TargetDatabase {
    /// Reads where its database stands on the way to the version at a position; no byte on the
    /// disk changes.
    #[must_use]
    pub fn status(
        &self,
        document: (&Changelog<'_>, Option<&Replay<'_>>, usize),
        options: &ConnectOptions,
    ) -> DatabaseStatus {
        let read_result =
            self.read(options, |database| database_status(document, self.scope, database));
        read_result.unwrap_or_else(|error| DatabaseStatus::from_error(None, error))
    }

    /// Reads what its database went through, oldest first.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn history(&self, options: &ConnectOptions) -> Result<Vec<HistoryEntry>, MigrateError> {
        self.read(options, |database| database.history())
    }
}

/// Where a database stands, with what its schema tells where it has no record; a failure if a
/// migration that it went through was edited.
pub(crate) fn locate_database(
    (changelog, replay): (&Changelog<'_>, Option<&Replay<'_>>),
    scope: Scope,
    (state, database): (&HistoryState, &dyn ReadDatabase),
) -> Result<ChainPosition, MigrateError> {
    let detection = match (state, replay) {
        (HistoryState::Unversioned, Some(replay)) => {
            Some(detect::detect_version((changelog, replay), scope, &database.schema()?))
        }
        _ => None,
    };
    let resolve_detection =
        || detection.as_ref().map_or(Err(PlanError::UnrelatedSchema), Detection::resolve);
    let chain_position = plan::locate(changelog, state, resolve_detection)?;
    if let (ChainPosition::AtVersion(position), HistoryState::Versioned(entry)) =
        (chain_position, state)
        && !plan::chain_matches(changelog, scope, (entry, position))
    {
        let changed_migrations =
            plan::changed_migrations(changelog, scope, (&database.history()?, position));
        if !changed_migrations.is_empty() {
            return Err(PlanError::ChecksumMismatch { changed_migrations }.into());
        }
    }
    Ok(chain_position)
}

/// The status of a database on the way up to the version at a position.
pub(crate) fn database_status(
    (changelog, replay, target_position): (&Changelog<'_>, Option<&Replay<'_>>, usize),
    scope: Scope,
    database: &dyn ReadDatabase,
) -> Result<DatabaseStatus, DatabaseError> {
    status_for_target((changelog, replay, Target::Up(target_position)), scope, database)
}

pub(crate) fn status_for_target(
    (changelog, replay, target): (&Changelog<'_>, Option<&Replay<'_>>, Target),
    scope: Scope,
    database: &dyn ReadDatabase,
) -> Result<DatabaseStatus, DatabaseError> {
    let plan_steps =
        |chain_position| match plan::plan_steps(changelog, scope, (chain_position, target)) {
            Ok(steps) => (steps, None),
            Err(plan_error) => (Vec::new(), Some(Box::new(MigrateError::from(plan_error)))),
        };
    let state = database.history_state()?;
    let version = match &state {
        HistoryState::Versioned(entry) => Some(entry.to.clone()),
        HistoryState::Empty | HistoryState::Unversioned => None,
    };
    if let (HistoryState::Unversioned, Some(replay)) = (&state, replay) {
        let detection = detect::detect_version((changelog, replay), scope, &database.schema()?);
        let resolved = detection.resolve();
        let position = resolved.as_ref().ok().copied();
        let (steps, migrate_error) = match resolved {
            Ok(position) => plan_steps(ChainPosition::Detected(position)),
            Err(refusal) => (Vec::new(), Some(Box::new(refusal.into()))),
        };
        let database_state = DatabaseState::Unversioned;
        let pending = end_versions(changelog, &steps);
        let detection = Some(Box::new(detection));
        return Ok(DatabaseStatus {
            state: database_state,
            version,
            pending,
            steps,
            position,
            detection,
            error: migrate_error,
        });
    }
    let chain_position = match locate_database((changelog, replay), scope, (&state, database)) {
        Ok(standing) => standing,
        Err(MigrateError::Database(error)) => return Err(error),
        Err(MigrateError::Plan(PlanError::UnrelatedSchema)) => {
            let mut database_status =
                DatabaseStatus::from_error(version, PlanError::UnrelatedSchema.into());
            database_status.state = DatabaseState::Unversioned;
            return Ok(database_status);
        }
        Err(failure) => return Ok(DatabaseStatus::from_error(version, failure)),
    };
    let (steps, migrate_error) = plan_steps(chain_position);
    let position = match chain_position {
        ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => Some(position),
        ChainPosition::Empty | ChainPosition::BelowBaseline => None,
    };
    let database_state = match chain_position {
        ChainPosition::Empty => DatabaseState::New,
        ChainPosition::Detected(_) => DatabaseState::Unversioned,
        _ if steps.is_empty() => DatabaseState::Current,
        _ => DatabaseState::Behind,
    };
    let pending = end_versions(changelog, &steps);
    Ok(DatabaseStatus {
        state: database_state,
        version,
        pending,
        steps,
        position,
        detection: None,
        error: migrate_error,
    })
}

fn end_versions(changelog: &Changelog<'_>, steps: &[StepId]) -> Vec<Version> {
    steps.iter().filter_map(|id| changelog.endpoints(*id)?.1.version().cloned()).collect()
}

impl DatabaseStatus {
    pub(crate) fn from_error(version: Option<String>, error: MigrateError) -> Self {
        let state = match &error {
            MigrateError::Plan(PlanError::ChecksumMismatch { .. }) => DatabaseState::Edited,
            MigrateError::Plan(_) => DatabaseState::Ahead,
            MigrateError::Database(_) | MigrateError::CannotOpen(_) => DatabaseState::Error,
        };
        let (pending, steps, error) = (Vec::new(), Vec::new(), Some(Box::new(error)));
        Self { state, version, pending, steps, position: None, detection: None, error }
    }
}
