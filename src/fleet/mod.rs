//! Which databases there are, and how they are worked through: the system database first, then
//! the users' in parallel, each on its own. Outcomes are values in name order.

pub(crate) mod directory;
pub(crate) mod error;
#[cfg(feature = "server")]
pub(crate) mod namespaces;
pub(crate) mod pool;

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::connection::ConnectOptions;
use crate::database::stats::Stats;
use crate::document::tag::Scope;
use crate::fleet::directory::DirectoryScan;
use crate::fleet::pool::parallel_for_each;
use crate::migrate::adopt::AdoptTarget;
use crate::migrate::migrator::Migrator;
use crate::migrate::status::{DatabaseStatus, StatusQuery};
use crate::migrate::verify::VerifyReport;
use crate::plan::outcome::{MigrateError, Outcome};

pub use crate::fleet::error::FleetError;
pub(crate) use crate::fleet::pool::parallel_map;
pub use crate::fleet::pool::{DEFAULT_JOBS, worker_count};
#[cfg(feature = "server")]
pub use crate::libsql::namespace::ServerHandle;
pub use crate::target::layout::{FleetConfig, SymlinkPolicy};
pub use crate::target::pattern::{PathTemplate, PathTemplateError};
#[cfg(feature = "server")]
pub use crate::target::servers::{
    DEFAULT_USERS_QUERY, Placement, ServerSet, ServerSetError, UserSource, UserSourceError,
};
pub use crate::target::shard::{Shard, ShardError};
#[cfg(feature = "server")]
pub use crate::target::transfer::TransferOutcome;
pub use crate::target::{Location, TargetDatabase};

/// The databases that were found.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The system database, if the document has blocks for one.
    pub system: Option<TargetDatabase>,
    /// The user databases that were asked for, by file name.
    pub users: Vec<TargetDatabase>,
    /// What else was noticed in the users directory.
    pub notices: Vec<String>,
    /// How many user databases there are, asked for or not; unknown where nobody looked.
    pub total_users: Option<usize>,
}

/// Which user databases are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSelection {
    /// None of them; they are counted.
    None,
    /// All that are found.
    All,
    /// These.
    Named(Vec<OsString>),
}

impl Fleet {
    /// Finds the databases for which a document has blocks.
    ///
    /// # Errors
    ///
    /// A missing system database, users directory or named user. No file is opened or made.
    pub fn discover(
        config: &FleetConfig,
        has_blocks: impl Fn(Scope) -> bool,
        selection: &UserSelection,
    ) -> Result<Self, FleetError> {
        #[cfg(feature = "server")]
        if let Some(server_set) = &config.server_set {
            return namespaces::discover((config, server_set), has_blocks, selection);
        }
        let mut fleet = Self::default();
        if has_blocks(Scope::System) {
            if std::fs::symlink_metadata(&config.system_db).is_err() {
                return Err(FleetError::NoSystemDatabase(config.system_db.clone()));
            }
            fleet.system = Some(config.system_database());
        }
        if !has_blocks(Scope::User) {
            return match selection {
                UserSelection::Named(_) => Err(FleetError::NoUserBlocks),
                UserSelection::None | UserSelection::All => Ok(fleet),
            };
        }
        let scan = DirectoryScan::read(config)?;
        fleet.total_users = Some(scan.targets.len());
        match selection {
            UserSelection::None => {}
            UserSelection::All => {
                fleet.users = scan.targets;
                fleet.notices = scan.notices;
            }
            UserSelection::Named(names) => fleet.users = scan.select_named(config, names)?,
        }
        Ok(fleet)
    }

    /// Where the databases of the system and of some users are, or would be if they were there.
    ///
    /// # Errors
    ///
    /// A missing users directory, or a name that no file can have.
    pub fn resolve(
        config: &FleetConfig,
        requested: &[(Scope, OsString)],
    ) -> Result<Vec<TargetDatabase>, FleetError> {
        #[cfg(feature = "server")]
        if let Some(server_set) = &config.server_set {
            let resolve_one = |(scope, name): &(Scope, OsString)| match scope {
                Scope::System => Ok(server_set.system_database()),
                Scope::User => Ok(config.user_database(name)?),
            };
            return requested.iter().map(resolve_one).collect();
        }
        let has_users = requested.iter().any(|(scope, _)| *scope == Scope::User);
        let found = if has_users { DirectoryScan::read(config)?.targets } else { Vec::new() };
        let found: HashMap<&OsStr, &TargetDatabase> =
            found.iter().map(|target| (target.name.as_os_str(), target)).collect();
        let resolve_one = |(scope, name): &(Scope, OsString)| match scope {
            Scope::System => Ok(config.system_database()),
            Scope::User => match found.get(name.as_os_str()) {
                Some(member) => Ok(TargetDatabase::clone(member)),
                None => Ok(config.user_database(name)?),
            },
        };
        requested.iter().map(resolve_one).collect()
    }

    /// Every database, the system database first.
    pub fn databases(&self) -> impl Iterator<Item = &TargetDatabase> {
        self.system.iter().chain(&self.users)
    }
}

/// How a fleet is worked through.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How many databases at once.
    pub jobs: usize,
    /// What a failure means for those not begun.
    pub on_failure: OnFailure,
    /// How many users go first; the others only if all of these succeed.
    pub canary: Option<NonZeroUsize>,
    /// Locks and interrupts.
    pub connect_options: ConnectOptions,
}

/// What a failure means for the databases not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// Nothing: each database is on its own.
    Continue,
    /// They are skipped.
    Stop,
}

/// The directory in which a file stands.
fn parent_directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What is done to a database, on any thread.
type Work<'w, T> = pool::Work<'w, TargetDatabase, T>;

/// What became of a fleet, in the fleet's order.
#[derive(Debug)]
#[non_exhaustive]
pub struct FleetOutcome {
    /// The system database, if there is one.
    pub system: Option<Outcome>,
    /// The users.
    pub users: Vec<Outcome>,
}

impl Fleet {
    /// Brings the system database to the target, then the users. `done` is told of each as it
    /// ends.
    pub fn upgrade(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work =
            |target: &TargetDatabase| migrator.upgrade_database(target, &options.connect_options);
        self.run((&work, options), on_done)
    }

    /// Brings the users down to the target, and then the system database. It stays where it is
    /// unless every user got there, so that it is never below one of them; and no user is touched
    /// where its own way down fails in a `trial`, which is `ready` rolled back.
    pub fn downgrade(
        &self,
        (migrator, rehearsal): (&Migrator<'_, '_>, &Migrator<'_, '_>),
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let connect_options = &options.connect_options;
        let work = |target: &TargetDatabase| migrator.upgrade_database(target, connect_options);
        let rehearsal_outcome =
            self.system.as_ref().map(|target| rehearsal.upgrade_database(target, connect_options));
        if let Some(outcome) = rehearsal_outcome.filter(Outcome::is_failure) {
            let users = self.users.iter().map(|_| Outcome::Skipped).collect();
            return FleetOutcome { system: Some(outcome), users };
        }
        let users = self.run_users((&work, options), &AtomicBool::new(false), on_done);
        let is_not_downgraded =
            |outcome: &Outcome| outcome.is_failure() || matches!(outcome, Outcome::Skipped);
        let is_system_blocked =
            users.iter().any(is_not_downgraded) || connect_options.is_cancelled();
        let system = self.system.as_ref().map(|target| {
            let outcome = if is_system_blocked { Outcome::Skipped } else { work(target) };
            on_done(target, &outcome);
            outcome
        });
        let fleet_outcome = FleetOutcome { system, users };
        fleet_outcome.sync_directories(self);
        fleet_outcome
    }

    /// Checks every database; what is found alike in many is kept once. `done` is called as each
    /// one is checked.
    pub fn verify(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<Arc<VerifyReport>, MigrateError>>> {
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
        self.for_each((&verify, options), on_done)
    }

    /// Runs seeds on the system database, then on the users.
    pub fn seed(
        &self,
        migrator: &Migrator<'_, '_>,
        (seed_names, options): (&[String], &RunOptions),
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work = |target: &TargetDatabase| {
            migrator.seed_database(target, seed_names, &options.connect_options)
        };
        self.run((&work, options), on_done)
    }

    /// Puts new databases in the place of the system database, then of the users.
    pub fn reset(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let work =
            |target: &TargetDatabase| migrator.reset_database(target, &options.connect_options);
        self.run((&work, options), on_done)
    }

    /// Adopts the system database, then the users.
    pub fn adopt(
        &self,
        migrator: &Migrator<'_, '_>,
        (adopt_target, options): (AdoptTarget, &RunOptions),
    ) -> FleetOutcome {
        let work = |target: &TargetDatabase| {
            migrator.adopt_database(target, adopt_target, &options.connect_options)
        };
        self.run((&work, options), &mut |_, _| {})
    }

    /// Stamps the system database, then the users.
    pub fn stamp(
        &self,
        migrator: &Migrator<'_, '_>,
        (adopt_target, options): (AdoptTarget, &RunOptions),
    ) -> FleetOutcome {
        let work = |target: &TargetDatabase| {
            migrator.stamp_database(target, adopt_target, &options.connect_options)
        };
        self.run((&work, options), &mut |_, _| {})
    }

    /// Works through the fleet in its order: the system database, the canaries, the others.
    fn run(
        &self,
        (work, options): (&Work<'_, Outcome>, &RunOptions),
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let system = self.system.as_ref().map(|target| {
            let outcome = if options.connect_options.is_cancelled() {
                Outcome::Skipped
            } else {
                work(target)
            };
            on_done(target, &outcome);
            outcome
        });
        let is_halted = AtomicBool::new(system.as_ref().is_some_and(Outcome::is_failure));
        let users = self.run_users((work, options), &is_halted, on_done);
        let fleet_outcome = FleetOutcome { system, users };
        fleet_outcome.sync_directories(self);
        fleet_outcome
    }

    /// Works through the users: the canaries, then the others, until it is halted.
    fn run_users(
        &self,
        (work, options): (&Work<'_, Outcome>, &RunOptions),
        is_halted: &AtomicBool,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
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
            parallel_for_each(range, options.jobs, (&work, &is_stopped), &mut |index, verdict| {
                on_done(&self.users[index], &verdict);
                outcomes[index] = verdict;
            });
            if outcomes[..canary_count].iter().any(Outcome::is_failure) {
                is_halted.store(true, Ordering::Relaxed);
            }
        }
        outcomes
    }

    /// Reads where every database stands on the way that a document is ready for. `done` is
    /// called as each one is read.
    pub fn statuses(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Vec<Option<DatabaseStatus>> {
        self.for_each(
            (&|target| migrator.status(target, &options.connect_options), options),
            on_done,
        )
    }

    /// Counts what every database holds. `done` is called as each one is counted.
    pub fn stats(
        &self,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<Stats, MigrateError>>> {
        self.for_each((&|target| target.stats(&options.connect_options), options), on_done)
    }

    /// Reads where every database stands. `done` is called as each one is read.
    pub fn statuses_at(
        &self,
        query: StatusQuery<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Vec<Option<DatabaseStatus>> {
        self.for_each((&|target| target.status(query, &options.connect_options), options), on_done)
    }

    /// Looks at every database, in no order. One that was not begun before an interrupt has no
    /// value.
    fn for_each<T: Send>(
        &self,
        (work, options): (&Work<'_, T>, &RunOptions),
        on_done: &mut dyn FnMut(),
    ) -> Vec<Option<T>> {
        let targets: Vec<&TargetDatabase> = self.databases().collect();
        let work = |target: &&TargetDatabase| work(target);
        parallel_map(
            &targets,
            options.jobs,
            (&work, &|| options.connect_options.is_cancelled()),
            on_done,
        )
    }
}

impl FleetOutcome {
    /// Each database that was in the run, with what became of it.
    pub fn by_database<'o>(
        &'o self,
        fleet: &'o Fleet,
    ) -> impl Iterator<Item = (&'o TargetDatabase, &'o Outcome)> {
        let users = fleet.users.iter().zip(&self.users);
        fleet.system.iter().zip(&self.system).chain(users)
    }

    /// Whether every database was begun and none failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.system
            .iter()
            .chain(&self.users)
            .all(|outcome| !outcome.is_failure() && !matches!(outcome, Outcome::Skipped))
    }

    /// Makes the removal of the last journals durable, once for all. A crash before this is
    /// mended by SQLite: such a journal is rolled back to before, which is whole as well.
    fn sync_directories(&self, fleet: &Fleet) {
        let has_committed = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Upgraded(_)
                    | Outcome::Downgraded(_)
                    | Outcome::Reset { .. }
                    | Outcome::Seeded { .. }
                    | Outcome::VersionRecorded { .. }
            )
        };
        let directories = [
            fleet.system.as_ref().filter(|_| self.system.as_ref().is_some_and(has_committed)),
            fleet.users.first().filter(|_| self.users.iter().any(has_committed)),
        ];
        for path in
            directories.into_iter().flatten().filter_map(|target| target.location.file_path())
        {
            // Where a directory cannot be synced, SQLite could not sync it either.
            let _ = std::fs::File::open(parent_directory(path))
                .and_then(|directory| directory.sync_all());
        }
    }
}
