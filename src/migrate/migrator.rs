//! Brings one database to the target version: reads its position, plans, applies the job, and
//! retries if another run migrated the database in between. The outcome is a value; nothing is
//! printed here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::Database;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob, TableContents, TransactionEnd};
use crate::database::policy::DatabasePolicy;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::migrate::detector::{DetectionOptions, Detector};
use crate::migrate::job::JobBuilder;
use crate::migrate::replay::Replay;
use crate::migrate::retry::retry_after_change;
use crate::migrate::reverse::IncompleteReverse;
use crate::migrate::status::{Located, StatusDocument, locate_with_source};
use crate::plan::error::PlanError;
use crate::plan::outcome::{AppliedRun, MigrateError, MigrationPath, Outcome};
use crate::plan::position::ChainPosition;
use crate::plan::steps::plan_steps;
use crate::plan::target::Target;

/// The direction of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Migrations are applied.
    Up,
    /// Migrations are undone by reverse blocks.
    Down,
}

/// A job that all databases of one scope at one position share, with the path for their outcomes.
#[derive(Debug)]
pub(crate) struct CachedJob<'c> {
    pub(crate) job: MigrationJob<'c>,
    pub(crate) path: Arc<MigrationPath>,
    /// Why the job may not run.
    incomplete_reverse: Option<IncompleteReverse>,
}

/// A document that was read, ordered and replayed, with the target version of a run. One migrator
/// serves any number of databases and threads.
#[derive(Debug)]
pub struct Migrator<'c, 'a> {
    changelog: &'c Changelog<'a>,
    replay: &'c Replay<'a>,
    target: Target,
    transaction_end: TransactionEnd,
    policy: DatabasePolicy,
    detector: Arc<Detector<'c, 'a>>,
    /// One job for each position that databases of a scope start from, built once in a run.
    cached_jobs: Mutex<HashMap<(Scope, ChainPosition), Arc<CachedJob<'c>>>>,
}

impl<'c, 'a> Migrator<'c, 'a> {
    /// A run up to a version.
    ///
    /// `replay` and `target` must be those of `changelog`.
    #[must_use]
    pub fn new(changelog: &'c Changelog<'a>, replay: &'c Replay<'a>, target: VersionIndex) -> Self {
        Self::with_target(changelog, replay, Target::Up(changelog.clamp(target)))
    }

    /// A run down to a version by reverse blocks; without a version, down to `baseline`.
    ///
    /// `replay` and `target` must be those of `changelog`.
    #[must_use]
    pub fn new_downgrade(
        changelog: &'c Changelog<'a>,
        replay: &'c Replay<'a>,
        target: Option<VersionIndex>,
    ) -> Self {
        let target = target.map(|target| changelog.clamp(target));
        Self::with_target(changelog, replay, Target::Down(target))
    }

    fn with_target(changelog: &'c Changelog<'a>, replay: &'c Replay<'a>, target: Target) -> Self {
        Self {
            changelog,
            replay,
            target,
            transaction_end: TransactionEnd::Commit,
            policy: DatabasePolicy::default(),
            detector: Arc::new(Detector::new(
                changelog,
                replay,
                DetectionOptions::for_changelog(changelog),
            )),
            cached_jobs: Mutex::default(),
        }
    }

    /// The same run with another policy for journal mode and foreign keys.
    #[must_use]
    pub fn with_policy(self, policy: DatabasePolicy) -> Self {
        Self { policy, ..self }
    }

    /// The same run with other options for the detection of versions.
    #[must_use]
    pub fn with_detection(self, options: DetectionOptions) -> Self {
        let detector = Arc::new(Detector::new(self.changelog, self.replay, options));
        Self { detector, ..self }
    }

    /// A rehearsal of this run: every step and every check runs, and each transaction ends in
    /// ROLLBACK. The two share the detected versions.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        Self {
            transaction_end: TransactionEnd::Rollback,
            detector: self.detector.clone(),
            cached_jobs: Mutex::default(),
            ..*self
        }
    }

    /// The document of the run.
    #[must_use]
    pub fn changelog(&self) -> &'c Changelog<'a> {
        self.changelog
    }

    /// Whether the run applies migrations or undoes them.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self.target {
            Target::Up(_) => Direction::Up,
            Target::Down(_) => Direction::Down,
        }
    }

    /// The target version of the run.
    #[must_use]
    pub fn target(&self) -> VersionPoint {
        match self.target {
            Target::Up(position) => self.version_point_at(Some(position)),
            Target::Down(position) => self.version_point_at(position),
        }
    }

    pub(crate) fn run_target(&self) -> Target {
        self.target
    }

    pub(crate) fn policy(&self) -> DatabasePolicy {
        self.policy
    }

    pub(crate) fn replay(&self) -> &'c Replay<'a> {
        self.replay
    }

    /// Whether an error is only that a database is above head, and the run allows that.
    pub(crate) fn allows_ahead(&self, error: &MigrateError) -> bool {
        self.document().allowed_ahead(self.target, error).is_some()
    }

    /// The builder of this run's jobs.
    pub(crate) fn jobs(&self) -> JobBuilder<'c, 'a> {
        JobBuilder {
            changelog: self.changelog,
            replay: self.replay,
            transaction_end: self.transaction_end,
            foreign_keys: self.policy.foreign_keys,
            contents: TableContents::Rows,
        }
    }

    /// Why some steps may not run.
    pub(crate) fn incomplete_reverse(
        &self,
        scope: Scope,
        step_ids: &[StepId],
    ) -> Option<IncompleteReverse> {
        IncompleteReverse::find(self.changelog, self.replay, scope, step_ids)
    }

    pub(crate) fn detector(&self) -> &Detector<'c, 'a> {
        &self.detector
    }

    pub(crate) fn document(&self) -> StatusDocument<'_, 'c, 'a> {
        StatusDocument {
            changelog: self.changelog,
            detector: Some(&self.detector),
            ahead: self.policy.ahead,
        }
    }

    /// The version at a position of the chain; `baseline` without one.
    pub(crate) fn version_point_at(&self, position: Option<usize>) -> VersionPoint {
        self.jobs().version_point_at(position)
    }

    /// The job of a database at a position; `None` if it has nothing to do.
    fn cached_job(
        &self,
        scope: Scope,
        chain_position: ChainPosition,
    ) -> Result<Option<Arc<CachedJob<'c>>>, PlanError> {
        let step_ids = plan_steps(self.changelog, scope, chain_position, self.target)?;
        // An upgrade records a detected version even if no step is pending.
        let records_detection = matches!(
            (chain_position, self.target),
            (ChainPosition::Detected(position), Target::Up(target)) if position <= target
        );
        if step_ids.is_empty() && !records_detection {
            return Ok(None);
        }
        let mut cached_jobs = self.cached_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let cached_job = cached_jobs.entry((scope, chain_position)).or_insert_with(|| {
            let jobs = self.jobs();
            let path = Arc::new(jobs.path(chain_position, &step_ids));
            Arc::new(CachedJob {
                job: jobs.job(scope, chain_position, &step_ids),
                path,
                incomplete_reverse: self.incomplete_reverse(scope, &step_ids),
            })
        });
        Ok(Some(cached_job.clone()))
    }

    /// Brings a database to the target version.
    pub(crate) fn upgrade(&self, scope: Scope, database: &mut dyn Database) -> Outcome {
        let mut version = None;
        match self.try_upgrade(scope, database, &mut version) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::from_error(version, error),
        }
    }

    /// Brings a database to the target version. `version` is set to the database's version as soon
    /// as it is known, so that a failure can report it.
    fn try_upgrade(
        &self,
        scope: Scope,
        database: &mut dyn Database,
        version: &mut Option<VersionPoint>,
    ) -> Result<Outcome, MigrateError> {
        self.document().check()?;
        retry_after_change(|| {
            let state = database.history_state()?;
            if let HistoryState::Versioned(entry) = &state {
                *version = VersionPoint::parse(&entry.to);
            }
            let document = self.document();
            let located = match locate_with_source(document, scope, &state, &*database) {
                Ok(located) => located,
                Err(error) => match document.allowed_ahead(self.target, &error) {
                    Some(version) => return Ok(Outcome::AheadOfTarget { version }),
                    None => return Err(error),
                },
            };
            let Located { position: chain_position, source, notes } = located;
            let from = self.jobs().version_point(chain_position);
            *version = Some(from.clone());
            let Some(cached_job) = self.cached_job(scope, chain_position)? else {
                return Ok(self.outcome_without_steps(from));
            };
            if let Some(incomplete_reverse) = &cached_job.incomplete_reverse {
                return Err(incomplete_reverse.error().into());
            }
            let mut job_result = match database.apply(&cached_job.job, &state) {
                Ok(job_result) => job_result,
                Err(error) => {
                    let error = self.with_present_version(error, scope, chain_position, &*database);
                    return Err(error.into());
                }
            };
            if matches!(chain_position, ChainPosition::Detected(_)) {
                let adoption_note = adoption_note(&from, source.as_deref());
                job_result.notes.splice(0..0, std::iter::once(adoption_note).chain(notes));
            }
            Ok(self.outcome_of_run(&cached_job.path, job_result))
        })
    }

    fn outcome_without_steps(&self, version: VersionPoint) -> Outcome {
        match self.target {
            Target::Up(_) if version > self.target() => Outcome::AheadOfTarget { version },
            Target::Down(_) if version < self.target() => Outcome::BehindTarget { version },
            Target::Up(_) | Target::Down(_) => Outcome::Current { version },
        }
    }

    fn outcome_of_run(&self, path: &Arc<MigrationPath>, job_result: JobResult) -> Outcome {
        let JobResult { notes, rows_changed, duration } = job_result;
        let applied_run = AppliedRun { path: path.clone(), notes, rows_changed, duration };
        match (self.transaction_end, self.target) {
            (TransactionEnd::Commit, Target::Up(_)) => Outcome::Upgraded(applied_run),
            (TransactionEnd::Commit, Target::Down(_)) => Outcome::Downgraded(applied_run),
            (TransactionEnd::Rollback, _) => Outcome::Rehearsed(applied_run),
        }
    }
}

/// The note of a database whose detected version is recorded.
fn adoption_note(version: &VersionPoint, source: Option<&str>) -> String {
    match source {
        Some(source) => format!("adopted at {version}: {source}"),
        None => format!("adopted at {version}, since its schema is that of this version"),
    }
}
