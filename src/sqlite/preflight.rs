//! Checks a database file before SQLite opens it: that it is a complete database or empty, and
//! which version its history has, where that can be read without SQLite.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::sqlite::database_file::{Access, DatabaseFile};
use crate::sqlite::file_format;
use crate::sqlite::file_format::HEADER_SIZE;
use crate::sqlite::paths::{RECOVERY_SUFFIXES, side_file};
use crate::sqlite::pinned_file::PinnedFile;
use crate::sqlite::shared_lock::{HAS_SHARED_LOCK, try_shared_lock};

/// What is known about a file before SQLite opens it.
pub(crate) struct FileInfo {
    /// The file; kept open as long as SQLite has it open.
    pub(crate) pin: PinnedFile,
    /// Whether this process holds the shared lock of SQLite's readers on the file.
    pub(crate) has_shared_lock: bool,
    /// In bytes.
    pub(crate) size: u64,
    /// Whether the database is in WAL mode.
    pub(crate) is_wal: bool,
    /// Whether the file has a `-wal` file.
    pub(crate) has_wal_file: bool,
    /// The state of the history; `None` where only SQLite can read it.
    pub(crate) history_state: Option<HistoryState>,
}

/// Checks a file that is about to be opened. The shared lock is kept if no WAL exists.
///
/// # Errors
///
/// A file that is missing, cannot be opened, is not the one that was listed, is not a SQLite
/// database, or is truncated.
pub(crate) fn preflight(
    database: &DatabaseFile,
    access: Access,
) -> Result<FileInfo, DatabaseError> {
    let unreadable = |source: io::Error| DatabaseError::Io {
        context: "the file cannot be read".to_owned(),
        source,
    };
    let pin = PinnedFile::open(database, access)?;
    let wal_len = side_file_len(&pin.path, "-wal")?;
    // A database with a WAL can be read only by SQLite, and this lock would disturb the last
    // program that closes such a database: it takes the database exclusively. Without a WAL no
    // program writes to the file while the shared lock is held.
    let has_shared_lock =
        access != Access::Overwrite && wal_len.is_none() && try_shared_lock(&pin.file);
    let has_journal = side_file_len(&pin.path, "-journal")?.is_some();
    let file = OpenedFile {
        size: pin.size,
        has_shared_lock,
        can_read_directly: has_shared_lock && !has_journal,
        // Without the lock, another program may be in the middle of a write.
        is_stable: has_shared_lock || (access != Access::Overwrite && !HAS_SHARED_LOCK),
        pin,
        wal_len,
    };
    if file.size == 0 {
        return file.inspect_empty(access);
    }
    let header = read_header(&file.pin.file).map_err(unreadable)??;
    file.inspect(&header)
}

/// A file under preflight.
struct OpenedFile {
    pin: PinnedFile,
    size: u64,
    has_shared_lock: bool,
    wal_len: Option<u64>,
    /// Whether the history can be read from the pages of the file.
    can_read_directly: bool,
    /// Whether no other program changes the file's length during the check.
    is_stable: bool,
}

impl OpenedFile {
    fn inspect_empty(self, access: Access) -> Result<FileInfo, DatabaseError> {
        // SQLite writes a WAL only for a database that has pages; it would delete the WAL of an
        // empty file.
        if access != Access::Overwrite && self.wal_len.is_some_and(|length| length > 0) {
            return Err(not_a_database(
                "the file is empty, but its WAL contains data; restore the database from a backup",
            ));
        }
        if self.wal_len.is_some() {
            side_file_len(&self.pin.path, "-shm")?;
        }
        let is_empty = || self.pin.file.metadata().is_ok_and(|metadata| metadata.len() == 0);
        let history_state = (self.can_read_directly && is_empty()).then_some(HistoryState::Empty);
        Ok(FileInfo {
            has_shared_lock: self.has_shared_lock,
            size: 0,
            is_wal: false,
            has_wal_file: self.wal_len.is_some(),
            history_state,
            pin: self.pin,
        })
    }

    fn inspect(self, header: &[u8; HEADER_SIZE]) -> Result<FileInfo, DatabaseError> {
        let (path, size) = (&self.pin.path, self.size);
        let is_wal = header[18] == 2 || header[19] == 2;
        if is_wal || self.wal_len.is_some() {
            side_file_len(path, "-shm")?;
        }
        if self.is_stable
            && let Some(expected_size) = truncated_from(path, header, size)
        {
            return Err(not_a_database(&format!(
                "the file is truncated: it has {size} bytes, its header says {expected_size}; restore it from a backup"
            )));
        }
        let last_entry = if self.can_read_directly {
            file_format::last_history_entry(&self.pin.file, header)
        } else {
            None
        };
        // A program may create a WAL while others hold the shared lock, and later write from the
        // WAL to the file: then the entry that was read is not necessarily the last one.
        let last_entry = last_entry.filter(|_| !is_wal || !side_file(path, "-wal").exists());
        Ok(FileInfo {
            has_shared_lock: self.has_shared_lock,
            size,
            is_wal,
            has_wal_file: self.wal_len.is_some(),
            history_state: last_entry.map(HistoryState::Versioned),
            pin: self.pin,
        })
    }
}

fn not_a_database(reason: &str) -> DatabaseError {
    DatabaseError::NotADatabase { reason: reason.to_owned() }
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
    if !file_format::has_database_header(&header) {
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
    let has_journal = || RECOVERY_SUFFIXES.iter().any(|suffix| side_file(path, suffix).exists());
    // The length is read again after the check for a journal: another program may have been
    // committing, and the file has its full length before the journal is removed.
    let current_size = || std::fs::metadata(path).map_or(size, |metadata| metadata.len());
    (is_page_count_valid
        && size < expected_size
        && !has_journal()
        && current_size() < expected_size)
        .then_some(expected_size)
}
