//! Whole databases moved by SQLite's own hands, through its backup interface: a live one to a new
//! file, and a file's content into the place of a live one, in one transaction of that one.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use crate::database::Look;
use crate::database::connection::{Patience, wait_when_busy};
use crate::database::error::{DatabaseError, is_about_sql, message};
use crate::database::history_entry::State;
use crate::document::migration::Checksum;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::locks;
use crate::sqlite::paths::{plain_name, side_file};
use crate::sqlite::preflight::{Access, inspect};

/// So many pages are copied before it is asked whether to stop.
const PAGES: i32 = 256;

/// What a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    /// In bytes.
    pub(crate) size: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub(crate) sha256: String,
    /// The version in its record.
    pub(crate) version: Option<String>,
}

/// Copies a live database to a new file: what one moment's reader sees. The copy needs no other
/// file, is checked, and is on the disk.
pub(crate) fn copy(from: &Path, to: &Path, patience: &Patience) -> Result<Copied, DatabaseError> {
    match SqliteFile::open(from, patience) {
        // Opened like any program's: a reader that may write shares the WAL's index with the
        // writers, where reading without a trace may guess that there are none.
        Ok(source) => {
            source.keep_wal()?;
            pages_of(&source, to)?;
        }
        Err(DatabaseError::Io { .. }) => {
            SqliteFile::read(from, patience, |source| pages_of(source, to))?;
        }
        Err(error) => return Err(error),
    }
    checked(to, patience)
}

/// Puts the content of a stored copy in the place of a database, or makes the database.
pub(crate) fn restore(from: &Path, to: &Path, patience: &Patience) -> Result<(), DatabaseError> {
    if to.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return make(from, to, patience);
    }
    let place = RefCell::new(Place::take(to, patience)?);
    SqliteFile::read(from, patience, |source| place.borrow_mut().put(source.connection()?))?;
    drop(place);
    sync_directory(to)?;
    check(to, patience).map(drop)
}

/// Copies the pages that one moment's reader sees.
fn pages_of(source: &SqliteFile, to: &Path) -> Result<(), DatabaseError> {
    let named = |error| source.named(error);
    let unlink = std::fs::remove_file(to);
    unlink
        .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .map_err(|error| unwritable(to, error))?;
    // Nobody else knows the new file, and it counts for nothing until it is whole and synced.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    make_like(source.path(), to).map_err(|error| unwritable(to, error))?;
    let mut target = Connection::open_with_flags(plain_name(to), flags)?;
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    // One reader's transaction around all of it: else every commit of a writer would begin the
    // copy anew, and a busy database would never be copied.
    let connection = source.connection()?;
    let begin = || -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN")?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    };
    let result = begin()
        .map_err(|error| named(error.into()))
        .and_then(|()| pages(connection, &mut target, &source.patience).map_err(named));
    let _ = connection.execute_batch("ROLLBACK");
    result
}

/// Makes an empty file that is open to nobody to whom another one is not, its owner aside.
#[cfg(unix)]
fn make_like(like: &Path, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};

    let metadata = std::fs::metadata(like)?;
    let permissions = std::fs::Permissions::from_mode(metadata.mode() & 0o777 | 0o600);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Only the administrator may give files away, and only he would need to.
    let _ = fchown(&file, Some(metadata.uid()), Some(metadata.gid()));
    file.set_permissions(permissions)
}

#[cfg(not(unix))]
fn make_like(_like: &Path, path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path).map(drop)
}

/// Moves pages until all are there.
fn pages(
    source: &Connection,
    target: &mut Connection,
    patience: &Patience,
) -> Result<(), DatabaseError> {
    let backup = Backup::new(source, target)?;
    loop {
        if patience.stopped() {
            return Err(DatabaseError::Interrupted);
        }
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(DatabaseError::Busy { holder: None }),
        }
    }
}

/// Reads a copy as it stands on the disk, syncs it, and has SQLite check it.
pub(crate) fn checked(path: &Path, patience: &Patience) -> Result<Copied, DatabaseError> {
    let (size, sha256) = digest(path, patience)?;
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| unwritable(path, error))?;
    let version = check(path, patience)?;
    Ok(Copied { size, sha256, version })
}

/// The size and the checksum of a file that nobody has open.
pub(crate) fn digest(path: &Path, patience: &Patience) -> Result<(u64, String), DatabaseError> {
    let unreadable = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => DatabaseError::Missing { path: path.to_owned() },
        _ => DatabaseError::Io { what: "the copy cannot be read".to_owned(), source },
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut sum = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 18];
    loop {
        if patience.stopped() {
            return Err(DatabaseError::Interrupted);
        }
        let count = file.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        sum.update(&buffer[..count]);
        size += count as u64;
    }
    Ok((size, Checksum::from(<[u8; 32]>::from(sum.finalize())).to_string()))
}

/// Has SQLite check a database; returns the version in its record.
fn check(path: &Path, patience: &Patience) -> Result<Option<String>, DatabaseError> {
    SqliteFile::read(path, patience, |file| {
        let connection = file.connection()?;
        let quick =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match quick {
            Ok(found) if found == "ok" => {}
            Ok(found) => return Err(DatabaseError::Damaged { found }),
            // What this SQLite does not know, such as an application's collation, it cannot check.
            Err(error) if is_about_sql(&error) => {}
            Err(error) => match DatabaseError::from(error) {
                DatabaseError::Sqlite(error) => {
                    return Err(DatabaseError::Damaged { found: message(&error) });
                }
                error => return Err(error),
            },
        }
        Ok(match file.state() {
            Ok(State::Recorded(record)) => Some(record.to),
            Ok(State::New | State::Unversioned) | Err(_) => None,
        })
    })
}

/// The place of a database that nobody else uses and that is to hold another one.
pub(crate) struct Place {
    connection: Connection,
    path: PathBuf,
    wal: bool,
    patience: Patience,
}

impl Place {
    /// Takes a database for itself, or tells who uses it.
    pub(crate) fn take(path: &Path, patience: &Patience) -> Result<Self, DatabaseError> {
        let header = inspect(path, Access::Replace).map_err(|error| match error {
            DatabaseError::NotADatabase { reason } => DatabaseError::NotADatabase {
                reason: format!(
                    "{reason}; only SQLite writes to a database, and it cannot write to this: move it away, and it is made anew"
                ),
            },
            error => error,
        })?;
        let path = header.path;
        let connection = connect(&path, patience)?;
        // In this order. Exclusive before the first look: in WAL mode that fails where anybody
        // else is connected, even idly. `writable_schema` makes SQLite open what is damaged, which
        // is what most needs to be replaced.
        let taken = connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA writable_schema = ON; \
             PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; COMMIT",
        );
        let (wal, patience) = (header.wal, patience.clone());
        let place = Self { connection, path, wal, patience };
        taken.map_err(|error| place.named(error.into()))?;
        if place.connection.is_readonly("main")? {
            return Err(DatabaseError::Io {
                what: "the file cannot be written".to_owned(),
                source: ErrorKind::PermissionDenied.into(),
            });
        }
        Ok(place)
    }

    /// An empty database in memory with this one's page size and encoding.
    pub(crate) fn like_it(&self) -> Result<Connection, DatabaseError> {
        let encoding: String =
            self.connection.pragma_query_value(None, "encoding", |r| r.get(0))?;
        let vacuum: i64 = self.connection.pragma_query_value(None, "auto_vacuum", |r| r.get(0))?;
        let made = Connection::open_in_memory()?;
        made.pragma_update(None, "page_size", page_size(&self.connection)?)?;
        made.pragma_update(None, "encoding", encoding)?;
        made.pragma_update(None, "auto_vacuum", vacuum)?;
        Ok(made)
    }

    /// Overwrites it with another database, in one transaction: a failure, an interrupt or a kill
    /// leaves what was there.
    pub(crate) fn put(&mut self, source: &Connection) -> Result<(), DatabaseError> {
        // SQLite cannot change the page size of a database in WAL mode.
        let leaves_wal = self.wal && page_size(&self.connection)? != page_size(source)?;
        if leaves_wal {
            self.journal_mode("DELETE")?;
        }
        let result = pages(source, &mut self.connection, &self.patience);
        if leaves_wal && result.is_err() {
            let _ = self.journal_mode("WAL");
        } else if leaves_wal {
            // A connection keeps the encoding that it first saw, and this one saw another.
            self.connection = connect(&self.path, &self.patience)?;
            self.journal_mode("WAL")?;
        }
        result.map_err(|error| self.named(error))
    }

    fn journal_mode(&self, mode: &str) -> Result<(), DatabaseError> {
        let pragma = format!("PRAGMA journal_mode = {mode}");
        self.connection.query_row(&pragma, [], |_| Ok(())).map_err(|error| self.named(error.into()))
    }

    fn named(&self, error: DatabaseError) -> DatabaseError {
        match error {
            DatabaseError::Busy { .. } if self.patience.stopped() => DatabaseError::Interrupted,
            DatabaseError::Busy { holder: None } => {
                DatabaseError::Busy { holder: locks::holder(&self.path) }
            }
            error => error,
        }
    }
}

fn connect(path: &Path, patience: &Patience) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(plain_name(path), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    wait_when_busy(&mut connection, patience.clone())?;
    Ok(connection)
}

fn page_size(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "page_size", |row| row.get(0))
}

/// Makes a database that is missing: written under a name that nobody looks at, and moved to its
/// own once it is whole.
fn make(from: &Path, to: &Path, patience: &Patience) -> Result<(), DatabaseError> {
    for suffix in ["-journal", "-wal"] {
        let beside = side_file(to, suffix);
        if beside.symlink_metadata().is_ok() {
            return Err(DatabaseError::NotADatabase {
                reason: format!(
                    "the file is gone, and `{}` still stands beside its place, which SQLite would apply to whatever is put there; move it away",
                    crate::text::shown(beside.as_os_str())
                ),
            });
        }
    }
    let part = part_beside(to);
    let placed = SqliteFile::read(from, patience, |source| pages_of(source, &part))
        .and_then(|()| checked(&part, patience))
        .and_then(|_| rename_to_new(&part, to).map_err(|error| unwritable(to, error)));
    if placed.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    placed?;
    sync_directory(to)
}

const PART: &str = ".tatmig-restore-";

/// A new name beside a file; parts that killed processes left there go.
fn part_beside(path: &Path) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let directory = directory_of(path);
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PART)?.split('-').next());
        let is_over = |process: &str| {
            Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists()
        };
        if process.is_some_and(is_over) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    directory.join(format!("{PART}{}-{number}", std::process::id()))
}

/// Renames a file to a name that nothing has.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            result => return Ok(result?),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a change of names durable.
fn sync_directory(path: &Path) -> Result<(), DatabaseError> {
    let synced = File::open(directory_of(path)).and_then(|directory| directory.sync_all());
    match synced {
        // Not every file system syncs directories, and not every system opens them.
        Err(error) if error.kind() != ErrorKind::PermissionDenied && cfg!(unix) => {
            Err(unwritable(path, error))
        }
        _ => Ok(()),
    }
}

fn unwritable(path: &Path, source: io::Error) -> DatabaseError {
    let what = format!("`{}` cannot be written", crate::text::shown(path.as_os_str()));
    DatabaseError::Io { what, source }
}
