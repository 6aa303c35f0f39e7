//! A database made anew: built in memory by the document, and put in the place of the old one in
//! one transaction, so that no file is ever unlinked under a program that may have it open.

use crate::database::connection::ConnectOptions;
use crate::migrate::embedded::BorrowedConnection;
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::target::TargetDatabase;

impl Migrator<'_, '_> {
    /// Puts a new database at the target in the place of a member's; what was in it is gone.
    #[must_use]
    pub fn reset_database(&self, database: &TargetDatabase, options: &ConnectOptions) -> Outcome {
        let result = database.replace(options, |connection| {
            let mut borrowed = BorrowedConnection::new(connection)?;
            let outcome = self.upgrade(database.scope, &mut borrowed);
            borrowed.restore()?;
            match outcome {
                Outcome::Failed { error: failure, .. } => Err(*failure),
                Outcome::Upgraded(run) => Ok(Outcome::Reset { version: run.path.to.clone() }),
                verdict => Ok(verdict),
            }
        });
        match result {
            Ok(verdict) => verdict,
            Err(error) => Outcome::from_error(None, error),
        }
    }
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        crate::database::error::DatabaseError::from(error).into()
    }
}
