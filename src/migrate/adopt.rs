//! What writes a database's record and nothing else: adopting the version that its schema tells,
//! accepting an edited migration, stamping a version without looking.

use crate::database::Database;
use crate::database::connection::ConnectOptions;
use crate::database::history_entry::{HistoryEvent, HistoryState};
use crate::database::job::MigrationJob;
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::detect;
use crate::migrate::migrator::Migrator;
use crate::migrate::status::locate_database;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::plan::{ChainPosition, PlanError};
use crate::target::TargetDatabase;

/// The version to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdoptTarget {
    /// The one that the schema tells, or fits best.
    Detected,
    /// Below the lowest baseline, so that the next upgrade runs it.
    Baseline,
    /// The one at a position of the changelog.
    Position(usize),
}

impl Migrator<'_, '_> {
    /// Adopts the database of a member: one without a record, at what is found or given; or one
    /// that went through a migration that was edited since.
    #[must_use]
    pub fn adopt_database(
        &self,
        target_database: &TargetDatabase,
        adopt_target: AdoptTarget,
        options: &ConnectOptions,
    ) -> Outcome {
        with_database(target_database, options, |database| {
            self.adopt((target_database.scope, adopt_target), database)
        })
    }

    /// Writes a version into the record of a member, whatever its schema is.
    #[must_use]
    pub fn stamp_database(
        &self,
        target_database: &TargetDatabase,
        adopt_target: AdoptTarget,
        options: &ConnectOptions,
    ) -> Outcome {
        with_database(target_database, options, |database| {
            let state = database.history_state()?;
            let mut step = self.history_step(
                HistoryEvent::Stamp,
                target_database.scope,
                (requested_position(adopt_target), None),
            );
            if let (HistoryState::Versioned(last_entry), Some(history_entry)) =
                (&state, &mut step.history_entry)
            {
                history_entry.from.clone_from(&last_entry.to);
            }
            database.apply(&MigrationJob::new(target_database.scope, vec![step]), &state)?;
            Ok(Outcome::VersionRecorded {
                version: self.version_point_at(requested_position(adopt_target)),
                drift: Vec::new(),
            })
        })
    }

    fn adopt(
        &self,
        (scope, adopt_target): (Scope, AdoptTarget),
        database: &mut dyn Database,
    ) -> Result<Outcome, MigrateError> {
        let state = database.history_state()?;
        let document = (self.changelog(), Some(self.replay()));
        let adopted_position = match (&state, adopt_target) {
            (HistoryState::Empty, AdoptTarget::Detected) => {
                return Ok(Outcome::Current { version: VersionPoint::Baseline });
            }
            (HistoryState::Unversioned, AdoptTarget::Detected) => {
                let document = (self.changelog(), self.replay());
                match detect::detect_version(document, scope, &database.schema()?) {
                    detect::Detection::Unrelated => return Err(PlanError::UnrelatedSchema.into()),
                    detection => detection.best_version(),
                }
            }
            // What has a record is not adopted: `stamp` overrules that.
            (HistoryState::Versioned(entry), _) => {
                return match locate_database(document, scope, (&state, database)) {
                    Err(MigrateError::Plan(PlanError::ChecksumMismatch { .. })) => {
                        let version = VersionPoint::parse(&entry.to);
                        let version = version.as_ref().and_then(VersionPoint::version);
                        let position = version.and_then(|to| self.changelog().position(to));
                        self.accept_changed_migration(
                            (scope, position.unwrap_or(0)),
                            &state,
                            database,
                        )
                    }
                    Ok(ChainPosition::AtVersion(position)) => {
                        Ok(Outcome::Current { version: self.version_point_at(Some(position)) })
                    }
                    Ok(_) => Ok(Outcome::Current { version: VersionPoint::Baseline }),
                    Err(error) => Err(error),
                };
            }
            (_, at) => requested_position(at),
        };
        let drift = detect::drift(self.replay(), scope, (adopted_position, &database.schema()?));
        let note = (!drift.is_empty()).then(|| drift.join("\n"));
        let step = self.history_step(HistoryEvent::Adopt, scope, (adopted_position, note));
        database.apply(&MigrationJob::new(scope, vec![step]), &state)?;
        Ok(Outcome::VersionRecorded { version: self.version_point_at(adopted_position), drift })
    }

    /// Accepts an edited migration, once it is proved that the schema has what it makes.
    fn accept_changed_migration(
        &self,
        (scope, position): (Scope, usize),
        state: &HistoryState,
        database: &mut dyn Database,
    ) -> Result<Outcome, MigrateError> {
        let schema = database.schema()?;
        let drift = detect::drift(self.replay(), scope, (Some(position), &schema));
        let accepted_drift = database.accepted_drift()?;
        let mut unmet = self.replay().missing_objects(scope, (position, &schema));
        unmet.retain(|difference| !accepted_drift.contains(difference));
        if !unmet.is_empty() {
            return Err(PlanError::SchemaMismatch { unmet }.into());
        }
        let mut step = self.history_step(HistoryEvent::Adopt, scope, (Some(position), None));
        if let (HistoryState::Versioned(last_entry), Some(history_entry)) =
            (state, &mut step.history_entry)
        {
            history_entry.from.clone_from(&last_entry.to);
        }
        database.apply(&MigrationJob::new(scope, vec![step]), state)?;
        Ok(Outcome::VersionRecorded { version: self.version_point_at(Some(position)), drift })
    }

    fn version_point_at(&self, position: Option<usize>) -> VersionPoint {
        position.map_or(VersionPoint::Baseline, |position| {
            VersionPoint::Version(self.changelog().versions()[position].clone())
        })
    }
}

fn requested_position(adopt_target: AdoptTarget) -> Option<usize> {
    match adopt_target {
        AdoptTarget::Position(position) => Some(position),
        AdoptTarget::Detected | AdoptTarget::Baseline => None,
    }
}

/// Opens the database of a member for a change of its record.
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
