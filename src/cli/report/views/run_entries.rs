//! Serializes the databases of a run and counts their outcomes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use tatmig::backup::Backup;
use tatmig::fleet::TargetDatabase;
use tatmig::fleet::{Fleet, FleetOutcome};
use tatmig::plan::{AtHead, MigrateError, Outcome};
use tatmig::{Scope, Source, VersionPoint};

use crate::cli::report::json::{DatabaseKeys, ErrorEntry};
use crate::cli::report::state::State;

/// One database of a run with its outcome. It is turned into a [`RunEntry`] as it is written.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "RunEntry<'r>")]
pub(crate) struct DatabaseRun<'r> {
    pub(crate) database: &'r TargetDatabase,
    pub(crate) outcome: &'r Outcome,
    pub(crate) source: &'r Source<'r>,
    /// The backup that was made before the run, if there was one.
    pub(crate) backup: Option<&'r Backup>,
}

/// A line of `--json-lines`: one database whose work ended.
#[derive(Serialize)]
pub(crate) struct DatabaseEvent<'r> {
    event: &'static str,
    #[serde(flatten)]
    run: DatabaseRun<'r>,
}

impl<'r> DatabaseEvent<'r> {
    pub(crate) fn new(run: DatabaseRun<'r>) -> Self {
        Self { event: "database", run }
    }
}

impl<'r> DatabaseRun<'r> {
    /// Pairs every database of a run with its outcome, the system database first.
    pub(crate) fn list(
        fleet: &'r Fleet,
        outcome: &'r FleetOutcome,
        source: &'r Source<'r>,
        backup: Option<&'r Backup>,
    ) -> Vec<Self> {
        let pairs = outcome.by_database(fleet);
        pairs.map(|(database, outcome)| Self { database, outcome, source, backup }).collect()
    }

    /// The name of the database, as messages show it.
    pub(crate) fn name(&self) -> String {
        self.database.display_name()
    }

    /// The database and its error, if it failed.
    pub(crate) fn failure(&self) -> Option<(&'r TargetDatabase, &'r MigrateError)> {
        match self.outcome {
            Outcome::Failed { error, .. } => Some((self.database, error)),
            _ => None,
        }
    }
}

/// The JSON object of one database.
#[derive(Serialize)]
pub(crate) struct RunEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    from: Option<&'r VersionPoint>,
    to: Option<&'r VersionPoint>,
    steps: Vec<&'r VersionPoint>,
    outcome: State,
    /// For each step. The key is absent where it is unknown.
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    rows_changed: &'r [u64],
    notes: &'r [String],
    error: Option<ErrorEntry<'r>>,
    duration_ms: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<&'r [String]>,
    /// The differences that remain at head, for a database that was adopted below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_at_head: Option<&'r [String]>,
    /// Where the database was copied to before the run. The key is absent without a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<Value>,
}

impl<'r> From<DatabaseRun<'r>> for RunEntry<'r> {
    fn from(run: DatabaseRun<'r>) -> Self {
        let DatabaseRun { database, outcome, source, backup } = run;
        let mut entry = Self {
            database: DatabaseKeys::new(database),
            from: None,
            to: None,
            steps: Vec::new(),
            outcome: outcome_state(outcome),
            rows_changed: &[],
            notes: &[],
            error: None,
            duration_ms: 0,
            drift: None,
            drift_at_head: None,
            copy: backup.map(|backup| json!(copy_path(backup, database))),
        };
        match outcome {
            Outcome::Upgraded(run)
            | Outcome::Downgraded(run)
            | Outcome::Redone(run)
            | Outcome::Rehearsed(run) => {
                entry.from = Some(&run.path.from);
                entry.to = Some(&run.path.to);
                entry.steps = run.path.steps.iter().map(|(_, to)| to).collect();
                entry.notes = &run.notes;
                entry.rows_changed = &run.rows_changed;
                entry.duration_ms = run.duration.as_millis();
            }
            Outcome::Reset { version, notes } => {
                entry.to = Some(version);
                entry.notes = notes;
            }
            Outcome::Current { version }
            | Outcome::AheadOfTarget { version }
            | Outcome::BehindTarget { version } => {
                entry.from = Some(version);
                entry.to = Some(version);
            }
            Outcome::Failed { version, error } => {
                entry.from = version.as_ref();
                entry.to = version.as_ref();
                entry.error = Some(ErrorEntry::new(error, source));
            }
            Outcome::VersionRecorded { version, drift, notes, at_head } => {
                entry.to = Some(version);
                entry.drift = Some(drift);
                entry.notes = notes;
                match at_head {
                    Some(AtHead::Reached(remaining)) => entry.drift_at_head = Some(remaining),
                    Some(AtHead::Fails(reason)) => entry.notes = std::slice::from_ref(reason),
                    _ => {}
                }
            }
            Outcome::Seeded { notes, duration } => {
                entry.notes = notes;
                entry.duration_ms = duration.as_millis();
            }
            Outcome::Skipped => {}
        }
        entry
    }
}

fn copy_path(backup: &Backup, database: &TargetDatabase) -> Option<String> {
    backup.entry_for(database).map(|copy| backup.copy_location(copy))
}

/// Counts the outcomes by name. `success` is listed even if no database has that outcome.
pub(crate) fn count_by_outcome(
    runs: &[DatabaseRun<'_>],
    success: State,
) -> BTreeMap<&'static str, usize> {
    use State::{Busy, Current, Failed, Rehearsed, Skipped, Upgraded};
    let mut counts: BTreeMap<&str, usize> =
        [Upgraded, Current, Failed, Busy, Skipped, Rehearsed, success]
            .into_iter()
            .map(|outcome| (outcome.name(), 0))
            .collect();
    for run in runs {
        *counts.entry(outcome_state(run.outcome).name()).or_default() += 1;
    }
    counts.insert("total", runs.len());
    counts
}

/// The databases of one scope.
pub(crate) fn in_scope<'r, 'a>(
    runs: &'r [DatabaseRun<'a>],
    scope: Scope,
) -> impl Iterator<Item = &'r DatabaseRun<'a>> + Clone {
    runs.iter().filter(move |run| run.database.scope == scope)
}

/// The state that an outcome is reported as.
pub(crate) fn outcome_state(outcome: &Outcome) -> State {
    match outcome {
        Outcome::Upgraded(_) => State::Upgraded,
        Outcome::Downgraded(_) => State::Downgraded,
        Outcome::Redone(_) => State::Redone,
        Outcome::Reset { .. } => State::Reset,
        Outcome::Rehearsed(_) => State::Rehearsed,
        Outcome::Seeded { .. } => State::Seeded,
        Outcome::VersionRecorded { .. } => State::Recorded,
        Outcome::Current { .. } | Outcome::AheadOfTarget { .. } | Outcome::BehindTarget { .. } => {
            State::Current
        }
        failed @ Outcome::Failed { .. } if failed.is_busy() => State::Busy,
        Outcome::Failed { .. } => State::Failed,
        Outcome::Skipped => State::Skipped,
    }
}
