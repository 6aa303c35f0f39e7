//! Copies whole databases through SQLite's backup API: a live database to a new file, and a stored
//! copy over a live database, in one transaction of the live database.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::File;
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
use crate::sqlite::database_file::{Access, DatabaseFile};
use crate::sqlite::file::SqliteFile;
use crate::sqlite::file_status::{FileIdentity, FileKind};
use crate::sqlite::new_directories::{MissingBase, NewFileParent};
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::{FileUse, Users};
use crate::sqlite::overwrite::{ExclusiveTarget, copy_pages};
use crate::sqlite::paths::{RECOVERY_SUFFIXES, parent_directory, plain_name, side_file};
use crate::sqlite::pending_dir::PendingDir;
use crate::sqlite::pinned_file::PinnedFile;
use crate::sqlite::regular_file::OpenedFile;

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
    to: &DatabaseFile,
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
    from: &DatabaseFile,
    to: &DatabaseFile,
    options: &ConnectOptions,
) -> Result<Option<String>, DatabaseError> {
    if to.status()?.is_none() {
        return create(from, to, options).map(|()| None);
    }
    let target = RefCell::new(ExclusiveTarget::lock(to, options)?);
    let note = SqliteFile::read(from, options, |source| {
        target.borrow_mut().overwrite_from(source.connection()?)
    })?;
    drop(target);
    sync_parent_directory(&to.parent()?, to)?;
    quick_check(to, options)?;
    Ok(note)
}

/// Copies the pages that one read transaction sees.
fn copy_to_new_file(source: &SqliteFile, to: &DatabaseFile) -> Result<(), DatabaseError> {
    let parent = to.parent()?;
    match parent.remove_file(to.file_name()) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(write_error(to, error)),
        _ => {}
    }
    let new_file = create_with_permissions_of(source.path(), &parent, to.file_name())
        .map_err(|error| write_error(to, error))?;
    let identity = new_file.metadata().ok().as_ref().and_then(FileIdentity::from_metadata);
    drop((new_file, parent));
    let pin = PinnedFile::open(&DatabaseFile { identity, ..to.clone() }, Access::Write)?;
    // No journal and no sync: no other program knows the new file, and it is not used before it
    // is complete and synced.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = plain_name(&pin.path);
    let target = pin.open_with_sqlite(|| UnpreparedConnection::open(&path, flags, None))?;
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

/// Creates an empty file with the owner and permissions of another one. The file is never more
/// accessible than the other one, except that its owner can always read and write it.
#[cfg(unix)]
fn create_with_permissions_of(
    template: &Path,
    parent: &OpenDirectory,
    name: &OsStr,
) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let metadata = std::fs::metadata(template)?;
    let permissions = std::fs::Permissions::from_mode(metadata.mode() & 0o777 | 0o600);
    let file = parent.create_file(name, Users::Owner)?;
    // Only root may change a file's owner, and only root needs to.
    let _ = fchown(&file, Some(metadata.uid()), Some(metadata.gid()));
    file.set_permissions(permissions)?;
    Ok(file)
}

#[cfg(not(unix))]
fn create_with_permissions_of(
    _template: &Path,
    parent: &OpenDirectory,
    name: &OsStr,
) -> io::Result<File> {
    parent.create_file(name, Users::Owner)
}

/// Computes the checksum of a copy, syncs the copy, and runs `quick_check` on it.
fn sync_and_check(
    file: &DatabaseFile,
    options: &ConnectOptions,
) -> Result<CopyInfo, DatabaseError> {
    let FileDigest { size, sha256 } = digest(file, options)?;
    open_copy(file)?.sync_all().map_err(|error| write_error(file, error))?;
    let version = quick_check(file, options)?;
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
pub(crate) fn digest(
    file: &DatabaseFile,
    options: &ConnectOptions,
) -> Result<FileDigest, DatabaseError> {
    let mut file = open_copy(file)?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 18];
    loop {
        if options.is_cancelled() {
            return Err(DatabaseError::Interrupted);
        }
        let count = file.read(&mut buffer).map_err(unreadable_copy)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    let sha256 = Checksum::from(<[u8; 32]>::from(hasher.finalize())).to_string();
    Ok(FileDigest { size, sha256 })
}

/// Opens a stored copy to read its bytes. Opening a device can act on it, so the type is checked
/// before and after the file is opened.
fn open_copy(file: &DatabaseFile) -> Result<File, DatabaseError> {
    let missing = || DatabaseError::Missing { path: file.path.clone() };
    let status = file.status()?.ok_or_else(missing)?;
    if status.kind != FileKind::Regular {
        let reason = match status.kind {
            FileKind::Symlink => "this is a symbolic link",
            FileKind::Directory => "this is a directory",
            FileKind::Regular | FileKind::Other => "this is not a regular file",
        };
        return Err(unreadable_copy(io::Error::new(ErrorKind::InvalidInput, reason)));
    }
    let opened = file.parent()?.open_file(file.file_name(), FileUse::Read);
    let opened = opened.and_then(OpenedFile::new).map_err(unreadable_copy)?;
    Ok(opened.file)
}

fn unreadable_copy(source: io::Error) -> DatabaseError {
    DatabaseError::Io { context: "the copy cannot be read".to_owned(), source }
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
fn create(
    from: &DatabaseFile,
    to: &DatabaseFile,
    options: &ConnectOptions,
) -> Result<(), DatabaseError> {
    let parent = NewFileParent::create(to, MissingBase::Refuse)?;
    let result = create_in(&parent.directory, Creation { from, to }, options);
    if result.is_err() {
        parent.created.remove();
    }
    result
}

/// A missing database and the stored copy that it is created from.
#[derive(Clone, Copy)]
struct Creation<'c> {
    from: &'c DatabaseFile,
    to: &'c DatabaseFile,
}

fn create_in(
    parent: &OpenDirectory,
    creation: Creation<'_>,
    options: &ConnectOptions,
) -> Result<(), DatabaseError> {
    const COPY_NAME: &str = "copy.db";
    let Creation { from, to } = creation;
    for suffix in RECOVERY_SUFFIXES {
        let side_path = side_file(&to.path, suffix);
        if side_path.file_name().is_some_and(|name| parent.status(name).is_ok()) {
            return Err(DatabaseError::NotADatabase {
                reason: format!(
                    "the database is missing, but `{}` exists, and SQLite would apply it to the restored database; move it away first",
                    crate::text::escape_for_display(side_path.as_os_str())
                ),
            });
        }
    }
    PendingDir::remove_stale(parent, PENDING_PREFIX);
    let parent_path = parent_directory(&to.path);
    let pending = parent
        .try_clone()
        .and_then(|parent| PendingDir::new(parent, parent_path, PENDING_PREFIX, Users::Owner))
        .map_err(|error| write_error(to, error))?;
    let path = pending.path().join(COPY_NAME);
    let copy = DatabaseFile { path, identity: None, depth: to.depth + 1, ..to.clone() };
    SqliteFile::read(from, options, |source| copy_to_new_file(source, &copy))?;
    sync_and_check(&copy, options)?;
    pending
        .directory()
        .rename_no_replace(OsStr::new(COPY_NAME), parent, to.file_name())
        .map_err(|error| write_error(to, error))?;
    sync_parent_directory(parent, to)
}

/// The prefix of the directories in which missing databases are restored.
const PENDING_PREFIX: &str = ".tatmig-restore-";

/// Syncs the directory of a file that was created, renamed or overwritten.
fn sync_parent_directory(parent: &OpenDirectory, file: &DatabaseFile) -> Result<(), DatabaseError> {
    match parent.sync() {
        // A directory may allow writing but not reading; then it cannot be opened to be synced.
        Err(error) if error.kind() != ErrorKind::PermissionDenied => Err(write_error(file, error)),
        _ => Ok(()),
    }
}

fn write_error(file: &DatabaseFile, source: io::Error) -> DatabaseError {
    let path = crate::text::escape_for_display(file.path.as_os_str());
    DatabaseError::Io { context: format!("`{path}` cannot be written"), source }
}
