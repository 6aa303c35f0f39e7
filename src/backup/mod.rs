//! Backups: directories of whole, checked copies under the time when they were made. One is
//! written under another name and moved to its own when nothing of it is missing, so that what has
//! a backup's name is a backup.

mod manifest;
mod partial;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::copies::Copy;
use crate::database::file::Patience;
use crate::database::{DatabaseError, locks};
use crate::document::tag::Scope;
use crate::fleet::{Options, map};
use crate::layout::{Layout, shown};
use crate::member::Member;
use crate::outcome::Failure;
pub use manifest::{Manifest, Saved};
use partial::{PARTIAL, Partial};

/// The directory that backups are kept in.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// A whole backup.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its directory's name, a time in UTC: `20261121T114500Z`.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// Where in the manifest whose copy is.
    index: OnceLock<HashMap<(Scope, OsString), usize>>,
}

/// What came of making a backup.
#[derive(Debug)]
pub struct Made {
    /// It, if there is anything in it.
    pub backup: Option<Backup>,
    /// Why a database has no copy in it, for each that was asked for; those that were not begun
    /// have no verdict.
    pub verdicts: Vec<Option<Result<Saved, Failure>>>,
}

/// What came of removing backups.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Those that are gone, oldest first.
    pub removed: Vec<Backup>,
    /// Those that are left.
    pub kept: Vec<Backup>,
    /// Those of them that are left only because nothing else holds some version of a database.
    pub only: Vec<String>,
}

/// A backup that could not be made, found or used. No database was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file system's refusal.
    #[error("`{}` {what}: {source}", shown(.path.as_os_str()))]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The copies would not fit.
    #[error(
        "there is too little room: the copies take {}, and {} are free for `{}`; make room, or keep backups elsewhere with `--backups-dir`",
        bytes(*.needed), bytes(*.free), shown(.dir.as_os_str())
    )]
    NoRoom {
        /// What the databases take, in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
        /// Where the copies were to go.
        dir: PathBuf,
    },
    /// No such backup.
    #[error("there is no backup `{id}` in `{}`; {known}", shown(.dir.as_os_str()))]
    Unknown {
        /// What was asked for.
        id: String,
        /// Where.
        dir: PathBuf,
        /// Those that are there, in words.
        known: String,
    },
    /// A manifest that is not there or cannot be read.
    #[error("the manifest of the backup `{id}` cannot be used: {reason}")]
    Manifest {
        /// The backup.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A copy is not what the manifest says.
    #[error("the backup `{id}` is damaged, so nothing was restored: {}", .reasons.join("; "))]
    Damaged {
        /// The backup.
        id: String,
        /// What is wrong with each copy.
        reasons: Vec<String>,
    },
    /// Users were named of whom the backup holds no copy.
    #[error(
        "the backup `{id}` holds no copy of {users}; `tatmig backup list -v` tells what it holds"
    )]
    NotInIt {
        /// The backup.
        id: String,
        /// The users.
        users: String,
    },
    /// A copy on a server, without the address that makes one.
    #[error(
        "a copy of {place} is a fork on its server, which takes the admin address: `--admin URL` names it; what copies first goes without by `--no-backup`, and `tatmig pull` copies into files"
    )]
    NoAdmin {
        /// A database.
        place: String,
    },
    /// Copies that cannot be removed from here.
    #[error(
        "a copy of the backup `{id}` is {place}: `--server` and `--admin` have to name that server; nothing was touched"
    )]
    OutOfReach {
        /// The backup.
        id: String,
        /// Where a copy of it is.
        place: String,
    },
    /// A fork of a database that is looked for on another server, or in a file.
    #[error(
        "a copy of the backup `{id}` is {place}, and cannot be put at {home}: `--server` has to name that server"
    )]
    Elsewhere {
        /// The backup.
        id: String,
        /// Where a copy of it is.
        place: String,
        /// Where the database is looked for.
        home: String,
    },
    /// A fork that its server did not remove.
    #[error("{place} of the backup `{id}` cannot be removed: {source}")]
    NotRemoved {
        /// The backup.
        id: String,
        /// The copy.
        place: String,
        /// Why.
        source: DatabaseError,
    },
    /// tatmig was told to stop.
    #[error("interrupted")]
    Interrupted,
}

impl BackupError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}

/// A number of bytes in words: `1.5 MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let (mut whole, mut rest, mut unit) = (count, 0, "bytes");
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if whole < 1000 {
            break;
        }
        (whole, rest, unit) = (whole / 1000, whole % 1000 / 100, next);
    }
    if unit == "bytes" { format!("{whole} bytes") } else { format!("{whole}.{rest} {unit}") }
}

/// A backup's name: the second, and which of that second.
fn parse_id(name: &str) -> Option<(&str, u32)> {
    let (time, number) = match name.split_once('-') {
        Some((time, number)) => (time, number.parse().ok().filter(|number| *number > 1)?),
        None => (name, 1),
    };
    let fits = time.len() == 16
        && time.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    fits.then_some((time, number))
}

impl Store {
    /// Backups are kept in this directory, which need not be there yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Copies databases while they may be in use. Without any that can be copied no backup is
    /// made. `done` is called as each one is copied.
    ///
    /// # Errors
    ///
    /// A directory that cannot be written, or too little room in it.
    pub fn make(
        &self,
        (members, reason): (&[&Member], &str),
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Result<Made, BackupError> {
        if members.is_empty() {
            return Ok(Made { backup: None, verdicts: Vec::new() });
        }
        if let Some(member) = members.iter().find(|member| !member.can_be_copied()) {
            return Err(BackupError::NoAdmin { place: member.home.shown() });
        }
        find_room(&self.dir, members.iter().map(|member| member.home.size()).sum())?;
        fs::create_dir_all(&self.dir).map_err(BackupError::io("cannot be made", &self.dir))?;
        self.sweep();
        let now = jiff::Timestamp::now();
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let partial = Partial::new(&self.dir, &time)?;
        let work = |(member, file): &(&Member, OsString)| {
            let place = partial.path.join(file);
            let (copied, fork) = member.copy_to((&place, &time), &options.patience)?;
            let (file, server) = match fork {
                None => (file.clone(), None),
                Some((name, server)) => (name.into(), Some(server)),
            };
            Ok(Saved {
                scope: member.scope,
                user: member.name.clone(),
                file,
                server,
                path: member.home.shown(),
                version: copied.version,
                size: copied.size,
                sha256: copied.sha256,
            })
        };
        let items = file_names(members);
        let stop = || options.patience.stopped();
        let verdicts: Vec<Option<Result<Saved, Failure>>> =
            map(&items, options.jobs, (&work, &stop), done);
        let databases: Vec<Saved> = verdicts
            .iter()
            .flatten()
            .filter_map(|verdict| verdict.as_ref().ok())
            .cloned()
            .collect();
        if stop() {
            for (member, verdict) in members.iter().zip(&verdicts) {
                let Some(Ok(saved)) = verdict else { continue };
                // An interrupt ends every request; what is to be cleared up is not interrupted.
                let patience = Patience { stop: Arc::default(), ..options.patience.clone() };
                let file = partial.path.join(&saved.file);
                let _ = Copy::of(member, (&file, saved.server.as_deref()), &patience).remove();
            }
            return Ok(Made { backup: None, verdicts: members.iter().map(|_| None).collect() });
        }
        // What failed in the middle is no copy.
        for ((_, file), verdict) in items.iter().zip(&verdicts) {
            if !matches!(verdict, Some(Ok(_))) {
                let _ = fs::remove_file(partial.path.join(file));
            }
        }
        if databases.is_empty() {
            return Ok(Made { backup: None, verdicts });
        }
        let manifest = Manifest {
            format: manifest::FORMAT,
            created_at: format!("{now:.3}"),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            reason: reason.to_owned(),
            databases,
        };
        let backup = partial.finish(&self.dir, &time, manifest)?;
        Ok(Made { backup: Some(backup), verdicts })
    }

    /// Removes what killed processes left behind.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes())
                && File::open(&path).is_ok_and(|directory| directory.try_lock().is_ok())
            {
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    /// The backups, oldest first, each with its manifest or what is wrong with that.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read. One that is not there holds none.
    pub fn list(&self) -> Result<Vec<Result<Backup, BackupError>>, BackupError> {
        let unreadable = |error| BackupError::io("cannot be read", &self.dir)(error);
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            ids.extend(name.to_str().filter(|name| parse_id(name).is_some()).map(str::to_owned));
        }
        ids.sort_by(|left, right| parse_id(left).cmp(&parse_id(right)));
        Ok(ids.into_iter().map(|id| self.read(id)).collect())
    }

    fn read(&self, id: String) -> Result<Backup, BackupError> {
        let dir = self.dir.join(&id);
        let wrong = |reason: String| BackupError::Manifest { id: id.clone(), reason };
        let text = fs::read(dir.join(manifest::FILE)).map_err(|error| wrong(error.to_string()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if manifest.format > manifest::FORMAT {
            let format = manifest.format;
            return Err(wrong(format!("it has the form {format} of a newer tatmig")));
        }
        let plain = |file: &OsString| Path::new(file).file_name() == Some(file.as_os_str());
        if let Some(copy) = manifest.databases.iter().find(|copy| !plain(&copy.file)) {
            return Err(wrong(format!("`{}` is no name of a file in it", shown(&copy.file))));
        }
        Ok(Backup { id, dir, manifest, index: OnceLock::new() })
    }

    /// The backup of a name; `latest` is the last one.
    ///
    /// # Errors
    ///
    /// No such backup, or one whose manifest cannot be used.
    pub fn find(&self, id: &str) -> Result<Backup, BackupError> {
        let mut all = self.list()?;
        let names: Vec<String> = all
            .iter()
            .map(|backup| match backup {
                Ok(Backup { id, .. }) | Err(BackupError::Manifest { id, .. }) => id.clone(),
                Err(_) => String::new(),
            })
            .collect();
        let at = match id {
            "latest" => all.len().checked_sub(1),
            id => names.iter().position(|name| name == id),
        };
        match at {
            Some(at) => all.swap_remove(at),
            None => {
                let last: Vec<String> =
                    names.iter().rev().take(5).map(|name| format!("`{name}`")).collect();
                let known = match last.as_slice() {
                    [] => "there is none at all; `tatmig backup` makes one".to_owned(),
                    last => format!("the last ones are {}", last.join(", ")),
                };
                Err(BackupError::Unknown { id: id.to_owned(), dir: self.dir.clone(), known })
            }
        }
    }

    /// Removes all but the newest backups; of the older ones those stay that hold a database at a
    /// version that no newer one holds it at.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read or removed, and forks on a server that `layout` does not
    /// name.
    pub fn prune(
        &self,
        keep: usize,
        (layout, patience): (&Layout, &Patience),
    ) -> Result<Pruned, BackupError> {
        self.sweep();
        let mut held = BTreeSet::new();
        let mut pruned = Pruned::default();
        for (at, backup) in self.list()?.into_iter().flatten().rev().enumerate() {
            let versions = backup
                .manifest
                .databases
                .iter()
                .map(|copy| (copy.scope, copy.user.clone(), copy.version.clone()));
            let before = held.len();
            held.extend(versions);
            let only = held.len() > before;
            if at >= keep && !only {
                pruned.removed.push(backup);
                continue;
            }
            if at >= keep {
                pruned.only.push(backup.id.clone());
            }
            pruned.kept.push(backup);
        }
        let mut forks: Vec<(&Backup, Copy)> = Vec::new();
        for backup in &pruned.removed {
            for saved in backup.manifest.databases.iter().filter(|saved| saved.server.is_some()) {
                let file = backup.dir.join(&saved.file);
                let copy = Copy::within(layout, (&file, saved.server.as_deref()), patience);
                if let Copy::Elsewhere { .. } = copy {
                    let (id, place) = (backup.id.clone(), copy.shown());
                    return Err(BackupError::OutOfReach { id, place });
                }
                forks.push((backup, copy));
            }
        }
        // As long as a fork is left, its list is.
        for (backup, copy) in forks {
            copy.remove().map_err(|source| BackupError::NotRemoved {
                id: backup.id.clone(),
                place: copy.shown(),
                source,
            })?;
        }
        for backup in &pruned.removed {
            self.remove(backup)?;
        }
        for list in [&mut pruned.removed, &mut pruned.kept] {
            list.reverse();
        }
        pruned.only.sort_by_key(|id| Reverse(parse_id(id).map(|(time, n)| (time.to_owned(), n))));
        Ok(pruned)
    }

    /// Under its own name a backup is whole until it is none.
    fn remove(&self, backup: &Backup) -> Result<(), BackupError> {
        let aside = self.dir.join(format!("{PARTIAL}{}-{}", backup.id, std::process::id()));
        fs::rename(&backup.dir, &aside)
            .and_then(|()| fs::remove_dir_all(&aside))
            .map_err(BackupError::io("cannot be removed", &backup.dir))
    }
}

/// Whether so many bytes are free where a directory is or is to be.
fn find_room(dir: &Path, needed: u64) -> Result<(), BackupError> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match absolute.ancestors().find_map(free_space) {
        Some(free) if free < needed => Err(BackupError::NoRoom { needed, free, dir: absolute }),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn free_space(path: &Path) -> Option<u64> {
    let told = rustix::fs::statvfs(path).ok()?;
    Some(told.f_bavail.saturating_mul(told.f_frsize))
}

/// Other systems are not asked; a full disk fails the copy.
#[cfg(not(unix))]
fn free_space(_path: &Path) -> Option<u64> {
    None
}

/// A name in the backup for each database: its file's own, unless that is taken.
fn file_names<'m>(members: &[&'m Member]) -> Vec<(&'m Member, OsString)> {
    let mut taken = BTreeSet::from([OsString::from(manifest::FILE)]);
    let named = members.iter().map(|member| {
        let own = member.home.copy_name();
        let mut file = own.clone();
        let mut number = 1;
        while !taken.insert(file.clone()) {
            number += 1;
            file.clone_from(&own);
            file.push(format!(".{number}"));
        }
        (*member, file)
    });
    named.collect()
}

impl Backup {
    /// The bytes of its copies.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.manifest.databases.iter().map(|copy| copy.size).sum()
    }

    /// The copy of a member's database.
    #[must_use]
    pub fn copy_of(&self, member: &Member) -> Option<&Saved> {
        let copies = &self.manifest.databases;
        let index = self.index.get_or_init(|| {
            let all = copies.iter().enumerate();
            all.map(|(at, copy)| ((copy.scope, copy.user.clone()), at)).collect()
        });
        copies.get(*index.get(&(member.scope, member.name.clone()))?)
    }

    /// Where a copy of it is: the path of a file, or a namespace and its server.
    #[must_use]
    pub fn place_of(&self, copy: &Saved) -> String {
        match &copy.server {
            None => shown(self.dir.join(&copy.file).as_os_str()),
            Some(server) => format!("{} @ {server}", shown(&copy.file)),
        }
    }

    /// The copy of a member, where it is kept.
    fn at(&self, (member, saved): (&Member, &Saved), patience: &Patience) -> Copy {
        Copy::of(member, (&self.dir.join(&saved.file), saved.server.as_deref()), patience)
    }

    /// Checks that the copies of members are what the manifest says: files byte for byte, forks by
    /// their schema, their record and the numbers of their rows.
    ///
    /// # Errors
    ///
    /// Every copy that is not.
    pub fn check(&self, members: &[Member], options: &Options) -> Result<(), BackupError> {
        let work = |(member, copy): &(&Member, &Saved)| {
            let place = self.at((member, copy), &options.patience);
            let found = match place.digest(&options.patience) {
                Ok((size, sum)) if size == copy.size && sum == copy.sha256 => return None,
                Ok((size, _)) if size != copy.size => {
                    format!("is {size} bytes long instead of {}", copy.size)
                }
                Ok(_) => "does not have the checksum that it was written with".to_owned(),
                Err(Failure::Database(error)) if error.is_missing() => "is missing".to_owned(),
                Err(error) => error.to_string(),
            };
            Some(format!("`{}` {found}", place.shown()))
        };
        let stop = || options.patience.stopped();
        let copies: Vec<(&Member, &Saved)> =
            members.iter().filter_map(|member| Some((member, self.copy_of(member)?))).collect();
        for (member, copy) in &copies {
            let place = self.at((member, copy), &options.patience);
            if let Copy::Elsewhere { .. } = place {
                let (place, home) = (place.shown(), member.home.shown());
                return Err(BackupError::Elsewhere { id: self.id.clone(), place, home });
            }
        }
        let found = map(&copies, options.jobs, (&work, &stop), &mut || {});
        if stop() {
            return Err(BackupError::Interrupted);
        }
        let reasons: Vec<String> = found.into_iter().flatten().flatten().collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(BackupError::Damaged { id: self.id.clone(), reasons })
    }

    /// Whether there is room for the copies of members in the place of their databases, with what
    /// SQLite keeps beside the largest meanwhile.
    ///
    /// # Errors
    ///
    /// Too little room.
    pub fn find_room(&self, members: &[Member]) -> Result<(), BackupError> {
        let mut needs: BTreeMap<&Path, (u64, u64)> = BTreeMap::new();
        for (member, copy) in members.iter().filter_map(|m| Some((m, self.copy_of(m)?))) {
            let Some(dir) = member.home.file().and_then(Path::parent) else { continue };
            let old = member.home.size();
            let (growth, largest) = needs.entry(dir).or_default();
            *growth += copy.size.saturating_sub(old);
            *largest = (*largest).max(copy.size.max(old));
        }
        needs.into_iter().try_for_each(|(dir, (growth, largest))| find_room(dir, growth + largest))
    }

    /// Puts the copies of members in the place of their databases, each at once or not at all.
    /// `done` is called as each one is there.
    pub fn restore(
        &self,
        members: &[Member],
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<Saved, Failure>>> {
        let files: Vec<&Path> = members.iter().filter_map(|member| member.home.file()).collect();
        let users = locks::users(&files);
        let users: HashMap<&Path, String> =
            files.iter().zip(users).filter_map(|(file, user)| Some((*file, user?))).collect();
        let work = |member: &Member| {
            if let Some(by) = member.home.file().and_then(|file| users.get(file)) {
                return Err(DatabaseError::InUse { by: by.clone() }.into());
            }
            let none =
                || Failure::NotOpened(format!("the backup `{}` holds no copy of it", self.id));
            let copy = self.copy_of(member).ok_or_else(none)?;
            member.restore_from(&self.at((member, copy), &options.patience), &options.patience)?;
            Ok(copy.clone())
        };
        let stop = || options.patience.stopped();
        let results = map(members, options.jobs, (&work, &stop), done);
        let interrupted = |result: &Result<Saved, Failure>| {
            matches!(result, Err(Failure::Database(DatabaseError::Interrupted)))
        };
        results.into_iter().map(|result| result.filter(|result| !interrupted(result))).collect()
    }
}

impl Member {
    /// Marks a database that must be left alone for want of a backup, so that whatever is to be
    /// done to it fails with the reason.
    pub fn refuse_without_copy(&mut self, failure: &Failure) {
        self.refused =
            Some(format!("no backup of it could be made, so it was left alone: {failure}"));
    }
}

/// Marks members whose databases another process has open.
pub fn refuse_those_in_use(members: &mut [Member]) {
    let files: Vec<&Path> = members.iter().filter_map(|member| member.home.file()).collect();
    let users = locks::users(&files);
    let in_files = members.iter_mut().filter(|member| member.home.file().is_some());
    for (member, user) in in_files.zip(users) {
        if let (None, Some(by)) = (&member.refused, user) {
            member.refused = Some(DatabaseError::InUse { by }.to_string());
        }
    }
}
