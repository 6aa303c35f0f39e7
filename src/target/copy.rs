//! A copy of one database, made, checked, put back and removed: of a file it is another file, of a
//! namespace a fork on the same server, closed to writers and named for the time.

use std::path::{Path, PathBuf};

use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
#[cfg(feature = "server")]
use crate::libsql::namespace::Namespace;
use crate::plan::outcome::MigrateError;
use crate::sqlite::copy;
use crate::sqlite::copy::{CopyInfo, digest};
use crate::target::layout::FleetConfig;
use crate::target::{Location, TargetDatabase};
use crate::text::escape_for_display;

/// A copy, where it is kept.
pub(crate) enum StoredCopy {
    File(PathBuf),
    #[cfg(feature = "server")]
    Fork(Namespace),
    /// On a server that nobody named.
    UnknownServer {
        server: String,
        name: String,
    },
}

/// What a manifest tells of a copy's place: its name, and the server that it is on, if any.
pub(crate) type CopyLocation<'k> = (&'k Path, Option<&'k str>);

impl StoredCopy {
    /// That of a member, beside its database.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn new(
        target: &TargetDatabase,
        (file, server): CopyLocation<'_>,
        options: &ConnectOptions,
    ) -> Self {
        match (server, &target.location) {
            (None, _) => Self::File(file.to_owned()),
            #[cfg(feature = "server")]
            (Some(server), Location::Namespace(handle, _)) if handle.server().url() == server => {
                Self::Fork(Namespace::new(handle, &fork_name(file), options))
            }
            (Some(server), _) => {
                Self::UnknownServer { server: server.to_owned(), name: fork_name(file) }
            }
        }
    }

    /// One on any of the servers that are named, where it could be removed.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn on_server(
        config: &FleetConfig,
        (file, server): CopyLocation<'_>,
        options: &ConnectOptions,
    ) -> Self {
        let Some(server) = server else { return Self::File(file.to_owned()) };
        #[cfg(feature = "server")]
        if let Some(handle) =
            config.handle_by_url(server).filter(|handle| handle.server().has_admin())
        {
            return Self::Fork(Namespace::new(handle, &fork_name(file), options));
        }
        Self::UnknownServer { server: server.to_owned(), name: fork_name(file) }
    }

    /// Its name, as it is told.
    pub(crate) fn display(&self) -> String {
        match self {
            Self::File(path) => escape_for_display(path.file_name().unwrap_or(path.as_os_str())),
            #[cfg(feature = "server")]
            Self::Fork(fork) => fork.display(),
            Self::UnknownServer { server, name } => format!("{name} @ {server}"),
        }
    }

    /// Its size and its checksum as it is now.
    pub(crate) fn size_and_digest(
        &self,
        options: &ConnectOptions,
    ) -> Result<(u64, String), MigrateError> {
        match self {
            Self::File(path) => Ok(digest(path, options)?),
            #[cfg(feature = "server")]
            Self::Fork(fork) => {
                let CopyInfo { size, sha256, .. } = fork.fingerprint()?;
                Ok((size, sha256))
            }
            Self::UnknownServer { .. } => Err(self.unreachable_error()),
        }
    }

    /// Removes it, where it is not a file in the backup's own directory, which goes as a whole.
    pub(crate) fn remove(&self) -> Result<(), DatabaseError> {
        match self {
            #[cfg(feature = "server")]
            Self::Fork(fork) => Ok(fork.remove()?),
            _ => Ok(()),
        }
    }

    fn unreachable_error(&self) -> MigrateError {
        MigrateError::CannotOpen(format!("its copy is {}", self.display()))
    }
}

/// A fork's name stands where a file's would.
fn fork_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl TargetDatabase {
    /// Whether a copy of it can be made with what is known of its home.
    pub(crate) fn can_be_copied(&self) -> bool {
        match &self.location {
            Location::File(_) => true,
            #[cfg(feature = "server")]
            Location::Namespace(handle, _) => handle.server().has_admin(),
        }
    }

    /// Makes a consistent copy of it, whatever other programs write meanwhile: in the file, or in
    /// a fork that is named for the time, whose name and server are returned.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn copy_to(
        &self,
        (file, time): (&Path, &str),
        options: &ConnectOptions,
    ) -> Result<(CopyInfo, Option<(String, String)>), MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(path) => Ok((copy::copy(path, file, options)?, None)),
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                let (name, copy_info) = Namespace::new(handle, name, options).fork(time)?;
                Ok((copy_info, Some((name, handle.server().url().to_owned()))))
            }
        }
    }

    /// Puts what a copy holds in the place of it, at once or not at all; makes it where it is
    /// missing.
    pub(crate) fn restore_from(
        &self,
        copy: &StoredCopy,
        options: &ConnectOptions,
    ) -> Result<(), MigrateError> {
        self.ensure_openable()?;
        match (&self.location, copy) {
            (Location::File(path), StoredCopy::File(file)) => {
                Ok(copy::restore(file, path, options)?)
            }
            #[cfg(feature = "server")]
            (Location::Namespace(handle, name), StoredCopy::File(file)) => {
                let namespace = Namespace::new(handle, name, options);
                Ok(namespace.create_if_missing(|| namespace.replace_with_file(file))?)
            }
            #[cfg(feature = "server")]
            (Location::Namespace(host, name), StoredCopy::Fork(fork)) => {
                let namespace = Namespace::new(host, name, options);
                Ok(namespace.create_if_missing(|| namespace.replace_with_fork(fork))?)
            }
            (_, copy) => Err(copy.unreachable_error()),
        }
    }
}
