//! Replaces a database with a new one: the document builds it in memory, and SQLite copies it over
//! the old database in one transaction. No file is ever unlinked while a program may have it open.

use crate::database::connection::ConnectOptions;
use crate::migrate::borrowed::BorrowedConnection;
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::Outcome;
use crate::target::{Replaced, TargetDatabase};

impl Migrator<'_, '_> {
    /// Replaces a target database with a new one at the target version. All of its rows are lost.
    #[must_use]
    pub fn reset_database(&self, database: &TargetDatabase, options: &ConnectOptions) -> Outcome {
        let result = database.replace(options, |connection| {
            let schema_trust = options.setup.extensions.schema_trust();
            let borrowed = BorrowedConnection::new(connection, schema_trust)?;
            let outcome = borrowed.with_session(|session| self.upgrade(database.scope, session));
            borrowed.restore()?;
            match outcome? {
                Outcome::Failed { error, .. } => Err(*error),
                Outcome::Upgraded(run) => {
                    Ok(Outcome::Reset { version: run.path.to.clone(), notes: Vec::new() })
                }
                outcome => Ok(outcome),
            }
        });
        match result {
            Ok(Replaced { value: Outcome::Reset { version, .. }, notes }) => {
                Outcome::Reset { version, notes }
            }
            Ok(replaced) => replaced.value,
            Err(error) => Outcome::from_error(None, error),
        }
    }
}
