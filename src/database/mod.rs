//! Declares what can be done with one database: read its history, schema and size, check it, and
//! run a job, which applies all of its steps or changes nothing. BEGIN, COMMIT and single
//! statements are not part of this interface, so that a namespace, which runs a whole job in one
//! HTTP request, implements it as well.

pub(crate) mod already_applied;
pub(crate) mod assertion;
pub(crate) mod autoincrement;
pub(crate) mod column_order;
pub(crate) mod connection;
pub(crate) mod declared;
pub(crate) mod error;
pub(crate) mod error_help;
pub(crate) mod error_span;
pub(crate) mod foreign_key_violations;
pub(crate) mod foreign_keys;
pub(crate) mod full_text;
pub(crate) mod history;
pub(crate) mod history_entry;
pub(crate) mod integrity;
pub(crate) mod job;
pub(crate) mod known_names;
pub(crate) mod known_schemas;
pub(crate) mod offending_query;
pub(crate) mod offending_rows;
pub(crate) mod offending_update;
pub(crate) mod policy;
pub(crate) mod postcondition;
pub(crate) mod query;
pub(crate) mod schema_reader;
pub(crate) mod schema_tracker;
pub(crate) mod session;
pub(crate) mod sqlite_message;
pub(crate) mod stats;
pub(crate) mod template;
pub(crate) mod usability;
pub(crate) mod usable_references;
pub(crate) mod version_table_rows;
pub(crate) mod version_tables;

use rusqlite::{Connection, Transaction};

use crate::database::foreign_key_violations::ForeignKeyReport;
use crate::database::history_entry::HistoryState;
use crate::database::integrity::IntegrityReport;
use crate::database::job::{JobResult, MigrationJob};
use crate::database::session::Session;
use crate::database::version_tables::{FoundTables, VersionTable};
use crate::schema::difference::AcceptedDrift;
use crate::schema::{ObjectKey, Schema};

pub use crate::database::connection::{ConnectOptions, ConnectionSetup};
pub use crate::database::error::{DatabaseError, StatementCause};
pub use crate::database::history_entry::{HistoryEntry, HistoryEvent};
pub use crate::database::policy::{AheadPolicy, DatabasePolicy, ForeignKeyPolicy, JournalMode};
pub use crate::database::stats::Stats;
pub use crate::document::extensions::Extensions;

/// A database that can be read.
pub(crate) trait ReadDatabase {
    /// Reads the last entry of the history.
    fn history_state(&self) -> Result<HistoryState, DatabaseError>;

    /// Reads the whole history, oldest entry first. Empty if the database has none.
    fn history(&self) -> Result<Vec<HistoryEntry>, DatabaseError>;

    /// Reads the schema: tables, indexes, triggers and views.
    fn schema(&self) -> Result<Schema, DatabaseError>;

    /// Reads the accepted drift from the history, which must exist.
    fn accepted_drift(&self) -> Result<AcceptedDrift, DatabaseError>;

    /// Reads the version tables of other tools.
    fn version_tables(&self, tables: &FoundTables) -> Result<Vec<VersionTable>, DatabaseError>;

    /// Reads the SQL of an applied block by its checksum, or of a reverse block by its key, if this
    /// database stores it.
    fn stored_source(&self, checksum: &str) -> Result<Option<String>, DatabaseError>;

    /// Runs SQLite's integrity check.
    fn check_integrity(&self) -> Result<IntegrityReport, DatabaseError>;

    /// Checks all foreign keys.
    fn check_foreign_keys(&self) -> Result<ForeignKeyReport, DatabaseError>;

    /// The views and triggers of a schema that do not compile, each as text. Empty for a database
    /// on a server, which cannot be asked without changing it.
    fn check_references(
        &self,
        schema: &Schema,
        is_documented: &dyn Fn(&ObjectKey) -> bool,
    ) -> Result<Vec<String>, DatabaseError>;

    /// Counts pages and rows.
    fn stats(&self) -> Result<Stats, DatabaseError>;
}

/// A database that can be changed.
pub(crate) trait Database: ReadDatabase {
    /// Runs every step of the job, checks the result and writes the history in one transaction,
    /// or changes nothing. `expected` is the history state that the job was planned for. The error
    /// is [`DatabaseError::ConcurrentChange`] if the database has another state now.
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
    ) -> Result<JobResult, DatabaseError>;
}

/// A database that is read through a [`Session`]. Implementing this implements [`ReadDatabase`].
pub(crate) trait SessionDatabase {
    type Session: Session;

    /// The session, which is opened on the first call.
    fn session(&self) -> Result<&Self::Session, DatabaseError>;

    /// Adds to an error what the database knows about its cause.
    fn explain(&self, error: DatabaseError) -> DatabaseError {
        error
    }

    fn read_history_state(&self) -> Result<HistoryState, DatabaseError> {
        history::state(self.session()?)
    }

    fn read_stats(&self) -> Result<Stats, DatabaseError> {
        stats::read(self.session()?).map_err(Into::into)
    }
}

impl<D: SessionDatabase> ReadDatabase for D {
    fn history_state(&self) -> Result<HistoryState, DatabaseError> {
        self.read_history_state().map_err(|error| self.explain(error))
    }

    fn history(&self) -> Result<Vec<HistoryEntry>, DatabaseError> {
        if !matches!(self.history_state()?, HistoryState::Versioned(_)) {
            return Ok(Vec::new());
        }
        history::entries(self.session()?).map_err(|error| self.explain(error))
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        schema_reader::read_schema(self.session()?).map_err(|error| self.explain(error.into()))
    }

    fn accepted_drift(&self) -> Result<AcceptedDrift, DatabaseError> {
        history::accepted_drift(self.session()?).map_err(|error| self.explain(error.into()))
    }

    fn version_tables(&self, tables: &FoundTables) -> Result<Vec<VersionTable>, DatabaseError> {
        version_tables::read(self.session()?, tables).map_err(|error| self.explain(error))
    }

    fn stored_source(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        history::stored_source(self.session()?, checksum)
            .map_err(|error| self.explain(error.into()))
    }

    fn check_integrity(&self) -> Result<IntegrityReport, DatabaseError> {
        integrity::check(self.session()?).map_err(|error| self.explain(error.into()))
    }

    fn check_foreign_keys(&self) -> Result<ForeignKeyReport, DatabaseError> {
        foreign_key_violations::check(self.session()?).map_err(|error| self.explain(error.into()))
    }

    fn check_references(
        &self,
        schema: &Schema,
        is_documented: &dyn Fn(&ObjectKey) -> bool,
    ) -> Result<Vec<String>, DatabaseError> {
        let Some(connection) = self.session()?.connection() else { return Ok(Vec::new()) };
        usable_references::describe_unusable(connection, schema, is_documented)
            .map_err(|error| self.explain(error.into()))
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        self.read_stats().map_err(|error| self.explain(error))
    }
}

impl SessionDatabase for Connection {
    type Session = Self;

    fn session(&self) -> Result<&Self, DatabaseError> {
        Ok(self)
    }

    /// Reads everything in one transaction, so that a concurrent writer does not show in only
    /// some of the numbers.
    fn read_stats(&self) -> Result<Stats, DatabaseError> {
        let transaction = session::read_transaction(self)?;
        let stats = stats::read(self)?;
        transaction.map_or(Ok(()), Transaction::finish)?;
        Ok(stats)
    }
}
