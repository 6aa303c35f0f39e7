//! Holds a descriptor of a database file from the check of the file until SQLite has closed it.
//! SQLite opens files by path, and a path can be given to another file at any time. The descriptor
//! keeps the file that was checked, so that its device and inode name no other file meanwhile, and
//! after SQLite has opened the path they show whether it opened this file.
//!
//! The descriptor is dropped only after SQLite's, and is not closed then: see
//! `src/sqlite/descriptor.rs`.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::database::connection::UnpreparedConnection;
use crate::database::error::DatabaseError;
use crate::sqlite::database_file::{
    Access, DatabaseFile, ParentError, SYMLINK_REFUSED, open_parent,
};
use crate::sqlite::descriptor::Descriptor;
use crate::sqlite::file_status::{FileIdentity, FileKind, FileStatus};
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::FileUse;
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::OpenedFile;
use crate::sqlite::regular_file::SymlinkPolicy;

/// A regular file that is open, and the path that SQLite is to open.
pub(crate) struct PinnedFile {
    /// The path with a symbolic link resolved: SQLite also expects side files next to the file that
    /// a link points to.
    pub(crate) path: PathBuf,
    pub(crate) file: Descriptor,
    /// In bytes, when the file was opened.
    pub(crate) size: u64,
    identity: Option<FileIdentity>,
    /// As in [`DatabaseFile`]; the last components of the path are no links.
    depth: usize,
}

/// Where a file is opened, so that no link below the user's own path is followed.
enum Opening<'p> {
    /// The last component is the only one that can be a link.
    Path(&'p Path),
    InDirectory {
        directory: OpenDirectory,
        name: &'p OsStr,
    },
}

impl<'p> Opening<'p> {
    fn new(path: &'p Path, depth: usize) -> Result<Self, ParentError> {
        match path.file_name() {
            Some(name) if depth > 1 => {
                let directory = open_parent(path, depth, SymlinkPolicy::Refuse)?;
                Ok(Self::InDirectory { directory, name })
            }
            _ => Ok(Self::Path(path)),
        }
    }

    fn status(&self) -> io::Result<FileStatus> {
        match self {
            Self::Path(path) => Ok((&std::fs::symlink_metadata(path)?).into()),
            Self::InDirectory { directory, name } => directory.status(name),
        }
    }

    fn open(&self, purpose: FileUse) -> io::Result<OpenedFile> {
        match self {
            Self::Path(path) => {
                let mut options = OpenOptions::new();
                options.read(true).write(purpose == FileUse::ReadWrite);
                regular_file::open_checked(path, &mut options, SymlinkPolicy::Refuse)
            }
            Self::InDirectory { directory, name } => {
                OpenedFile::new(directory.open_file(name, purpose)?)
            }
        }
    }
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
        let parent_error = |error: ParentError| match error {
            ParentError::Io(error) => open_error(error),
            error => error.into(),
        };
        let ResolvedPath { path, depth } = match database.symlinks {
            SymlinkPolicy::Refuse => {
                ResolvedPath { path: database.path.clone(), depth: database.depth }
            }
            SymlinkPolicy::Follow => ResolvedPath::new(database).map_err(open_error)?,
        };
        let opening = Opening::new(&path, depth).map_err(parent_error)?;
        let status = opening.status().map_err(open_error)?;
        match status.kind {
            FileKind::Regular => {}
            FileKind::Symlink => {
                return Err(DatabaseError::NotADatabase { reason: SYMLINK_REFUSED.to_owned() });
            }
            FileKind::Directory | FileKind::Other => {
                return Err(open_error(ErrorKind::InvalidInput.into()));
            }
        }
        let identity = status.identity;
        if database.identity.is_some() && database.identity != identity {
            return Err(DatabaseError::Replaced);
        }
        let needs_write = access != Access::Read;
        let kept = identity.and_then(|identity| Descriptor::find_kept(identity, needs_write));
        if let Some(file) = kept {
            let size = file.metadata().map_err(open_error)?.len();
            drop(opening);
            return Ok(Self { path, file, size, identity, depth });
        }
        let purpose = if needs_write { FileUse::ReadWrite } else { FileUse::Read };
        let opened = opening.open(purpose).map_err(open_error)?;
        drop(opening);
        let opened_identity = FileIdentity::from_metadata(&opened.metadata);
        let file = Descriptor::new(opened.file, opened_identity, needs_write);
        if opened_identity != identity {
            return Err(DatabaseError::Replaced);
        }
        Ok(Self { path, file, size: opened.metadata.len(), identity, depth })
    }

    /// Lets SQLite open the path with `open`, and checks that it opened this file.
    ///
    /// # Errors
    ///
    /// The error of `open`, or `Replaced`.
    pub(crate) fn open_with_sqlite(
        &self,
        open: impl FnOnce() -> rusqlite::Result<UnpreparedConnection>,
    ) -> Result<UnpreparedConnection, DatabaseError> {
        /// Keeps the workers from taking each other's expected descriptor. Opening is short.
        static ONE_OPEN_AT_A_TIME: Mutex<()> = Mutex::new(());

        let (expected_descriptor, connection) = {
            let _guard = ONE_OPEN_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            (lowest_free_descriptor(), open()?)
        };
        match self.identity {
            Some(identity)
                if !self.has_path() || !self.is_open_in_sqlite(identity, expected_descriptor) =>
            {
                Err(DatabaseError::Replaced)
            }
            _ => Ok(connection),
        }
    }

    /// Whether the path still names this file.
    pub(crate) fn has_path(&self) -> bool {
        let status = Opening::new(&self.path, self.depth).and_then(|opening| Ok(opening.status()?));
        status.is_ok_and(|status| status.identity == self.identity)
    }

    /// Whether this process has a descriptor of the file that is not one of its own pins. The path
    /// alone proves nothing: it may have named another file just while SQLite opened it.
    #[cfg(target_os = "linux")]
    fn is_open_in_sqlite(&self, identity: FileIdentity, expected_descriptor: Option<i32>) -> bool {
        use std::os::fd::AsRawFd as _;

        let refers_to_file = |descriptor: i32| {
            std::fs::metadata(format!("/proc/self/fd/{descriptor}"))
                .is_ok_and(|metadata| FileIdentity::from_metadata(&metadata) == Some(identity))
        };
        // This descriptor was free before SQLite opened the path. Another thread may have got it.
        if expected_descriptor.is_some_and(refers_to_file) {
            return true;
        }
        // Without `/proc`, the path has to do.
        let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return true };
        let mut own = Descriptor::kept_numbers();
        own.insert(self.file.as_raw_fd());
        let names = descriptors.flatten().map(|entry| entry.file_name());
        let numbers = names.filter_map(|name| name.to_str()?.parse().ok());
        numbers.filter(|descriptor| !own.contains(descriptor)).any(refers_to_file)
    }

    /// Other systems cannot list descriptors.
    #[cfg(not(target_os = "linux"))]
    fn is_open_in_sqlite(&self, _identity: FileIdentity, _expected: Option<i32>) -> bool {
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

/// The descriptor that the next file gets, unless another thread opens one first.
#[cfg(target_os = "linux")]
fn lowest_free_descriptor() -> Option<i32> {
    use std::os::fd::AsRawFd as _;
    use std::sync::LazyLock;

    static ANY_FILE: LazyLock<Option<File>> = LazyLock::new(|| File::open("/dev/null").ok());
    Some(ANY_FILE.as_ref()?.try_clone().ok()?.as_raw_fd())
}

#[cfg(not(target_os = "linux"))]
fn lowest_free_descriptor() -> Option<i32> {
    None
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

/// A path without symbolic links among its last components.
struct ResolvedPath {
    path: PathBuf,
    depth: usize,
}

impl ResolvedPath {
    fn new(database: &DatabaseFile) -> io::Result<Self> {
        let below = database.path.ancestors().take(database.depth);
        for path in below.filter(|path| !path.as_os_str().is_empty()) {
            if std::fs::symlink_metadata(path)?.is_symlink() {
                return Ok(Self { path: database.path.canonicalize()?, depth: 1 });
            }
        }
        Ok(Self { path: database.path.clone(), depth: database.depth })
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
