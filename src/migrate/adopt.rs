//! Writes a history entry without running a statement: adopts the version that detection finds,
//! accepts an edited migration, or stamps a version without any check.

use crate::database::Database;
use crate::database::connection::ConnectOptions;
use crate::database::history_entry::{HistoryEntry, HistoryEvent, HistoryState};
use crate::database::job::{MigrationJob, Step};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::identify::Detected;
use crate::migrate::migrator::Migrator;
use crate::migrate::status::locate_database;
use crate::plan::error::PlanError;
use crate::plan::outcome::{AtHead, MigrateError, Outcome};
use crate::plan::position::ChainPosition;
use crate::schema::Schema;
use crate::schema::difference::{AcceptedDrift, Difference, drift_note};
use crate::target::TargetDatabase;

/// The version to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdoptTarget {
    /// The version that detection finds or proposes.
    Detected,
    /// `baseline`, so that the next upgrade runs the lowest baseline.
    Baseline,
    /// A version of the changelog.
    Position(VersionIndex),
}

/// What happens to the recorded version of a database that has a history already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordedVersion {
    /// The version stays.
    Keep,
    /// The version that the caller gives is recorded.
    Overrule,
}

/// Whether the present drift of a database that has a history already is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresentDrift {
    /// Only the drift that was accepted before is.
    Report,
    /// All drift is accepted.
    Accept,
}

/// How databases are adopted.
#[derive(Clone, Copy, Debug)]
pub struct AdoptRequest {
    /// The version to record.
    pub target: AdoptTarget,
    /// What happens to the version of a database with a history.
    pub recorded_version: RecordedVersion,
    /// What happens to the drift of a database with a history.
    pub present_drift: PresentDrift,
}

impl Migrator<'_, '_> {
    /// Adopts a target database. A database without a history is recorded at the version that is
    /// given, detected or proposed, and its drift is accepted. In a database with a history, an
    /// edited migration is accepted if the schema has what the migration now creates.
    #[must_use]
    pub fn adopt_database(
        &self,
        target_database: &TargetDatabase,
        request: AdoptRequest,
        options: &ConnectOptions,
    ) -> Outcome {
        with_database(target_database, options, |database| {
            self.adopt(target_database.scope, request, database)
        })
    }

    /// Records a version in the history of a target database without any check of its schema.
    #[must_use]
    pub fn stamp_database(
        &self,
        target_database: &TargetDatabase,
        adopt_target: AdoptTarget,
        options: &ConnectOptions,
    ) -> Outcome {
        let scope = target_database.scope;
        let position = self.requested_position(adopt_target);
        with_database(target_database, options, |database| {
            let state = database.history_state()?;
            let mut step = self.jobs().history_step(HistoryEvent::Stamp, scope, position, None);
            if let HistoryState::Versioned(last_entry) = &state {
                continue_from(&mut step, last_entry);
            }
            database.apply(&MigrationJob::new(scope, vec![step]), &state)?;
            let version = self.version_point_at(position);
            Ok(Outcome::VersionRecorded {
                version,
                drift: Vec::new(),
                notes: Vec::new(),
                at_head: None,
            })
        })
    }

    fn adopt(
        &self,
        scope: Scope,
        request: AdoptRequest,
        database: &mut dyn Database,
    ) -> Result<Outcome, MigrateError> {
        self.document().check()?;
        let state = database.history_state()?;
        if let HistoryState::Versioned(last_entry) = &state {
            let overrules = request.recorded_version == RecordedVersion::Overrule
                && request.target != AdoptTarget::Detected;
            return if overrules {
                let position = self.requested_position(request.target);
                self.record(scope, position, Vec::new(), database)
            } else {
                self.adopt_versioned(scope, request, last_entry, database)
            };
        }
        let detected = match &state {
            HistoryState::Unversioned => self.detector().identify(scope, database)?,
            _ => Detected::New,
        };
        let mut notes = Vec::new();
        let position = match (detected, request.target) {
            (_, AdoptTarget::Baseline) => None,
            (Detected::New, AdoptTarget::Detected) => {
                return Ok(Outcome::Current { version: VersionPoint::Baseline });
            }
            (Detected::New, target @ AdoptTarget::Position(_)) => {
                let version = self.version_point_at(self.requested_position(target));
                return Err(PlanError::NewDatabase { scope, version }.into());
            }
            (Detected::Existing(_), target @ AdoptTarget::Position(_)) => {
                self.requested_position(target)
            }
            (Detected::Existing(identified), AdoptTarget::Detected) => {
                if let Some(refusal) = identified.refusal {
                    return Err(refusal.into());
                }
                let detection = identified.detection;
                notes.extend(identified.source);
                notes.extend(identified.notes);
                notes.extend_from_slice(detection.remarks());
                match detection.version(self.changelog()) {
                    Some(version) => self.position_of(&version),
                    None => {
                        detection.resolve(scope)?;
                        None
                    }
                }
            }
        };
        self.record(scope, position, notes, database)
    }

    /// Records a version, and accepts the drift that the database has there and will have at head.
    fn record(
        &self,
        scope: Scope,
        position: Option<usize>,
        notes: Vec<String>,
        database: &mut dyn Database,
    ) -> Result<Outcome, MigrateError> {
        let state = database.history_state()?;
        let schema = database.schema()?;
        let is_below_head = position.is_none_or(|at| at < self.changelog().head_position());
        let trial = if is_below_head && !schema.is_empty() {
            Some(self.detector().trial(scope, schema.clone(), position)?)
        } else {
            None
        };
        let drift = match &trial {
            Some(trial) => trial.drift.clone(),
            None => self.detector().drift(scope, position, schema),
        };
        let remaining = trial.iter().flat_map(|trial| &trial.drift_at_head).flatten();
        let note = drift_note(drift.iter().chain(remaining));
        let mut step = self.jobs().history_step(HistoryEvent::Adopt, scope, position, note);
        if let HistoryState::Versioned(last_entry) = &state {
            continue_from(&mut step, last_entry);
        }
        database.apply(&MigrationJob::new(scope, vec![step]), &state)?;
        Ok(Outcome::VersionRecorded {
            version: self.version_point_at(position),
            drift: to_texts(&drift),
            notes,
            at_head: trial.map(|trial| match (&trial.refusal, &trial.drift_at_head) {
                (Some(reason), _) | (None, Err(reason)) => AtHead::Fails(reason.clone()),
                (None, Ok(differences)) => AtHead::Reached(to_texts(differences)),
            }),
        })
    }

    /// Accepts an edited migration or the present drift of a database with a history. Its version
    /// stays.
    fn adopt_versioned(
        &self,
        scope: Scope,
        request: AdoptRequest,
        last_entry: &HistoryEntry,
        database: &mut dyn Database,
    ) -> Result<Outcome, MigrateError> {
        let state = HistoryState::Versioned(last_entry.clone());
        let (position, is_edited) = match locate_database(self.document(), scope, &state, database)
        {
            Ok(ChainPosition::AtVersion(position)) => (Some(position), false),
            Ok(_) => (None, false),
            Err(MigrateError::Plan(PlanError::ChecksumMismatch { .. })) => {
                let version = VersionPoint::parse(&last_entry.to);
                (version.and_then(|version| self.position_of(&version)), true)
            }
            Err(error) => return Err(error),
        };
        let version = self.version_point_at(position);
        let accepts_drift = request.present_drift == PresentDrift::Accept;
        if !is_edited && !accepts_drift {
            return Ok(Outcome::Current { version });
        }
        let schema = database.schema()?;
        if is_edited {
            self.require_changes(scope, position, &schema, database)?;
        }
        let drift = self.detector().drift(scope, position, schema);
        if !is_edited && drift.is_empty() && database.accepted_drift()? == AcceptedDrift::default()
        {
            return Ok(Outcome::Current { version });
        }
        let note = drift_note(drift.iter()).filter(|_| accepts_drift);
        let mut step = self.jobs().history_step(HistoryEvent::Adopt, scope, position, note);
        continue_from(&mut step, last_entry);
        database.apply(&MigrationJob::new(scope, vec![step]), &state)?;
        Ok(Outcome::VersionRecorded {
            version,
            drift: to_texts(&drift),
            notes: Vec::new(),
            at_head: None,
        })
    }

    /// Requires that a schema has what the migrations up to a position create, drift that was
    /// accepted aside.
    fn require_changes(
        &self,
        scope: Scope,
        position: Option<usize>,
        schema: &Schema,
        database: &dyn Database,
    ) -> Result<(), MigrateError> {
        let accepted_drift = database.accepted_drift()?;
        let mut unmet = self.replay().missing_objects(scope, position.unwrap_or(0), schema);
        unmet.retain(|difference| !accepted_drift.accepts(difference));
        if unmet.is_empty() {
            return Ok(());
        }
        Err(PlanError::SchemaMismatch { unmet: to_texts(&unmet) }.into())
    }

    fn position_of(&self, version: &VersionPoint) -> Option<usize> {
        version.version().and_then(|version| self.changelog().position(version))
    }

    fn requested_position(&self, adopt_target: AdoptTarget) -> Option<usize> {
        match adopt_target {
            AdoptTarget::Position(index) => Some(self.changelog().clamp(index)),
            AdoptTarget::Detected | AdoptTarget::Baseline => None,
        }
    }
}

fn to_texts(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

/// Sets the version before a step to the version after the last history entry.
fn continue_from(step: &mut Step<'_, '_>, last_entry: &HistoryEntry) {
    if let Some(history_entry) = &mut step.history_entry {
        history_entry.from.clone_from(&last_entry.to);
    }
}

/// Opens a target database for a change of its history.
fn with_database(
    target_database: &TargetDatabase,
    options: &ConnectOptions,
    change: impl FnOnce(&mut dyn Database) -> Result<Outcome, MigrateError>,
) -> Outcome {
    match target_database.open(options).and_then(|mut database| change(&mut *database)) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::from_error(None, error),
    }
}
