//! Copies whole databases through SQLite's backup API: a live database to a new file, and a stored
//! copy over a live database, in one transaction of the live database.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rusqlite::OpenFlags;
use sha2::{Digest, Sha256};

use crate::database::ReadDatabase;
use crate::database::connection::{ConnectOptions, UnpreparedConnection};
use crate::database::declared::without_comparisons;
use crate::database::error::{DatabaseError, is_sql_error, sqlite_message};
use crate::database::history_entry::HistoryState;
use crate::database::integrity::without_heading;
use crate::database::session::read_transaction;
use crate::document::migration::Checksum;
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::overwrite::{ExclusiveTarget, copy_pages};
use crate::sqlite::paths::{parent_directory, plain_name, side_file, sync_directory};
use crate::sqlite::pending_dir::PendingDir;
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::SymlinkPolicy;

/// Describes a finished copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyInfo {
    /// In bytes.
    pub(crate) size: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub(crate) sha256: String,
    /// The version in its history.
    pub(crate) version: Option<String>,
}

/// Copies a live database to a new file: the state that one read transaction sees. The copy needs
/// no side file, passed `quick_check`, and is synced to disk.
pub(crate) fn copy(
    from: &DatabaseFile,
    to: &Path,
    options: &ConnectOptions,
) -> Result<CopyInfo, DatabaseError> {
    match SqliteFile::read(from, options, |source| copy_to_new_file(source, to)) {
        // SQLite rolls a hot journal back only for a program that may write.
        Err(DatabaseError::HotJournal) => {
            let source = SqliteFile::open(from, options)?;
            source.no_checkpoint_on_close()?;
            copy_to_new_file(&source, to)?;
        }
        result => result?,
    }
    sync_and_check(to, options)
}

/// Replaces the content of a database with a stored copy; creates the database if it is missing.
/// Returns a note if the database could not be returned to WAL mode.
pub(crate) fn restore(
    from: &Path,
    to: &DatabaseFile,
    options: &ConnectOptions,
) -> Result<Option<String>, DatabaseError> {
    if to.path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return create(from, &to.path, options).map(|()| None);
    }
    let target = RefCell::new(ExclusiveTarget::lock(to, options)?);
    let note = SqliteFile::read(&stored_file(from), options, |source| {
        target.borrow_mut().overwrite_from(source.connection()?)
    })?;
    drop(target);
    sync_parent_directory(&to.path)?;
    quick_check(to, options)?;
    Ok(note)
}

/// Copies the pages that one read transaction sees.
fn copy_to_new_file(source: &SqliteFile, to: &Path) -> Result<(), DatabaseError> {
    let remove_result = std::fs::remove_file(to);
    remove_result
        .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .map_err(|error| write_error(to, error))?;
    // No journal and no sync: no other program knows the new file, and it is not used before it
    // is complete and synced.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    create_with_permissions_of(source.path(), to).map_err(|error| write_error(to, error))?;
    let target = UnpreparedConnection::open(&plain_name(to), flags, None)?;
    let mut target = target.prepare(&source.options.setup)?;
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    // One read transaction around the whole copy: otherwise every commit of a writer would restart
    // the copy, and the copy of a busy database would never finish.
    let connection = source.connection()?;
    let mut copy = || {
        let _transaction = read_transaction(connection)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        copy_pages(connection, &mut target, &source.options)
    };
    copy().map_err(|error| source.add_lock_holder(error))
}

/// A stored copy. A symbolic link in its place is refused.
fn stored_file(path: &Path) -> DatabaseFile {
    DatabaseFile::new(path.to_owned(), SymlinkPolicy::Refuse)
}

/// Creates an empty file with the owner and permissions of another one. The file is never more
/// accessible than the other one, except that its owner can always read and write it.
#[cfg(unix)]
fn create_with_permissions_of(template: &Path, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};

    let metadata = std::fs::metadata(template)?;
    let permissions = std::fs::Permissions::from_mode(metadata.mode() & 0o777 | 0o600);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Only root may change a file's owner, and only root needs to.
    let _ = fchown(&file, Some(metadata.uid()), Some(metadata.gid()));
    file.set_permissions(permissions)
}

#[cfg(not(unix))]
fn create_with_permissions_of(_template: &Path, path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path).map(drop)
}

/// Computes the checksum of a copy, syncs the copy, and runs `quick_check` on it.
fn sync_and_check(path: &Path, options: &ConnectOptions) -> Result<CopyInfo, DatabaseError> {
    let FileDigest { size, sha256 } = digest(path, options)?;
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| write_error(path, error))?;
    let version = quick_check(&stored_file(path), options)?;
    Ok(CopyInfo { size, sha256, version })
}

/// The size and checksum of a stored copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileDigest {
    /// In bytes.
    pub(crate) size: u64,
    /// SHA-256 in hexadecimal.
    pub(crate) sha256: String,
}

/// Computes the checksum of a file. No program, including this process, may have the file open as
/// a database: closing the descriptor would drop SQLite's POSIX locks on the file.
pub(crate) fn digest(path: &Path, options: &ConnectOptions) -> Result<FileDigest, DatabaseError> {
    let unreadable = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => DatabaseError::Missing { path: path.to_owned() },
        _ => DatabaseError::Io { context: "the copy cannot be read".to_owned(), source },
    };
    let mut file = regular_file::open(path, OpenOptions::new().read(true), SymlinkPolicy::Refuse)
        .map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 18];
    loop {
        if options.is_cancelled() {
            return Err(DatabaseError::Interrupted);
        }
        let count = file.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    let sha256 = Checksum::from(<[u8; 32]>::from(hasher.finalize())).to_string();
    Ok(FileDigest { size, sha256 })
}

/// Runs `quick_check` on a database; returns the version in its history.
fn quick_check(
    database: &DatabaseFile,
    options: &ConnectOptions,
) -> Result<Option<String>, DatabaseError> {
    SqliteFile::read(database, options, |file| {
        let connection = file.connection()?;
        let check_result = without_comparisons(|| {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        });
        match check_result {
            Ok(found) if found == "ok" => {}
            Ok(found) => {
                let check_result = without_heading(&found).to_owned();
                return Err(DatabaseError::Corrupt { check_result });
            }
            // SQLite cannot check what it does not know, such as an application's collation.
            Err(error) if is_sql_error(&error) => {}
            Err(error) => match DatabaseError::from(error) {
                DatabaseError::Sqlite(error) => {
                    return Err(DatabaseError::Corrupt { check_result: sqlite_message(&error) });
                }
                error => return Err(error),
            },
        }
        Ok(match file.history_state() {
            Ok(HistoryState::Versioned(entry)) => Some(entry.to),
            Ok(HistoryState::Empty | HistoryState::Unversioned) | Err(_) => None,
        })
    })
}

/// Creates a missing database from a stored copy: written under a temporary name, and renamed when
/// it is complete and checked.
fn create(from: &Path, to: &Path, options: &ConnectOptions) -> Result<(), DatabaseError> {
    for suffix in ["-journal", "-wal"] {
        let side_path = side_file(to, suffix);
        if side_path.symlink_metadata().is_ok() {
            return Err(DatabaseError::NotADatabase {
                reason: format!(
                    "the database is missing, but `{}` exists, and SQLite would apply it to the restored database; move it away first",
                    crate::text::escape_for_display(side_path.as_os_str())
                ),
            });
        }
    }
    let directory = parent_directory(to);
    PendingDir::remove_stale(directory, PENDING_PREFIX);
    let pending = PendingDir::new(directory, PENDING_PREFIX)
        .map_err(|error| write_error(directory, error))?;
    let copy = pending.path().join("copy.db");
    SqliteFile::read(&stored_file(from), options, |source| copy_to_new_file(source, &copy))?;
    sync_and_check(&copy, options)?;
    rename_no_replace(&copy, to).map_err(|error| write_error(to, error))?;
    sync_parent_directory(to)
}

/// The prefix of the directories in which missing databases are restored.
const PENDING_PREFIX: &str = ".tatmig-restore-";

/// Renames a file; fails if the new name exists.
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems do not support the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            result => return Ok(result?),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// Syncs the directory of a file that was created, renamed or overwritten.
fn sync_parent_directory(path: &Path) -> Result<(), DatabaseError> {
    match sync_directory(parent_directory(path)) {
        // A directory may allow writing but not reading; then it cannot be opened to be synced.
        Err(error) if error.kind() != ErrorKind::PermissionDenied => Err(write_error(path, error)),
        _ => Ok(()),
    }
}

fn write_error(path: &Path, source: io::Error) -> DatabaseError {
    let context =
        format!("`{}` cannot be written", crate::text::escape_for_display(path.as_os_str()));
    DatabaseError::Io { context, source }
}
