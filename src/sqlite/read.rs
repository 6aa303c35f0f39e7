//! Reads a database file: every read sees one state of the database, changes no byte and leaves no
//! side file.
//!
//! To read a database in WAL mode, SQLite creates its two side files. Without a WAL, the main file
//! holds all the data, and an immutable read needs no side file. A WAL that no program has open can
//! be read with an index in memory. Both are correct only if no program opens the database
//! meanwhile. This process holds the shared lock of SQLite's readers, under which no program can
//! remove a side file, so the side files show afterwards whether one did. Then SQLite reads again,
//! in one ordinary read transaction.

use std::cell::OnceCell;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::database::ReadDatabase as _;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::sqlite::database_file::{Access, DatabaseFile};
use crate::sqlite::file::{OpenMode, SqliteFile};
use crate::sqlite::paths::side_file;
use crate::sqlite::pinned_file::FileVersion;
use crate::sqlite::preflight::preflight;
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::sqlite::shared_lock::try_shared_lock;
use crate::sqlite::side_file::SideFile;

/// How often a read begins again because a program opened or closed the database meanwhile.
const MAX_ATTEMPTS: usize = 5;

/// What a read without SQLite's locks depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileState {
    main: FileVersion,
    wal: Option<SideFile>,
    shm: Option<SideFile>,
}

impl SqliteFile {
    /// Reads a database file. `read` may be called several times: again in another mode, or while a
    /// journal disappears.
    pub(crate) fn read<T>(
        database: &DatabaseFile,
        options: &ConnectOptions,
        read: impl Fn(&Self) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let mut may_skip_locks = true;
        for _ in 1..MAX_ATTEMPTS {
            let mut file = Self::new(preflight(database, Access::Read)?, OpenMode::Read, options);
            if may_skip_locks && let Some(before) = file.choose_mode_without_locks() {
                match read(&file) {
                    Err(DatabaseError::Interrupted) => return Err(DatabaseError::Interrupted),
                    // What preflight read is correct without a later check.
                    result if file.opened.get().is_none() => return result,
                    result if file.is_unchanged(&before) => return result,
                    _ => may_skip_locks = false,
                }
                continue;
            }
            match file.read_in_transaction(&read) {
                // The last program that used the database closed it and removed the WAL, and this
                // user may not create one.
                Err(DatabaseError::Sqlite(error))
                    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
                        && SideFile::find(file.path(), "-wal").is_none() =>
                {
                    may_skip_locks = true;
                }
                result => return result,
            }
        }
        let info = preflight(database, Access::Read)?;
        Self::new(info, OpenMode::Read, options).read_in_transaction(&read)
    }

    /// Chooses a mode that takes no locks of SQLite, if one is correct at this moment. Returns the
    /// state that must be the same after the read.
    fn choose_mode_without_locks(&mut self) -> Option<FileState> {
        let (has_wal, is_empty) = (self.info.has_wal_file, self.info.size == 0);
        if !(has_wal || self.info.is_wal) || has_hot_journal(self.path()) {
            return None;
        }
        if !self.info.has_shared_lock {
            let has_lock = has_wal
                && (is_empty || SideFile::find(self.path(), "-shm").is_none())
                && try_shared_lock(&self.info.pin.file);
            self.info.has_shared_lock = has_lock;
        }
        if !self.info.has_shared_lock {
            return None;
        }
        let state = self.state()?;
        self.mode = match (&state.wal, &state.shm) {
            (None, _) => OpenMode::Immutable,
            // SQLite would remove the WAL of an empty file.
            (Some(wal), _) if wal.size == 0 && is_empty => OpenMode::Immutable,
            (Some(_), None) => OpenMode::PrivateWal,
            (Some(_), Some(_)) => return None,
        };
        Some(state)
    }

    fn state(&self) -> Option<FileState> {
        Some(FileState {
            main: self.info.pin.version().ok()?,
            wal: SideFile::find(self.path(), "-wal"),
            shm: SideFile::find(self.path(), "-shm"),
        })
    }

    /// Whether no program has used the database since.
    fn is_unchanged(&self, before: &FileState) -> bool {
        self.state().as_ref() == Some(before) && self.info.pin.has_path()
    }

    /// Reads under SQLite's own locks.
    fn read_in_transaction<T>(
        &mut self,
        read: &impl Fn(&Self) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.found_wal = SideFile::find(self.path(), "-wal");
        let uses_wal = self.info.is_wal || self.found_wal.is_some();
        self.mode = if uses_wal && self.info.size > 0 && !has_hot_journal(self.path()) {
            OpenMode::ReadWal
        } else {
            OpenMode::Read
        };
        // The journal of a transaction that is just ending looks like a hot journal until it is
        // checked again.
        for pause in [1, 5, 20, 50].map(Duration::from_millis) {
            match self.read_one_state(read) {
                Err(DatabaseError::HotJournal) if !self.options.is_cancelled() => {
                    std::thread::sleep(pause);
                    self.close();
                }
                result => return result.map_err(|error| self.add_lock_holder(error)),
            }
        }
        self.read_one_state(read).map_err(|error| self.add_lock_holder(error))
    }

    /// Reads, and once more if the history that preflight read is not the one that the transaction
    /// saw.
    fn read_one_state<T>(
        &mut self,
        read: &impl Fn(&Self) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let value = read(self)?;
        if let (Some(state), Some(opened)) = (&self.info.history_state, self.opened.get())
            && opened.connection.history_state()? != *state
        {
            self.close();
            return read(self);
        }
        Ok(value)
    }

    /// Begins the read transaction of a connection that is opened for reading.
    pub(super) fn prepare_reading(&self, connection: &Connection) -> Result<(), DatabaseError> {
        match self.mode {
            OpenMode::Write => return Ok(()),
            OpenMode::PrivateWal => {
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
                connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
            }
            OpenMode::ReadWal => {
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
                connection.execute_batch("PRAGMA query_only = ON")?;
            }
            OpenMode::Read | OpenMode::Immutable => {}
        }
        Ok(connection.execute_batch("BEGIN")?)
    }

    /// Closes the connection; the next use opens the file again.
    fn close(&mut self) {
        self.info.history_state = None;
        self.remove_own_wal();
        self.opened = OnceCell::new();
    }

    /// Lets SQLite remove the side files as it closes the connection, if it created them for this
    /// connection: the WAL is empty, and was not there before.
    fn remove_own_wal(&self) {
        let Some(opened) = self.opened.get().filter(|_| self.mode == OpenMode::ReadWal) else {
            return;
        };
        let wal = SideFile::find(self.path(), "-wal");
        if wal.as_ref().is_some_and(|wal| wal.size == 0) && wal != self.found_wal {
            let option = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            let _ = opened.connection.set_db_config(option, false);
        }
    }
}

impl Drop for SqliteFile {
    fn drop(&mut self) {
        self.remove_own_wal();
    }
}

/// Whether SQLite may take the journal beside a file for a hot one: it begins with a byte that is
/// not zero.
fn has_hot_journal(path: &Path) -> bool {
    let path = side_file(path, "-journal");
    let mut options = OpenOptions::new();
    match regular_file::open(&path, options.read(true), SymlinkPolicy::Refuse) {
        Ok(mut journal) => {
            let mut first_byte = [0];
            journal.read_exact(&mut first_byte).is_ok() && first_byte != [0]
        }
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}
