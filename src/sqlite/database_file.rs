//! Identifies a database file from its discovery until SQLite has it open: its path, whether a
//! symbolic link may be followed, and which file was listed under that path.

use std::fs::Metadata;
use std::path::PathBuf;

use crate::sqlite::regular_file::SymlinkPolicy;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// The whole content is to be replaced: a truncated file is accepted.
    Overwrite,
}

/// Identifies a file independently of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The identity of a file; `None` on systems that have no such identity.
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps, reason = "other systems have no such identity")]
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_metadata: &Metadata) -> Option<Self> {
        None
    }
}

/// A database file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseFile {
    /// The path.
    pub path: PathBuf,
    /// What to do if the path is a symbolic link.
    pub symlinks: SymlinkPolicy,
    /// The file that was listed under the path; only this one is opened. `None` if the path was not
    /// looked at.
    pub identity: Option<FileIdentity>,
}

impl DatabaseFile {
    /// A file that was not looked at; it need not exist.
    #[must_use]
    pub fn new(path: PathBuf, symlinks: SymlinkPolicy) -> Self {
        Self { path, symlinks, identity: None }
    }

    /// The same path, with the file that it names now if that may be opened.
    pub(crate) fn located(self) -> Self {
        let metadata = self.path.symlink_metadata().ok();
        let identity = metadata.and_then(|metadata| self.identify(metadata).ok().flatten());
        Self { identity, ..self }
    }

    /// The identity of the file at the path, whose metadata, of the link if it is one, is given.
    ///
    /// # Errors
    ///
    /// Why the file may not be opened: it is a symbolic link that is not followed, or is not a
    /// regular file.
    pub(crate) fn identify(&self, metadata: Metadata) -> Result<Option<FileIdentity>, String> {
        let metadata = match self.symlinks {
            _ if !metadata.is_symlink() => metadata,
            SymlinkPolicy::Refuse => return Err(SYMLINK_REFUSED.to_owned()),
            SymlinkPolicy::Follow => std::fs::metadata(&self.path)
                .map_err(|error| format!("it is a symbolic link to a missing file: {error}"))?,
        };
        if metadata.is_file() {
            return Ok(FileIdentity::of(&metadata));
        }
        let file_type = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        Err(format!("it is {file_type}, so it is not a database"))
    }
}

/// Why a symbolic link was not opened.
pub(crate) const SYMLINK_REFUSED: &str =
    "it is a symbolic link; pass `--follow-symlinks` to open it";
