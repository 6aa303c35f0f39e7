//! A fleet moved from files to namespaces and back: each database whole, compared, or not at all. A
//! second run finishes what the first did not, since what is there already is compared alone.

use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::policy::JournalMode;
use crate::libsql::TransferResult;
use crate::libsql::namespace::Namespace;
use crate::plan::outcome::MigrateError;
use crate::sqlite::file::SqliteFile;
use crate::target::{Location, TargetDatabase};

/// What became of a database that was to be moved.
#[derive(Debug)]
pub enum TransferOutcome {
    /// It is there, and was compared.
    Copied,
    /// It was there already, the same.
    AlreadyIdentical,
    /// It was not moved, and what is at its new place is as it was.
    Failed(MigrateError),
}

impl From<Result<TransferResult, MigrateError>> for TransferOutcome {
    fn from(result: Result<TransferResult, MigrateError>) -> Self {
        match result {
            Ok(TransferResult::Copied) => Self::Copied,
            Ok(TransferResult::AlreadyIdentical) => Self::AlreadyIdentical,
            Ok(TransferResult::TargetDiffers(difference)) => {
                Self::Failed(MigrateError::CannotOpen(format!(
                    "something else is there already, which was left alone: {difference}"
                )))
            }
            Err(failure) => Self::Failed(failure),
        }
    }
}

impl TargetDatabase {
    /// Carries its database to another place, which holds nothing or the same. The one is a file
    /// and the other a namespace, which is made where an admin address is known; a file that is
    /// made is in the journal mode.
    #[must_use]
    pub fn transfer_to(
        &self,
        to: &Self,
        mode_and_options: (JournalMode, &ConnectOptions),
    ) -> TransferOutcome {
        self.try_transfer(to, mode_and_options).into()
    }

    fn try_transfer(
        &self,
        to: &Self,
        (journal_mode, options): (JournalMode, &ConnectOptions),
    ) -> Result<TransferResult, MigrateError> {
        for target in [self, to] {
            if let Some(reason) = &target.skip_reason {
                return Err(MigrateError::CannotOpen(reason.clone()));
            }
        }
        match (&self.location, &to.location) {
            (Location::File(path), Location::Namespace(handle, name)) => {
                // What is no database, or not a whole one, is told before anything is made.
                self.read(options, |file| file.history_state())?;
                if handle.server().has_admin() {
                    handle.server().create(name, &options.cancel).map_err(DatabaseError::from)?;
                }
                let namespace = Namespace::new(handle, name, options);
                Ok(SqliteFile::read(path, options, |file| namespace.import(file.connection()?))?)
            }
            (Location::Namespace(host, name), Location::File(path)) => {
                Ok(Namespace::new(host, name, options).export_to(path, journal_mode)?)
            }
            _ => Err(MigrateError::CannotOpen("both places are of one kind".to_owned())),
        }
    }
}
