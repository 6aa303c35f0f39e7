//! Backups: directories of whole, checked copies under the time when they were made. One is
//! written under another name and moved to its own when nothing of it is missing, so that what has
//! a backup's name is a backup.

mod manifest;
mod partial;
mod store;
mod whole;

use std::io;
use std::path::{Path, PathBuf};

use crate::database::{DatabaseError, locks};
use crate::layout::shown;
use crate::member::Member;
use crate::outcome::Failure;
pub use manifest::{Manifest, Saved};
pub use store::{Made, Pruned, Store};
pub use whole::Backup;

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
