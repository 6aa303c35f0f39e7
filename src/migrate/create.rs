//! Creates a database that does not exist and brings it to the target version. The file is created
//! exclusively, so no other program can have created it; if the run fails, the file is removed.

use std::io::ErrorKind;

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::policy::JournalMode;
#[cfg(feature = "server")]
use crate::libsql::namespace::Namespace;
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::{MigrateError, Outcome};
#[cfg(feature = "server")]
use crate::sqld::admin::CreateResult;
use crate::sqlite::database_file::{DatabaseFile, ParentError};
use crate::sqlite::file::SqliteFile;
use crate::sqlite::file_status::FileIdentity;
use crate::sqlite::new_directories::{CreatedDirectories, MissingBase, NewFileParent};
use crate::sqlite::open_directory::entry::Users;
use crate::sqlite::paths::{RECOVERY_SUFFIXES, side_file};
use crate::target::{Location, TargetDatabase};

/// The outcome of creating a database. Exhaustive, since a caller must report each of them.
#[derive(Debug)]
pub enum CreateOutcome {
    /// The database existed already and was left unchanged.
    AlreadyExists,
    /// The outcome of the first run. The database exists only if it succeeded.
    Attempted(Outcome),
}

impl Migrator<'_, '_> {
    /// Creates a target database, if it does not exist, in the journal mode of the policy, and
    /// brings it to the target version.
    #[must_use]
    pub fn create_database(
        &self,
        database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> CreateOutcome {
        let created = database.ensure_openable().and_then(|()| database.location.create(options));
        let CreatedLocation { location, directories } = match created {
            Ok(Some(created)) => created,
            Ok(None) => return CreateOutcome::AlreadyExists,
            Err(migrate_error) => {
                return CreateOutcome::Attempted(Outcome::from_error(None, migrate_error));
            }
        };
        let database = TargetDatabase { location, ..database.clone() };
        let outcome = match database.location.set_journal_mode(self.policy().journal_mode, options)
        {
            Ok(()) => self.upgrade_database(&database, options),
            Err(error) => Outcome::from_error(None, error.into()),
        };
        // If another program has opened the new file already, unlinking it would make that program
        // write into a file without a name.
        if !matches!(outcome, Outcome::Upgraded(_)) && !outcome.is_busy() {
            database.location.remove_if_empty(options);
            directories.remove();
        }
        CreateOutcome::Attempted(outcome)
    }
}

/// A database that was created, and is empty.
struct CreatedLocation {
    location: Location,
    /// The directories that were created for it.
    directories: CreatedDirectories,
}

impl Location {
    /// Creates an empty database. `None` if a database exists already.
    ///
    /// # Errors
    ///
    /// The database cannot be created, or what exists in its place is no database.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    fn create(&self, options: &ConnectOptions) -> Result<Option<CreatedLocation>, MigrateError> {
        match self {
            Self::File(file) => create_file(file),
            #[cfg(feature = "server")]
            Self::Namespace(server, name) => {
                match server.server().create(name, &options.setup.cancel) {
                    Ok(CreateResult::Created) => {
                        let directories = CreatedDirectories::default();
                        Ok(Some(CreatedLocation { location: self.clone(), directories }))
                    }
                    Ok(CreateResult::AlreadyExists) => Ok(None),
                    Err(error) => Err(DatabaseError::from(error).into()),
                }
            }
        }
    }

    /// Sets the journal mode of a new database. This happens before the first transaction, so that
    /// an interrupted transaction never leaves the database in another mode.
    fn set_journal_mode(
        &self,
        mode: JournalMode,
        options: &ConnectOptions,
    ) -> Result<(), DatabaseError> {
        match self {
            Self::File(file) => SqliteFile::set_journal_mode(file, mode, options),
            // The server sets the journal mode of its namespaces itself.
            #[cfg(feature = "server")]
            Self::Namespace(..) => Ok(()),
        }
    }

    /// Removes a new database to which nothing was written except its journal mode.
    fn remove_if_empty(&self, options: &ConnectOptions) {
        match self {
            Self::File(file) => {
                let state = SqliteFile::read(file, options, ReadDatabase::history_state);
                let has_no_side_files =
                    RECOVERY_SUFFIXES.iter().all(|suffix| !side_file(&file.path, suffix).exists());
                if has_no_side_files && matches!(state, Ok(HistoryState::Empty)) {
                    let _ = file.parent().map(|parent| parent.remove_file(file.file_name()));
                }
            }
            #[cfg(feature = "server")]
            Self::Namespace(server, name) => {
                let namespace = Namespace::new(server, name, options);
                if matches!(namespace.history_state(), Ok(HistoryState::Empty)) {
                    let _ = server.server().delete(name, &options.setup.cancel);
                }
            }
        }
    }
}

/// Creates an empty file, and missing directories on its path. `None` if a file exists already.
fn create_file(file: &DatabaseFile) -> Result<Option<CreatedLocation>, MigrateError> {
    let cannot_create = |error: ParentError| {
        MigrateError::CannotOpen(format!("the database cannot be created: {error}"))
    };
    let NewFileParent { directory, created } =
        NewFileParent::create(file, MissingBase::Create).map_err(cannot_create)?;
    let new_file = directory.create_file(file.file_name(), Users::Default);
    match new_file.and_then(|new_file| new_file.metadata()) {
        Ok(metadata) => {
            let identity = FileIdentity::from_metadata(&metadata);
            let location = Location::File(DatabaseFile { identity, ..file.clone() });
            Ok(Some(CreatedLocation { location, directories: created }))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let status = directory.status(file.file_name());
            let status = status.map_err(|error| cannot_create(error.into()))?;
            file.identify(&directory, status).map_err(MigrateError::CannotOpen)?;
            Ok(None)
        }
        Err(error) => {
            created.remove();
            Err(cannot_create(error.into()))
        }
    }
}
