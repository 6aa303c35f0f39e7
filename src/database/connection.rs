//! Sets up connections to files and in-memory databases: security settings, lock timeouts and
//! interrupts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// How many instructions of SQLite's virtual machine run between two checks for an interrupt: a few
/// hundred checks per second.
const CANCEL_CHECK_INTERVAL: i32 = 20_000;

/// How long to wait for locks, and a flag that stops all work.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// How long to wait for a lock of another program.
    pub busy_timeout: Duration,
    /// Once this is true, every wait ends and running statements fail.
    pub cancel: Arc<AtomicBool>,
}

impl ConnectOptions {
    /// Whether the run was interrupted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
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
/// end), `sqlite_schema` cannot be written, and functions in the schema are not trusted.
pub(crate) fn apply_security_settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// Opens an empty in-memory database with the same settings. `cancel` interrupts its statements.
pub(crate) fn open_in_memory(cancel: &Arc<AtomicBool>) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    apply_security_settings(&connection)?;
    install_cancel_handler(&mut connection, cancel)?;
    Ok(connection)
}

/// Makes statements on a connection fail once `cancel` is true.
pub(crate) fn install_cancel_handler(
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
