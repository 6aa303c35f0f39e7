//! Borrows the connection of an application for an upgrade: sets what tatmig needs, notices an
//! interrupt at any moment, and restores the connection, also after an error or a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthContext, Authorization};

use crate::database::connection::apply_security_settings;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob};
use crate::database::stats::Stats;
use crate::database::{Database, SessionDatabase};
use crate::document::extensions::SchemaTrust;
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::temporary::TemporaryObjects;
use crate::sqlite::transaction::apply;

/// The settings that tatmig or a block may change.
const SETTINGS: [DbConfig; 5] = [
    DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
    DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
    DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
    DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE,
];

/// A connection of the application with tatmig's settings and authorizer. Dropping it restores the
/// connection.
pub(crate) struct BorrowedConnection<'c> {
    connection: &'c mut Connection,
    authorizer: StatementAuthorizer,
    saved_settings: Vec<(DbConfig, bool)>,
}

impl<'c> BorrowedConnection<'c> {
    /// Borrows a connection that is not inside a transaction.
    pub(crate) fn new(
        connection: &'c mut Connection,
        schema_trust: SchemaTrust,
    ) -> Result<Self, DatabaseError> {
        let saved_settings = SETTINGS
            .into_iter()
            .map(|setting| Ok((setting, connection.db_config(setting)?)))
            .collect::<rusqlite::Result<_>>()?;
        // From here on, an error restores the connection.
        let mut borrowed =
            Self { connection, authorizer: StatementAuthorizer::default(), saved_settings };
        apply_security_settings(borrowed.connection, schema_trust)?;
        borrowed.authorizer = StatementAuthorizer::install(borrowed.connection)?;
        borrowed.authorizer.protect(&TemporaryObjects::read(borrowed.connection)?);
        Ok(borrowed)
    }

    /// Runs `action` on the connection; an interrupt ends it at any moment.
    pub(crate) fn with_session<T>(
        &self,
        action: impl FnOnce(&mut BorrowedSession<'_>) -> T,
    ) -> rusqlite::Result<T> {
        let (connection, authorizer) = (&*self.connection, &self.authorizer);
        with_lasting_interrupt(connection, || {
            action(&mut BorrowedSession { connection, authorizer })
        })
    }

    /// Ends an open transaction, removes tatmig's authorizer and restores the settings. SQLite
    /// cannot return the authorizer that the application had set.
    pub(crate) fn restore(mut self) -> Result<(), DatabaseError> {
        self.try_restore()
    }

    /// Restores as much as can be restored, and returns the first error.
    fn try_restore(&mut self) -> Result<(), DatabaseError> {
        // After a panic the authorizer may be enabled, and would refuse the ROLLBACK.
        let no_authorizer: Option<fn(AuthContext<'_>) -> Authorization> = None;
        let mut result = self.connection.authorizer(no_authorizer);
        // An interrupt also ends the ROLLBACK of the transaction that it interrupts.
        if !self.connection.is_autocommit() {
            result = result.and(self.connection.execute_batch("ROLLBACK"));
        }
        for (setting, value) in self.saved_settings.drain(..) {
            result = result.and(self.connection.set_db_config(setting, value).map(drop));
        }
        Ok(result?)
    }
}

impl Drop for BorrowedConnection<'_> {
    fn drop(&mut self) {
        // After `restore` nothing is left to do. After a panic, an error has no receiver.
        let _ = self.try_restore();
    }
}

/// A borrowed connection as a database.
pub(crate) struct BorrowedSession<'b> {
    connection: &'b Connection,
    authorizer: &'b StatementAuthorizer,
}

impl BorrowedSession<'_> {
    /// Refuses a job that changes rows of a table on which the application has a temporary trigger:
    /// the trigger would run, or be dropped with the table.
    fn refuse_temporary_triggers(&self, job: &MigrationJob<'_>) -> Result<(), DatabaseError> {
        let temporary_objects = TemporaryObjects::read(self.connection)?;
        let tables = job.modified_tables_after();
        let trigger = temporary_objects.iter().find(|object| {
            object.kind == "trigger" && tables.contains(&object.table.to_ascii_lowercase())
        });
        trigger.map_or(Ok(()), |trigger| {
            let (trigger, table) = (trigger.name.clone(), trigger.table.clone());
            Err(DatabaseError::TemporaryTrigger { trigger, table })
        })
    }
}

impl SessionDatabase for BorrowedSession<'_> {
    type Session = Connection;

    fn session(&self) -> Result<&Connection, DatabaseError> {
        Ok(self.connection)
    }

    fn read_stats(&self) -> Result<Stats, DatabaseError> {
        self.connection.read_stats()
    }
}

impl Database for BorrowedSession<'_> {
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected_state: &HistoryState,
    ) -> Result<JobResult, DatabaseError> {
        self.refuse_temporary_triggers(job)?;
        let is_interrupted = || self.connection.is_interrupted();
        apply(self.connection, self.authorizer, job, expected_state, &is_interrupted)
    }
}

/// Runs `action` so that an interrupt of the connection ends every statement until `action` returns.
/// SQLite forgets an interrupt when a statement starts while no other one is active, so that one
/// between two statements would be lost. Here one statement is active all the time; it reads no
/// table and holds no lock.
pub(crate) fn with_lasting_interrupt<T>(
    connection: &Connection,
    action: impl FnOnce() -> T,
) -> rusqlite::Result<T> {
    let mut statement = connection.prepare("VALUES (1), (2)")?;
    let mut rows = statement.raw_query();
    rows.next()?;
    Ok(action())
}

/// Runs `action`, which uses another connection, on another thread, and sets the flag that it
/// receives once `connection` is interrupted: only this thread can ask that connection. Must run
/// inside [`with_lasting_interrupt`].
pub(crate) fn run_interruptibly<T: Send>(
    connection: &Connection,
    action: impl Fn(&Arc<AtomicBool>) -> rusqlite::Result<T> + Sync,
) -> Result<T, DatabaseError> {
    const POLL_INTERVAL: Duration = Duration::from_millis(5);
    let (cancel, is_done) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let caller = thread::current();
    let result = thread::scope(|scope| {
        let run = || {
            let result = action(&cancel);
            is_done.store(true, Ordering::Release);
            caller.unpark();
            result
        };
        let builder = thread::Builder::new().name("tatmig-replay".to_owned());
        // If the system refuses another thread, this one runs the action, without an interrupt.
        let Ok(worker) = builder.spawn_scoped(scope, run) else { return action(&cancel) };
        while !is_done.load(Ordering::Acquire) && !worker.is_finished() {
            if connection.is_interrupted() {
                cancel.store(true, Ordering::Relaxed);
            }
            thread::park_timeout(POLL_INTERVAL);
        }
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // An interrupt that came too late to end the action still ends the call.
    if connection.is_interrupted() {
        return Err(DatabaseError::Interrupted);
    }
    Ok(result?)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_panic_restores_the_connection() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x); PRAGMA foreign_keys = ON").unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, true).unwrap();
        let settings = |connection: &Connection| {
            SETTINGS.map(|setting| connection.db_config(setting).unwrap())
        };
        let before = settings(&connection);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let borrowed =
                BorrowedConnection::new(&mut connection, SchemaTrust::default()).unwrap();
            borrowed.connection.execute_batch("BEGIN; INSERT INTO t VALUES (1)").unwrap();
            borrowed.authorizer.enable();
            panic!("in the middle of a run");
        }));
        assert!(panicked.is_err());
        assert_eq!(settings(&connection), before);
        assert!(connection.is_autocommit());
        // The authorizer would refuse this.
        connection.execute_batch("SAVEPOINT s; RELEASE s").unwrap();
        let rows = connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.unwrap(), 0);
    }

    #[test]
    fn an_interrupt_between_two_statements_lasts() {
        let connection = Connection::open_in_memory().unwrap();
        let interrupt = connection.get_interrupt_handle();
        let results = with_lasting_interrupt(&connection, || {
            let before = connection.execute_batch("CREATE TABLE t (x); DROP TABLE t");
            interrupt.interrupt();
            (before, connection.execute_batch("SELECT 1"), connection.execute_batch("SELECT 2"))
        });
        let (before, first, second) = results.unwrap();
        before.unwrap();
        for result in [first, second] {
            let error = DatabaseError::from(result.unwrap_err());
            assert!(matches!(error, DatabaseError::Interrupted), "{error}");
        }
        connection.execute_batch("SELECT 3").unwrap();
    }
}
