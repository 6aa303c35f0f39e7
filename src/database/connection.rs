//! Opens and sets up connections to files and in-memory databases: extensions, security settings,
//! lock timeouts and interrupts. No other module opens a connection, so that every connection gets
//! the same setup.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::database::declared;
use crate::database::error::DatabaseError;
use crate::document::extensions::{Extensions, SchemaTrust};

/// How many instructions of SQLite's virtual machine run between two checks for an interrupt: a few
/// hundred checks per second.
const CANCEL_CHECK_INTERVAL: i32 = 20_000;

/// What every connection of a run gets, to a file or in memory.
#[derive(Clone, Debug, Default)]
pub struct ConnectionSetup {
    /// Once this is true, every wait ends and running statements fail.
    pub cancel: Arc<AtomicBool>,
    /// What the application adds to SQLite.
    pub extensions: Extensions,
}

impl ConnectionSetup {
    /// Whether the run was interrupted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Fails as an interrupted statement does if the run was interrupted, for loops over statements
    /// that are each too short to be interrupted.
    pub(crate) fn require_not_cancelled(&self) -> rusqlite::Result<()> {
        if !self.is_cancelled() {
            return Ok(());
        }
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
        Err(rusqlite::Error::SqliteFailure(code, None))
    }

    /// The same setup with a new flag: for work that has to be done after an interrupt.
    #[must_use]
    pub fn uncancelled(&self) -> Self {
        Self { cancel: Arc::default(), extensions: self.extensions.clone() }
    }

    /// Opens a database in memory with this setup.
    ///
    /// # Errors
    ///
    /// A declaration that SQLite does not accept, or the error of a connection hook.
    pub fn check(&self) -> Result<(), DatabaseError> {
        Ok(open_in_memory(self).map(drop)?)
    }

    /// Sets up a connection: extensions first, since the security settings then apply to all that
    /// follows.
    fn apply(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        declared::register(connection, &self.extensions)?;
        self.extensions.call_hooks(connection)?;
        apply_security_settings(connection, self.extensions.schema_trust())?;
        install_cancel_handler(connection, &self.cancel)
    }
}

/// The setup of connections, and how long to wait for locks.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// How long to wait for a lock of another program.
    pub busy_timeout: Duration,
    /// What every connection gets.
    pub setup: ConnectionSetup,
}

impl ConnectOptions {
    /// Whether the run was interrupted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.setup.is_cancelled()
    }
}

/// Whether this SQLite uses `synchronous = FULL` by default. Setting the pragma makes SQLite read the
/// schema of each database once more.
pub(crate) static DEFAULT_SYNC_IS_FULL: LazyLock<bool> = LazyLock::new(|| {
    let built = "SELECT count(*) = 2 FROM pragma_compile_options \
         WHERE compile_options IN ('DEFAULT_SYNCHRONOUS=2', 'DEFAULT_WAL_SYNCHRONOUS=2')";
    let memory = Connection::open_in_memory();
    memory.and_then(|memory| memory.query_row(built, [], |row| row.get(0))).unwrap_or(false)
});

/// Applies the settings of every connection: foreign keys are off (they are checked once, at the
/// end), `sqlite_schema` cannot be written, and the schema is trusted only as far as the settings say.
pub(crate) fn apply_security_settings(
    connection: &Connection,
    schema_trust: SchemaTrust,
) -> rusqlite::Result<()> {
    let is_trusted = schema_trust == SchemaTrust::All;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, is_trusted)?;
    Ok(())
}

/// Opens an empty in-memory database.
pub(crate) fn open_in_memory(setup: &ConnectionSetup) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    setup.apply(&mut connection)?;
    Ok(connection)
}

/// A connection to a file that was opened and cannot be used before it is set up.
pub(crate) struct UnpreparedConnection(Connection);

impl UnpreparedConnection {
    /// Opens a file with SQLite's default file access, or with the one named.
    pub(crate) fn open(path: &Path, flags: OpenFlags, vfs: Option<&str>) -> rusqlite::Result<Self> {
        Ok(Self(match vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
            None => Connection::open_with_flags(path, flags)?,
        }))
    }

    /// Sets the connection up.
    pub(crate) fn prepare(mut self, setup: &ConnectionSetup) -> rusqlite::Result<Connection> {
        setup.apply(&mut self.0)?;
        Ok(self.0)
    }
}

/// Makes statements on a connection fail once `cancel` is true.
fn install_cancel_handler(
    connection: &mut Connection,
    cancel: &Arc<AtomicBool>,
) -> rusqlite::Result<()> {
    let cancel = cancel.clone();
    connection.progress_handler(CANCEL_CHECK_INTERVAL, Some(move || cancel.load(Ordering::Relaxed)))
}

/// Makes a connection wait for locks in short steps, so that an interrupt ends the wait.
pub(crate) fn install_busy_handler(
    connection: &mut Connection,
    options: ConnectOptions,
) -> rusqlite::Result<()> {
    let mut wait_start = Instant::now();
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            wait_start = Instant::now();
        }
        if options.is_cancelled() || wait_start.elapsed() >= options.busy_timeout {
            return false;
        }
        let pauses_ms = [1, 2, 5, 10, 15, 20, 25];
        let index = usize::try_from(tries).unwrap_or(0).min(pauses_ms.len() - 1);
        let remaining = options.busy_timeout.saturating_sub(wait_start.elapsed());
        std::thread::sleep(Duration::from_millis(pauses_ms[index]).min(remaining));
        true
    }))
}
