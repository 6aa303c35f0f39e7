//! One database of a fleet: whose it is, where it lives, and how it is opened there. What opens it
//! does not know whether that is a file.

pub(crate) mod copy;
pub(crate) mod layout;
pub(crate) mod pattern;
#[cfg(feature = "server")]
pub(crate) mod servers;
pub(crate) mod shard;
#[cfg(feature = "server")]
pub(crate) mod transfer;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;
#[cfg(feature = "server")]
use std::sync::atomic::AtomicBool;

use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::stats::Stats;
use crate::database::{Database, ReadDatabase};
use crate::document::tag::Scope;
#[cfg(feature = "server")]
use crate::libsql::namespace::{Namespace, ServerHandle};
use crate::plan::outcome::MigrateError;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::paths::side_file;
use crate::text::escape_for_display;

/// One database of a fleet.
#[derive(Clone, Debug)]
pub struct TargetDatabase {
    /// System or user.
    pub scope: Scope,
    /// The user, or `system`.
    pub name: OsString,
    /// Where it lives.
    pub location: Location,
    /// Why it may not be opened, if so.
    pub skip_reason: Option<String>,
}

/// Where a database lives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// In a file of this machine.
    File(PathBuf),
    /// In a namespace of a libSQL server.
    #[cfg(feature = "server")]
    Namespace(Arc<ServerHandle>, String),
}

impl Location {
    /// The file, where it is one.
    #[must_use]
    pub fn file_path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "server")]
            Self::Namespace(..) => None,
        }
    }

    /// Whether a database is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::File(path) => path.symlink_metadata().is_ok(),
            // Without an admin address it is known once it is read.
            #[cfg(feature = "server")]
            Self::Namespace(handle, name) => {
                !handle.server().has_admin()
                    || handle.server().exists(name, &AtomicBool::new(false)).unwrap_or(true)
            }
        }
    }

    /// The bytes that a copy may take.
    pub(crate) fn copy_size(&self) -> u64 {
        let file_length =
            |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        match self {
            Self::File(path) => file_length(path) + file_length(&side_file(path, "-wal")),
            // The server does not tell.
            #[cfg(feature = "server")]
            Self::Namespace(..) => 0,
        }
    }

    /// What a copy of it is called.
    pub(crate) fn copy_file_name(&self) -> OsString {
        match self {
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_owned(),
            #[cfg(feature = "server")]
            Self::Namespace(_, name) => format!("{name}.db").into(),
        }
    }

    /// The place as it is shown.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::File(path) => escape_for_display(path.as_os_str()),
            #[cfg(feature = "server")]
            Self::Namespace(handle, name) => format!("{name} @ {}", handle.server().url()),
        }
    }
}

impl TargetDatabase {
    /// The name as it is shown.
    #[must_use]
    pub fn display_name(&self) -> String {
        escape_for_display(&self.name)
    }

    pub(crate) fn ensure_openable(&self) -> Result<(), MigrateError> {
        self.skip_reason.clone().map_or(Ok(()), |reason| Err(MigrateError::CannotOpen(reason)))
    }

    /// Opens it to be changed.
    pub(crate) fn open(&self, options: &ConnectOptions) -> Result<Box<dyn Database>, MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(path) => Ok(Box::new(SqliteFile::prepare(path, options)?)),
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                Ok(Box::new(Namespace::new(handle, name, options)))
            }
        }
    }

    /// Counts what it holds; no byte on the disk changes.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn stats(&self, options: &ConnectOptions) -> Result<Stats, MigrateError> {
        self.read(options, |database| database.stats())
    }

    /// Puts a new database in the place of it, at once or not at all: `fill` is given an empty one.
    pub(crate) fn replace<T>(
        &self,
        options: &ConnectOptions,
        fill: impl FnOnce(&mut rusqlite::Connection) -> Result<T, MigrateError>,
    ) -> Result<T, MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(path) => {
                let mut target = crate::sqlite::copy::ExclusiveTarget::lock(path, options)?;
                let mut new_database = target.new_like()?;
                let value = fill(&mut new_database)?;
                target.overwrite_from(&new_database)?;
                Ok(value)
            }
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                let mut new_database = rusqlite::Connection::open_in_memory()?;
                let value = fill(&mut new_database)?;
                Namespace::new(handle, name, options).replace_with(&new_database)?;
                Ok(value)
            }
        }
    }

    /// Opens it to be read, which leaves no trace. `read` may be called several times.
    pub(crate) fn read<T>(
        &self,
        options: &ConnectOptions,
        read: impl Fn(&dyn ReadDatabase) -> Result<T, DatabaseError>,
    ) -> Result<T, MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(path) => Ok(SqliteFile::read(path, options, |file| read(file))?),
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => Ok(read(&Namespace::new(handle, name, options))?),
        }
    }
}
