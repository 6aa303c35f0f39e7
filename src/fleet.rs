//! Which databases there are, and how they are worked through: the system database first, then
//! the users' in parallel, each on its own. Outcomes are values in name order.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::adopt::At;
use crate::database::file::{Patience, side_file};
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::executor::{Failure, Ready, Status, Verdict};
use crate::layout::{Layout, Links, Member, Pattern, from_bytes, shown};
use crate::replay::Replay;
use crate::verify::Verification;

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

/// A fleet that cannot be made out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No system database.
    #[error("there is no system database at `{}`; `tatmig init` makes one, `--system-db` names another", .0.display())]
    NoSystem(PathBuf),
    /// No users directory.
    #[error("there is no users directory `{}`; `--users-dir` names another", .0.display())]
    NoUsersDir(PathBuf),
    /// Users that have no file.
    #[error("no database of {} in `{}`: files named `{pattern}` were looked for{near}", names(.users), .dir.display())]
    UnknownUsers {
        /// The users.
        users: Vec<String>,
        /// Where they were looked for.
        dir: PathBuf,
        /// How their files would be named.
        pattern: Pattern,
        /// A hint at who is there.
        near: String,
    },
    /// Users were named, and the document has nothing for them.
    #[error("the document has no user block, so there are no user databases to name")]
    NoUserBlocks,
    /// The users directory cannot be read.
    #[error("the users directory `{}` cannot be read: {source}", .dir.display())]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn names(users: &[String]) -> String {
    let quoted: Vec<String> = users.iter().map(|user| format!("`{user}`")).collect();
    let noun = if users.len() == 1 { "user" } else { "users" };
    format!("{noun} {}", quoted.join(", "))
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
        let mut fleet = Self::default();
        if has(Scope::System) {
            let system = layout.system();
            if std::fs::symlink_metadata(&system.path).is_err() {
                return Err(FleetError::NoSystem(system.path));
            }
            fleet.system = Some(system);
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

    /// Every database, the system database first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.system.iter().chain(&self.users)
    }
}

/// What a users directory holds.
struct Listing {
    members: Vec<Member>,
    remarks: Vec<String>,
    /// Second names of one file, and the name that counts.
    aliases: HashMap<OsString, OsString>,
}

/// What tells one file from another, whatever its names.
type Identity = (u64, u64);

impl Listing {
    fn read(layout: &Layout) -> Result<Self, FleetError> {
        let dir = &layout.users_dir;
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => FleetError::NoUsersDir(dir.clone()),
            _ => FleetError::Unreadable { dir: dir.clone(), source },
        };
        let system = std::fs::metadata(&layout.system_db).ok().as_ref().and_then(identity);
        let mut listing =
            Self { members: Vec::new(), remarks: Vec::new(), aliases: HashMap::new() };
        let mut found: Vec<(OsString, Option<Identity>)> = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file = entry.file_name();
            let Some(user) = layout.pattern.user(&file) else { continue };
            let path = layout.beside_users(&file);
            if path == layout.system_db || is_side_file(&path) || file == ".tatmig-index" {
                continue;
            }
            if user.is_empty() {
                listing.remarks.push(format!(
                    "`{}` fits the user pattern and names nobody; it was left alone",
                    shown(&file)
                ));
                continue;
            }
            let (identity, refused) = match entry.metadata() {
                Err(error) => (None, Some(format!("it cannot be looked at: {error}"))),
                Ok(metadata) => kind(&path, metadata, layout.links),
            };
            if identity.is_some() && identity == system {
                continue;
            }
            listing.members.push(Member { scope: Scope::User, name: user, path, refused });
            found.push((file, identity));
        }
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|left, right| found[*left].0.cmp(&found[*right].0));
        listing.keep(&order, &found);
        Ok(listing)
    }

    /// Sorts, and leaves one name for each file.
    fn keep(&mut self, order: &[usize], found: &[(OsString, Option<Identity>)]) {
        let mut members: Vec<Option<Member>> =
            std::mem::take(&mut self.members).into_iter().map(Some).collect();
        let mut first: HashMap<Identity, usize> = HashMap::with_capacity(order.len());
        for at in order {
            let Some(member) = members[*at].take() else { continue };
            let Some(identity) = found[*at].1 else {
                self.members.push(member);
                continue;
            };
            let Some(known) = first.get(&identity).copied() else {
                first.insert(identity, self.members.len());
                self.members.push(member);
                continue;
            };
            let original = &mut self.members[known];
            if has_journal(&member.path) {
                original.refused = Some(format!(
                    "the same file is named `{}` too, and a journal stands beside that name; end the program that uses it, then remove one of the names",
                    shown(found[*at].0.as_os_str())
                ));
            }
            self.remarks.push(format!(
                "`{}` is another name of the file of user `{}`: one database, told once",
                shown(&found[*at].0),
                original.shown()
            ));
            self.aliases.insert(member.name, original.name.clone());
        }
    }

    fn named(self, layout: &Layout, names: &[OsString]) -> Result<Vec<Member>, FleetError> {
        let mut wanted: Vec<&OsString> =
            names.iter().map(|name| self.aliases.get(name).unwrap_or(name)).collect();
        wanted.sort();
        wanted.dedup();
        let unknown: Vec<String> = wanted
            .iter()
            .filter(|name| !self.members.iter().any(|member| member.name == ***name))
            .map(|name| shown(name))
            .collect();
        if !unknown.is_empty() {
            let some: Vec<String> =
                self.members.iter().take(5).map(|member| format!("`{}`", member.shown())).collect();
            let near = match (some.len(), self.members.len()) {
                (0, _) => "; none are there".to_owned(),
                (shown, all) if shown == all => format!("; there are {}", some.join(", ")),
                (_, all) => format!("; there are {all}: {}, …", some.join(", ")),
            };
            return Err(FleetError::UnknownUsers {
                users: unknown,
                dir: layout.users_dir.clone(),
                pattern: layout.pattern.clone(),
                near,
            });
        }
        Ok(self.members.into_iter().filter(|member| wanted.contains(&&member.name)).collect())
    }
}

/// What a directory entry is: its identity if it may be opened, else why not.
fn kind(path: &Path, metadata: Metadata, links: Links) -> (Option<Identity>, Option<String>) {
    let metadata = if metadata.is_symlink() {
        if links == Links::Refuse {
            let reason = "it is a symbolic link; `--follow-symlinks` permits it";
            return (None, Some(reason.to_owned()));
        }
        match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return (None, Some(format!("it is a link that leads nowhere: {error}"))),
        }
    } else {
        metadata
    };
    if metadata.is_file() {
        return (identity(&metadata), None);
    }
    let what = if metadata.is_dir() { "a directory" } else { "no regular file" };
    (None, Some(format!("it is {what}, not a database")))
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // other systems have none
fn identity(metadata: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Option<Identity> {
    None
}

fn has_journal(path: &Path) -> bool {
    ["-journal", "-wal"].iter().any(|suffix| side_file(path, suffix).exists())
}

/// Whether a file is SQLite's side file of another one beside it.
fn is_side_file(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    ["-journal", "-wal", "-shm"].iter().any(|suffix| {
        bytes
            .strip_suffix(suffix.as_bytes())
            .is_some_and(|base| Path::new(&from_bytes(base)).exists())
    })
}

/// The number of databases worked on at once where nobody says: the work waits on the disk, not
/// on processors, and what waits overlaps.
pub const DEFAULT_JOBS: usize = 32;

/// As many workers as asked for and as the descriptor limit allows.
#[must_use]
pub fn workers(jobs: usize) -> usize {
    // A database takes its own descriptor, its journal's or its WAL's and shared memory's, and
    // its directory's while that is synced.
    const EACH: u64 = 4;
    const ASIDE: u64 = 12;
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = None;
    let fit = limit.map_or(u64::MAX, |limit: u64| limit.saturating_sub(ASIDE) / EACH);
    jobs.min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1)
}

/// What is done to a member, on any thread.
type Work<'w, T> = dyn Fn(&Member) -> T + Sync + 'w;

/// Works through members on some threads. `done` is called on the calling thread as each one
/// ends; a member that was not begun, because `stop` said so before, has no value.
pub(crate) fn each<T: Send>(
    members: &[Member],
    jobs: usize,
    (work, stop): (&Work<'_, T>, &(dyn Fn() -> bool + Sync)),
    done: &mut dyn FnMut(usize, &T),
) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = members.iter().map(|_| None).collect();
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let take = |send: &mut dyn FnMut(usize, T)| {
        while !stop() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(member) = members.get(at) else { break };
            send(at, work(member));
        }
    };
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs.min(members.len()) {
            let (sender, take) = (sender.clone(), &take);
            let worker = std::thread::Builder::new().name("tatmig-worker".to_owned());
            // Where the system gives no more threads, those that run do the work.
            let spawned = worker.spawn_scoped(scope, move || {
                take(&mut |at, value| {
                    let _ = sender.send((at, value));
                });
            });
            started += usize::from(spawned.is_ok());
        }
        drop(sender);
        if started == 0 {
            take(&mut |at, value| {
                done(at, &value);
                results[at] = Some(value);
            });
        }
        for (at, value) in receiver {
            done(at, &value);
            results[at] = Some(value);
        }
    });
    results
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
        let patience = &options.patience;
        let work = |member: &Member| ready.upgrade_member(member, patience);
        self.run((&work, options), done)
    }

    /// Checks every database. `done` is called as each one is checked.
    pub fn verify(
        &self,
        document: (&Changelog<'_>, &Replay<'_>),
        (jobs, patience): (usize, &Patience),
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<Verification, Failure>>> {
        let members: Vec<Member> = self.members().cloned().collect();
        let work = |member: &Member| member.verify(document, patience);
        each(&members, jobs, (&work, &|| patience.stopped()), &mut |_, _| done())
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
        let stop = || halted.load(Ordering::Relaxed) || options.patience.stopped();
        let work = |member: &Member| {
            let verdict = work(member);
            if verdict.is_failure() && options.on_failure == OnFailure::Stop {
                halted.store(true, Ordering::Relaxed);
            }
            verdict
        };
        let canaries = options.canary.map_or(0, NonZeroUsize::get).min(self.users.len());
        let (first, rest) = self.users.split_at(canaries);
        let mut users = Vec::with_capacity(self.users.len());
        for members in [first, rest] {
            let mut tell = |at: usize, verdict: &Verdict| done(&members[at], verdict);
            let verdicts = each(members, options.jobs, (&work, &stop), &mut tell);
            users.extend(verdicts.into_iter().map(|verdict| verdict.unwrap_or(Verdict::Skipped)));
            if users.iter().any(Verdict::is_failure) && users.len() == canaries {
                halted.store(true, Ordering::Relaxed);
            }
        }
        let outcome = Outcome { system, users };
        outcome.settle(self);
        outcome
    }

    /// Reads where every database stands. `done` is called as each one is read.
    pub fn status(
        &self,
        at: (&Changelog<'_>, Option<&Replay<'_>>, usize),
        (jobs, patience): (usize, &Patience),
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Status>> {
        let members: Vec<Member> = self.members().cloned().collect();
        let work = |member: &Member| member.status(at, patience);
        each(&members, jobs, (&work, &|| patience.stopped()), &mut |_, _| done())
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
                Verdict::Upgraded(_) | Verdict::Seeded { .. } | Verdict::Recorded { .. }
            )
        };
        let directories = [
            fleet.system.as_ref().filter(|_| self.system.as_ref().is_some_and(committed)),
            fleet.users.first().filter(|_| self.users.iter().any(committed)),
        ];
        for member in directories.into_iter().flatten() {
            let directory = match member.path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            // Where a directory cannot be synced, SQLite could not sync it either.
            let _ = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
        }
    }
}
