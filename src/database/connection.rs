//! How every connection of tatmig's is set up, to a file or in memory, and how long it waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// How often a long statement asks whether to stop, in SQLite's virtual machine instructions:
/// some hundred times a second.
const CANCEL_CHECK_INTERVAL: i32 = 20_000;

/// How long to wait for locks, and the flag that ends all waiting and running.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// How long a lock of another program is waited for.
    pub busy_timeout: Duration,
    /// Once set, nothing is waited for and nothing runs on.
    pub cancel: Arc<AtomicBool>,
}

impl ConnectOptions {
    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// Whether SQLite was built to sync in full where nobody says. To say so costs each database an
/// extra look at its schema.
pub(crate) static DEFAULT_SYNC_IS_FULL: LazyLock<bool> = LazyLock::new(|| {
    let built = "SELECT count(*) = 2 FROM pragma_compile_options \
         WHERE compile_options IN ('DEFAULT_SYNCHRONOUS=2', 'DEFAULT_WAL_SYNCHRONOUS=2')";
    let memory = Connection::open_in_memory();
    memory.and_then(|memory| memory.query_row(built, [], |row| row.get(0))).unwrap_or(false)
});

/// The settings that every connection of tatmig's has: foreign keys off (they are checked once,
/// at the end), `sqlite_schema` out of reach, nothing in the schema trusted.
pub(crate) fn apply_security_settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// A database in memory that holds nothing, with the same settings; `stop` ends what it runs.
pub(crate) fn open_in_memory(cancel: &Arc<AtomicBool>) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    apply_security_settings(&connection)?;
    install_cancel_handler(&mut connection, cancel)?;
    Ok(connection)
}

/// Ends what runs on a connection once `stop` is set.
pub(crate) fn install_cancel_handler(
    connection: &mut Connection,
    cancel: &Arc<AtomicBool>,
) -> rusqlite::Result<()> {
    let stop = cancel.clone();
    connection.progress_handler(CANCEL_CHECK_INTERVAL, Some(move || stop.load(Ordering::Relaxed)))
}

/// Waits for a lock in small steps, so that an interrupt ends the waiting.
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
