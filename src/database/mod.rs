//! One database and what may be asked of it: read its state, read its history, apply a whole
//! order atomically or change nothing. No begin, execute or commit leaves this folder, so that a
//! database reached in one request over a network fits the same boundary.

pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod error_span;
pub(crate) mod foreign_keys;
pub(crate) mod history;
pub(crate) mod history_entry;
pub(crate) mod job;
pub(crate) mod policy;
pub(crate) mod stats;
pub(crate) mod template;

use rusqlite::{Connection, ErrorCode};

use crate::database::error::sqlite_message;
use crate::database::foreign_keys::ForeignKeyViolations;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob};
use crate::schema::Schema;
use crate::schema::renames::Renames;

pub use crate::database::connection::ConnectOptions;
pub use crate::database::error::DatabaseError;
pub use crate::database::history_entry::{HistoryEntry, HistoryEvent};
pub use crate::database::policy::{DatabasePolicy, ForeignKeyPolicy, JournalMode};
pub use crate::database::stats::Stats;

/// What a database may be asked.
pub(crate) trait ReadDatabase {
    /// What it says of itself: the last row of its record.
    fn history_state(&self) -> Result<HistoryState, DatabaseError>;

    /// Its whole record, oldest row first.
    fn history(&self) -> Result<Vec<HistoryEntry>, DatabaseError>;

    /// Its schema: tables, indexes, triggers and views.
    fn schema(&self) -> Result<Schema, DatabaseError>;

    /// The differences from the document that its record accepts.
    fn accepted_drift(&self) -> Result<Vec<String>, DatabaseError>;

    /// The SQL behind a checksum, where this database keeps it.
    fn stored_source(&self, checksum: &str) -> Result<Option<String>, DatabaseError>;

    /// What SQLite's own check finds damaged, each in words.
    fn check_integrity(&self) -> Result<Vec<String>, DatabaseError>;

    /// The rows whose parents are missing, in words, and the keys that SQLite cannot use.
    fn check_foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError>;

    /// How much it holds.
    fn stats(&self) -> Result<Stats, DatabaseError>;
}

/// A database that may be changed.
pub(crate) trait Database: ReadDatabase {
    /// Runs every step of the order, checks and records it in one transaction, or changes
    /// nothing. `expected` is the state that the order was made for; a database that has moved on
    /// since is [`DatabaseError::ConcurrentChange`].
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
    ) -> Result<JobResult, DatabaseError>;
}

impl ReadDatabase for Connection {
    fn history_state(&self) -> Result<HistoryState, DatabaseError> {
        history::state(self)
    }

    fn history(&self) -> Result<Vec<HistoryEntry>, DatabaseError> {
        history::entries(self)
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        Ok(crate::schema::read(self)?)
    }

    fn accepted_drift(&self) -> Result<Vec<String>, DatabaseError> {
        Ok(history::accepted_drift(self)?)
    }

    fn stored_source(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        Ok(history::stored_source(self, checksum)?)
    }

    fn check_integrity(&self) -> Result<Vec<String>, DatabaseError> {
        let mut check = self.prepare("PRAGMA integrity_check(20)")?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?;
        let lines: Vec<String> = match lines.collect() {
            Ok(lines) => lines,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                vec![sqlite_message(&error)]
            }
            Err(error) => return Err(error.into()),
        };
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    fn check_foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
        let violations = ForeignKeyViolations::scan_all(self)?;
        let (mut descriptions, rows) =
            violations.introduced_since(&ForeignKeyViolations::default(), &Renames::new());
        if descriptions.len() > ForeignKeyViolations::MAX_LISTED {
            let more = descriptions.len() - ForeignKeyViolations::MAX_LISTED;
            descriptions.truncate(ForeignKeyViolations::MAX_LISTED);
            descriptions
                .push(format!("and {more} more rows refer to what is not there, {rows} in all"));
        }
        Ok((descriptions, violations.unusable_keys.into_iter().collect()))
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        stats::read(self)
    }
}
