//! One database of a fleet: whose it is, where it lives, and how it is opened there. What opens it
//! does not know whether that is a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;

use crate::database::file::{Patience, SqliteFile};
#[cfg(feature = "server")]
use crate::database::namespace::{Host, Namespace};
use crate::database::{Database, DatabaseError, Look};
use crate::document::tag::Scope;
use crate::executor::Failure;
use crate::layout::shown;

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

    fn openable(&self) -> Result<(), Failure> {
        self.refused.clone().map_or(Ok(()), |reason| Err(Failure::NotOpened(reason)))
    }

    /// Opens it to be changed.
    pub(crate) fn open(&self, patience: &Patience) -> Result<Box<dyn Database>, Failure> {
        self.openable()?;
        match &self.home {
            Home::File(path) => Ok(Box::new(SqliteFile::open(path, patience)?)),
            #[cfg(feature = "server")]
            Home::Namespace(host, name) => Ok(Box::new(Namespace::new(host, name, patience))),
        }
    }

    /// Opens it to be read, which leaves no trace. `read` may be called twice.
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
