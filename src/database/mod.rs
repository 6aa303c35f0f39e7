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

use crate::database::error::{DatabaseError, message};
use crate::database::foreign_keys::Census;
use crate::database::history_entry::{Record, State};
use crate::database::job::{Done, Order};
use crate::database::stats::Stats;
use crate::schema::Schema;

/// What a database may be asked.
pub(crate) trait Look {
    /// What it says of itself: the last row of its record.
    fn state(&self) -> Result<State, DatabaseError>;

    /// Its whole record, oldest row first.
    fn records(&self) -> Result<Vec<Record>, DatabaseError>;

    /// Its schema: tables, indexes, triggers and views.
    fn schema(&self) -> Result<Schema, DatabaseError>;

    /// The differences from the document that its record accepts.
    fn accepted(&self) -> Result<Vec<String>, DatabaseError>;

    /// The SQL behind a checksum, where this database keeps it.
    fn kept(&self, checksum: &str) -> Result<Option<String>, DatabaseError>;

    /// What SQLite's own check finds damaged, each in words.
    fn integrity(&self) -> Result<Vec<String>, DatabaseError>;

    /// The rows whose parents are missing, in words, and the keys that SQLite cannot use.
    fn foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError>;

    /// How much it holds.
    fn stats(&self) -> Result<Stats, DatabaseError>;
}

/// A database that may be changed.
pub(crate) trait Database: Look {
    /// Runs every step of the order, checks and records it in one transaction, or changes
    /// nothing. `expected` is the state that the order was made for; a database that has moved on
    /// since is [`DatabaseError::Moved`].
    fn apply(&mut self, order: &Order<'_>, expected: &State) -> Result<Done, DatabaseError>;
}

impl Look for Connection {
    fn state(&self) -> Result<State, DatabaseError> {
        history::state(self)
    }

    fn records(&self) -> Result<Vec<Record>, DatabaseError> {
        history::records(self)
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        Ok(crate::schema::read(self)?)
    }

    fn accepted(&self) -> Result<Vec<String>, DatabaseError> {
        Ok(history::accepted(self)?)
    }

    fn kept(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        Ok(history::kept(self, checksum)?)
    }

    fn integrity(&self) -> Result<Vec<String>, DatabaseError> {
        let mut check = self.prepare("PRAGMA integrity_check(20)")?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?;
        let lines: Vec<String> = match lines.collect() {
            Ok(lines) => lines,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                vec![message(&error)]
            }
            Err(error) => return Err(error.into()),
        };
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    fn foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
        let census = Census::of_all(self)?;
        let (mut broken, rows) = census.new_since(&Census::default(), &[]);
        if broken.len() > Census::SHOWN {
            let shown = broken.len() - Census::SHOWN;
            broken.truncate(Census::SHOWN);
            broken.push(format!("and {shown} more rows refer to what is not there, {rows} in all"));
        }
        Ok((broken, census.unusable.into_iter().collect()))
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        stats::of(self)
    }
}
