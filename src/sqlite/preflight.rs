//! A file looked at before SQLite opens it: whether it is a database at all, and whole, and what
//! its record says where that can be told without SQLite. It is closed again before SQLite opens
//! it: closing it later would drop SQLite's locks.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::database::error::DatabaseError;
use crate::database::history_entry::State;
use crate::sqlite::file_format;
use crate::sqlite::file_format::HEADER;
use crate::sqlite::paths::side_file;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// To be overwritten as a whole: what is cut off may go.
    Replace,
}

/// What the first look at a file tells.
pub(crate) struct Header {
    /// Where the file is, links followed.
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// Whether the database is in WAL mode.
    pub(crate) wal: bool,
    /// Whether a WAL stands beside the file.
    pub(crate) found_wal: bool,
    /// What it says of itself, where that can be told without SQLite.
    pub(crate) state: Option<State>,
}

/// Looks at a file that is to be opened.
pub(crate) fn inspect(path: &Path, access: Access) -> Result<Header, DatabaseError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => DatabaseError::Missing { path: path.to_owned() },
        _ if access != Access::Read => {
            DatabaseError::Io { what: "the file cannot be written".to_owned(), source }
        }
        _ => DatabaseError::Io { what: "the file cannot be read".to_owned(), source },
    };
    let (path, metadata) = followed(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(not("not a regular file"));
    }
    let size = metadata.len();
    let write = access != Access::Read;
    let file = OpenOptions::new().read(true).write(write).open(&path).map_err(io)?;
    let wal_length = beside(&path, "-wal")?;
    let found_wal = wal_length.is_some();
    // Beside a WAL nothing is told without SQLite; and the last program that closes such a database
    // wants it for itself. Without one, nobody writes to the file while it is shared.
    let is_shared = access != Access::Replace && !found_wal && file_format::share(&file);
    let journal = beside(&path, "-journal")?;
    let is_alone = is_shared && journal.is_none();
    if size == 0 {
        // A WAL is only ever written beside a database that has pages; SQLite would delete it.
        if access != Access::Replace && wal_length.is_some_and(|length| length > 0) {
            return Err(not(
                "the file is empty, and a WAL with data stands beside it; restore it from a backup",
            ));
        }
        if found_wal {
            beside(&path, "-shm")?;
        }
        let is_empty = || file.metadata().is_ok_and(|metadata| metadata.len() == 0);
        let state = (is_alone && is_empty()).then_some(State::New);
        return Ok(Header { path, size, wal: false, found_wal, state });
    }
    let header = header(&file).map_err(io)??;
    let wal = header[18] == 2 || header[19] == 2;
    if wal || found_wal {
        beside(&path, "-shm")?;
    }
    // While somebody writes, the pages may be on their way.
    let is_still = is_shared || (access != Access::Replace && !file_format::SHARES);
    if is_still && let Some(told) = missing(&path, (&header, size)) {
        return Err(not(&format!(
            "the file is cut off: {size} bytes, where its header tells of {told}; restore it from a backup"
        )));
    }
    let record = if is_alone { file_format::last_record(&file, &header) } else { None };
    // A program may begin a WAL while others read, and write to the file from it.
    let record = record.filter(|_| !wal || !side_file(&path, "-wal").exists());
    Ok(Header { path, size, wal, found_wal, state: record.map(State::Recorded) })
}

fn not(reason: &str) -> DatabaseError {
    DatabaseError::NotADatabase { reason: reason.to_owned() }
}

/// Where a file is and what it is. SQLite, too, looks for side files beside what a link leads to.
fn followed(path: &Path) -> io::Result<(PathBuf, Metadata)> {
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
fn beside(path: &Path, suffix: &str) -> Result<Option<u64>, DatabaseError> {
    match std::fs::symlink_metadata(side_file(path, suffix)) {
        Ok(found) if !found.is_file() => {
            Err(not(&format!("what stands beside it as its `{suffix}` file is no regular file")))
        }
        Ok(found) => Ok(Some(found.len())),
        Err(_) => Ok(None),
    }
}

/// The bytes that every database begins with.
fn header(mut file: &File) -> io::Result<Result<[u8; HEADER], DatabaseError>> {
    let mut header = [0; HEADER];
    let mut read = 0;
    while read < header.len() {
        match file.read(&mut header[read..])? {
            0 => break,
            count => read += count,
        }
    }
    if !header.starts_with(b"SQLite format 3\0") {
        let reason = "this is not a SQLite database: it does not begin with SQLite's header";
        return Ok(Err(not(reason)));
    }
    if read < header.len() {
        let reason = "this is not a whole SQLite database: its header is cut off";
        return Ok(Err(not(reason)));
    }
    Ok(Ok(header))
}

/// The size that the header tells of, if the file has not got it.
fn missing(path: &Path, (header, size): (&[u8; HEADER], u64)) -> Option<u64> {
    let number = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    // Only where both change counters agree does the page count hold, and a journal or WAL
    // beside the file may still change it.
    let counts = number(24) == number(92);
    let told = u64::from(number(28)) * file_format::page_size(header) as u64;
    let journalled = || side_file(path, "-journal").exists() || side_file(path, "-wal").exists();
    // In this order: another program may have been committing, and the file has its whole length
    // by the time the journal is gone.
    let length = || std::fs::metadata(path).map_or(size, |metadata| metadata.len());
    (counts && size < told && !journalled() && length() < told).then_some(told)
}
