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

use crate::database::connection::Patience;
use crate::database::stats::Stats;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::fleet::directory::Listing;
use crate::fleet::pool::each;
use crate::migrate::adopt::At;
use crate::migrate::migrator::Ready;
use crate::migrate::replay::Replay;
use crate::migrate::status::Status;
use crate::migrate::verify::Verification;
use crate::plan::outcome::{Failure, Verdict};
use crate::target::Member;
use crate::target::layout::Layout;

pub use crate::fleet::error::FleetError;
pub(crate) use crate::fleet::pool::map;
pub use crate::fleet::pool::{DEFAULT_JOBS, workers};

/// The databases that were found.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The system database, if the document has blocks for one.
    pub system: Option<Member>,
    /// The user databases that were asked for, by file name.
    pub users: Vec<Member>,
    /// What else was noticed in the users directory.
    pub remarks: Vec<String>,
    /// How many user databases there are, asked for or not; unknown where nobody looked.
    pub users_found: Option<usize>,
}

/// Which user databases are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
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
        layout: &Layout,
        has: impl Fn(Scope) -> bool,
        selection: &Selection,
    ) -> Result<Self, FleetError> {
        #[cfg(feature = "server")]
        if let Some(servers) = &layout.servers {
            return namespaces::discover((layout, servers), has, selection);
        }
        let mut fleet = Self::default();
        if has(Scope::System) {
            if std::fs::symlink_metadata(&layout.system_db).is_err() {
                return Err(FleetError::NoSystem(layout.system_db.clone()));
            }
            fleet.system = Some(layout.system());
        }
        if !has(Scope::User) {
            return match selection {
                Selection::Named(_) => Err(FleetError::NoUserBlocks),
                Selection::None | Selection::All => Ok(fleet),
            };
        }
        let found = Listing::read(layout)?;
        fleet.users_found = Some(found.members.len());
        match selection {
            Selection::None => {}
            Selection::All => {
                fleet.users = found.members;
                fleet.remarks = found.remarks;
            }
            Selection::Named(names) => fleet.users = found.named(layout, names)?,
        }
        Ok(fleet)
    }

    /// Where the databases of the system and of some users are, or would be if they were there.
    ///
    /// # Errors
    ///
    /// A missing users directory, or a name that no file can have.
    pub fn places(
        layout: &Layout,
        wanted: &[(Scope, OsString)],
    ) -> Result<Vec<Member>, FleetError> {
        #[cfg(feature = "server")]
        if let Some(servers) = &layout.servers {
            let place = |(scope, name): &(Scope, OsString)| match scope {
                Scope::System => Ok(servers.system()),
                Scope::User => Ok(layout.user(name)?),
            };
            return wanted.iter().map(place).collect();
        }
        let has_users = wanted.iter().any(|(scope, _)| *scope == Scope::User);
        let found = if has_users { Listing::read(layout)?.members } else { Vec::new() };
        let found: HashMap<&OsStr, &Member> =
            found.iter().map(|member| (member.name.as_os_str(), member)).collect();
        let place = |(scope, name): &(Scope, OsString)| match scope {
            Scope::System => Ok(layout.system()),
            Scope::User => match found.get(name.as_os_str()) {
                Some(member) => Ok(Member::clone(member)),
                None => Ok(layout.user(name)?),
            },
        };
        wanted.iter().map(place).collect()
    }

    /// Every database, the system database first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.system.iter().chain(&self.users)
    }
}

/// How a fleet is worked through.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many databases at once.
    pub jobs: usize,
    /// What a failure means for those not begun.
    pub on_failure: OnFailure,
    /// How many users go first; the others only if all of these succeed.
    pub canary: Option<NonZeroUsize>,
    /// Locks and interrupts.
    pub patience: Patience,
}

/// What a failure means for the databases not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: each database is on its own.
    GoOn,
    /// They are skipped.
    Stop,
}

/// The directory in which a file stands.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What is done to a database, on any thread.
type Work<'w, T> = pool::Work<'w, Member, T>;

/// What became of a fleet, in the fleet's order.
#[derive(Debug)]
pub struct Outcome {
    /// The system database, if there is one.
    pub system: Option<Verdict>,
    /// The users.
    pub users: Vec<Verdict>,
}

impl Fleet {
    /// Brings the system database to the target, then the users. `done` is told of each as it
    /// ends.
    pub fn upgrade(
        &self,
        ready: &Ready<'_, '_>,
        options: &Options,
        done: &mut dyn FnMut(&Member, &Verdict),
    ) -> Outcome {
        let work = |member: &Member| ready.upgrade_member(member, &options.patience);
        self.run((&work, options), done)
    }

    /// Brings the users down to the target, and then the system database. It stays where it is
    /// unless every user got there, so that it is never below one of them; and no user is touched
    /// where its own way down fails in a `trial`, which is `ready` rolled back.
    pub fn downgrade(
        &self,
        (ready, trial): (&Ready<'_, '_>, &Ready<'_, '_>),
        options: &Options,
        done: &mut dyn FnMut(&Member, &Verdict),
    ) -> Outcome {
        let patience = &options.patience;
        let work = |member: &Member| ready.upgrade_member(member, patience);
        let tried = self.system.as_ref().map(|member| trial.upgrade_member(member, patience));
        if let Some(verdict) = tried.filter(Verdict::is_failure) {
            let users = self.users.iter().map(|_| Verdict::Skipped).collect();
            return Outcome { system: Some(verdict), users };
        }
        let users = self.work_users((&work, options), &AtomicBool::new(false), done);
        let stays = |verdict: &Verdict| verdict.is_failure() || matches!(verdict, Verdict::Skipped);
        let held = users.iter().any(stays) || patience.stopped();
        let system = self.system.as_ref().map(|member| {
            let verdict = if held { Verdict::Skipped } else { work(member) };
            done(member, &verdict);
            verdict
        });
        let outcome = Outcome { system, users };
        outcome.settle(self);
        outcome
    }

    /// Checks every database; what is found alike in many is kept once. `done` is called as each
    /// one is checked.
    pub fn verify(
        &self,
        ready: &Ready<'_, '_>,
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<Arc<Verification>, Failure>>> {
        let known = Mutex::new(BTreeSet::new());
        let verify = |member: &Member| {
            let found = Arc::new(member.verify(ready, &options.patience)?);
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(same) = known.get(&found) {
                return Ok(Arc::clone(same));
            }
            known.insert(Arc::clone(&found));
            Ok(found)
        };
        self.look((&verify, options), done)
    }

    /// Runs seeds on the system database, then on the users.
    pub fn seed(
        &self,
        ready: &Ready<'_, '_>,
        (names, options): (&[String], &Options),
        done: &mut dyn FnMut(&Member, &Verdict),
    ) -> Outcome {
        let work = |member: &Member| ready.seed_member(member, names, &options.patience);
        self.run((&work, options), done)
    }

    /// Puts new databases in the place of the system database, then of the users.
    pub fn reset(
        &self,
        ready: &Ready<'_, '_>,
        options: &Options,
        done: &mut dyn FnMut(&Member, &Verdict),
    ) -> Outcome {
        let work = |member: &Member| ready.reset_member(member, &options.patience);
        self.run((&work, options), done)
    }

    /// Adopts the system database, then the users.
    pub fn adopt(&self, ready: &Ready<'_, '_>, (at, options): (At, &Options)) -> Outcome {
        let work = |member: &Member| ready.adopt_member(member, at, &options.patience);
        self.run((&work, options), &mut |_, _| {})
    }

    /// Stamps the system database, then the users.
    pub fn stamp(&self, ready: &Ready<'_, '_>, (at, options): (At, &Options)) -> Outcome {
        let work = |member: &Member| ready.stamp_member(member, at, &options.patience);
        self.run((&work, options), &mut |_, _| {})
    }

    /// Works through the fleet in its order: the system database, the canaries, the others.
    fn run(
        &self,
        (work, options): (&Work<'_, Verdict>, &Options),
        done: &mut dyn FnMut(&Member, &Verdict),
    ) -> Outcome {
        let system = self.system.as_ref().map(|member| {
            let verdict = if options.patience.stopped() { Verdict::Skipped } else { work(member) };
            done(member, &verdict);
            verdict
        });
        let halted = AtomicBool::new(system.as_ref().is_some_and(Verdict::is_failure));
        let users = self.work_users((work, options), &halted, done);
        let outcome = Outcome { system, users };
        outcome.settle(self);
        outcome
    }

    /// Works through the users: the canaries, then the others, until it is halted.
    fn work_users(
        &self,
        (work, options): (&Work<'_, Verdict>, &Options),
        halted: &AtomicBool,
        done: &mut dyn FnMut(&Member, &Verdict),
    ) -> Vec<Verdict> {
        let stop = || halted.load(Ordering::Relaxed) || options.patience.stopped();
        let work = |at: usize| {
            let verdict = work(&self.users[at]);
            if verdict.is_failure() && options.on_failure == OnFailure::Stop {
                halted.store(true, Ordering::Relaxed);
            }
            verdict
        };
        let canaries = options.canary.map_or(0, NonZeroUsize::get).min(self.users.len());
        let mut users: Vec<Verdict> = self.users.iter().map(|_| Verdict::Skipped).collect();
        for places in [0..canaries, canaries..self.users.len()] {
            each(places, options.jobs, (&work, &stop), &mut |at, verdict| {
                done(&self.users[at], &verdict);
                users[at] = verdict;
            });
            if users[..canaries].iter().any(Verdict::is_failure) {
                halted.store(true, Ordering::Relaxed);
            }
        }
        users
    }

    /// Reads where every database stands on the way that a document is ready for. `done` is
    /// called as each one is read.
    pub fn standings(
        &self,
        ready: &Ready<'_, '_>,
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Status>> {
        self.look((&|member| ready.status_of(member, &options.patience), options), done)
    }

    /// Counts what every database holds. `done` is called as each one is counted.
    pub fn stats(
        &self,
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<Stats, Failure>>> {
        self.look((&|member| member.stats(&options.patience), options), done)
    }

    /// Reads where every database stands. `done` is called as each one is read.
    pub fn status(
        &self,
        at: (&Changelog<'_>, Option<&Replay<'_>>, usize),
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Status>> {
        self.look((&|member| member.status(at, &options.patience), options), done)
    }

    /// Looks at every database, in no order. One that was not begun before an interrupt has no
    /// value.
    fn look<T: Send>(
        &self,
        (work, options): (&Work<'_, T>, &Options),
        done: &mut dyn FnMut(),
    ) -> Vec<Option<T>> {
        let members: Vec<&Member> = self.members().collect();
        let work = |member: &&Member| work(member);
        map(&members, options.jobs, (&work, &|| options.patience.stopped()), done)
    }
}

impl Outcome {
    /// Each database that was in the run, with what became of it.
    pub fn by_member<'o>(
        &'o self,
        fleet: &'o Fleet,
    ) -> impl Iterator<Item = (&'o Member, &'o Verdict)> {
        let users = fleet.users.iter().zip(&self.users);
        fleet.system.iter().zip(&self.system).chain(users)
    }

    /// Whether every database was begun and none failed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.system
            .iter()
            .chain(&self.users)
            .all(|verdict| !verdict.is_failure() && !matches!(verdict, Verdict::Skipped))
    }

    /// Makes the removal of the last journals durable, once for all. A crash before this is
    /// mended by SQLite: such a journal is rolled back to before, which is whole as well.
    fn settle(&self, fleet: &Fleet) {
        let committed = |verdict: &Verdict| {
            matches!(
                verdict,
                Verdict::Upgraded(_)
                    | Verdict::Downgraded(_)
                    | Verdict::Renewed { .. }
                    | Verdict::Seeded { .. }
                    | Verdict::Recorded { .. }
            )
        };
        let directories = [
            fleet.system.as_ref().filter(|_| self.system.as_ref().is_some_and(committed)),
            fleet.users.first().filter(|_| self.users.iter().any(committed)),
        ];
        for path in directories.into_iter().flatten().filter_map(|member| member.home.file()) {
            // Where a directory cannot be synced, SQLite could not sync it either.
            let _ = std::fs::File::open(directory(path)).and_then(|directory| directory.sync_all());
        }
    }
}
