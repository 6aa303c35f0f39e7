//! A database that is a SQLite file: looked at before SQLite touches it, opened as found, read
//! without a trace.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::database::connection::{Patience, SYNCS_IN_FULL, harden, stop_with, wait_when_busy};
use crate::database::error::DatabaseError;
use crate::database::history_entry::{Record, State};
use crate::database::job::{Done, Ending, Order};
use crate::database::policy::JournalMode;
use crate::database::stats::Stats;
use crate::database::template::Image;
use crate::database::{Database, Look};
use crate::schema::Schema;
use crate::sqlite::authorizer::Guard;
use crate::sqlite::locks;
use crate::sqlite::paths::{immutable_uri, plain_name, side_file};
use crate::sqlite::preflight::{Access, Header, inspect};
use crate::sqlite::transaction::apply;

/// Above this size a run's scratch space goes to disk as SQLite decides; below, to memory, which
/// is a fifth faster.
const SCRATCH_IN_MEMORY_BELOW: u64 = 64 << 20;

/// A database file. SQLite opens it once more is asked than its last look told.
pub(crate) struct SqliteFile {
    header: Header,
    mode: Mode,
    opened: OnceCell<(Connection, Guard)>,
    pub(crate) patience: Patience,
}

/// How SQLite is to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Write,
    Read,
    /// To be read while nobody writes to it.
    Immutable,
    /// To be read together with a WAL that nobody else has open, whose index stands in this
    /// process's memory instead of a file, and which is left as it is.
    Alone,
}

impl SqliteFile {
    /// Looks at a file that is to be migrated. It must be there, and a database or empty.
    pub(crate) fn at(path: &Path, patience: &Patience) -> Result<Self, DatabaseError> {
        Ok(Self::new(inspect(path, Access::Write)?, Mode::Write, patience))
    }

    /// The same, and SQLite opens it at once.
    pub(crate) fn open(path: &Path, patience: &Patience) -> Result<Self, DatabaseError> {
        let file = Self::at(path, patience)?;
        file.connection()?;
        Ok(file)
    }

    fn new(header: Header, mode: Mode, patience: &Patience) -> Self {
        Self { header, mode, opened: OnceCell::new(), patience: patience.clone() }
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
        let set = Self::open(path, patience)?.ask(|connection| {
            Ok(connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?)
        });
        match set? {
            found if found == "wal" => Ok(()),
            found => Err(DatabaseError::JournalMode { found }),
        }
    }

    /// Reads from a file and leaves no trace beside it. `read` may be called several times.
    pub(crate) fn read<T>(
        path: &Path,
        patience: &Patience,
        read: impl Fn(&Self) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let mut file = Self::new(inspect(path, Access::Read)?, Mode::Read, patience);
        let path = file.path().to_owned();
        // To read a database in WAL mode, SQLite makes its two side files, and a reader without
        // the right to write leaves them behind. Without a WAL the main file is all there is.
        let wal = || std::fs::metadata(side_file(&path, "-wal")).map_or(0, |wal| wal.len());
        if file.header.wal && wal() == 0 {
            file.mode = Mode::Immutable;
            match read(&file) {
                Ok(value) if wal() == 0 => return Ok(value),
                Err(DatabaseError::Interrupted) => return Err(DatabaseError::Interrupted),
                _ => file.forget(Mode::Read),
            }
        } else if file.header.wal && !side_file(&path, "-shm").exists() {
            // A WAL that its program left or that was copied here: nobody has it open.
            file.mode = Mode::Alone;
            if file.connection().is_err() {
                file.forget(Mode::Read);
            }
        }
        // The journal of a program that is just done looks like one that was left behind, until
        // it is looked at again.
        for pause in [1, 5, 20, 50].map(Duration::from_millis) {
            match read(&file) {
                Err(DatabaseError::HotJournal) if !patience.stopped() => std::thread::sleep(pause),
                result => return result.map_err(|error| file.named(error)),
            }
        }
        read(&file).map_err(|error| file.named(error))
    }

    /// Begins anew, in another mode.
    fn forget(&mut self, mode: Mode) {
        self.mode = mode;
        self.header.state = None;
        self.opened = OnceCell::new();
    }

    /// SQLite's connection, which is made when it is first asked for.
    pub(crate) fn connection(&self) -> Result<&Connection, DatabaseError> {
        Ok(&self.opened()?.0)
    }

    fn opened(&self) -> Result<&(Connection, Guard), DatabaseError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.connect().map_err(|error| self.named(error))?;
        Ok(self.opened.get_or_init(|| opened))
    }

    fn connect(&self) -> Result<(Connection, Guard), DatabaseError> {
        let (name, flags) = match self.mode {
            Mode::Write | Mode::Alone => {
                (plain_name(self.path()), OpenFlags::SQLITE_OPEN_READ_WRITE)
            }
            Mode::Read => (plain_name(self.path()), OpenFlags::SQLITE_OPEN_READ_ONLY),
            Mode::Immutable => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                (PathBuf::from(immutable_uri(self.path())?), flags)
            }
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(name, flags)?;
        harden(&connection)?;
        stop_with(&mut connection, &self.patience.stop)?;
        wait_when_busy(&mut connection, self.patience.clone())?;
        if self.mode == Mode::Write && connection.is_readonly("main")? {
            return Err(DatabaseError::Io {
                what: "the file cannot be written".to_owned(),
                source: io::ErrorKind::PermissionDenied.into(),
            });
        }
        if self.mode == Mode::Alone {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON")?;
        }
        let guard = Guard::install(&mut connection)?;
        Ok((connection, guard))
    }

    /// Asks SQLite.
    fn ask<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        ask(self.connection()?).map_err(|error| self.named(error))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.header.path
    }

    /// Leaves a WAL that was found as it is when this connection closes.
    pub(crate) fn keep_wal(&self) -> Result<(), DatabaseError> {
        if self.header.found_wal {
            self.connection()?.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        Ok(())
    }

    /// For a rehearsal: what does not fit in memory stays there all the same, and a WAL that
    /// another program left is not moved into the main file when this connection closes.
    fn keep_main_file(&self) -> Result<(), DatabaseError> {
        self.connection()?.execute_batch("PRAGMA cache_spill = OFF")?;
        self.keep_wal()
    }

    /// Adds to a busy error who is in the way.
    pub(crate) fn named(&self, error: DatabaseError) -> DatabaseError {
        match error {
            DatabaseError::Busy { .. } if self.patience.stopped() => DatabaseError::Interrupted,
            DatabaseError::Busy { holder: None } => {
                DatabaseError::Busy { holder: locks::holder(self.path()) }
            }
            error => error,
        }
    }
}

impl Look for SqliteFile {
    fn state(&self) -> Result<State, DatabaseError> {
        // Once SQLite has it open, something has been done to it.
        match (&self.header.state, self.opened.get()) {
            (Some(state), None) => Ok(state.clone()),
            _ => self.ask(Look::state),
        }
    }

    fn records(&self) -> Result<Vec<Record>, DatabaseError> {
        self.ask(Look::records)
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        self.ask(Look::schema)
    }

    fn accepted(&self) -> Result<Vec<String>, DatabaseError> {
        self.ask(Look::accepted)
    }

    fn kept(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        self.ask(|connection| connection.kept(checksum))
    }

    fn integrity(&self) -> Result<Vec<String>, DatabaseError> {
        self.ask(Look::integrity)
    }

    fn foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
        self.ask(Look::foreign_keys)
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        let stats = self.ask(Look::stats)?;
        let length = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len());
        Ok(Stats {
            file_bytes: length(self.path()).unwrap_or(stats.file_bytes),
            wal_bytes: length(&side_file(self.path(), "-wal")).unwrap_or(0),
            ..stats
        })
    }
}

impl Database for SqliteFile {
    fn apply(&mut self, order: &Order<'_>, expected: &State) -> Result<Done, DatabaseError> {
        // As it was seen, and nothing was asked or done since.
        let is_empty = self.header.size == 0
            && self.header.state.as_ref() == Some(expected)
            && self.opened.get().is_none();
        self.ask(|connection| {
            if !*SYNCS_IN_FULL {
                connection.execute_batch("PRAGMA synchronous = FULL")?;
            }
            if self.header.size < SCRATCH_IN_MEMORY_BELOW {
                connection.execute_batch("PRAGMA temp_store = MEMORY")?;
            }
            Ok(())
        })?;
        if order.ending == Ending::Rollback {
            self.keep_main_file()?;
        }
        if is_empty
            && let Some(image) = order.image.get_or_init(|| Image::of(order, &self.patience))
            && let Some((connection, _)) = self.opened.get_mut()
        {
            let put = image.put(connection, (&self.header.path, &self.patience));
            return put.map_err(|error| self.named(error));
        }
        let (connection, guard) = self.opened()?;
        let stop = || self.patience.stopped();
        apply(connection, guard, (order, expected), &stop).map_err(|error| self.named(error))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::database::connection::in_memory;
    use crate::database::history;
    use crate::database::history_entry::{Entry, Event};
    use crate::database::job::{Script, Statement, Step};
    use crate::document::tag::Scope;
    use crate::source::Piece;

    fn file(path: &Path) -> SqliteFile {
        let patience = Patience { busy_timeout: Duration::from_secs(1), stop: Arc::default() };
        SqliteFile::open(path, &patience).unwrap()
    }

    /// A statement that runs as often as it is asked to.
    fn script() -> Script<'static> {
        let sql = Piece::whole("INSERT INTO t VALUES (1)", 0);
        Script { statements: vec![Statement { sql, column: None }], ..Script::default() }
    }

    fn order<'r>(script: &'r Script<'static>, [from, to]: [&str; 2]) -> Order<'r> {
        let (event, from, to) = (Event::Upgrade, from.to_owned(), to.to_owned());
        let (label, note) = (format!("{from} → {to}"), None);
        let entry = Some(Entry { event, from, to, checksum: None, chain: None, note });
        Order::of(Scope::User, vec![Step { script, label, entry, applied: Vec::new() }])
    }

    #[test]
    fn what_is_migrated_is_synced_in_full() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let mut file = file(&path);
        let state = file.state().unwrap();
        file.apply(&Order::of(Scope::User, Vec::new()), &state).unwrap();
        let synchronous = file.ask(|connection| {
            Ok(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(synchronous.unwrap(), 2);
    }

    #[test]
    fn a_stop_behind_the_last_statement_is_heeded_before_the_commit() {
        let mut connection = in_memory(&Arc::default()).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        let guard = Guard::install(&mut connection).unwrap();
        let script = script();
        let order = order(&script, ["baseline", "1.0.0"]);
        // Asked before the statement, and again.
        let asked = Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) > 0;
        let error = apply(&connection, &guard, (&order, &State::Unversioned), &stop).unwrap_err();
        assert!(matches!(error, DatabaseError::Interrupted), "{error}");
        assert_eq!(asked.get(), 2);
        let rows = connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.unwrap(), 0);
        assert_eq!(history::state(&connection).unwrap(), State::Unversioned);
    }

    #[test]
    fn what_another_run_did_since_the_look_is_not_done_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let script = script();
        for (before, [from, to]) in [(0, ["baseline", "1.0.0"]), (1, ["1.0.0", "1.1.0"])] {
            let order = order(&script, [from, to]);
            let (mut slow, mut fast) = (file(&path), file(&path));
            let (seen, same) = (slow.state().unwrap(), fast.state().unwrap());
            assert_eq!(seen, same);
            fast.apply(&order, &same).unwrap();
            let error = slow.apply(&order, &seen).unwrap_err();
            assert!(matches!(error, DatabaseError::Moved), "{error}");
            let rows = slow.ask(|connection| {
                Ok(connection
                    .query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?)
            });
            assert_eq!(rows.unwrap(), before + 1);
            let records = slow.records().unwrap();
            assert_eq!(records.last().map(|record| &*record.to), Some(to));
            assert_eq!(i64::try_from(records.len()).unwrap(), before + 1);
        }
    }
}
