//! A database in memory on which the statements of the document are run once more, for judges to
//! look at it between any two of them. What the replay accepted runs here again; nothing that
//! happens aside is kept.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::{Connection, ErrorCode};

use crate::database::connection::in_memory;
use crate::database::history;
use crate::schema::Schema;
use crate::schema::tracker::{Change, Churn, Tracked};
use crate::sqlite::authorizer::Guard;
use crate::sqlite::transaction::{put_back, step};

pub(crate) struct Stage {
    connection: Connection,
    guard: Guard,
    tracked: Tracked,
    /// Whether the schema changed since this was last asked.
    changed: bool,
}

/// What came of one statement.
pub(crate) struct Outcome {
    pub(crate) result: rusqlite::Result<()>,
    pub(crate) changes: Vec<Change>,
    /// The rows that the statement itself changed.
    pub(crate) rows: u64,
}

impl Stage {
    pub(crate) fn new(stop: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut connection = in_memory(stop)?;
        let guard = Guard::install(&mut connection)?;
        history::create(&connection)?;
        Ok(Self { connection, guard, tracked: Tracked::default(), changed: false })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn schema(&self) -> &Schema {
        self.tracked.schema()
    }

    /// Whether a statement has ended the transaction that it ran in.
    pub(crate) fn has_ended(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Runs a block in a transaction of its own. Its end is kept.
    pub(crate) fn keep<T>(
        &mut self,
        block: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.execute_batch("BEGIN")?;
        let value = block(self)?;
        put_back(&self.connection)?;
        if !self.has_ended() {
            self.connection.execute_batch("COMMIT")?;
        }
        Ok(value)
    }

    /// Runs something, and takes back all that it did: a transaction's end of its own making
    /// changes nothing about that, for there is nothing else in the transaction.
    pub(crate) fn aside<T>(
        &mut self,
        block: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let nested = !self.has_ended();
        let before = std::mem::take(&mut self.changed);
        self.connection.execute_batch(if nested { "SAVEPOINT aside" } else { "BEGIN" })?;
        let value = block(self)?;
        put_back(&self.connection)?;
        // What ended the transaction has taken back even more.
        match (nested, self.has_ended()) {
            (_, true) => {}
            (true, false) => self.connection.execute_batch("ROLLBACK TO aside; RELEASE aside")?,
            (false, false) => self.connection.execute_batch("ROLLBACK")?,
        }
        if std::mem::replace(&mut self.changed, before) {
            self.tracked.refresh(&self.connection, Churn::Changed)?;
        }
        Ok(value)
    }

    /// Runs one statement. Its failure is an outcome; only an interrupt is an error.
    pub(crate) fn run(&mut self, sql: &str) -> rusqlite::Result<Outcome> {
        let before = self.connection.total_changes();
        self.guard.raise_and_note();
        let result = step(&self.connection, sql);
        self.guard.lower();
        if let Err(error) = &result
            && error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
        {
            return Err(result.err().unwrap_or(rusqlite::Error::InvalidQuery));
        }
        let changes = match &result {
            Ok(()) => self.tracked.refresh(&self.connection, self.guard.seen().churn)?,
            Err(_) => Vec::new(),
        };
        self.changed |= !changes.is_empty();
        let rows_changed = self.connection.total_changes() != before;
        let rows = if rows_changed { self.connection.changes() } else { 0 };
        Ok(Outcome { result, changes, rows })
    }
}
