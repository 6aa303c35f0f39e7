//! Replaces the whole content of a live database in one transaction of that database, through
//! SQLite's backup interface.

use std::io::ErrorKind;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::database::connection::{
    ConnectOptions, UnpreparedConnection, install_busy_handler, open_in_memory,
};
use crate::database::error::DatabaseError;
use crate::sqlite::database_file::{Access, DatabaseFile};
use crate::sqlite::locks;
use crate::sqlite::paths::plain_name;
use crate::sqlite::pinned_file::PinnedFile;
use crate::sqlite::preflight::preflight;

/// The number of pages that are copied between two checks for an interrupt.
const PAGES_PER_STEP: i32 = 256;

/// A database that is locked exclusively, so that its content can be replaced.
pub(crate) struct ExclusiveTarget {
    /// Dropped before `pin`, which must not be closed while SQLite holds locks.
    connection: Connection,
    pin: PinnedFile,
    is_wal: bool,
    options: ConnectOptions,
}

impl ExclusiveTarget {
    /// Locks a database exclusively.
    ///
    /// # Errors
    ///
    /// `Busy` with the process that uses the database; a file that SQLite cannot write.
    pub(crate) fn lock(
        database: &DatabaseFile,
        options: &ConnectOptions,
    ) -> Result<Self, DatabaseError> {
        let info = preflight(database, Access::Overwrite).map_err(|error| match error {
            DatabaseError::NotADatabase { reason } => DatabaseError::NotADatabase {
                reason: format!(
                    "{reason}; SQLite cannot overwrite this file. Move it away; `tatmig restore` then creates the database from a backup, and `tatmig init` an empty one"
                ),
            },
            error => error,
        })?;
        let pin = info.pin;
        let connection = connect(&pin, options)?;
        // The order matters. `locking_mode = EXCLUSIVE` comes before the first read: in WAL mode
        // that fails while any other program is connected, even an idle one. `writable_schema`
        // lets SQLite open a damaged database, which most needs to be replaced.
        let lock_result = connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA writable_schema = ON; \
             PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; COMMIT",
        );
        let target = Self { connection, pin, is_wal: info.is_wal, options: options.clone() };
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
        let empty = open_in_memory(&self.options.setup)?;
        empty.pragma_update(None, "page_size", page_size(&self.connection)?)?;
        empty.pragma_update(None, "encoding", encoding)?;
        empty.pragma_update(None, "auto_vacuum", auto_vacuum)?;
        Ok(empty)
    }

    /// Overwrites the database with another one in one transaction: after a failure, an interrupt
    /// or a kill the old content is complete. Returns a note if the content is new, but SQLite could
    /// not turn the WAL mode of the old database on again.
    pub(crate) fn overwrite_from(
        &mut self,
        source: &Connection,
    ) -> Result<Option<String>, DatabaseError> {
        // SQLite cannot change the page size of a database in WAL mode.
        let leaves_wal = self.is_wal && page_size(&self.connection)? != page_size(source)?;
        if leaves_wal {
            self.set_journal_mode("DELETE")?;
        }
        let result = copy_pages(source, &mut self.connection, &self.options);
        let wal_result = if leaves_wal { self.return_to_wal() } else { Ok(()) };
        match (result, wal_result) {
            (Ok(()), Ok(())) => Ok(None),
            (Ok(()), Err(error)) => Ok(Some(format!(
                "the journal mode is now `delete` instead of `wal`: {error}; turn it on again with `PRAGMA journal_mode = WAL`"
            ))),
            (Err(error), Ok(())) => Err(self.add_lock_holder(error)),
            (Err(error), Err(wal_error)) => Err(DatabaseError::WalModeLost {
                cause: Box::new(self.add_lock_holder(error)),
                wal_error: wal_error.to_string(),
            }),
        }
    }

    /// Turns WAL mode on again. The connection still holds the exclusive lock, so no other program
    /// can prevent this.
    fn return_to_wal(&mut self) -> Result<(), DatabaseError> {
        if self.set_journal_mode("WAL").is_ok() {
            return Ok(());
        }
        // A connection keeps the encoding that it read first, and refuses a database whose encoding
        // has changed since.
        self.connection = connect(&self.pin, &self.options)?;
        self.set_journal_mode("WAL")
    }

    fn set_journal_mode(&self, mode: &str) -> Result<(), DatabaseError> {
        let found: String = self
            .connection
            .query_row(&format!("PRAGMA journal_mode = {mode}"), [], |row| row.get(0))
            .map_err(|error| self.add_lock_holder(error.into()))?;
        if found.eq_ignore_ascii_case(mode) {
            Ok(())
        } else {
            Err(DatabaseError::JournalMode { found })
        }
    }

    fn add_lock_holder(&self, error: DatabaseError) -> DatabaseError {
        locks::add_lock_holder(error, &self.pin.path, &self.options)
    }
}

fn connect(pin: &PinnedFile, options: &ConnectOptions) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = plain_name(&pin.path);
    let opened = pin.open_with_sqlite(|| UnpreparedConnection::open(&path, flags, None))?;
    let mut connection = opened.prepare(&options.setup)?;
    // Defensive mode would ignore `writable_schema`, which a damaged database needs. No statement
    // of the document runs here.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    install_busy_handler(&mut connection, options.clone())?;
    Ok(connection)
}

fn page_size(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "page_size", |row| row.get(0))
}

/// Copies all pages.
pub(crate) fn copy_pages(
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::sqlite::regular_file::SymlinkPolicy;

    /// Asserts that a WAL database is in WAL mode after it was overwritten with another page size,
    /// while another program waits for the lock.
    fn assert_wal_is_kept(encoding: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let old = "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; CREATE TABLE old (x);";
        Connection::open(&path).unwrap().execute_batch(old).unwrap();
        let database = DatabaseFile::new(path.clone(), SymlinkPolicy::Refuse);
        let options = ConnectOptions {
            busy_timeout: Duration::from_millis(500),
            setup: crate::database::connection::ConnectionSetup::default(),
        };
        let mut target = ExclusiveTarget::lock(&database, &options).unwrap();
        let source = Connection::open_in_memory().unwrap();
        source
            .execute_batch(&format!(
                "PRAGMA page_size = 1024; PRAGMA encoding = '{encoding}'; CREATE TABLE new (x)"
            ))
            .unwrap();
        let is_done = AtomicBool::new(false);
        let note = std::thread::scope(|scope| {
            scope.spawn(|| {
                let waiting = Connection::open(&path).unwrap();
                while !is_done.load(Ordering::SeqCst) {
                    // Whoever gets the lock keeps it.
                    let _ = waiting.execute_batch("BEGIN EXCLUSIVE");
                }
            });
            std::thread::sleep(Duration::from_millis(20));
            let note = target.overwrite_from(&source).unwrap();
            is_done.store(true, Ordering::SeqCst);
            note
        });
        drop(target);
        let found = Connection::open(&path).unwrap();
        let mode: String = found.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, if note.is_some() { "delete" } else { "wal" });
        assert!(encoding != "UTF-8" || note.is_none(), "{note:?}");
        assert!(note.is_none_or(|note| note.contains("the journal mode is now `delete`")));
        assert_eq!(page_size(&found).unwrap(), 1024);
        found.execute_batch("SELECT * FROM new").unwrap();
    }

    #[test]
    fn another_page_size_keeps_wal_mode_or_is_reported() {
        assert_wal_is_kept("UTF-8");
        assert_wal_is_kept("UTF-16le");
    }
}
