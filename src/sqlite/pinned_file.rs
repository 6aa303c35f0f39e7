//! Holds a descriptor of a database file from the check of the file until SQLite has closed it.
//! SQLite opens files by path, and a path can be given to another file at any time. The descriptor
//! keeps the file that was checked, so that its device and inode name no other file meanwhile, and
//! after SQLite has opened the path they show whether it opened this file.
//!
//! The descriptor is closed only after SQLite's: POSIX drops all locks that a process holds on a
//! file when any descriptor of the file is closed.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::database::error::DatabaseError;
use crate::sqlite::database_file::{Access, DatabaseFile, FileIdentity, SYMLINK_REFUSED};
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::SymlinkPolicy;

/// A regular file that is open, and the path that SQLite is to open.
pub(crate) struct PinnedFile {
    /// The path with a symbolic link resolved: SQLite also expects side files next to the file that
    /// a link points to.
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    identity: Option<FileIdentity>,
}

/// What changes when a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileVersion {
    size: u64,
    modified: Option<SystemTime>,
    /// Of the database header.
    change_counter: [u8; 4],
}

impl PinnedFile {
    /// Opens the file that was listed.
    ///
    /// # Errors
    ///
    /// A file that is missing, is not a regular file, may not be opened, or is not the one that was
    /// listed under its path.
    pub(crate) fn open(database: &DatabaseFile, access: Access) -> Result<Self, DatabaseError> {
        let open_error = |error: io::Error| open_error(error, &database.path, access);
        let path = match database.symlinks {
            SymlinkPolicy::Refuse => database.path.clone(),
            SymlinkPolicy::Follow => resolve_symlink(&database.path).map_err(open_error)?,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read);
        let file = regular_file::open(&path, &mut options, SymlinkPolicy::Refuse)
            .map_err(|error| if is_symlink(&path) { symlink_error() } else { open_error(error) })?;
        let identity = FileIdentity::of(&file.metadata().map_err(open_error)?);
        if database.identity.is_some() && database.identity != identity {
            return Err(DatabaseError::Replaced);
        }
        Ok(Self { path, file, identity })
    }

    /// Checks that SQLite, which has just opened the path, has this file open.
    pub(crate) fn ensure_opened(&self) -> Result<(), DatabaseError> {
        match self.identity {
            Some(identity) if !self.has_path() || !self.is_open_elsewhere(identity) => {
                Err(DatabaseError::Replaced)
            }
            _ => Ok(()),
        }
    }

    /// Whether the path still names this file.
    pub(crate) fn has_path(&self) -> bool {
        let metadata = std::fs::symlink_metadata(&self.path);
        metadata.is_ok_and(|metadata| FileIdentity::of(&metadata) == self.identity)
    }

    /// Whether this process has a second descriptor of the file. The path alone proves nothing: it
    /// may have named another file just while SQLite opened it.
    #[cfg(target_os = "linux")]
    fn is_open_elsewhere(&self, identity: FileIdentity) -> bool {
        use std::os::fd::AsRawFd as _;

        let own = self.file.as_raw_fd();
        let is_second = |descriptor: i32| {
            descriptor != own
                && std::fs::metadata(format!("/proc/self/fd/{descriptor}"))
                    .is_ok_and(|metadata| FileIdentity::of(&metadata) == Some(identity))
        };
        // SQLite's descriptor is nearly always one of the next.
        let mut nearby = (1..=16).flat_map(|distance| [own + distance, own - distance]);
        if nearby.any(is_second) {
            return true;
        }
        // Without `/proc`, the path has to do.
        let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return true };
        let names = descriptors.flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.parse().ok()).any(is_second)
    }

    /// Other systems cannot list descriptors.
    #[cfg(not(target_os = "linux"))]
    fn is_open_elsewhere(&self, _identity: FileIdentity) -> bool {
        true
    }

    /// What changes when a program writes to the file.
    pub(crate) fn version(&self) -> io::Result<FileVersion> {
        const CHANGE_COUNTER_OFFSET: u64 = 24;
        let metadata = self.file.metadata()?;
        let mut change_counter = [0; 4];
        if metadata.len() > 0 {
            read_at(&self.file, &mut change_counter, CHANGE_COUNTER_OFFSET)?;
        }
        let modified = metadata.modified().ok();
        Ok(FileVersion { size: metadata.len(), modified, change_counter })
    }
}

fn open_error(source: io::Error, path: &Path, access: Access) -> DatabaseError {
    let context = match source.kind() {
        ErrorKind::NotFound => return DatabaseError::Missing { path: path.to_owned() },
        ErrorKind::InvalidInput => {
            let reason = "it is not a regular file".to_owned();
            return DatabaseError::NotADatabase { reason };
        }
        _ if access == Access::Read => "the file cannot be read",
        _ => "the file cannot be written",
    };
    DatabaseError::Io { context: context.to_owned(), source }
}

fn is_symlink(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

fn symlink_error() -> DatabaseError {
    DatabaseError::NotADatabase { reason: SYMLINK_REFUSED.to_owned() }
}

fn resolve_symlink(path: &Path) -> io::Result<PathBuf> {
    if std::fs::symlink_metadata(path)?.is_symlink() {
        path.canonicalize()
    } else {
        Ok(path.to_owned())
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, position)
}

#[cfg(not(unix))]
fn read_at(_file: &File, _bytes: &mut [u8], _position: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
