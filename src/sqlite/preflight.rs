//! A file looked at before SQLite opens it: whether it is a database at all, and whole, and what
//! its record says where that can be told without SQLite. It is closed again before SQLite opens
//! it: closing it later would drop SQLite's locks.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::sqlite::file_format;
use crate::sqlite::file_format::HEADER_SIZE;
use crate::sqlite::paths::side_file;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// To be overwritten as a whole: what is cut off may go.
    Overwrite,
}

/// What the first look at a file tells.
pub(crate) struct FileInfo {
    /// Where the file is, links followed.
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// Whether the database is in WAL mode.
    pub(crate) is_wal: bool,
    /// Whether a WAL stands beside the file.
    pub(crate) has_wal_file: bool,
    /// What it says of itself, where that can be told without SQLite.
    pub(crate) history_state: Option<HistoryState>,
}

/// Looks at a file that is to be opened.
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
        return Err(not_a_database("not a regular file"));
    }
    let size = metadata.len();
    let is_for_writing = access != Access::Read;
    let file = OpenOptions::new().read(true).write(is_for_writing).open(&path).map_err(io_error)?;
    let wal_len = side_file_len(&path, "-wal")?;
    let has_wal_file = wal_len.is_some();
    // Beside a WAL nothing is told without SQLite; and the last program that closes such a database
    // wants it for itself. Without one, nobody writes to the file while it is shared.
    let has_shared_lock =
        access != Access::Overwrite && !has_wal_file && file_format::try_shared_lock(&file);
    let journal_len = side_file_len(&path, "-journal")?;
    let can_read_directly = has_shared_lock && journal_len.is_none();
    if size == 0 {
        // A WAL is only ever written beside a database that has pages; SQLite would delete it.
        if access != Access::Overwrite && wal_len.is_some_and(|length| length > 0) {
            return Err(not_a_database(
                "the file is empty, and a WAL with data stands beside it; restore it from a backup",
            ));
        }
        if has_wal_file {
            side_file_len(&path, "-shm")?;
        }
        let is_empty = || file.metadata().is_ok_and(|metadata| metadata.len() == 0);
        let state = (can_read_directly && is_empty()).then_some(HistoryState::Empty);
        return Ok(FileInfo { path, size, is_wal: false, has_wal_file, history_state: state });
    }
    let header = read_header(&file).map_err(io_error)??;
    let wal = header[18] == 2 || header[19] == 2;
    if wal || has_wal_file {
        side_file_len(&path, "-shm")?;
    }
    // While somebody writes, the pages may be on their way.
    let is_stable =
        has_shared_lock || (access != Access::Overwrite && !file_format::HAS_SHARED_LOCK);
    if is_stable && let Some(expected_size) = truncated_from(&path, (&header, size)) {
        return Err(not_a_database(&format!(
            "the file is cut off: {size} bytes, where its header tells of {expected_size}; restore it from a backup"
        )));
    }
    let last_entry =
        if can_read_directly { file_format::last_history_entry(&file, &header) } else { None };
    // A program may begin a WAL while others read, and write to the file from it.
    let record = last_entry.filter(|_| !wal || !side_file(&path, "-wal").exists());
    Ok(FileInfo {
        path,
        size,
        is_wal: wal,
        has_wal_file,
        history_state: record.map(HistoryState::Versioned),
    })
}

fn not_a_database(reason: &str) -> DatabaseError {
    DatabaseError::NotADatabase { reason: reason.to_owned() }
}

/// Where a file is and what it is. SQLite, too, looks for side files beside what a link leads to.
fn resolve_symlink(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    let metadata = std::fs::symlink_metadata(path)?;
    if !metadata.is_symlink() {
        return Ok((path.to_owned(), metadata));
    }
    let path = path.canonicalize()?;
    let metadata = path.metadata()?;
    Ok((path, metadata))
}

/// The size of a side file, if there is one. If it were a FIFO, SQLite would open it all the same,
/// and wait for ever.
fn side_file_len(path: &Path, suffix: &str) -> Result<Option<u64>, DatabaseError> {
    match std::fs::symlink_metadata(side_file(path, suffix)) {
        Ok(found) if !found.is_file() => Err(not_a_database(&format!(
            "what stands beside it as its `{suffix}` file is no regular file"
        ))),
        Ok(found) => Ok(Some(found.len())),
        Err(_) => Ok(None),
    }
}

/// The bytes that every database begins with.
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
        let reason = "this is not a SQLite database: it does not begin with SQLite's header";
        return Ok(Err(not_a_database(reason)));
    }
    if bytes_read < header.len() {
        let reason = "this is not a whole SQLite database: its header is cut off";
        return Ok(Err(not_a_database(reason)));
    }
    Ok(Ok(header))
}

/// The size that the header tells of, if the file has not got it.
fn truncated_from(path: &Path, (header, size): (&[u8; HEADER_SIZE], u64)) -> Option<u64> {
    let read_u32 = |offset: usize| {
        u32::from_be_bytes([
            header[offset],
            header[offset + 1],
            header[offset + 2],
            header[offset + 3],
        ])
    };
    // Only where both change counters agree does the page count hold, and a journal or WAL
    // beside the file may still change it.
    let is_page_count_valid = read_u32(24) == read_u32(92);
    let expected_size = u64::from(read_u32(28)) * file_format::page_size(header) as u64;
    let has_journal = || side_file(path, "-journal").exists() || side_file(path, "-wal").exists();
    // In this order: another program may have been committing, and the file has its whole length
    // by the time the journal is gone.
    let current_size = || std::fs::metadata(path).map_or(size, |metadata| metadata.len());
    (is_page_count_valid
        && size < expected_size
        && !has_journal()
        && current_size() < expected_size)
        .then_some(expected_size)
}
