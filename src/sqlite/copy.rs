//! Copies whole databases through SQLite's backup API: a live database to a new file, and a stored
//! copy over a live database, in one transaction of the live database.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use crate::database::ReadDatabase;
use crate::database::connection::{ConnectOptions, install_busy_handler};
use crate::database::error::{DatabaseError, is_sql_error, sqlite_message};
use crate::database::history_entry::HistoryState;
use crate::database::integrity::without_heading;
use crate::document::migration::Checksum;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::locks;
use crate::sqlite::paths::{parent_directory, plain_name, side_file, sync_directory};
use crate::sqlite::pending_dir::PendingDir;
use crate::sqlite::preflight::{Access, preflight};
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::SymlinkPolicy;

/// The number of pages that are copied between two checks for an interrupt.
const PAGES_PER_STEP: i32 = 256;

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
    from: &Path,
    to: &Path,
    options: &ConnectOptions,
) -> Result<CopyInfo, DatabaseError> {
    match SqliteFile::open(from, options) {
        // Opened for writing, as other programs do: this connection shares the WAL index with the
        // writers, whereas a read that leaves no side files may assume that no writer exists.
        Ok(source) => {
            source.no_checkpoint_on_close()?;
            copy_to_new_file(&source, to)?;
        }
        Err(DatabaseError::Io { .. }) => {
            SqliteFile::read(from, options, |source| copy_to_new_file(source, to))?;
        }
        Err(error) => return Err(error),
    }
    sync_and_check(to, options)
}

/// Replaces the content of a database with a stored copy; creates the database if it is missing.
pub(crate) fn restore(
    from: &Path,
    to: &Path,
    options: &ConnectOptions,
) -> Result<(), DatabaseError> {
    if to.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return create(from, to, options);
    }
    let target = RefCell::new(ExclusiveTarget::lock(to, options)?);
    SqliteFile::read(from, options, |source| {
        target.borrow_mut().overwrite_from(source.connection()?)
    })?;
    drop(target);
    sync_parent_directory(to)?;
    quick_check(to, options).map(drop)
}

/// Copies the pages that one read transaction sees.
fn copy_to_new_file(source: &SqliteFile, to: &Path) -> Result<(), DatabaseError> {
    let add_lock_holder = |error| source.add_lock_holder(error);
    let remove_result = std::fs::remove_file(to);
    remove_result
        .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .map_err(|error| write_error(to, error))?;
    // No journal and no sync: no other program knows the new file, and it is not used before it
    // is complete and synced.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    create_with_permissions_of(source.path(), to).map_err(|error| write_error(to, error))?;
    let mut target = Connection::open_with_flags(plain_name(to), flags)?;
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    // One read transaction around the whole copy: otherwise every commit of a writer would restart
    // the copy, and the copy of a busy database would never finish.
    let connection = source.connection()?;
    let begin = || -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN")?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    };
    let result = begin().map_err(|error| add_lock_holder(error.into())).and_then(|()| {
        copy_pages(connection, &mut target, &source.options).map_err(add_lock_holder)
    });
    let _ = connection.execute_batch("ROLLBACK");
    result
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

/// Copies all pages.
fn copy_pages(
    source: &Connection,
    target: &mut Connection,
    options: &ConnectOptions,
) -> Result<(), DatabaseError> {
    let backup = Backup::new(source, target)?;
    loop {
        if options.is_cancelled() {
            return Err(DatabaseError::Interrupted);
        }
        match backup.step(PAGES_PER_STEP)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(DatabaseError::Busy { holder: None }),
        }
    }
}

/// Computes the checksum of a copy, syncs the copy, and runs `quick_check` on it.
fn sync_and_check(path: &Path, options: &ConnectOptions) -> Result<CopyInfo, DatabaseError> {
    let FileDigest { size, sha256 } = digest(path, options)?;
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| write_error(path, error))?;
    let version = quick_check(path, options)?;
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
fn quick_check(path: &Path, options: &ConnectOptions) -> Result<Option<String>, DatabaseError> {
    SqliteFile::read(path, options, |file| {
        let connection = file.connection()?;
        let check_result =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
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

/// A database that is locked exclusively, so that its content can be replaced.
pub(crate) struct ExclusiveTarget {
    connection: Connection,
    path: PathBuf,
    is_wal: bool,
    options: ConnectOptions,
}

impl ExclusiveTarget {
    /// Locks a database exclusively.
    ///
    /// # Errors
    ///
    /// `Busy` with the process that uses the database; a file that SQLite cannot write.
    pub(crate) fn lock(path: &Path, options: &ConnectOptions) -> Result<Self, DatabaseError> {
        let info = preflight(path, Access::Overwrite).map_err(|error| match error {
            DatabaseError::NotADatabase { reason } => DatabaseError::NotADatabase {
                reason: format!(
                    "{reason}; SQLite cannot overwrite this file. Move it away and run the command again, which then creates the database"
                ),
            },
            error => error,
        })?;
        let path = info.path;
        let connection = connect(&path, options)?;
        // The order matters. `locking_mode = EXCLUSIVE` comes before the first read: in WAL mode
        // that fails while any other program is connected, even an idle one. `writable_schema`
        // lets SQLite open a damaged database, which most needs to be replaced.
        let lock_result = connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA writable_schema = ON; \
             PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; COMMIT",
        );
        let journal_mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
        let is_wal = info.is_wal || journal_mode.is_ok_and(|mode: String| mode == "wal");
        let target = Self { connection, path, is_wal, options: options.clone() };
        lock_result.map_err(|error| target.add_lock_holder(error.into()))?;
        if target.connection.is_readonly("main")? {
            return Err(DatabaseError::Io {
                context: "the file cannot be written".to_owned(),
                source: ErrorKind::PermissionDenied.into(),
            });
        }
        Ok(target)
    }

    /// An empty in-memory database with the page size, encoding and `auto_vacuum` of this one.
    pub(crate) fn new_like(&self) -> Result<Connection, DatabaseError> {
        let encoding: String =
            self.connection.pragma_query_value(None, "encoding", |r| r.get(0))?;
        let auto_vacuum: i64 =
            self.connection.pragma_query_value(None, "auto_vacuum", |r| r.get(0))?;
        let empty = Connection::open_in_memory()?;
        empty.pragma_update(None, "page_size", page_size(&self.connection)?)?;
        empty.pragma_update(None, "encoding", encoding)?;
        empty.pragma_update(None, "auto_vacuum", auto_vacuum)?;
        Ok(empty)
    }

    /// Overwrites the database with another one in one transaction: after a failure, an interrupt
    /// or a kill the old content is complete.
    pub(crate) fn overwrite_from(&mut self, source: &Connection) -> Result<(), DatabaseError> {
        // SQLite cannot change the page size of a database in WAL mode.
        let leaves_wal = self.is_wal && page_size(&self.connection)? != page_size(source)?;
        if leaves_wal {
            self.set_journal_mode("DELETE")?;
        }
        let result = copy_pages(source, &mut self.connection, &self.options);
        if leaves_wal && result.is_err() {
            let _ = self.set_journal_mode("WAL");
        } else if leaves_wal {
            // A connection keeps the encoding that it read first, which may have changed.
            self.connection = connect(&self.path, &self.options)?;
            self.set_journal_mode("WAL")?;
        }
        result.map_err(|error| self.add_lock_holder(error))
    }

    fn set_journal_mode(&self, mode: &str) -> Result<(), DatabaseError> {
        let pragma = format!("PRAGMA journal_mode = {mode}");
        self.connection
            .query_row(&pragma, [], |_| Ok(()))
            .map_err(|error| self.add_lock_holder(error.into()))
    }

    fn add_lock_holder(&self, error: DatabaseError) -> DatabaseError {
        locks::add_lock_holder(error, &self.path, &self.options)
    }
}

fn connect(path: &Path, options: &ConnectOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(plain_name(path), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    install_busy_handler(&mut connection, options.clone())?;
    Ok(connection)
}

fn page_size(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "page_size", |row| row.get(0))
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
    SqliteFile::read(from, options, |source| copy_to_new_file(source, &copy))?;
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
