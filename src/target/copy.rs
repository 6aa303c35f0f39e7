//! Creates, checks, restores and removes the stored copy of one database. The copy of a file is a
//! file; the copy of a namespace is a fork on the same server, closed to writers and named after
//! the time.

use std::path::Path;

use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
#[cfg(feature = "server")]
use crate::libsql::namespace::Namespace;
use crate::plan::outcome::MigrateError;
use crate::sqlite::copy;
use crate::sqlite::copy::{CopyInfo, FileDigest, digest};
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::paths::{RECOVERY_SUFFIXES, side_file};
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::layout::FleetConfig;
use crate::target::{Location, TargetDatabase};
use crate::text::escape_for_display;

/// A stored copy of a database.
pub(crate) enum StoredCopy {
    File(DatabaseFile),
    #[cfg(feature = "server")]
    Fork(Namespace),
    /// A fork on a server that the configuration does not name.
    UnknownServer {
        server: String,
        name: String,
    },
}

/// Where a manifest says that a copy is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyLocation<'k> {
    /// The directory of the backup.
    pub(crate) dir: &'k Path,
    /// The path of the copy's file in the directory; for a fork, its namespace.
    pub(crate) file: &'k Path,
    /// The URL of a fork's server; `None` for a file.
    pub(crate) server: Option<&'k str>,
}

impl CopyLocation<'_> {
    /// The copy's file. A symbolic link in its place, or in a directory on the way, is refused.
    fn database_file(self) -> DatabaseFile {
        DatabaseFile::below(self.dir, self.file, SymlinkPolicy::Refuse)
    }

    /// The namespace of a fork.
    fn fork_name(self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A copy that was just created.
pub(crate) struct NewCopy {
    pub(crate) info: CopyInfo,
    /// The namespace of the copy, if the copy is a fork.
    pub(crate) fork: Option<ForkLocation>,
}

/// Where a fork is.
pub(crate) struct ForkLocation {
    pub(crate) namespace: String,
    /// The URL of the server.
    pub(crate) server: String,
}

impl StoredCopy {
    /// The copy of a database, which for a fork must be on the database's own server.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn new(
        target: &TargetDatabase,
        location: CopyLocation<'_>,
        options: &ConnectOptions,
    ) -> Self {
        match (location.server, &target.location) {
            (None, _) => Self::File(location.database_file()),
            #[cfg(feature = "server")]
            (Some(server), Location::Namespace(handle, _)) if handle.server().url() == server => {
                Self::Fork(Namespace::new(handle, &location.fork_name(), options))
            }
            (Some(server), _) => {
                Self::UnknownServer { server: server.to_owned(), name: location.fork_name() }
            }
        }
    }

    /// A copy on any configured server whose admin URL is known, so that the copy can be removed.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn on_server(
        config: &FleetConfig,
        location: CopyLocation<'_>,
        options: &ConnectOptions,
    ) -> Self {
        let Some(server) = location.server else { return Self::File(location.database_file()) };
        #[cfg(feature = "server")]
        if let Some(handle) =
            config.handle_by_url(server).filter(|handle| handle.server().has_admin())
        {
            return Self::Fork(Namespace::new(handle, &location.fork_name(), options));
        }
        Self::UnknownServer { server: server.to_owned(), name: location.fork_name() }
    }

    /// The name of the copy for messages: a path in the backup, or `NAMESPACE @ URL`.
    pub(crate) fn display(&self) -> String {
        match self {
            Self::File(file) => escape_for_display(file.relative_path().as_os_str()),
            #[cfg(feature = "server")]
            Self::Fork(fork) => fork.display(),
            Self::UnknownServer { server, name } => format!("{name} @ {server}"),
        }
    }

    /// The current size and checksum of the copy.
    ///
    /// # Errors
    ///
    /// A copy that cannot be read, or that SQLite would change by a journal or WAL as it reads it:
    /// no checksum covers these.
    pub(crate) fn digest(&self, options: &ConnectOptions) -> Result<FileDigest, MigrateError> {
        match self {
            Self::File(file) => {
                ensure_no_journal(&file.path)?;
                Ok(digest(file, options)?)
            }
            #[cfg(feature = "server")]
            Self::Fork(fork) => {
                let CopyInfo { size, sha256, .. } = fork.fingerprint()?;
                Ok(FileDigest { size, sha256 })
            }
            Self::UnknownServer { .. } => Err(self.unreachable_error()),
        }
    }

    /// Removes a fork. A file is left: it is removed with the backup's directory.
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

/// Fails if a journal or WAL exists beside a copy.
fn ensure_no_journal(path: &Path) -> Result<(), MigrateError> {
    for suffix in RECOVERY_SUFFIXES {
        let side_path = side_file(path, suffix);
        if side_path.symlink_metadata().is_ok() {
            return Err(MigrateError::CannotOpen(format!(
                "has `{}` beside it, which no checksum covers and SQLite would apply to the copy; move that file away",
                escape_for_display(side_path.file_name().unwrap_or(side_path.as_os_str()))
            )));
        }
    }
    Ok(())
}

impl TargetDatabase {
    /// Whether a copy can be created: a fork needs the server's admin URL.
    pub(crate) fn can_be_copied(&self) -> bool {
        match &self.location {
            Location::File(_) => true,
            #[cfg(feature = "server")]
            Location::Namespace(handle, _) => handle.server().has_admin(),
        }
    }

    /// Creates a consistent copy while other programs may write: of a file in `file`, of a
    /// namespace in a fork whose name contains `time`.
    #[cfg_attr(not(feature = "server"), allow(unused_variables))]
    pub(crate) fn copy_to(
        &self,
        file: &DatabaseFile,
        time: &str,
        options: &ConnectOptions,
    ) -> Result<NewCopy, MigrateError> {
        self.ensure_openable()?;
        match &self.location {
            Location::File(source) => {
                Ok(NewCopy { info: copy::copy(source, file, options)?, fork: None })
            }
            #[cfg(feature = "server")]
            Location::Namespace(handle, name) => {
                let fork = Namespace::new(handle, name, options).fork(time)?;
                let server = handle.server().url().to_owned();
                let location = ForkLocation { namespace: fork.name, server };
                Ok(NewCopy { info: fork.info, fork: Some(location) })
            }
        }
    }

    /// Replaces the database with the content of a copy, in one transaction; creates the database
    /// if it is missing. Returns a remark that did not fail the restore.
    pub(crate) fn restore_from(
        &self,
        copy: &StoredCopy,
        options: &ConnectOptions,
    ) -> Result<Option<String>, MigrateError> {
        self.ensure_openable()?;
        match (&self.location, copy) {
            (Location::File(target), StoredCopy::File(file)) => {
                ensure_no_journal(&file.path)?;
                Ok(copy::restore(file, target, options)?)
            }
            #[cfg(feature = "server")]
            (Location::Namespace(handle, name), StoredCopy::File(file)) => {
                let namespace = Namespace::new(handle, name, options);
                namespace.create_if_missing(|| namespace.replace_with_file(file))?;
                Ok(None)
            }
            #[cfg(feature = "server")]
            (Location::Namespace(handle, name), StoredCopy::Fork(fork)) => {
                let namespace = Namespace::new(handle, name, options);
                namespace.create_if_missing(|| namespace.replace_with_fork(fork))?;
                Ok(None)
            }
            (_, copy) => Err(copy.unreachable_error()),
        }
    }
}
