//! Opens a SQLite file as a database: checks the file first, lets SQLite open it when needed, and
//! reads it without leaving side files.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::database::connection::{
    ConnectOptions, DEFAULT_SYNC_IS_FULL, apply_security_settings, install_busy_handler,
    install_cancel_handler,
};
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob, TransactionEnd};
use crate::database::policy::JournalMode;
use crate::database::stats::Stats;
use crate::database::template::DatabaseTemplate;
use crate::database::{Database, SessionDatabase};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::locks;
use crate::sqlite::paths::{immutable_uri, plain_name, side_file};
use crate::sqlite::preflight::{Access, FileInfo, preflight};
use crate::sqlite::sole_use::is_sole_use;
use crate::sqlite::transaction::apply;

/// Below this file size, in bytes, a run keeps SQLite's temporary tables in memory, which is 20 %
/// faster; above it SQLite decides.
const TEMP_STORE_IN_MEMORY_BELOW: u64 = 64 << 20;

/// A database file. SQLite opens the file only when preflight did not answer the question.
pub(crate) struct SqliteFile {
    info: FileInfo,
    mode: OpenMode,
    opened: OnceCell<OpenConnection>,
    pub(crate) options: ConnectOptions,
}

struct OpenConnection {
    connection: Connection,
    authorizer: StatementAuthorizer,
}

/// How SQLite is to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenMode {
    Write,
    Read,
    /// Read with `immutable=1`: SQLite takes no lock and creates no side file.
    Immutable,
    /// Read together with a WAL that no other program has open. The WAL index is in this process's
    /// memory instead of a `-shm` file, and the WAL is left unchanged.
    ExclusiveWal,
}

impl SqliteFile {
    /// Checks a file that is to be migrated. The file must exist, and be a database or empty.
    pub(crate) fn prepare(path: &Path, options: &ConnectOptions) -> Result<Self, DatabaseError> {
        Ok(Self::new(preflight(path, Access::Write)?, OpenMode::Write, options))
    }

    /// Checks a file like [`Self::prepare`] and opens it with SQLite.
    pub(crate) fn open(path: &Path, options: &ConnectOptions) -> Result<Self, DatabaseError> {
        let file = Self::prepare(path, options)?;
        file.connection()?;
        Ok(file)
    }

    fn new(info: FileInfo, mode: OpenMode, options: &ConnectOptions) -> Self {
        Self { info, mode, opened: OnceCell::new(), options: options.clone() }
    }

    /// Sets the journal mode of a database that was just created.
    ///
    /// # Errors
    ///
    /// `JournalMode` if the file system does not support WAL mode.
    pub(crate) fn set_journal_mode(
        path: &Path,
        mode: JournalMode,
        options: &ConnectOptions,
    ) -> Result<(), DatabaseError> {
        if mode == JournalMode::Delete {
            return Ok(());
        }
        let journal_mode = Self::open(path, options)?.with_connection(|connection| {
            Ok(connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?)
        });
        match journal_mode? {
            found if found == "wal" => Ok(()),
            found => Err(DatabaseError::JournalMode { found }),
        }
    }

    /// Reads a file without leaving side files. `read` may be called several times: again in
    /// another mode, or while a journal disappears.
    pub(crate) fn read<T>(
        path: &Path,
        options: &ConnectOptions,
        read: impl Fn(&Self) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let mut file = Self::new(preflight(path, Access::Read)?, OpenMode::Read, options);
        let path = file.path().to_owned();
        // To read a database in WAL mode, SQLite creates its two side files, and a read-only
        // connection leaves them behind. Without a WAL, the main file holds all the data, and an
        // immutable read is correct if no WAL appears meanwhile.
        let wal_len = || std::fs::metadata(side_file(&path, "-wal")).map_or(0, |wal| wal.len());
        if file.info.is_wal && wal_len() == 0 {
            file.mode = OpenMode::Immutable;
            match read(&file) {
                Ok(value) if wal_len() == 0 => return Ok(value),
                Err(DatabaseError::Interrupted) => return Err(DatabaseError::Interrupted),
                _ => file.reopen_as(OpenMode::Read),
            }
        } else if file.info.is_wal && !side_file(&path, "-shm").exists() {
            // A WAL without a `-shm` file was left by a killed program or copied here: no program
            // has it open.
            file.mode = OpenMode::ExclusiveWal;
            if file.connection().is_err() {
                file.reopen_as(OpenMode::Read);
            }
        }
        // The journal of a transaction that is just ending looks like a hot journal until it is
        // checked again.
        for pause in [1, 5, 20, 50].map(Duration::from_millis) {
            match read(&file) {
                Err(DatabaseError::HotJournal) if !options.is_cancelled() => {
                    std::thread::sleep(pause);
                }
                result => return result.map_err(|error| file.add_lock_holder(error)),
            }
        }
        read(&file).map_err(|error| file.add_lock_holder(error))
    }

    /// Closes the connection; the next use opens the file in another mode.
    fn reopen_as(&mut self, mode: OpenMode) {
        self.mode = mode;
        self.info.history_state = None;
        self.opened = OnceCell::new();
    }

    /// The SQLite connection, opened at the first call.
    pub(crate) fn connection(&self) -> Result<&Connection, DatabaseError> {
        Ok(&self.open_connection()?.connection)
    }

    fn open_connection(&self) -> Result<&OpenConnection, DatabaseError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.connect().map_err(|error| self.add_lock_holder(error))?;
        Ok(self.opened.get_or_init(|| opened))
    }

    fn connect(&self) -> Result<OpenConnection, DatabaseError> {
        let reads_as_writer = self.mode == OpenMode::Read && self.reads_as_writer();
        let (name, flags) = match self.mode {
            OpenMode::Write | OpenMode::ExclusiveWal => {
                (plain_name(self.path()), OpenFlags::SQLITE_OPEN_READ_WRITE)
            }
            // The last connection that closes a WAL database removes the side files, if it may write.
            OpenMode::Read if reads_as_writer => {
                (plain_name(self.path()), OpenFlags::SQLITE_OPEN_READ_WRITE)
            }
            OpenMode::Read => (plain_name(self.path()), OpenFlags::SQLITE_OPEN_READ_ONLY),
            OpenMode::Immutable => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                (PathBuf::from(immutable_uri(self.path())?), flags)
            }
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(name, flags)?;
        apply_security_settings(&connection)?;
        install_cancel_handler(&mut connection, &self.options.cancel)?;
        install_busy_handler(&mut connection, self.options.clone())?;
        if self.mode == OpenMode::Write && connection.is_readonly("main")? {
            return Err(DatabaseError::Io {
                context: "the file cannot be written".to_owned(),
                source: io::ErrorKind::PermissionDenied.into(),
            });
        }
        if reads_as_writer {
            let keeps_wal = self.info.has_wal_file;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps_wal)?;
            connection.execute_batch("PRAGMA query_only = ON")?;
        }
        if self.mode == OpenMode::ExclusiveWal {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON")?;
        }
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        Ok(OpenConnection { connection, authorizer })
    }

    /// Whether a read opens the file for writing: where the process may have other connections to the
    /// file, and no journal exists that SQLite would roll back.
    fn reads_as_writer(&self) -> bool {
        !is_sole_use() && !side_file(self.path(), "-journal").exists()
    }

    /// Runs an operation on the connection and adds the lock holder to a busy error.
    fn with_connection<T>(
        &self,
        operation: impl FnOnce(&Connection) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        operation(self.connection()?).map_err(|error| self.add_lock_holder(error))
    }

    /// The path of the file, with symbolic links resolved.
    pub(crate) fn path(&self) -> &Path {
        &self.info.path
    }

    /// Leaves a WAL that existed before unchanged when this connection closes.
    pub(crate) fn no_checkpoint_on_close(&self) -> Result<(), DatabaseError> {
        if self.info.has_wal_file {
            self.connection()?.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        Ok(())
    }

    /// Keeps the main file unchanged during a rehearsal: dirty pages stay in memory even if the
    /// cache is full, and closing this connection does not checkpoint a WAL that another program
    /// left.
    fn freeze_main_file(&self) -> Result<(), DatabaseError> {
        self.connection()?.execute_batch("PRAGMA cache_spill = OFF")?;
        self.no_checkpoint_on_close()
    }

    /// Adds the process that holds the lock to a busy error. After a cancellation, a busy error
    /// becomes `Interrupted`.
    pub(crate) fn add_lock_holder(&self, error: DatabaseError) -> DatabaseError {
        locks::add_lock_holder(error, self.path(), &self.options)
    }
}

impl SessionDatabase for SqliteFile {
    type Session = Connection;

    fn session(&self) -> Result<&Connection, DatabaseError> {
        self.connection()
    }

    fn explain(&self, error: DatabaseError) -> DatabaseError {
        self.add_lock_holder(error)
    }

    fn read_history_state(&self) -> Result<HistoryState, DatabaseError> {
        // A state that was read from the file's pages is valid until SQLite has opened the file.
        match (&self.info.history_state, self.opened.get()) {
            (Some(state), None) => Ok(state.clone()),
            _ => self.connection()?.read_history_state(),
        }
    }

    fn read_stats(&self) -> Result<Stats, DatabaseError> {
        let stats = self.connection()?.read_stats()?;
        let length = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len());
        Ok(Stats {
            file_bytes: length(self.path()).unwrap_or(stats.file_bytes),
            wal_bytes: length(&side_file(self.path(), "-wal")).unwrap_or(0),
            ..stats
        })
    }
}

impl Database for SqliteFile {
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
    ) -> Result<JobResult, DatabaseError> {
        // Preflight found the file empty, and nothing has used the connection since.
        let is_still_empty = self.info.size == 0
            && self.info.history_state.as_ref() == Some(expected)
            && self.opened.get().is_none();
        self.with_connection(|connection| {
            if !*DEFAULT_SYNC_IS_FULL {
                connection.execute_batch("PRAGMA synchronous = FULL")?;
            }
            if self.info.size < TEMP_STORE_IN_MEMORY_BELOW {
                connection.execute_batch("PRAGMA temp_store = MEMORY")?;
            }
            Ok(())
        })?;
        if job.transaction_end == TransactionEnd::Rollback {
            self.freeze_main_file()?;
        }
        if is_still_empty
            && let Some(template) =
                job.template.get_or_init(|| DatabaseTemplate::from_job(job, &self.options))
            && let Some(opened) = self.opened.get_mut()
        {
            let result = template.write_to(&mut opened.connection, &self.info.path, &self.options);
            return result.map_err(|error| self.add_lock_holder(error));
        }
        let OpenConnection { connection, authorizer } = self.open_connection()?;
        let is_cancelled = || self.options.is_cancelled();
        apply(connection, authorizer, job, expected, &is_cancelled)
            .map_err(|error| self.add_lock_holder(error))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::database::ReadDatabase;
    use crate::database::connection::open_in_memory;
    use crate::database::history;
    use crate::database::history_entry::{HistoryEvent, NewHistoryEntry};
    use crate::database::job::{CompiledScript, Statement, Step};
    use crate::document::tag::Scope;
    use crate::source::SourceSlice;

    fn open_file(path: &Path) -> SqliteFile {
        let options =
            ConnectOptions { busy_timeout: Duration::from_secs(1), cancel: Arc::default() };
        SqliteFile::open(path, &options).unwrap()
    }

    /// A statement that succeeds every time it runs.
    fn insert_script() -> CompiledScript<'static> {
        let sql = SourceSlice::new("INSERT INTO t VALUES (1)", 0);
        CompiledScript {
            statements: vec![Statement {
                sql,
                column_change: None,
                positional_tables: Vec::new(),
                assertion: None,
            }],
            ..CompiledScript::default()
        }
    }

    fn migration_job<'r>(
        script: &'r CompiledScript<'static>,
        [from, to]: [&str; 2],
    ) -> MigrationJob<'r> {
        let (event, from, to) = (HistoryEvent::Upgrade, from.to_owned(), to.to_owned());
        let (label, note) = (format!("{from} → {to}"), None);
        let entry = Some(NewHistoryEntry { event, from, to, checksum: None, chain: None, note });
        MigrationJob::new(
            Scope::User,
            vec![Step { script, label, history_entry: entry, sources: Vec::new() }],
        )
    }

    #[test]
    fn migrations_use_synchronous_full() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let mut file = open_file(&path);
        let state = file.history_state().unwrap();
        file.apply(&MigrationJob::new(Scope::User, Vec::new()), &state).unwrap();
        let synchronous = file.with_connection(|connection| {
            Ok(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(synchronous.unwrap(), 2);
    }

    #[test]
    fn cancel_after_the_last_statement_prevents_the_commit() {
        let mut connection = open_in_memory(&Arc::default()).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        let authorizer = StatementAuthorizer::install(&mut connection).unwrap();
        let script = insert_script();
        let job = migration_job(&script, ["baseline", "1.0.0"]);
        // Called before the statement and before the commit.
        let checks = Cell::new(0);
        let is_cancelled = || checks.replace(checks.get() + 1) > 0;
        let error =
            apply(&connection, &authorizer, &job, &HistoryState::Unversioned, &is_cancelled)
                .unwrap_err();
        assert!(matches!(error, DatabaseError::Interrupted), "{error}");
        assert_eq!(checks.get(), 2);
        let rows = connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.unwrap(), 0);
        assert_eq!(history::state(&connection).unwrap(), HistoryState::Unversioned);
    }

    #[test]
    fn a_step_applied_by_another_run_is_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let script = insert_script();
        for (before, [from, to]) in [(0, ["baseline", "1.0.0"]), (1, ["1.0.0", "1.1.0"])] {
            let job = migration_job(&script, [from, to]);
            let (mut slow, mut fast) = (open_file(&path), open_file(&path));
            let (slow_state, fast_state) =
                (slow.history_state().unwrap(), fast.history_state().unwrap());
            assert_eq!(slow_state, fast_state);
            fast.apply(&job, &fast_state).unwrap();
            let error = slow.apply(&job, &slow_state).unwrap_err();
            assert!(matches!(error, DatabaseError::ConcurrentChange), "{error}");
            let rows = slow.with_connection(|connection| {
                Ok(connection
                    .query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?)
            });
            assert_eq!(rows.unwrap(), before + 1);
            let entries = slow.history().unwrap();
            assert_eq!(entries.last().map(|entry| &*entry.to), Some(to));
            assert_eq!(i64::try_from(entries.len()).unwrap(), before + 1);
        }
    }
}
