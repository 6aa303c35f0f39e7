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

use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::database::stats::Stats;
use crate::database::{Database, Look};
use crate::document::tag::Scope;
#[cfg(feature = "server")]
use crate::libsql::namespace::{Host, Namespace};
use crate::plan::outcome::Failure;
use crate::sqlite::file::SqliteFile;
use crate::sqlite::paths::side_file;
use crate::text::shown;

/// One database of a fleet.
#[derive(Clone, Debug)]
pub struct Member {
    /// System or user.
    pub scope: Scope,
    /// The user, or `system`.
    pub name: OsString,
    /// Where it lives.
    pub home: Home,
    /// Why it may not be opened, if so.
    pub refused: Option<String>,
}

/// Where a database lives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Home {
    /// In a file of this machine.
    File(PathBuf),
    /// In a namespace of a libSQL server.
    #[cfg(feature = "server")]
    Namespace(Arc<Host>, String),
}

impl Home {
    /// The file, where it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "server")]
            Self::Namespace(..) => None,
        }
    }

    /// Whether a database is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match self {
            Self::File(path) => path.symlink_metadata().is_ok(),
            // Without an admin address it is known once it is read.
            #[cfg(feature = "server")]
            Self::Namespace(host, name) => {
                !host.server().has_admin()
                    || host.server().exists(name, &AtomicBool::new(false)).unwrap_or(true)
            }
        }
    }

    /// The bytes that a copy may take.
    pub(crate) fn size(&self) -> u64 {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        match self {
            Self::File(path) => length(path) + length(&side_file(path, "-wal")),
            // The server does not tell.
            #[cfg(feature = "server")]
            Self::Namespace(..) => 0,
        }
    }

    /// What a copy of it is called.
    pub(crate) fn copy_name(&self) -> OsString {
        match self {
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_owned(),
            #[cfg(feature = "server")]
            Self::Namespace(_, name) => format!("{name}.db").into(),
        }
    }

    /// The place as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => shown(path.as_os_str()),
            #[cfg(feature = "server")]
            Self::Namespace(host, name) => format!("{name} @ {}", host.server().url()),
        }
    }
}

impl Member {
    /// The name as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.name)
    }

    pub(crate) fn openable(&self) -> Result<(), Failure> {
        self.refused.clone().map_or(Ok(()), |reason| Err(Failure::NotOpened(reason)))
    }

    /// Opens it to be changed.
    pub(crate) fn open(&self, patience: &Patience) -> Result<Box<dyn Database>, Failure> {
        self.openable()?;
        match &self.home {
            Home::File(path) => Ok(Box::new(SqliteFile::at(path, patience)?)),
            #[cfg(feature = "server")]
            Home::Namespace(host, name) => Ok(Box::new(Namespace::new(host, name, patience))),
        }
    }

    /// Counts what it holds; no byte on the disk changes.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn stats(&self, patience: &Patience) -> Result<Stats, Failure> {
        self.read(patience, |database| database.stats())
    }

    /// Puts a new database in the place of it, at once or not at all: `fill` is given an empty one.
    pub(crate) fn renew<T>(
        &self,
        patience: &Patience,
        fill: impl FnOnce(&mut rusqlite::Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.openable()?;
        match &self.home {
            Home::File(path) => {
                let mut place = crate::sqlite::copy::Place::take(path, patience)?;
                let mut made = place.like_it()?;
                let value = fill(&mut made)?;
                place.put(&made)?;
                Ok(value)
            }
            #[cfg(feature = "server")]
            Home::Namespace(host, name) => {
                let mut made = rusqlite::Connection::open_in_memory()?;
                let value = fill(&mut made)?;
                Namespace::new(host, name, patience).replace_by(&made)?;
                Ok(value)
            }
        }
    }

    /// Opens it to be read, which leaves no trace. `read` may be called several times.
    pub(crate) fn read<T>(
        &self,
        patience: &Patience,
        read: impl Fn(&dyn Look) -> Result<T, DatabaseError>,
    ) -> Result<T, Failure> {
        self.openable()?;
        match &self.home {
            Home::File(path) => Ok(SqliteFile::read(path, patience, |file| read(file))?),
            #[cfg(feature = "server")]
            Home::Namespace(host, name) => Ok(read(&Namespace::new(host, name, patience))?),
        }
    }
}
