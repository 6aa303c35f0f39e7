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

/// The values of all databases in the fleet's order; `None` for a database that was not read to its
/// end before an interrupt.
type Values<T> = Vec<Option<T>>;

/// What was read of a database.
trait ReadValue: WorkValue {
    /// Whether an interrupt ended the reading.
    fn is_interrupted(&self) -> bool;
}

impl ReadValue for DatabaseStatus {
    fn is_interrupted(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.is_interrupted())
    }
}

impl<T: Send> ReadValue for Result<T, MigrateError> {
    fn is_interrupted(&self) -> bool {
        self.as_ref().is_err_and(MigrateError::is_interrupted)
    }
}

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

    fn for_each<T: ReadValue>(
        &self,
        work: &pool::Work<'_, TargetDatabase, T>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Values<T> {
        let targets: Vec<&TargetDatabase> = self.databases().collect();
        let work = |target: &&TargetDatabase| work(target);
        let is_cancelled = || options.connect_options.is_cancelled();
        let values =
            parallel_map(&targets, options.jobs, &work, &is_cancelled, &mut |_, _| on_done());
        let values = values.into_iter();
        values.map(|value| value.filter(|value| !value.is_interrupted())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::database::connection::{ConnectOptions, ConnectionSetup};
    use crate::database::error::DatabaseError;
    use crate::document::tag::Scope;
    use crate::fleet::run::OnFailure;
    use crate::sqlite::database_file::DatabaseFile;
    use crate::sqlite::regular_file::SymlinkPolicy;
    use crate::target::Location;

    fn user(name: &str) -> TargetDatabase {
        let file = DatabaseFile::new(name.into(), SymlinkPolicy::Refuse);
        let location = Location::File(file);
        TargetDatabase { scope: Scope::User, name: name.into(), location, skip_reason: None }
    }

    #[test]
    fn a_database_that_an_interrupt_left_unread_has_no_value() {
        let fleet = Fleet { users: vec![user("ann"), user("bob")], ..Fleet::default() };
        let read = |target: &TargetDatabase| -> Result<usize, MigrateError> {
            if target.name == "ann" { Ok(1) } else { Err(DatabaseError::Interrupted.into()) }
        };
        let connect_options =
            ConnectOptions { busy_timeout: Duration::ZERO, setup: ConnectionSetup::default() };
        let on_failure = OnFailure::Continue;
        let options = RunOptions { jobs: 2, on_failure, canary: None, connect_options };
        let values = fleet.for_each(&read, &options, &mut || {});
        assert!(matches!(values.as_slice(), [Some(Ok(1)), None]), "{values:?}");
        let read = |_: &TargetDatabase| {
            DatabaseStatus::from_error(None, DatabaseError::Interrupted.into())
        };
        assert!(fleet.for_each(&read, &options, &mut || {}).iter().all(Option::is_none));
    }
}
