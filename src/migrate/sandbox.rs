//! Runs statements of the document in an in-memory database, under the statement authorizer, and
//! tracks what each of them changes in the schema. The replay compiles blocks in it and lint checks
//! every statement in it.

use rusqlite::{Connection, ErrorCode};

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::history;
use crate::database::schema_tracker::SchemaTracker;
use crate::schema::Schema;
use crate::schema::changes::{ObjectChange, SchemaChange};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::temporary::{TemporaryObjects, reset_connection};
use crate::sqlite::transaction::execute_to_completion;

/// An in-memory database with the history table of a real one and nothing else.
pub(crate) struct Sandbox {
    connection: Connection,
    authorizer: StatementAuthorizer,
    schema_tracker: SchemaTracker,
    /// Whether a statement has changed the schema since the innermost rollback began.
    has_schema_changed: bool,
}

/// A copy of a sandbox's database, with what the sandbox knows of it.
#[derive(Clone)]
pub(crate) struct SandboxCopy {
    pages: Vec<u8>,
    schema_tracker: SchemaTracker,
}

/// The result of one statement.
pub(crate) struct StatementOutcome {
    pub(crate) result: rusqlite::Result<()>,
    pub(crate) object_changes: Vec<ObjectChange>,
    /// The number of rows that the statement itself changed, without those of its triggers.
    pub(crate) affected_rows: u64,
}

impl Sandbox {
    /// Opens an empty database. After a cancellation, its statements end with an interrupt error.
    pub(crate) fn new(setup: &ConnectionSetup) -> rusqlite::Result<Self> {
        let mut connection = open_in_memory(setup)?;
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        // The history table exists in every real run, and no block may use it.
        history::create_table(&connection)?;
        Ok(Self {
            connection,
            authorizer,
            schema_tracker: SchemaTracker::default(),
            has_schema_changed: false,
        })
    }

    /// Copies the database, with the changes of the open transaction.
    pub(crate) fn copy(&mut self) -> rusqlite::Result<SandboxCopy> {
        let pages = self.connection.serialize("main")?.to_vec();
        Ok(SandboxCopy { pages, schema_tracker: self.schema_tracker.clone() })
    }

    /// Opens a sandbox with the database of a copy and no open transaction.
    pub(crate) fn from_copy(copy: &SandboxCopy, setup: &ConnectionSetup) -> rusqlite::Result<Self> {
        let mut connection = open_in_memory(setup)?;
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        connection.deserialize_read_exact("main", &*copy.pages, copy.pages.len(), false)?;
        let schema_tracker = copy.schema_tracker.clone();
        Ok(Self { connection, authorizer, schema_tracker, has_schema_changed: false })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn authorizer(&self) -> &StatementAuthorizer {
        &self.authorizer
    }

    /// The schema after the last statement whose changes were read.
    pub(crate) fn schema(&self) -> &Schema {
        self.schema_tracker.schema()
    }

    /// Whether the schema holds an ordinary table of this lower-case name.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.schema_tracker.has_table(name)
    }

    /// Whether a statement has ended the transaction that it ran in.
    pub(crate) fn has_transaction_ended(&self) -> bool {
        self.connection.is_autocommit()
    }

    pub(crate) fn begin(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN")
    }

    /// Sets the savepoint to which `roll_back_to_savepoint` returns. A transaction must be open.
    pub(crate) fn savepoint(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("SAVEPOINT sandbox")
    }

    /// Undoes everything since the savepoint. A statement that ended the transaction has ended the
    /// savepoint with it; then nothing is undone.
    pub(crate) fn roll_back_to_savepoint(&mut self) -> rusqlite::Result<()> {
        if self.connection.execute_batch("ROLLBACK TO sandbox; RELEASE sandbox").is_ok() {
            self.schema_tracker.refresh(&self.connection, SchemaChange::Any)?;
        }
        Ok(())
    }

    /// Reads what the statements since the last call have changed in the schema.
    pub(crate) fn read_changes(
        &mut self,
        schema_change: SchemaChange,
    ) -> rusqlite::Result<Vec<ObjectChange>> {
        let object_changes = self.schema_tracker.refresh(&self.connection, schema_change)?;
        self.has_schema_changed |= !object_changes.is_empty();
        Ok(object_changes)
    }

    /// Runs a block in a transaction and commits it.
    pub(crate) fn run_and_commit<T>(
        &mut self,
        block: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.begin()?;
        let value = block(self)?;
        reset_connection(&self.connection, &TemporaryObjects::default())?;
        if !self.has_transaction_ended() {
            self.connection.execute_batch("COMMIT")?;
        }
        Ok(value)
    }

    /// Runs statements and undoes them. A statement that ends the transaction undoes them as well,
    /// because the transaction holds nothing else.
    pub(crate) fn run_and_roll_back<T>(
        &mut self,
        block: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let is_nested = !self.has_transaction_ended();
        let changed_before = std::mem::take(&mut self.has_schema_changed);
        if is_nested {
            self.savepoint()?;
        } else {
            self.begin()?;
        }
        let value = block(self)?;
        reset_connection(&self.connection, &TemporaryObjects::default())?;
        match (is_nested, self.has_transaction_ended()) {
            // The end of the transaction has undone even more.
            (_, true) => {}
            (true, false) => {
                self.connection.execute_batch("ROLLBACK TO sandbox; RELEASE sandbox")?;
            }
            (false, false) => self.connection.execute_batch("ROLLBACK")?,
        }
        if std::mem::replace(&mut self.has_schema_changed, changed_before) {
            self.schema_tracker.refresh(&self.connection, SchemaChange::Any)?;
        }
        Ok(value)
    }

    /// Runs one statement under the authorizer. The failure of the statement is part of the
    /// outcome; only an interrupt is an error.
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
            Ok(()) => self.read_changes(self.authorizer.effects().schema_change)?,
            Err(_) => Vec::new(),
        };
        let has_changed_rows = self.connection.total_changes() != total_changes_before;
        let affected_rows = if has_changed_rows { self.connection.changes() } else { 0 };
        Ok(StatementOutcome { result, object_changes, affected_rows })
    }
}
