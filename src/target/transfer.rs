//! Copies one database from a file to a namespace or back, and compares the copy. A destination
//! that already holds the database is only compared, so an interrupted transfer can be repeated.

use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::policy::JournalMode;
use crate::libsql::TransferResult;
use crate::libsql::namespace::Namespace;
use crate::plan::outcome::MigrateError;
use crate::sqlite::file::SqliteFile;
use crate::target::{Location, TargetDatabase};

/// The outcome of a transfer.
#[derive(Debug)]
pub enum TransferOutcome {
    /// The database was copied, and the copy compared.
    Copied,
    /// The destination already had the same content.
    AlreadyIdentical,
    /// The transfer failed, and the destination was not changed.
    Failed(MigrateError),
}

impl From<Result<TransferResult, MigrateError>> for TransferOutcome {
    fn from(result: Result<TransferResult, MigrateError>) -> Self {
        match result {
            Ok(TransferResult::Copied) => Self::Copied,
            Ok(TransferResult::AlreadyIdentical) => Self::AlreadyIdentical,
            Ok(TransferResult::TargetDiffers(difference)) => {
                Self::Failed(MigrateError::CannotOpen(format!(
                    "the destination has other content and was not changed: {difference}"
                )))
            }
            Err(error) => Self::Failed(error),
        }
    }
}

impl TargetDatabase {
    /// Copies the database to a destination that is empty, missing, or has the same content. One
    /// of the two is a file, the other a namespace. A missing namespace is created if the server's
    /// admin URL is known; a new file gets the journal mode.
    #[must_use]
    pub fn transfer_to(
        &self,
        destination: &Self,
        journal_mode: JournalMode,
        options: &ConnectOptions,
    ) -> TransferOutcome {
        self.try_transfer(destination, journal_mode, options).into()
    }

    fn try_transfer(
        &self,
        destination: &Self,
        journal_mode: JournalMode,
        options: &ConnectOptions,
    ) -> Result<TransferResult, MigrateError> {
        self.ensure_openable()?;
        destination.ensure_openable()?;
        match (&self.location, &destination.location) {
            (Location::File(file), Location::Namespace(handle, name)) => {
                // A file that is not a complete database fails before a namespace is created.
                self.read(options, |file| file.history_state())?;
                if handle.server().has_admin() {
                    handle
                        .server()
                        .create(name, &options.setup.cancel)
                        .map_err(DatabaseError::from)?;
                }
                let namespace = Namespace::new(handle, name, options);
                let prepared = SqliteFile::read(file, options, |file| {
                    namespace.prepare_import(file.connection()?)
                })?;
                Ok(prepared.finish()?)
            }
            (Location::Namespace(handle, name), Location::File(file)) => {
                if let Some(status) = file.status().map_err(DatabaseError::from)? {
                    let parent = file.parent().map_err(DatabaseError::from)?;
                    file.identify(&parent, status).map_err(MigrateError::CannotOpen)?;
                }
                Ok(Namespace::new(handle, name, options).export_to(file, journal_mode)?)
            }
            _ => Err(MigrateError::CannotOpen(
                "source and destination must be a file and a namespace".to_owned(),
            )),
        }
    }
}
