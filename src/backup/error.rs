//! Reports why a backup could not be created, found or used. No database was changed.

use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use crate::database::error::DatabaseError;
use crate::migrate::error::{Error, ErrorKind};
use crate::text::escape_for_display;

/// A backup that could not be created, found or used. No database was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or directory could not be accessed.
    #[error("`{}` {context}: {source}", escape_for_display(.path.as_os_str()))]
    Io {
        /// What failed: `cannot be created`.
        context: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The disk has too little free space.
    #[error(
        "not enough disk space for `{}`: needs {}, {} free; free some space, or use another directory with `--backups-dir`",
        escape_for_display(.dir.as_os_str()), ByteSize::b(*.needed).display().si(), ByteSize::b(*.free).display().si()
    )]
    InsufficientSpace {
        /// The size of the copies, in bytes.
        needed: u64,
        /// The free space, in bytes.
        free: u64,
        /// The directory that the copies are written to.
        dir: PathBuf,
    },
    /// No backup has this name.
    #[error("no backup `{id}` in `{}`; {hint}", escape_for_display(.dir.as_os_str()))]
    UnknownBackup {
        /// The name.
        id: String,
        /// The backup directory.
        dir: PathBuf,
        /// Which backups exist, as the end of the message.
        hint: String,
    },
    /// The manifest is missing or cannot be read.
    #[error("cannot use the manifest of backup `{id}`: {reason}; use another backup")]
    InvalidManifest {
        /// The backup.
        id: String,
        /// What is wrong with the manifest.
        reason: String,
    },
    /// Copies differ from the manifest.
    #[error("backup `{id}` is damaged, so nothing was restored: {}", .reasons.join("; "))]
    Corrupt {
        /// The backup.
        id: String,
        /// What is wrong with each copy.
        reasons: Vec<String>,
    },
    /// The backup has no copy of some users that were named.
    #[error("backup `{id}` has no copy of {users}; {}", where_copies_are(.other.as_deref()))]
    NoCopyOfUser {
        /// The backup.
        id: String,
        /// The users.
        users: String,
        /// The newest backup that has a copy of every selected database.
        other: Option<String>,
    },
    /// A copy of a namespace needs the server's admin URL.
    #[error(
        "cannot copy {location}: the copy is a fork on the server, which needs the admin address. Pass `--admin URL`, or `--no-backup` to skip the copy; `tatmig pull` copies databases into files"
    )]
    NoAdminUrl {
        /// The namespace.
        location: String,
    },
    /// A fork that is to be removed is on a server that was not named.
    #[error(
        "cannot remove a copy of backup `{id}`, {copy_location}: pass the server with `--server` and `--admin`; nothing was removed"
    )]
    CopyUnreachable {
        /// The backup.
        id: String,
        /// Where the fork is.
        copy_location: String,
    },
    /// A fork can only be restored on its own server.
    #[error(
        "cannot restore {target_location}: its copy in backup `{id}` is {copy_location}; pass that server with `--server`"
    )]
    WrongServer {
        /// The backup.
        id: String,
        /// Where the fork is.
        copy_location: String,
        /// Where the database is configured to be.
        target_location: String,
    },
    /// The server did not remove a fork.
    #[error("cannot remove {copy_location} of backup `{id}`: {source}")]
    RemoveFailed {
        /// The backup.
        id: String,
        /// Where the fork is.
        copy_location: String,
        /// Why it was not removed.
        source: DatabaseError,
    },
    /// The backup failed, and so did the removal of copies on servers that it had made.
    #[error("{source}; remove these copies on their servers: {}", .forks.join("; "))]
    ForksLeft {
        /// Why the backup failed.
        source: Box<BackupError>,
        /// The copies, each with the reason why it was not removed.
        forks: Vec<String>,
    },
    /// The operation was interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// Where a copy is that a backup does not have, as the end of a message.
fn where_copies_are(other: Option<&str>) -> String {
    match other {
        Some(id) => format!("the newest backup with such a copy is `{id}`"),
        None => "no backup has one; `tatmig backup list -v` shows which databases each contains"
            .to_owned(),
    }
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
            BackupError::RemoveFailed { .. } | BackupError::ForksLeft { .. } => ErrorKind::Server,
            BackupError::Interrupted => ErrorKind::Interrupted,
        };
        Self::new(kind, error)
    }
}
