//! One database brought to a target: read where it stands, plan, let it apply the order, and look
//! again where another run was faster. The outcome is a value; nothing is printed here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::Database;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::history_entry::{AppliedSource, HistoryEvent, HistoryState, NewHistoryEntry};
use crate::database::job::{EMPTY_SCRIPT, MigrationJob, Step, TransactionEnd};
use crate::database::policy::DatabasePolicy;
use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::{Checksum, Migration};
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::replay::Replay;
use crate::migrate::status::{DatabaseStatus, locate_database, status_for_target};
use crate::plan;
use crate::plan::outcome::{AppliedRun, MigrateError, MigrationPath, Outcome};
use crate::plan::{ChainPosition, ChangedMigration, PlanError, Target};
use crate::sql::lexer;
use crate::target::TargetDatabase;

/// How often a database that moved on between reading and locking is looked at again.
const MAX_RETRIES: usize = 10;

/// Which way a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By migrations.
    Up,
    /// By reverse blocks.
    Down,
}

/// What databases that start from the same place are asked to do, and where it leads them.
#[derive(Debug)]
struct CachedJob<'c> {
    job: MigrationJob<'c>,
    path: Arc<MigrationPath>,
}

/// A document that is ready to be run: read, ordered and replayed, up to a target.
#[derive(Debug)]
pub struct Migrator<'c, 'a> {
    changelog: &'c Changelog<'a>,
    replay: &'c Replay<'a>,
    target: Target,
    transaction_end: TransactionEnd,
    policy: DatabasePolicy,
    /// Orders are made once a run for each place that databases start from.
    cached_jobs: Mutex<HashMap<(Scope, ChainPosition), Arc<CachedJob<'c>>>>,
}

impl<'c, 'a> Migrator<'c, 'a> {
    /// Makes a document ready up to the version at a position of the changelog.
    #[must_use]
    pub fn new(changelog: &'c Changelog<'a>, replay: &'c Replay<'a>, target: usize) -> Self {
        Self::with_target(changelog, replay, Target::Up(target))
    }

    /// Makes a document ready to go down by its reverse blocks, to the version at a position;
    /// without one, to nothing.
    #[must_use]
    pub fn new_downgrade(
        changelog: &'c Changelog<'a>,
        replay: &'c Replay<'a>,
        target: Option<usize>,
    ) -> Self {
        Self::with_target(changelog, replay, Target::Down(target))
    }

    fn with_target(changelog: &'c Changelog<'a>, replay: &'c Replay<'a>, target: Target) -> Self {
        let (transaction_end, policy) = (TransactionEnd::Commit, DatabasePolicy::default());
        Self { changelog, replay, target, transaction_end, policy, cached_jobs: Mutex::default() }
    }

    /// The same for an application with a practice of its own.
    #[must_use]
    pub fn with_policy(self, policy: DatabasePolicy) -> Self {
        Self { policy, ..self }
    }

    /// The same, to be rolled back after every check has passed.
    #[must_use]
    pub fn new_rehearsal(
        changelog: &'c Changelog<'a>,
        replay: &'c Replay<'a>,
        target: usize,
    ) -> Self {
        Self::new(changelog, replay, target).into_rehearsal()
    }

    /// The same, to be rolled back after every check has passed.
    #[must_use]
    pub fn into_rehearsal(self) -> Self {
        Self { transaction_end: TransactionEnd::Rollback, ..self }
    }

    /// What a database of a scope is asked to do from where it stands; none if nothing.
    fn cached_job(
        &self,
        scope: Scope,
        chain_position: ChainPosition,
    ) -> Result<Option<Arc<CachedJob<'c>>>, PlanError> {
        let step_ids = plan::plan_steps(self.changelog, scope, (chain_position, self.target))?;
        // A match is written down on the way up even where nothing is pending behind it.
        let is_detected = matches!(
            (chain_position, self.target),
            (ChainPosition::Detected(position), Target::Up(target)) if position <= target
        );
        if step_ids.is_empty() && !is_detected {
            return Ok(None);
        }
        let mut cached_jobs = self.cached_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let cached_job = cached_jobs
            .entry((scope, chain_position))
            .or_insert_with(|| Arc::new(self.build_cached_job(scope, chain_position, &step_ids)));
        Ok(Some(cached_job.clone()))
    }

    fn build_cached_job(
        &self,
        scope: Scope,
        chain_position: ChainPosition,
        step_ids: &[StepId],
    ) -> CachedJob<'c> {
        let from = self.version_point(chain_position);
        let steps: Vec<_> =
            step_ids.iter().filter_map(|id| self.changelog.endpoints(*id)).collect();
        let to = steps.last().map_or(from.clone(), |(_, to)| to.clone());
        let path = Arc::new(MigrationPath { from, to, steps });
        CachedJob { job: self.build_job(scope, chain_position, step_ids), path }
    }

    fn build_job(
        &self,
        scope: Scope,
        chain_position: ChainPosition,
        step_ids: &[StepId],
    ) -> MigrationJob<'c> {
        let (changelog, replay) = (self.changelog, self.replay);
        let mut steps = Vec::with_capacity(step_ids.len());
        if let ChainPosition::Detected(position) = chain_position {
            steps.push(self.history_step(HistoryEvent::Adopt, scope, (Some(position), None)));
        }
        for id in step_ids {
            let Some((from, to)) = changelog.endpoints(*id) else { continue };
            // A migration without a part for the scope is taken back without a block.
            let migration = changelog.step(*id);
            let script = replay.script(scope, *id).unwrap_or(&EMPTY_SCRIPT);
            let chain = to
                .version()
                .and_then(|to| changelog.position(to))
                .map(|position| changelog.chain_checksum(scope, position));
            let version_strings = || (from.to_string(), to.to_string());
            let label = format!("the migration {from} → {to}");
            let checksum = Some(
                migration.map_or_else(|| Checksum::from_text(""), |step| step.checksum(scope)),
            );
            let event = match id {
                StepId::Reverse(_) | StepId::BaselineReverse(_) => HistoryEvent::Downgrade,
                StepId::Baseline(_) | StepId::Forward(_) | StepId::Seed(_) => HistoryEvent::Upgrade,
            };
            let sources_of_migration = |migration: &Migration<'_>| {
                let applied_sources = Scope::BOTH.into_iter().filter_map(|scope| {
                    let scoped_sql =
                        migration.block(scope).filter(|scoped_sql| !scoped_sql.is_empty())?;
                    let (from, to) = version_strings();
                    let sql = scoped_sql.sql.text().to_owned();
                    Some(AppliedSource {
                        scope,
                        checksum: migration.checksum(scope),
                        from,
                        to,
                        sql,
                    })
                });
                applied_sources.collect::<Vec<_>>()
            };
            let sources = match migration.filter(|_| scope == Scope::System) {
                Some(migration) => sources_of_migration(migration),
                None => Vec::new(),
            };
            let (from, to) = version_strings();
            let history_entry =
                Some(NewHistoryEntry { event, from, to, checksum, chain, note: None });
            steps.push(Step { script, label, history_entry, sources });
        }
        let expected_changes = replay.expected_changes(scope, chain_position, step_ids);
        let (transaction_end, foreign_keys) = (self.transaction_end, self.policy.foreign_keys);
        MigrationJob {
            expected_changes,
            transaction_end,
            foreign_keys,
            ..MigrationJob::new(scope, steps)
        }
    }

    /// A step that only writes down where a database stands: at a position, or below the lowest
    /// baseline.
    pub(crate) fn history_step(
        &self,
        event: HistoryEvent,
        scope: Scope,
        (position, note): (Option<usize>, Option<String>),
    ) -> Step<'c, 'c> {
        let to = position.map_or(VersionPoint::Baseline, |position| {
            VersionPoint::Version(self.changelog.versions()[position].clone())
        });
        let chain = position.map(|position| self.changelog.chain_checksum(scope, position));
        let (from, to) = (VersionPoint::Baseline.to_string(), to.to_string());
        let history_entry = NewHistoryEntry { event, from, to, checksum: None, chain, note };
        let label = "the record".to_owned();
        Step {
            script: &EMPTY_SCRIPT,
            label,
            history_entry: Some(history_entry),
            sources: Vec::new(),
        }
    }

    /// The point at which a standing is.
    fn version_point(&self, chain_position: ChainPosition) -> VersionPoint {
        match chain_position {
            ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => {
                VersionPoint::Version(self.changelog.versions()[position].clone())
            }
            ChainPosition::Empty | ChainPosition::BelowBaseline => VersionPoint::Baseline,
        }
    }

    /// The changelog that it was made from.
    #[must_use]
    pub fn changelog(&self) -> &'c Changelog<'a> {
        self.changelog
    }

    /// The application's practice.
    pub(crate) fn policy(&self) -> DatabasePolicy {
        self.policy
    }

    pub(crate) fn replay(&self) -> &'c Replay<'a> {
        self.replay
    }

    /// Whether databases go up or down.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self.target {
            Target::Up(_) => Direction::Up,
            Target::Down(_) => Direction::Down,
        }
    }

    /// Where databases are brought.
    #[must_use]
    pub fn target(&self) -> VersionPoint {
        match self.target {
            Target::Up(position) | Target::Down(Some(position)) => {
                VersionPoint::Version(self.changelog.versions()[position].clone())
            }
            Target::Down(None) => VersionPoint::Baseline,
        }
    }

    /// Reads where the database of a member stands on the way; no byte on the disk changes.
    #[must_use]
    pub fn status(
        &self,
        target_database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> DatabaseStatus {
        let document = (self.changelog, Some(self.replay), self.target);
        let read_result = target_database
            .read(options, |database| status_for_target(document, target_database.scope, database));
        read_result.unwrap_or_else(|error| DatabaseStatus::from_error(None, error))
    }

    /// The statements of an edited migration that ran and stand in the document no more, and
    /// those that stand there and did not run; nothing where the system database did not keep
    /// them.
    #[must_use]
    pub fn statement_diff(
        &self,
        changed_migration: &ChangedMigration,
        scope: Scope,
        (system_database, options): (&TargetDatabase, &ConnectOptions),
    ) -> Option<(Vec<String>, Vec<String>)> {
        let stored_source = system_database
            .read(options, |database| database.stored_source(&changed_migration.applied_checksum));
        let migration = self.changelog.find(&changed_migration.from, &changed_migration.to)?;
        let current_source = migration.block(scope).map_or("", |part| part.sql.text());
        Some(diff_statements(&stored_source.ok()??, current_source))
    }

    /// Runs seeds, in the order named, on the database of a member.
    #[must_use]
    pub fn seed_database(
        &self,
        target_database: &TargetDatabase,
        names: &[String],
        options: &ConnectOptions,
    ) -> Outcome {
        let result = target_database.open(options).and_then(|mut database| {
            let state = database.history_state()?;
            let job = self.seed_job(target_database.scope, names, &state);
            if state == HistoryState::Empty {
                return Err(PlanError::EmptyDatabase.into());
            }
            Ok(database.apply(&job, &state)?)
        });
        match result {
            Ok(job_result) => {
                Outcome::Seeded { notes: job_result.notes, duration: job_result.duration }
            }
            Err(error) => Outcome::from_error(None, error),
        }
    }

    fn seed_job(&self, scope: Scope, names: &[String], state: &HistoryState) -> MigrationJob<'c> {
        let target = self.target();
        let version_mismatch = match state {
            HistoryState::Versioned(history_entry) if history_entry.to == target.to_string() => {
                String::new()
            }
            HistoryState::Versioned(record) => {
                format!(
                    ", written for {target}, where this database is at {}; `tatmig upgrade` comes first",
                    record.to
                )
            }
            HistoryState::Empty | HistoryState::Unversioned => {
                format!(", written for {target}, where this database has no version")
            }
        };
        let seeds = self.changelog.seeds().iter().enumerate();
        let mut steps = Vec::new();
        for name in names {
            let matching_seeds =
                seeds.clone().filter(|(_, seed)| seed.scope == scope && seed.name == *name);
            for (index, _) in matching_seeds {
                if let Some(script) = self.replay.script(scope, StepId::Seed(index)) {
                    let label = format!("the seed `{name}`{version_mismatch}");
                    steps.push(Step { script, label, history_entry: None, sources: Vec::new() });
                }
            }
        }
        MigrationJob { foreign_keys: self.policy.foreign_keys, ..MigrationJob::new(scope, steps) }
    }

    /// Brings the database of a member to the target.
    #[must_use]
    pub fn upgrade_database(
        &self,
        target_database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> Outcome {
        match target_database.open(options) {
            Ok(mut database) => self.upgrade(target_database.scope, &mut *database),
            Err(error) => Outcome::Failed { version: None, error: Box::new(error) },
        }
    }

    /// Brings a database to the target.
    pub(crate) fn upgrade(&self, scope: Scope, database: &mut dyn Database) -> Outcome {
        let mut version = None;
        match self.try_upgrade(scope, database, &mut version) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::from_error(version, error),
        }
    }

    /// The same; `at` is where it stood, as soon as that is known.
    fn try_upgrade(
        &self,
        scope: Scope,
        database: &mut dyn Database,
        version: &mut Option<VersionPoint>,
    ) -> Result<Outcome, MigrateError> {
        let mut retries = 0;
        loop {
            let state = database.history_state()?;
            if let HistoryState::Versioned(entry) = &state {
                *version = VersionPoint::parse(&entry.to);
            }
            let document = (self.changelog, Some(self.replay));
            let chain_position = locate_database(document, scope, (&state, &*database))?;
            let from = self.version_point(chain_position);
            *version = Some(from.clone());
            let Some(cached_job) = self.cached_job(scope, chain_position)? else {
                return Ok(match self.target {
                    Target::Up(_) if from > self.target() => {
                        Outcome::AheadOfTarget { version: from }
                    }
                    Target::Down(_) if from < self.target() => {
                        Outcome::BehindTarget { version: from }
                    }
                    Target::Up(_) | Target::Down(_) => Outcome::Current { version: from },
                });
            };
            match database.apply(&cached_job.job, &state) {
                Ok(job_result) => {
                    let (mut notes, duration) = (job_result.notes, job_result.duration);
                    if matches!(chain_position, ChainPosition::Detected(_)) {
                        notes.insert(0, format!("adopted at {from}, whose schema it had"));
                    }
                    let applied_run = AppliedRun { path: cached_job.path.clone(), notes, duration };
                    return Ok(match (self.transaction_end, self.target) {
                        (TransactionEnd::Commit, Target::Up(_)) => Outcome::Upgraded(applied_run),
                        (TransactionEnd::Commit, Target::Down(_)) => {
                            Outcome::Downgraded(applied_run)
                        }
                        (TransactionEnd::Rollback, _) => Outcome::Rehearsed(applied_run),
                    });
                }
                Err(DatabaseError::ConcurrentChange) if retries < MAX_RETRIES => retries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The statements of an edited migration that are not those that ran, in words.
fn diff_statements(applied: &str, current: &str) -> (Vec<String>, Vec<String>) {
    let split_statements = |text: &str| -> Vec<String> {
        lexer::normalize(text).split(" ; ").filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    let (then, current) = (split_statements(applied), split_statements(current));
    let only_in_left = |left: &[String], right: &[String]| {
        left.iter().filter(|statement| !right.contains(statement)).cloned().collect()
    };
    (only_in_left(&then, &current), only_in_left(&current, &then))
}
