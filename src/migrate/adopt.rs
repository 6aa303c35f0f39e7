//! Writes a history entry without running a statement: adopts the version that detection finds,
//! accepts an edited migration, or stamps a version without any check.

use crate::database::Database;
use crate::database::connection::ConnectOptions;
use crate::database::history_entry::{HistoryEntry, HistoryEvent, HistoryState};
use crate::database::job::{MigrationJob, Step};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::detect::{self, Detection};
use crate::migrate::migrator::Migrator;
use crate::migrate::status::locate_database;
use crate::plan::error::PlanError;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::target::TargetDatabase;

/// The version to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdoptTarget {
    /// The version that detection finds, or the best one that it finds.
    Detected,
    /// `baseline`, so that the next upgrade runs the lowest baseline.
    Baseline,
    /// A version of the changelog.
    Position(VersionIndex),
}

impl Migrator<'_, '_> {
    /// Adopts a target database. A database without a history is recorded at the version that is
    /// given or detected, and its drift is accepted. In a database with a history, an edited
    /// migration is accepted if the schema has what the migration now creates.
    #[must_use]
    pub fn adopt_database(
        &self,
        target_database: &TargetDatabase,
        adopt_target: AdoptTarget,
        options: &ConnectOptions,
    ) -> Outcome {
        with_database(target_database, options, |database| {
            self.adopt(target_database.scope, adopt_target, database)
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
            let mut step = self.history_step(HistoryEvent::Stamp, scope, position, None);
            if let HistoryState::Versioned(last_entry) = &state {
                continue_from(&mut step, last_entry);
            }
            database.apply(&MigrationJob::new(scope, vec![step]), &state)?;
            let version = self.version_point_at(position);
            Ok(Outcome::VersionRecorded { version, drift: Vec::new() })
        })
    }

    fn adopt(
        &self,
        scope: Scope,
        adopt_target: AdoptTarget,
        database: &mut dyn Database,
    ) -> Result<Outcome, MigrateError> {
        self.document().check()?;
        let state = database.history_state()?;
        let schema = match (&state, adopt_target) {
            (HistoryState::Empty, AdoptTarget::Detected) => {
                return Ok(Outcome::Current { version: VersionPoint::Baseline });
            }
            (HistoryState::Versioned(entry), _) => {
                return self.adopt_versioned(scope, &state, entry, database);
            }
            _ => database.schema()?,
        };
        let position = match (&state, adopt_target) {
            (HistoryState::Unversioned, AdoptTarget::Detected) => {
                match detect::detect_version(self.changelog(), self.replay(), scope, &schema) {
                    Detection::Unrelated => return Err(PlanError::UnrelatedSchema.into()),
                    detection => detection.best_version().map(VersionIndex::get),
                }
            }
            _ => self.requested_position(adopt_target),
        };
        let drift = detect::drift(self.replay(), scope, position, &schema);
        let drift: Vec<String> = drift.iter().map(ToString::to_string).collect();
        let note = (!drift.is_empty()).then(|| drift.join("\n"));
        let step = self.history_step(HistoryEvent::Adopt, scope, position, note);
        database.apply(&MigrationJob::new(scope, vec![step]), &state)?;
        Ok(Outcome::VersionRecorded { version: self.version_point_at(position), drift })
    }

    /// Accepts an edited migration of a database with a history. Its version is never changed:
    /// only `stamp` overrules a recorded version.
    fn adopt_versioned(
        &self,
        scope: Scope,
        state: &HistoryState,
        last_entry: &HistoryEntry,
        database: &mut dyn Database,
    ) -> Result<Outcome, MigrateError> {
        match locate_database(self.document(), scope, state, database) {
            Err(MigrateError::Plan(PlanError::ChecksumMismatch { .. })) => {
                let position = VersionPoint::parse(&last_entry.to)
                    .as_ref()
                    .and_then(VersionPoint::version)
                    .and_then(|version| self.changelog().position(version))
                    .unwrap_or(0);
                let (step, drift) =
                    self.accept_changed_migration(scope, position, last_entry, database)?;
                database.apply(&MigrationJob::new(scope, vec![step]), state)?;
                let version = self.version_point_at(Some(position));
                Ok(Outcome::VersionRecorded { version, drift })
            }
            Ok(chain_position) => {
                Ok(Outcome::Current { version: self.version_point(chain_position) })
            }
            Err(error) => Err(error),
        }
    }

    /// The step that accepts an edited migration, and the drift of the schema.
    ///
    /// # Errors
    ///
    /// The schema does not have what the migration now creates.
    fn accept_changed_migration(
        &self,
        scope: Scope,
        position: usize,
        last_entry: &HistoryEntry,
        database: &dyn Database,
    ) -> Result<(Step<'_, '_>, Vec<String>), MigrateError> {
        let schema = database.schema()?;
        let drift = detect::drift(self.replay(), scope, Some(position), &schema);
        let accepted_drift = database.accepted_drift()?;
        let mut unmet = self.replay().missing_objects(scope, position, &schema);
        unmet.retain(|difference| !accepted_drift.accepts(difference));
        if !unmet.is_empty() {
            let unmet = unmet.iter().map(ToString::to_string).collect();
            return Err(PlanError::SchemaMismatch { unmet }.into());
        }
        let mut step = self.history_step(HistoryEvent::Adopt, scope, Some(position), None);
        continue_from(&mut step, last_entry);
        Ok((step, drift.iter().map(ToString::to_string).collect()))
    }

    fn requested_position(&self, adopt_target: AdoptTarget) -> Option<usize> {
        match adopt_target {
            AdoptTarget::Position(index) => Some(self.changelog().clamp(index)),
            AdoptTarget::Detected | AdoptTarget::Baseline => None,
        }
    }
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
