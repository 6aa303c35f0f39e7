//! A database that is a SQLite file: looked at before SQLite touches it, opened as found, read
//! without a trace.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::apply::apply;
use super::guard::Guard;
use super::history::{Record, State};
use super::order::{Done, Ending, Order};
use super::practice::JournalMode;
use super::schema::Schema;
use super::stats::Stats;
use super::{Database, DatabaseError, Look, locks};

/// Above this size a run's scratch space goes to disk as SQLite decides; below, to memory, which
/// is a fifth faster.
const SCRATCH_IN_MEMORY_BELOW: u64 = 64 << 20;

/// How often a long statement asks whether to stop, in SQLite's virtual machine instructions:
/// some hundred times a second.
pub(crate) const STOP_CHECK_INTERVAL: i32 = 20_000;

/// How long to wait for locks, and the flag that ends all waiting and running.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How long a lock of another program is waited for.
    pub busy_timeout: Duration,
    /// Once set, nothing is waited for and nothing runs on.
    pub stop: Arc<AtomicBool>,
}

impl Patience {
    /// Whether the flag is set.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// An open database file.
pub(crate) struct SqliteFile {
    pub(super) connection: Connection,
    guard: Guard,
    path: PathBuf,
    pub(super) patience: Patience,
    /// Whether a WAL stood beside the file before it was opened.
    found_wal: bool,
    /// Whether what a run needs for a while fits in memory.
    is_small: bool,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    /// To be overwritten as a whole: what is cut off may go.
    Replace,
}

/// What the first bytes of a file tell.
pub(super) struct Header {
    pub(super) size: u64,
    /// Whether the database is in WAL mode.
    pub(super) wal: bool,
    /// Whether a WAL stands beside the file.
    found_wal: bool,
}

impl SqliteFile {
    /// Opens a file for migration. It must be there, and a database or empty.
    pub(crate) fn open(path: &Path, patience: &Patience) -> Result<Self, DatabaseError> {
        let header = inspect(path, Access::Write)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Self::connect((path, &header), &plain_name(path), flags, patience)?;
        if file.connection.is_readonly("main")? {
            return Err(DatabaseError::Io {
                what: "the file cannot be written".to_owned(),
                source: io::ErrorKind::PermissionDenied.into(),
            });
        }
        Ok(file)
    }

    /// Gives a database that was just made the journal mode that it is to keep.
    pub(crate) fn set_journal_mode(
        path: &Path,
        mode: JournalMode,
        patience: &Patience,
    ) -> Result<(), DatabaseError> {
        if mode == JournalMode::Delete {
            return Ok(());
        }
        let file = Self::open(path, patience)?;
        let set = file.connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match set.map_err(|error| file.named(error.into()))? {
            found if found == "wal" => Ok(()),
            found => Err(DatabaseError::JournalMode { found }),
        }
    }

    /// Reads from a file and leaves no trace beside it. `read` may be called twice.
    pub(crate) fn read<T>(
        path: &Path,
        patience: &Patience,
        read: impl Fn(&mut Self) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let header = inspect(path, Access::Read)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // To read a database in WAL mode, SQLite makes its two side files, and a reader without
        // the right to write leaves them behind. Without a WAL the main file is all there is.
        let wal = || std::fs::metadata(side_file(path, "-wal")).map_or(0, |wal| wal.len());
        if header.wal && wal() == 0 {
            let uri = immutable_uri(path)?;
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            let result = Self::connect((path, &header), Path::new(&uri), flags, patience)
                .and_then(|mut file| read(&mut file));
            match result {
                Ok(value) if wal() == 0 => return Ok(value),
                Err(DatabaseError::Interrupted) => return Err(DatabaseError::Interrupted),
                _ => {}
            }
        } else if header.wal && !side_file(path, "-shm").exists() {
            // A WAL that its program left or that was copied here: nobody has it open.
            if let Ok(mut file) = Self::connect_alone((path, &header), patience) {
                return read(&mut file).map_err(|error| file.named(error));
            }
        }
        let mut file = Self::connect((path, &header), &plain_name(path), flags, patience)?;
        read(&mut file).map_err(|error| file.named(error))
    }

    /// Opens a file with a WAL that nobody else has open, to be read with the WAL's index in this
    /// process's memory instead of a file, and the WAL left as it is.
    fn connect_alone(
        (path, header): (&Path, &Header),
        patience: &Patience,
    ) -> Result<Self, DatabaseError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Self::connect((path, header), &plain_name(path), flags, patience)?;
        file.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        file.connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON")?;
        Ok(file)
    }

    /// The connection, for whoever copies what is in the file.
    #[cfg(feature = "server")]
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn connect(
        (path, header): (&Path, &Header),
        name: &Path,
        flags: OpenFlags,
        patience: &Patience,
    ) -> Result<Self, DatabaseError> {
        let mut connection = Connection::open_with_flags(name, flags)?;
        harden(&connection)?;
        let stop = patience.stop.clone();
        connection
            .progress_handler(STOP_CHECK_INTERVAL, Some(move || stop.load(Ordering::Relaxed)))?;
        wait_when_busy(&mut connection, patience.clone())?;
        let guard = Guard::install(&mut connection)?;
        Ok(Self {
            connection,
            guard,
            path: path.to_owned(),
            patience: patience.clone(),
            found_wal: header.found_wal,
            is_small: header.size < SCRATCH_IN_MEMORY_BELOW,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves a WAL that was found as it is when this connection closes.
    pub(super) fn keep_wal(&self) -> Result<(), DatabaseError> {
        if self.found_wal {
            self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        Ok(())
    }

    /// For a rehearsal: what does not fit in memory stays there all the same, and a WAL that
    /// another program left is not moved into the main file when this connection closes.
    fn keep_main_file(&self) -> Result<(), DatabaseError> {
        self.connection.execute_batch("PRAGMA cache_spill = OFF")?;
        self.keep_wal()
    }

    /// Adds to a busy error who is in the way.
    pub(super) fn named(&self, error: DatabaseError) -> DatabaseError {
        match error {
            DatabaseError::Busy { .. } if self.patience.stopped() => DatabaseError::Interrupted,
            DatabaseError::Busy { holder: None } => {
                DatabaseError::Busy { holder: locks::holder(&self.path) }
            }
            error => error,
        }
    }
}

impl Look for SqliteFile {
    fn state(&self) -> Result<State, DatabaseError> {
        self.connection.state().map_err(|error| self.named(error))
    }

    fn records(&self) -> Result<Vec<Record>, DatabaseError> {
        self.connection.records().map_err(|error| self.named(error))
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        self.connection.schema().map_err(|error| self.named(error))
    }

    fn accepted(&self) -> Result<Vec<String>, DatabaseError> {
        self.connection.accepted().map_err(|error| self.named(error))
    }

    fn kept(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        self.connection.kept(checksum).map_err(|error| self.named(error))
    }

    fn integrity(&self) -> Result<Vec<String>, DatabaseError> {
        self.connection.integrity().map_err(|error| self.named(error))
    }

    fn foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
        self.connection.foreign_keys().map_err(|error| self.named(error))
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        let stats = self.connection.stats().map_err(|error| self.named(error))?;
        let length = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len());
        Ok(Stats {
            file_bytes: length(&self.path).unwrap_or(stats.file_bytes),
            wal_bytes: length(&side_file(&self.path, "-wal")).unwrap_or(0),
            ..stats
        })
    }
}

impl Database for SqliteFile {
    fn apply(&mut self, order: &Order<'_>, expected: &State) -> Result<Done, DatabaseError> {
        let scratch = if self.is_small { "PRAGMA temp_store = MEMORY;" } else { "" };
        self.connection
            .execute_batch(&format!("PRAGMA synchronous = FULL; {scratch}"))
            .map_err(|error| self.named(error.into()))?;
        if order.ending == Ending::Rollback {
            self.keep_main_file()?;
        }
        let stop = || self.patience.stopped();
        apply(&self.connection, &self.guard, (order, expected), &stop)
            .map_err(|error| self.named(error))
    }
}

/// The settings that every connection of tatmig's has: foreign keys off (they are checked once,
/// at the end), `sqlite_schema` out of reach, nothing in the schema trusted.
pub(crate) fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// Waits for a lock in small steps, so that an interrupt ends the waiting.
pub(super) fn wait_when_busy(
    connection: &mut Connection,
    patience: Patience,
) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            since = Instant::now();
        }
        if patience.stopped() || since.elapsed() >= patience.busy_timeout {
            return false;
        }
        let pause = [1, 2, 5, 10, 15, 20, 25];
        let step = usize::try_from(tries).unwrap_or(0).min(pause.len() - 1);
        let left = patience.busy_timeout.saturating_sub(since.elapsed());
        std::thread::sleep(Duration::from_millis(pause[step]).min(left));
        true
    }))
}

/// Looks at a file before SQLite does. The file is closed again before SQLite opens it: closing
/// it later would drop SQLite's locks.
pub(super) fn inspect(path: &Path, access: Access) -> Result<Header, DatabaseError> {
    const SIZE: usize = 100;
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => DatabaseError::Missing { path: path.to_owned() },
        _ if access != Access::Read => {
            DatabaseError::Io { what: "the file cannot be written".to_owned(), source }
        }
        _ => DatabaseError::Io { what: "the file cannot be read".to_owned(), source },
    };
    let not = |reason: &str| Err(DatabaseError::NotADatabase { reason: reason.to_owned() });
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return not("not a regular file");
    }
    // SQLite would open a FIFO under such a name, and wait for ever.
    let beside = |suffix: &str| match std::fs::symlink_metadata(side_file(path, suffix)) {
        Ok(side) if !side.is_file() => Err(DatabaseError::NotADatabase {
            reason: format!("what stands beside it as its `{suffix}` file is no regular file"),
        }),
        Ok(side) => Ok(Some(side.len())),
        Err(_) => Ok(None),
    };
    beside("-journal")?;
    beside("-shm")?;
    let wal_length = beside("-wal")?;
    let found_wal = wal_length.is_some();
    let size = metadata.len();
    if size == 0 {
        // A WAL is only ever written beside a database that has pages; SQLite would delete it.
        if access != Access::Replace && wal_length.is_some_and(|length| length > 0) {
            return not(
                "the file is empty, and a WAL with data stands beside it; restore it from a backup",
            );
        }
        return Ok(Header { size, wal: false, found_wal });
    }
    let mut header = [0; SIZE];
    let mut read = 0;
    let mut file =
        OpenOptions::new().read(true).write(access != Access::Read).open(path).map_err(io)?;
    while read < SIZE {
        match file.read(&mut header[read..]).map_err(io)? {
            0 => break,
            count => read += count,
        }
    }
    drop(file);
    if !header.starts_with(b"SQLite format 3\0") {
        return not("this is not a SQLite database: it does not begin with SQLite's header");
    }
    if read < SIZE {
        return not("this is not a whole SQLite database: its header is cut off");
    }
    let number = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let wal = header[18] == 2 || header[19] == 2;
    // Only where both change counters agree does the page count hold, and a journal or WAL
    // beside the file may still change it.
    let counts = number(24) == number(92);
    let journalled = || side_file(path, "-journal").exists() || side_file(path, "-wal").exists();
    let told = u64::from(number(28)) * page_size;
    // In this order: another program may be committing, and the file has its whole length by the
    // time the journal is gone.
    let length = || std::fs::metadata(path).map_or(size, |metadata| metadata.len());
    if access != Access::Replace && counts && size < told && !journalled() && length() < told {
        return Err(DatabaseError::NotADatabase {
            reason: format!(
                "the file is cut off: {size} bytes, where its header tells of {told}; restore it from a backup"
            ),
        });
    }
    Ok(Header { size, wal, found_wal })
}

/// The journal, WAL or shared memory file beside a database.
pub(crate) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A path that SQLite cannot take for a URI or a special name: `file:x` is a file's name here.
pub(super) fn plain_name(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

/// tatmig's own URI of a file that nobody writes to while it is read.
fn immutable_uri(path: &Path) -> Result<String, DatabaseError> {
    let absolute = std::path::absolute(path).map_err(|source| DatabaseError::Io {
        what: "the working directory is not known".to_owned(),
        source,
    })?;
    let mut uri = "file://".to_owned();
    for byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    Ok(uri)
}
