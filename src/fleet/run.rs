//! Runs operations that change databases: on the system database, then on the users, canaries
//! first.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::database::connection::ConnectOptions;
use crate::fleet::discover::Fleet;
use crate::fleet::pool;
use crate::fleet::pool::{parallel_for_each, run_caught};
use crate::migrate::adopt::{AdoptRequest, AdoptTarget};
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::Outcome;
use crate::sqlite::paths::{parent_directory, sync_directory};
use crate::target::TargetDatabase;

/// How an operation runs on a fleet.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The number of databases worked on at once.
    pub jobs: usize,
    /// What a failure means for the databases that are not started yet.
    pub on_failure: OnFailure,
    /// The number of users that run first; the others run only if all of these succeed.
    pub canary: Option<NonZeroUsize>,
    /// The busy timeout and the cancellation flag.
    pub connect_options: ConnectOptions,
}

/// What a failure means for the databases that are not started yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// They run.
    Continue,
    /// They are skipped.
    Stop,
}

/// Work on one database, on any thread.
pub(crate) type Work<'w> = pool::Work<'w, TargetDatabase, Outcome>;

/// Called on the calling thread with each database and its outcome.
pub(crate) type OnDone<'d> = dyn FnMut(&TargetDatabase, &Outcome) + 'd;

/// The outcomes of a run, in the fleet's order.
#[derive(Debug)]
#[non_exhaustive]
pub struct FleetOutcome {
    /// The outcome of the system database, if the fleet has one.
    pub system: Option<Outcome>,
    /// The outcomes of the users.
    pub users: Vec<Outcome>,
}

impl Fleet {
    /// Migrates the system database to the migrator's target, then the users. `on_done` is called
    /// after each database.
    pub fn upgrade(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work =
            |target: &TargetDatabase| migrator.upgrade_database(target, &options.connect_options);
        self.run(&work, options, on_done)
    }

    /// Runs seeds, in the given order, on the system database, then on the users. `on_done` is
    /// called after each database.
    pub fn seed(
        &self,
        migrator: &Migrator<'_, '_>,
        seed_names: &[String],
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work = |target: &TargetDatabase| {
            migrator.seed_database(target, seed_names, &options.connect_options)
        };
        self.run(&work, options, on_done)
    }

    /// Replaces the system database with a new one, then the users' databases. `on_done` is called
    /// after each database.
    pub fn reset(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work =
            |target: &TargetDatabase| migrator.reset_database(target, &options.connect_options);
        self.run(&work, options, on_done)
    }

    /// Adopts the system database, then the users' databases. `on_done` is called after each
    /// database.
    pub fn adopt(
        &self,
        migrator: &Migrator<'_, '_>,
        request: AdoptRequest,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work = |target: &TargetDatabase| {
            migrator.adopt_database(target, request, &options.connect_options)
        };
        self.run(&work, options, on_done)
    }

    /// Stamps the system database, then the users' databases. `on_done` is called after each
    /// database.
    pub fn stamp(
        &self,
        migrator: &Migrator<'_, '_>,
        adopt_target: AdoptTarget,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work = |target: &TargetDatabase| {
            migrator.stamp_database(target, adopt_target, &options.connect_options)
        };
        self.run(&work, options, on_done)
    }

    /// Runs work on the system database, the canaries and the other users, in this order. A failed
    /// system database or canary skips the databases after it.
    pub(crate) fn run(
        &self,
        work: &Work<'_>,
        options: &RunOptions,
        on_done: &mut OnDone<'_>,
    ) -> FleetOutcome {
        let system = self.system.as_ref().map(|target| {
            let outcome = if options.connect_options.is_cancelled() {
                Outcome::Skipped
            } else {
                run_caught(|| work(target))
            };
            on_done(target, &outcome);
            outcome
        });
        let is_halted = AtomicBool::new(system.as_ref().is_some_and(Outcome::is_failure));
        let users = self.run_users(work, options, &is_halted, on_done);
        let fleet_outcome = FleetOutcome { system, users };
        fleet_outcome.sync_directories(self);
        fleet_outcome
    }

    /// Runs work on the users: the canaries, then the others, until `is_halted` is set.
    pub(crate) fn run_users(
        &self,
        work: &Work<'_>,
        options: &RunOptions,
        is_halted: &AtomicBool,
        on_done: &mut OnDone<'_>,
    ) -> Vec<Outcome> {
        let is_stopped =
            || is_halted.load(Ordering::Relaxed) || options.connect_options.is_cancelled();
        let work = |index: usize| {
            let outcome = work(&self.users[index]);
            if outcome.is_failure() && options.on_failure == OnFailure::Stop {
                is_halted.store(true, Ordering::Relaxed);
            }
            outcome
        };
        let canary_count = options.canary.map_or(0, NonZeroUsize::get).min(self.users.len());
        let mut outcomes: Vec<Outcome> = self.users.iter().map(|_| Outcome::Skipped).collect();
        for range in [0..canary_count, canary_count..self.users.len()] {
            parallel_for_each(range, options.jobs, &work, &is_stopped, &mut |index, outcome| {
                on_done(&self.users[index], &outcome);
                outcomes[index] = outcome;
            });
            if outcomes[..canary_count].iter().any(Outcome::is_failure) {
                is_halted.store(true, Ordering::Relaxed);
            }
        }
        outcomes
    }
}

impl FleetOutcome {
    /// Each database of the run with its outcome.
    pub fn by_database<'o>(
        &'o self,
        fleet: &'o Fleet,
    ) -> impl Iterator<Item = (&'o TargetDatabase, &'o Outcome)> {
        let users = fleet.users.iter().zip(&self.users);
        fleet.system.iter().zip(&self.system).chain(users)
    }

    /// Whether every database was started and none failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.system
            .iter()
            .chain(&self.users)
            .all(|outcome| !outcome.is_failure() && !matches!(outcome, Outcome::Skipped))
    }

    /// Makes the removal of the last journals durable, once per directory instead of once per
    /// database. After a crash before this sync, SQLite finds a journal and rolls its database
    /// back, which is again a complete state.
    pub(crate) fn sync_directories(&self, fleet: &Fleet) {
        let has_committed = Outcome::changes_database;
        let directories = [
            fleet.system.as_ref().filter(|_| self.system.as_ref().is_some_and(has_committed)),
            fleet.users.first().filter(|_| self.users.iter().any(has_committed)),
        ];
        for path in
            directories.into_iter().flatten().filter_map(|target| target.location.file_path())
        {
            // A directory that cannot be synced here could not be synced by SQLite either.
            let _ = sync_directory(parent_directory(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::database::connection::ConnectionSetup;
    use crate::document::tag::{Scope, VersionPoint};
    use crate::sqlite::database_file::DatabaseFile;
    use crate::sqlite::regular_file::SymlinkPolicy;
    use crate::target::Location;

    fn target(scope: Scope, name: &str) -> TargetDatabase {
        let file = DatabaseFile::new(name.into(), SymlinkPolicy::Refuse);
        let location = Location::File(file);
        TargetDatabase { scope, name: name.into(), location, skip_reason: None }
    }

    /// The names of the databases that failed, after work that panics for the databases of this
    /// name.
    fn failed(panics_for: &str) -> Vec<String> {
        let users = ["ann", "ben", "cleo"].map(|name| target(Scope::User, name)).into();
        let system = Some(target(Scope::System, "system"));
        let fleet = Fleet { system, users, ..Fleet::default() };
        let work = |target: &TargetDatabase| {
            assert_ne!(target.name, panics_for, "of all databases");
            Outcome::Current { version: VersionPoint::Baseline }
        };
        let connect_options =
            ConnectOptions { busy_timeout: Duration::ZERO, setup: ConnectionSetup::default() };
        let on_failure = OnFailure::Continue;
        let options = RunOptions { jobs: 2, on_failure, canary: None, connect_options };
        let mut reported = 0;
        let outcomes = fleet.run(&work, &options, &mut |_, _| reported += 1);
        assert_eq!(reported, outcomes.by_database(&fleet).count() - skipped(&outcomes));
        let failures = outcomes.by_database(&fleet).filter(|(_, outcome)| outcome.is_failure());
        failures.map(|(target, _)| target.display_name()).collect()
    }

    fn skipped(outcomes: &FleetOutcome) -> usize {
        outcomes.users.iter().filter(|outcome| matches!(outcome, Outcome::Skipped)).count()
    }

    #[test]
    fn a_panic_is_reported_for_its_database_only() {
        assert_eq!(failed("nobody"), [""; 0]);
        assert_eq!(failed("ben"), ["ben"]);
        assert_eq!(failed("system"), ["system"]);
    }
}
