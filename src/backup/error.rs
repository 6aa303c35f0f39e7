//! Errors of backups.

use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use crate::database::error::DatabaseError;
use crate::migrate::error::{Error, ErrorKind};
use crate::text::escape_for_display;

/// A backup that could not be made, found or used. No database was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file system's refusal.
    #[error("`{}` {context}: {source}", escape_for_display(.path.as_os_str()))]
    Io {
        /// What was tried.
        context: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The copies would not fit.
    #[error(
        "there is too little room: the copies take {}, and {} are free for `{}`; make room, or keep backups elsewhere with `--backups-dir`",
        ByteSize::b(*.needed).display().si(), ByteSize::b(*.free).display().si(), escape_for_display(.dir.as_os_str())
    )]
    InsufficientSpace {
        /// What the databases take, in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
        /// Where the copies were to go.
        dir: PathBuf,
    },
    /// No such backup.
    #[error("there is no backup `{id}` in `{}`; {hint}", escape_for_display(.dir.as_os_str()))]
    UnknownBackup {
        /// What was asked for.
        id: String,
        /// Where.
        dir: PathBuf,
        /// Those that are there, in words.
        hint: String,
    },
    /// A manifest that is not there or cannot be read.
    #[error("the manifest of the backup `{id}` cannot be used: {reason}")]
    InvalidManifest {
        /// The backup.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A copy is not what the manifest says.
    #[error("the backup `{id}` is damaged, so nothing was restored: {}", .reasons.join("; "))]
    Corrupt {
        /// The backup.
        id: String,
        /// What is wrong with each copy.
        reasons: Vec<String>,
    },
    /// Users were named of whom the backup holds no copy.
    #[error(
        "the backup `{id}` holds no copy of {users}; `tatmig backup list -v` tells what it holds"
    )]
    NoCopyOfUser {
        /// The backup.
        id: String,
        /// The users.
        users: String,
    },
    /// A copy on a server, without the address that makes one.
    #[error(
        "a copy of {location} is a fork on its server, which takes the admin address: `--admin URL` names it; what copies first goes without by `--no-backup`, and `tatmig pull` copies into files"
    )]
    NoAdminUrl {
        /// A database.
        location: String,
    },
    /// Copies that cannot be removed from here.
    #[error(
        "a copy of the backup `{id}` is {copy_location}: `--server` and `--admin` have to name that server; nothing was touched"
    )]
    CopyUnreachable {
        /// The backup.
        id: String,
        /// Where a copy of it is.
        copy_location: String,
    },
    /// A fork of a database that is looked for on another server, or in a file.
    #[error(
        "a copy of the backup `{id}` is {copy_location}, and cannot be put at {target_location}: `--server` has to name that server"
    )]
    WrongServer {
        /// The backup.
        id: String,
        /// Where a copy of it is.
        copy_location: String,
        /// Where the database is looked for.
        target_location: String,
    },
    /// A fork that its server did not remove.
    #[error("{copy_location} of the backup `{id}` cannot be removed: {source}")]
    RemoveFailed {
        /// The backup.
        id: String,
        /// The copy.
        copy_location: String,
        /// Why.
        source: DatabaseError,
    },
    /// tatmig was told to stop.
    #[error("interrupted")]
    Interrupted,
}

impl BackupError {
    pub(crate) fn from_io(context: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { context, path: path.to_owned(), source }
    }
}

impl From<BackupError> for Error {
    fn from(error: BackupError) -> Self {
        let kind = match &error {
            BackupError::Io { .. } | BackupError::InsufficientSpace { .. } => ErrorKind::Io,
            BackupError::InvalidManifest { .. } | BackupError::Corrupt { .. } => ErrorKind::Corrupt,
            BackupError::UnknownBackup { .. }
            | BackupError::NoCopyOfUser { .. }
            | BackupError::NoAdminUrl { .. }
            | BackupError::CopyUnreachable { .. }
            | BackupError::WrongServer { .. } => ErrorKind::Argument,
            BackupError::RemoveFailed { .. } => ErrorKind::Server,
            BackupError::Interrupted => ErrorKind::Interrupted,
        };
        Self::new(kind, error)
    }
}
