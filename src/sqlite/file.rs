//! Opens a SQLite file as a database: checks the file first, and lets SQLite open it when needed.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::database::connection::{
    ConnectOptions, DEFAULT_SYNC_IS_FULL, UnpreparedConnection, install_busy_handler,
};
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob, TransactionEnd};
use crate::database::policy::JournalMode;
use crate::database::query::{QueryError, RowSink};
use crate::database::stats::Stats;
use crate::database::template::DatabaseTemplate;
use crate::database::{Database, SessionDatabase};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::database_file::{Access, DatabaseFile};
use crate::sqlite::locks;
use crate::sqlite::paths::{immutable_uri, plain_name, side_file};
use crate::sqlite::preflight::{FileInfo, preflight};
use crate::sqlite::query::run_query;
use crate::sqlite::shared_lock;
use crate::sqlite::side_file::SideFile;
use crate::sqlite::transaction::apply;

/// Below this file size, in bytes, a run keeps SQLite's temporary tables in memory, which is 20 %
/// faster; above it SQLite decides.
const TEMP_STORE_IN_MEMORY_BELOW: u64 = 64 << 20;

/// The variant of SQLite's file access on Unix that takes no locks.
const LOCKLESS_VFS: &str = "unix-none";

/// A database file. SQLite opens the file only when preflight did not answer the question.
pub(crate) struct SqliteFile {
    /// Dropped before `info`, whose descriptor must not be closed while SQLite holds locks.
    pub(super) opened: OnceCell<OpenConnection>,
    pub(super) info: FileInfo,
    pub(super) mode: OpenMode,
    /// The WAL before SQLite opened the file, if the file is read under SQLite's locks.
    pub(super) found_wal: Option<SideFile>,
    pub(crate) options: ConnectOptions,
}

pub(super) struct OpenConnection {
    pub(super) connection: Connection,
    authorizer: StatementAuthorizer,
}

/// How SQLite is to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenMode {
    Write,
    /// Read in one transaction, without permission to write.
    Read,
    /// Read a database in WAL mode in one transaction. SQLite may write, so that it can remove the
    /// side files that it creates.
    ReadWal,
    /// Read with `immutable=1`: SQLite takes no lock and creates no side file. This process holds
    /// the shared lock.
    Immutable,
    /// Read together with a WAL that no other program has open. The WAL index is in this process's
    /// memory instead of a `-shm` file. SQLite takes no lock and writes nothing; this process holds
    /// the shared lock.
    PrivateWal,
}

impl SqliteFile {
    /// Checks a file that is to be migrated. The file must exist, and be a database or empty.
    pub(crate) fn prepare(
        database: &DatabaseFile,
        options: &ConnectOptions,
    ) -> Result<Self, DatabaseError> {
        Ok(Self::new(preflight(database, Access::Write)?, OpenMode::Write, options))
    }

    /// Checks a file like [`Self::prepare`] and opens it with SQLite.
    pub(crate) fn open(
        database: &DatabaseFile,
        options: &ConnectOptions,
    ) -> Result<Self, DatabaseError> {
        let file = Self::prepare(database, options)?;
        file.connection()?;
        Ok(file)
    }

    pub(super) fn new(info: FileInfo, mode: OpenMode, options: &ConnectOptions) -> Self {
        let options = options.clone();
        Self { opened: OnceCell::new(), info, mode, found_wal: None, options }
    }

    /// Sets the journal mode of a database that was just created.
    ///
    /// # Errors
    ///
    /// `JournalMode` if the file system does not support WAL mode.
    pub(crate) fn set_journal_mode(
        database: &DatabaseFile,
        mode: JournalMode,
        options: &ConnectOptions,
    ) -> Result<(), DatabaseError> {
        if mode == JournalMode::Delete {
            return Ok(());
        }
        let journal_mode = Self::open(database, options)?.with_connection(|connection| {
            Ok(connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?)
        });
        match journal_mode? {
            found if found == "wal" => Ok(()),
            found => Err(DatabaseError::JournalMode { found }),
        }
    }

    /// The SQLite connection, opened at the first call.
    pub(crate) fn connection(&self) -> Result<&Connection, DatabaseError> {
        Ok(&self.open_connection()?.connection)
    }

    /// Runs a statement that reads. An `Err` is that of the database, the inner one that of the
    /// statement.
    pub(crate) fn query(
        &self,
        statement: &str,
        sink: &mut dyn RowSink,
    ) -> Result<Result<(), QueryError>, DatabaseError> {
        let OpenConnection { connection, authorizer } = self.open_connection()?;
        run_query(connection, authorizer, statement, sink)
            .map_err(|error| self.add_lock_holder(error))
    }

    fn open_connection(&self) -> Result<&OpenConnection, DatabaseError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.connect().map_err(|error| self.add_lock_holder(error))?;
        Ok(self.opened.get_or_init(|| opened))
    }

    fn connect(&self) -> Result<OpenConnection, DatabaseError> {
        let plain_path = || plain_name(self.path());
        let (name, flags) = match self.mode {
            OpenMode::Write | OpenMode::ReadWal => {
                (plain_path(), OpenFlags::SQLITE_OPEN_READ_WRITE)
            }
            OpenMode::Read | OpenMode::PrivateWal => {
                (plain_path(), OpenFlags::SQLITE_OPEN_READ_ONLY)
            }
            OpenMode::Immutable => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                (PathBuf::from(immutable_uri(self.path())?), flags)
            }
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if !matches!(self.mode, OpenMode::Immutable | OpenMode::PrivateWal) {
            shared_lock::unlock(&self.info.pin.file);
        }
        let opened = self.info.pin.open_with_sqlite(|| {
            let vfs = (self.mode == OpenMode::PrivateWal).then_some(LOCKLESS_VFS);
            UnpreparedConnection::open(&name, flags, vfs)
        })?;
        let mut connection = opened.prepare(&self.options.setup)?;
        install_busy_handler(&mut connection, self.options.clone())?;
        if self.mode == OpenMode::Write && connection.is_readonly("main")? {
            return Err(DatabaseError::Io {
                context: "the file cannot be written".to_owned(),
                source: io::ErrorKind::PermissionDenied.into(),
            });
        }
        self.prepare_reading(&connection)?;
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        Ok(OpenConnection { connection, authorizer })
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
        &self.info.pin.path
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
            let result = template.write_to(
                &mut opened.connection,
                self.info.pin.path.as_path(),
                &self.options,
            );
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
    use std::time::Duration;

    use super::*;
    use crate::database::ReadDatabase;
    use crate::database::connection::{ConnectionSetup, open_in_memory};
    use crate::database::history;
    use crate::database::history_entry::{HistoryEvent, NewHistoryEntry};
    use crate::database::job::{CompiledScript, Statement, Step};
    use crate::document::tag::Scope;
    use crate::source::SourceSlice;
    use crate::sqlite::regular_file::SymlinkPolicy;

    fn open_file(path: &Path) -> SqliteFile {
        let database = DatabaseFile::new(path.to_owned(), SymlinkPolicy::Refuse);
        let options = ConnectOptions {
            busy_timeout: Duration::from_secs(1),
            setup: ConnectionSetup::default(),
        };
        SqliteFile::open(&database, &options).unwrap()
    }

    /// A statement that succeeds every time it runs.
    fn insert_script() -> CompiledScript<'static> {
        let sql = SourceSlice::new("INSERT INTO t VALUES (1)", 0);
        CompiledScript { statements: vec![Statement::new(sql)], ..CompiledScript::default() }
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
        let mut connection = open_in_memory(&ConnectionSetup::default()).unwrap();
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
