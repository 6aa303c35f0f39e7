//! Identifies one database of a fleet, a file or a namespace, and opens it.

pub(crate) mod copy;
pub(crate) mod layout;
pub(crate) mod name_hash;
pub(crate) mod path_component;
pub(crate) mod pattern;
pub(crate) mod pattern_error;
pub(crate) mod pattern_parser;
#[cfg(all(test, unix))]
mod pattern_properties;
pub(crate) mod query;
pub(crate) mod row_spool;
#[cfg(feature = "server")]
pub(crate) mod server_error;
#[cfg(feature = "server")]
pub(crate) mod servers;
pub(crate) mod shard;
#[cfg(feature = "server")]
pub(crate) mod transfer;
#[cfg(feature = "server")]
pub(crate) mod user_files;
#[cfg(feature = "server")]
pub(crate) mod user_source;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;
#[cfg(feature = "server")]
use std::sync::atomic::AtomicBool;

use crate::database::connection::{ConnectOptions, open_in_memory};
use crate::database::error::DatabaseError;
use crate::database::stats::Stats;
use crate::database::{Database, ReadDatabase};
use crate::document::tag::Scope;
#[cfg(feature = "server")]
use crate::libsql::namespace::{Namespace, ServerHandle};
use crate::plan::outcome::MigrateError;
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::paths::side_file;
use crate::text::escape_for_display;

/// One database of a fleet. As for a [`Fleet`](crate::fleet::Fleet), its operations close no
/// descriptor of a file that the process has open.
#[derive(Clone, Debug)]
pub struct TargetDatabase {
    /// System or user.
    pub scope: Scope,
    /// The user, or `system`.
    pub name: OsString,
    /// Where the database is.
    pub location: Location,
    /// Why the database must not be opened; `None` if it may be opened.
    pub skip_reason: Option<String>,
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A file on this machine.
    File(DatabaseFile),
    /// A namespace of a libSQL server.
    #[cfg(feature = "server")]
    Namespace(Arc<ServerHandle>, String),
}

/// The result of replacing the whole content of a database.
pub(crate) struct Replaced<T> {
    /// The value of the function that filled the new database.
    pub(crate) value: T,
    /// Remarks that did not fail the run.
    pub(crate) notes: Vec<String>,
}

impl Location {
    /// The path of the file; `None` for a namespace.
    #[must_use]
    pub fn file_path(&self) -> Option<&Path> {
        self.file().map(|file| file.path.as_path())
    }

    /// The file; `None` for a namespace.
    pub(crate) fn file(&self) -> Option<&DatabaseFile> {
        match self {
            Self::File(file) => Some(file),
            #[cfg(feature = "server")]
            Self::Namespace(..) => None,
        }
    }

    /// Whether the database exists. Without the server's admin URL, a namespace counts as existing:
    /// reading it shows whether it does.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            // What cannot be looked at is something in the place of the database.
            Self::File(file) => !matches!(file.status(), Ok(None)),
            #[cfg(feature = "server")]
            Self::Namespace(handle, name) => {
                !handle.server().has_admin()
                    || handle.server().exists(name, &AtomicBool::new(false)).unwrap_or(true)
            }
        }
    }

    /// The largest size that a copy may have, in bytes; 0 for a namespace, whose size the server
    /// does not report.
    pub(crate) fn copy_size(&self) -> u64 {
        let file_length =
            |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        match self {
            Self::File(DatabaseFile { path, .. }) => {
                file_length(path) + file_length(&side_file(path, "-wal"))
            }
            #[cfg(feature = "server")]
            Self::Namespace(..) => 0,
        }
    }

    /// The preferred path of a copy in a backup.
    pub(crate) fn copy_path(&self) -> PathBuf {
        match self {
            Self::File(file) => file.relative_path().to_owned(),
            #[cfg(feature = "server")]
            Self::Namespace(_, name) => format!("{name}.db").into(),
        }
    }

    /// The location for display: a path, or `NAMESPACE @ URL`.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::File(file) => escape_for_display(file.path.as_os_str()),
            #[cfg(feature = "server")]
            Self::Namespace(handle, name) => format!("{name} @ {}", handle.server().url()),
        }
    }
}

impl TargetDatabase {
    /// The name, escaped for display.
    #[must_use]
    pub fn display_name(&self) -> String {
        escape_for_display(&self.name)
    }

    /// Fails with the skip reason, if the database has one.
    pub(crate) fn ensure_openable(&self) -> Result<(), MigrateError> {
        self.skip_reason.clone().map_or(Ok(()), |reason| Err(MigrateError::CannotOpen(reason)))
    }

    /// Opens the database for writing.
    pub(crate) fn open(&self, options: &ConnectOptions) -> Result<Box<dyn Database>, MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(file) => Ok(Box::new(SqliteFile::prepare(file, options)?)),
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                Ok(Box::new(Namespace::new(handle, name, options)))
            }
        }
    }

    /// Counts what the database contains, without changing it.
    ///
    /// # Errors
    ///
    /// A database that cannot be read.
    pub fn stats(&self, options: &ConnectOptions) -> Result<Stats, MigrateError> {
        self.read_snapshot(options, |database| database.stats())
    }

    /// Replaces the whole content of the database in one transaction. `fill` receives an empty
    /// in-memory database and fills it with the new content. Also returns remarks on the result.
    pub(crate) fn replace<T>(
        &self,
        options: &ConnectOptions,
        fill: impl FnOnce(&mut rusqlite::Connection) -> Result<T, MigrateError>,
    ) -> Result<Replaced<T>, MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(database) => {
                let mut target =
                    crate::sqlite::overwrite::ExclusiveTarget::lock(database, options)?;
                let mut new_database = target.new_like()?;
                let value = fill(&mut new_database)?;
                let note = target.overwrite_from(&new_database)?;
                Ok(Replaced { value, notes: note.into_iter().collect() })
            }
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                let mut new_database = open_in_memory(&options.setup)?;
                let value = fill(&mut new_database)?;
                Namespace::new(handle, name, options).replace_with(&new_database)?;
                Ok(Replaced { value, notes: Vec::new() })
            }
        }
    }

    /// Opens the database for reading, which leaves no side files. `read` may be called several
    /// times.
    pub(crate) fn read<T>(
        &self,
        options: &ConnectOptions,
        read: impl Fn(&dyn ReadDatabase) -> Result<T, DatabaseError>,
    ) -> Result<T, MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(file) => Ok(SqliteFile::read(file, options, |file| read(file))?),
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => Ok(read(&Namespace::new(handle, name, options))?),
        }
    }

    /// Opens the database for reading, like [`TargetDatabase::read`]. On a server, all of `read`
    /// is one read transaction.
    pub(crate) fn read_snapshot<T>(
        &self,
        options: &ConnectOptions,
        read: impl Fn(&dyn ReadDatabase) -> Result<T, DatabaseError>,
    ) -> Result<T, MigrateError> {
        match &self.location {
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                self.ensure_openable()?;
                let namespace = Namespace::new(handle, name, options);
                Ok(namespace.read_in_one_transaction(|namespace| read(namespace))?)
            }
            Location::File(_) => self.read(options, read),
        }
    }
}
