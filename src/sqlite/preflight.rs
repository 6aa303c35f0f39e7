//! Checks a database file before SQLite opens it: that it is a complete database or empty, and
//! which version its history has, where that can be read without SQLite. The file's descriptor is
//! closed before SQLite opens the file: POSIX drops all locks that a process holds on a file when
//! any descriptor of the file is closed, so closing it later would drop SQLite's locks. Where the
//! process may have connections of its own, no descriptor is opened, and SQLite does the checks.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::sqlite::file_format;
use crate::sqlite::file_format::HEADER_SIZE;
use crate::sqlite::paths::side_file;
use crate::sqlite::shared_lock::{HAS_SHARED_LOCK, try_shared_lock};
use crate::sqlite::sole_use::is_sole_use;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// The whole content is to be replaced: a truncated file is accepted.
    Overwrite,
}

/// What is known about a file before SQLite opens it.
pub(crate) struct FileInfo {
    /// The path with symbolic links resolved.
    pub(crate) path: PathBuf,
    /// In bytes.
    pub(crate) size: u64,
    /// Whether the database is known to be in WAL mode.
    pub(crate) is_wal: bool,
    /// Whether the file has a `-wal` file.
    pub(crate) has_wal_file: bool,
    /// The state of the history; `None` where only SQLite can read it.
    pub(crate) history_state: Option<HistoryState>,
}

/// Checks a file that is about to be opened.
///
/// # Errors
///
/// A file that is missing, cannot be opened, is not a SQLite database, or is truncated.
pub(crate) fn preflight(path: &Path, access: Access) -> Result<FileInfo, DatabaseError> {
    let io_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => DatabaseError::Missing { path: path.to_owned() },
        _ if access != Access::Read => {
            DatabaseError::Io { context: "the file cannot be written".to_owned(), source }
        }
        _ => DatabaseError::Io { context: "the file cannot be read".to_owned(), source },
    };
    let (path, metadata) = resolve_symlink(path).map_err(io_error)?;
    if !metadata.is_file() {
        return Err(not_a_database("it is not a regular file"));
    }
    if !is_sole_use() {
        return preflight_unopened(path, metadata.len(), access);
    }
    let is_for_writing = access != Access::Read;
    let file = OpenOptions::new().read(true).write(is_for_writing).open(&path).map_err(io_error)?;
    let wal_len = side_file_len(&path, "-wal")?;
    // A database with a WAL can be read only by SQLite, and this lock would disturb the last
    // program that closes such a database: it takes the database exclusively. Without a WAL no
    // program writes to the file while the shared lock is held.
    let has_shared_lock =
        access != Access::Overwrite && wal_len.is_none() && try_shared_lock(&file);
    let has_journal = side_file_len(&path, "-journal")?.is_some();
    let file = OpenedFile {
        size: metadata.len(),
        can_read_directly: has_shared_lock && !has_journal,
        // Without the lock, another program may be in the middle of a write.
        is_stable: has_shared_lock || (access != Access::Overwrite && !HAS_SHARED_LOCK),
        path,
        file,
        wal_len,
    };
    if file.size == 0 {
        return file.inspect_empty(access);
    }
    let header = read_header(&file.file).map_err(io_error)??;
    file.inspect(&header)
}

/// Checks what can be checked of a file without opening the file.
fn preflight_unopened(path: PathBuf, size: u64, access: Access) -> Result<FileInfo, DatabaseError> {
    let wal_len = side_file_len(&path, "-wal")?;
    for suffix in ["-shm", "-journal"] {
        side_file_len(&path, suffix)?;
    }
    if size == 0 {
        refuse_wal_of_empty_file(access, wal_len)?;
    }
    let has_wal_file = wal_len.is_some();
    Ok(FileInfo { path, size, is_wal: false, has_wal_file, history_state: None })
}

/// SQLite writes a WAL only for a database that has pages; it would delete the WAL of an empty file.
fn refuse_wal_of_empty_file(access: Access, wal_len: Option<u64>) -> Result<(), DatabaseError> {
    if access != Access::Overwrite && wal_len.is_some_and(|length| length > 0) {
        return Err(not_a_database(
            "the file is empty, but its WAL contains data; restore the database from a backup",
        ));
    }
    Ok(())
}

/// A file under preflight.
struct OpenedFile {
    path: PathBuf,
    file: File,
    size: u64,
    wal_len: Option<u64>,
    /// Whether the history can be read from the pages of the file.
    can_read_directly: bool,
    /// Whether no other program changes the file's length during the check.
    is_stable: bool,
}

impl OpenedFile {
    fn inspect_empty(self, access: Access) -> Result<FileInfo, DatabaseError> {
        refuse_wal_of_empty_file(access, self.wal_len)?;
        if self.wal_len.is_some() {
            side_file_len(&self.path, "-shm")?;
        }
        let is_empty = || self.file.metadata().is_ok_and(|metadata| metadata.len() == 0);
        let history_state = (self.can_read_directly && is_empty()).then_some(HistoryState::Empty);
        let (path, has_wal_file) = (self.path, self.wal_len.is_some());
        Ok(FileInfo { path, size: 0, is_wal: false, has_wal_file, history_state })
    }

    fn inspect(self, header: &[u8; HEADER_SIZE]) -> Result<FileInfo, DatabaseError> {
        let Self { path, size, .. } = self;
        let is_wal = header[18] == 2 || header[19] == 2;
        if is_wal || self.wal_len.is_some() {
            side_file_len(&path, "-shm")?;
        }
        if self.is_stable
            && let Some(expected_size) = truncated_from(&path, header, size)
        {
            return Err(not_a_database(&format!(
                "the file is truncated: it has {size} bytes, its header says {expected_size}; restore it from a backup"
            )));
        }
        let last_entry = if self.can_read_directly {
            file_format::last_history_entry(&self.file, header)
        } else {
            None
        };
        // A program may create a WAL while others hold the shared lock, and later write from the
        // WAL to the file: then the entry that was read is not necessarily the last one.
        let last_entry = last_entry.filter(|_| !is_wal || !side_file(&path, "-wal").exists());
        Ok(FileInfo {
            path,
            size,
            is_wal,
            has_wal_file: self.wal_len.is_some(),
            history_state: last_entry.map(HistoryState::Versioned),
        })
    }
}

fn not_a_database(reason: &str) -> DatabaseError {
    DatabaseError::NotADatabase { reason: reason.to_owned() }
}

/// The path and metadata of a file with symbolic links resolved: SQLite also expects side files
/// next to the file that a link points to.
fn resolve_symlink(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    let metadata = std::fs::symlink_metadata(path)?;
    if !metadata.is_symlink() {
        return Ok((path.to_owned(), metadata));
    }
    let path = path.canonicalize()?;
    let metadata = path.metadata()?;
    Ok((path, metadata))
}

/// The size of a side file in bytes; `None` if it does not exist.
///
/// # Errors
///
/// A side file that is not a regular file: SQLite would open a FIFO all the same, and block
/// forever.
fn side_file_len(path: &Path, suffix: &str) -> Result<Option<u64>, DatabaseError> {
    match std::fs::symlink_metadata(side_file(path, suffix)) {
        Ok(found) if !found.is_file() => {
            Err(not_a_database(&format!("its `{suffix}` file is not a regular file")))
        }
        Ok(found) => Ok(Some(found.len())),
        Err(_) => Ok(None),
    }
}

/// Reads the database header. The outer error is an I/O error; the inner one says why the file is
/// not a database.
fn read_header(mut file: &File) -> io::Result<Result<[u8; HEADER_SIZE], DatabaseError>> {
    let mut header = [0; HEADER_SIZE];
    let mut bytes_read = 0;
    while bytes_read < header.len() {
        match file.read(&mut header[bytes_read..])? {
            0 => break,
            count => bytes_read += count,
        }
    }
    if !header.starts_with(b"SQLite format 3\0") {
        let reason = "not a SQLite database: it does not start with SQLite's header";
        return Ok(Err(not_a_database(reason)));
    }
    if bytes_read < header.len() {
        let reason = "not a complete SQLite database: its header is truncated";
        return Ok(Err(not_a_database(reason)));
    }
    Ok(Ok(header))
}

/// The size that the header gives, in bytes, if the file is shorter.
fn truncated_from(path: &Path, header: &[u8; HEADER_SIZE], size: u64) -> Option<u64> {
    let read_u32 = |offset: usize| {
        u32::from_be_bytes([
            header[offset],
            header[offset + 1],
            header[offset + 2],
            header[offset + 3],
        ])
    };
    // The page count is valid only if both change counters agree, and a journal or WAL of the file
    // may still change it.
    let is_page_count_valid = read_u32(24) == read_u32(92);
    let expected_size = u64::from(read_u32(28)) * file_format::page_size(header) as u64;
    let has_journal = || side_file(path, "-journal").exists() || side_file(path, "-wal").exists();
    // The length is read again after the check for a journal: another program may have been
    // committing, and the file has its full length before the journal is removed.
    let current_size = || std::fs::metadata(path).map_or(size, |metadata| metadata.len());
    (is_page_count_valid
        && size < expected_size
        && !has_journal()
        && current_size() < expected_size)
        .then_some(expected_size)
}
