//! Reads every database of a fleet: status, history, statistics, verification.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::history_entry::HistoryEntry;
use crate::database::stats::Stats;
use crate::document::changelog::Changelog;
use crate::document::tag::VersionPoint;
use crate::document::version_index::VersionIndex;
use crate::fleet::discover::Fleet;
use crate::fleet::pool;
use crate::fleet::pool::{WorkValue, parallel_map};
use crate::fleet::run::{FleetOutcome, RunOptions};
use crate::migrate::migrator::Migrator;
use crate::migrate::status::{DatabaseStatus, StatusQuery};
use crate::migrate::verify::VerifyReport;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::target::TargetDatabase;

/// The values of all databases in the fleet's order; `None` for a database that was not started
/// before an interrupt.
type Values<T> = Vec<Option<T>>;

impl Fleet {
    /// Reads the status of every database relative to the migrator's target. `on_done` is called
    /// after each one.
    pub fn statuses(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Values<DatabaseStatus> {
        self.for_each(&|target| migrator.status(target, &options.connect_options), options, on_done)
    }

    /// Reads the status of every database relative to a version of the changelog. `on_done` is
    /// called after each one.
    pub fn statuses_at(
        &self,
        query: StatusQuery<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Values<DatabaseStatus> {
        self.for_each(&|target| target.status(query, &options.connect_options), options, on_done)
    }

    /// The outcome of an upgrade that has nothing to do: every database is at the target version.
    /// None if a database is not, or cannot be read. No replay is needed for that.
    #[must_use]
    pub fn outcome_at(
        &self,
        changelog: &Changelog<'_>,
        target: VersionIndex,
        options: &RunOptions,
    ) -> Option<FleetOutcome> {
        let targets: Vec<&TargetDatabase> = self.databases().collect();
        let has_work = AtomicBool::new(false);
        let check = |database: &&TargetDatabase| {
            let is_at_target = database.is_at(changelog, target, &options.connect_options);
            has_work.fetch_or(!is_at_target, Ordering::Relaxed);
            Ok(is_at_target)
        };
        let is_stopped =
            || has_work.load(Ordering::Relaxed) || options.connect_options.is_cancelled();
        let checked = parallel_map(&targets, options.jobs, &check, &is_stopped, &mut |_, _| {});
        // Without a database the document is all that a run can check.
        if targets.is_empty() || !checked.iter().all(|checked| matches!(checked, Some(Ok(true)))) {
            return None;
        }
        let version = VersionPoint::Version(changelog.version(target).clone());
        let outcome = || Outcome::Current { version: version.clone() };
        Some(FleetOutcome {
            system: self.system.as_ref().map(|_| outcome()),
            users: self.users.iter().map(|_| outcome()).collect(),
        })
    }

    /// Counts what every database contains. `on_done` is called after each one.
    pub fn stats(
        &self,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Values<Result<Stats, MigrateError>> {
        self.for_each(&|target| target.stats(&options.connect_options), options, on_done)
    }

    /// Reads the history of every database. `on_done` is called after each one.
    pub fn histories(
        &self,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Values<Result<Vec<HistoryEntry>, MigrateError>> {
        self.for_each(&|target| target.history(&options.connect_options), options, on_done)
    }

    /// Verifies every database. Equal reports are shared, since most databases of a fleet have the
    /// same one. `on_done` is called after each database.
    pub fn verify(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Values<Result<Arc<VerifyReport>, MigrateError>> {
        let distinct_reports = Mutex::new(BTreeSet::new());
        let verify = |target: &TargetDatabase| {
            let report = Arc::new(target.verify(migrator, &options.connect_options)?);
            let mut distinct_reports =
                distinct_reports.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(shared_report) = distinct_reports.get(&report) {
                return Ok(Arc::clone(shared_report));
            }
            distinct_reports.insert(Arc::clone(&report));
            Ok(report)
        };
        self.for_each(&verify, options, on_done)
    }

    fn for_each<T: WorkValue>(
        &self,
        work: &pool::Work<'_, TargetDatabase, T>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Values<T> {
        let targets: Vec<&TargetDatabase> = self.databases().collect();
        let work = |target: &&TargetDatabase| work(target);
        let is_cancelled = || options.connect_options.is_cancelled();
        parallel_map(&targets, options.jobs, &work, &is_cancelled, &mut |_, _| on_done())
    }
}
