//! A database in memory on which the statements of the document are run once more, for judges to
//! look at it between any two of them. What the replay accepted runs here again; nothing that
//! happens aside is kept.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::{Connection, ErrorCode};

use crate::database::connection::open_in_memory;
use crate::database::history;
use crate::database::schema_tracker::SchemaTracker;
use crate::schema::Schema;
use crate::schema::changes::{ObjectChange, SchemaChange};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::transaction::{execute_to_completion, reset_connection};

pub(crate) struct Sandbox {
    connection: Connection,
    authorizer: StatementAuthorizer,
    schema_tracker: SchemaTracker,
    /// Whether the schema changed since this was last asked.
    has_schema_changed: bool,
}

/// What came of one statement.
pub(crate) struct StatementOutcome {
    pub(crate) result: rusqlite::Result<()>,
    pub(crate) object_changes: Vec<ObjectChange>,
    /// The rows that the statement itself changed.
    pub(crate) affected_rows: u64,
}

impl Sandbox {
    pub(crate) fn new(cancel: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut connection = open_in_memory(cancel)?;
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        history::create_table(&connection)?;
        Ok(Self {
            connection,
            authorizer,
            schema_tracker: SchemaTracker::default(),
            has_schema_changed: false,
        })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn schema(&self) -> &Schema {
        self.schema_tracker.schema()
    }

    /// Whether a statement has ended the transaction that it ran in.
    pub(crate) fn has_transaction_ended(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Runs a block in a transaction of its own. Its end is kept.
    pub(crate) fn run_and_commit<T>(
        &mut self,
        block: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.execute_batch("BEGIN")?;
        let value = block(self)?;
        reset_connection(&self.connection)?;
        if !self.has_transaction_ended() {
            self.connection.execute_batch("COMMIT")?;
        }
        Ok(value)
    }

    /// Runs something, and takes back all that it did: a transaction's end of its own making
    /// changes nothing about that, for there is nothing else in the transaction.
    pub(crate) fn run_and_roll_back<T>(
        &mut self,
        block: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let is_nested = !self.has_transaction_ended();
        let changed_before = std::mem::take(&mut self.has_schema_changed);
        self.connection.execute_batch(if is_nested { "SAVEPOINT aside" } else { "BEGIN" })?;
        let value = block(self)?;
        reset_connection(&self.connection)?;
        // What ended the transaction has taken back even more.
        match (is_nested, self.has_transaction_ended()) {
            (_, true) => {}
            (true, false) => self.connection.execute_batch("ROLLBACK TO aside; RELEASE aside")?,
            (false, false) => self.connection.execute_batch("ROLLBACK")?,
        }
        if std::mem::replace(&mut self.has_schema_changed, changed_before) {
            self.schema_tracker.refresh(&self.connection, SchemaChange::Any)?;
        }
        Ok(value)
    }

    /// Runs one statement. Its failure is an outcome; only an interrupt is an error.
    pub(crate) fn run_statement(&mut self, sql: &str) -> rusqlite::Result<StatementOutcome> {
        let total_changes_before = self.connection.total_changes();
        self.authorizer.enable_and_track_effects();
        let result = execute_to_completion(&self.connection, sql);
        self.authorizer.disable();
        if let Err(error) = &result
            && error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
        {
            return Err(result.err().unwrap_or(rusqlite::Error::InvalidQuery));
        }
        let object_changes = match &result {
            Ok(()) => self
                .schema_tracker
                .refresh(&self.connection, self.authorizer.effects().schema_change)?,
            Err(_) => Vec::new(),
        };
        self.has_schema_changed |= !object_changes.is_empty();
        let has_changed_rows = self.connection.total_changes() != total_changes_before;
        let affected_rows = if has_changed_rows { self.connection.changes() } else { 0 };
        Ok(StatementOutcome { result, object_changes, affected_rows })
    }
}
