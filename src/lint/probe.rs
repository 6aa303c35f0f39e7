//! Runs single statements on copies of tables in a database of their own, where rows exist.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::database::connection::{ConnectionSetup, open_in_memory};

/// The values that the columns of a row get, each tried alone. An expression over other columns may
/// accept one and refuse another.
pub(crate) const ROW_VALUES: [&str; 3] = ["NULL", "1", "'a'"];

/// An empty database in memory that enforces foreign keys.
pub(crate) struct ProbeDatabase(Connection);

impl ProbeDatabase {
    pub(crate) fn new(setup: &ConnectionSetup) -> rusqlite::Result<Self> {
        let connection = open_in_memory(setup)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        Ok(Self(connection))
    }

    /// Runs `setup`, then `action`, and undoes both.
    pub(crate) fn run<T>(
        &self,
        setup: &str,
        action: impl FnOnce(&Connection) -> T,
    ) -> rusqlite::Result<T> {
        self.0.execute_batch("BEGIN")?;
        let result = self.0.execute_batch(setup).map(|()| action(&self.0));
        if !self.0.is_autocommit() {
            self.0.execute_batch("ROLLBACK")?;
        }
        result
    }
}
