//! Identifies a database file from its discovery until SQLite has it open: its path, whether a
//! symbolic link may be followed, and which file was listed under that path.

use std::ffi::OsStr;
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::database::error::DatabaseError;
use crate::sqlite::file_status::{FileIdentity, FileKind, FileStatus};
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::DirectoryUse;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::text::escape_for_display;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// The whole content is to be replaced: a truncated file is accepted.
    Overwrite,
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
    /// How many components at the end of the path are tatmig's choice, at least one. Symbolic links
    /// among them are followed or refused; the directories before them are the user's own path.
    pub(crate) depth: usize,
}

/// Why a directory on the way to a file was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParentError {
    #[error("`{0}` is a symbolic link; pass `--follow-symlinks` to open it")]
    Symlink(String),
    #[error("`{0}` is not a directory")]
    NotADirectory(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DatabaseFile {
    /// A file that was not looked at; it need not exist. The directories of its path are the user's
    /// own path, so symbolic links among them are followed.
    #[must_use]
    pub fn new(path: PathBuf, symlinks: SymlinkPolicy) -> Self {
        Self { path, symlinks, identity: None, depth: 1 }
    }

    /// A file below a directory, at a path that is relative to the directory and has only names.
    pub(crate) fn below(directory: &Path, relative_path: &Path, symlinks: SymlinkPolicy) -> Self {
        let path = if directory == Path::new(".") {
            relative_path.to_owned()
        } else {
            directory.join(relative_path)
        };
        Self { path, symlinks, identity: None, depth: relative_path.components().count().max(1) }
    }

    /// The same path, with the file that it names now if that may be opened.
    pub(crate) fn located(self) -> Self {
        let parent = self.parent().ok();
        let status = parent.as_ref().and_then(|parent| parent.status(self.file_name()).ok());
        let identity = parent
            .zip(status)
            .and_then(|(parent, status)| self.identify(&parent, status).ok().flatten());
        Self { identity, ..self }
    }

    /// The identity of the file, whose status is given, of the link if it is one.
    ///
    /// # Errors
    ///
    /// Why the file may not be opened: it is a symbolic link that is not followed, or is not a
    /// regular file.
    pub(crate) fn identify(
        &self,
        parent: &OpenDirectory,
        status: FileStatus,
    ) -> Result<Option<FileIdentity>, String> {
        let status = match self.symlinks {
            _ if status.kind != FileKind::Symlink => status,
            SymlinkPolicy::Refuse => return Err(SYMLINK_REFUSED.to_owned()),
            SymlinkPolicy::Follow => parent
                .followed_status(self.file_name())
                .map_err(|error| format!("it is a symbolic link to a missing file: {error}"))?,
        };
        let file_type = match status.kind {
            FileKind::Regular => return Ok(status.identity),
            FileKind::Directory => "a directory",
            FileKind::Symlink | FileKind::Other => "not a regular file",
        };
        Err(format!("it is {file_type}, so it is not a database"))
    }

    /// What the path names now; `None` if it does not exist.
    pub(crate) fn status(&self) -> Result<Option<FileStatus>, ParentError> {
        match self.parent().and_then(|parent| Ok(parent.status(self.file_name())?)) {
            Ok(status) => Ok(Some(status)),
            Err(ParentError::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The directory that contains the file, opened component by component below the user's own
    /// path.
    pub(crate) fn parent(&self) -> Result<OpenDirectory, ParentError> {
        open_parent(&self.path, self.depth, self.symlinks)
    }

    /// The last component of the path.
    pub(crate) fn file_name(&self) -> &OsStr {
        self.path.file_name().unwrap_or(self.path.as_os_str())
    }

    /// The components of the path that are tatmig's choice.
    pub(crate) fn relative_path(&self) -> &Path {
        relative_path(&self.path, self.depth)
    }

    /// The directories before these components; `.` if the path has none.
    pub(crate) fn base(&self) -> &Path {
        base(&self.path, self.depth)
    }

    /// The names of the directories between `base` and the file.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &OsStr> {
        self.relative_path().iter().take(self.depth - 1)
    }
}

/// Opens the directory of a file; symbolic links among the last `depth` components of the path are
/// followed or refused.
pub(crate) fn open_parent(
    path: &Path,
    depth: usize,
    symlinks: SymlinkPolicy,
) -> Result<OpenDirectory, ParentError> {
    let mut directory = OpenDirectory::open(base(path, depth), DirectoryUse::Enter)?;
    for name in relative_path(path, depth).iter().take(depth - 1) {
        directory = open_component(&directory, name, symlinks)?;
    }
    Ok(directory)
}

/// Opens a directory on the way to a file.
pub(crate) fn open_component(
    directory: &OpenDirectory,
    name: &OsStr,
    symlinks: SymlinkPolicy,
) -> Result<OpenDirectory, ParentError> {
    directory.open_child(name, DirectoryUse::Enter, symlinks).map_err(|error| {
        match directory.status(name).map(|status| status.kind) {
            Ok(FileKind::Symlink) if symlinks == SymlinkPolicy::Refuse => {
                ParentError::Symlink(escape_for_display(name))
            }
            Ok(FileKind::Regular | FileKind::Other) => {
                ParentError::NotADirectory(escape_for_display(name))
            }
            _ => error.into(),
        }
    })
}

fn relative_path(path: &Path, depth: usize) -> &Path {
    let mut components = path.components();
    for _ in depth..components.clone().count() {
        components.next();
    }
    components.as_path()
}

fn base(path: &Path, depth: usize) -> &Path {
    match path.ancestors().nth(depth) {
        Some(base) if !base.as_os_str().is_empty() => base,
        _ => Path::new("."),
    }
}

impl From<ParentError> for DatabaseError {
    fn from(error: ParentError) -> Self {
        match error {
            ParentError::Io(source) => {
                Self::Io { context: "its directory cannot be opened".to_owned(), source }
            }
            error => Self::NotADatabase { reason: error.to_string() },
        }
    }
}

/// Why a symbolic link was not opened.
pub(crate) const SYMLINK_REFUSED: &str =
    "it is a symbolic link; pass `--follow-symlinks` to open it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_the_directory_of_the_user() {
        let split = |directory: &str, relative: &str| {
            let file = DatabaseFile::below(
                Path::new(directory),
                Path::new(relative),
                SymlinkPolicy::Refuse,
            );
            assert_eq!(file.relative_path(), Path::new(relative));
            assert_eq!(file.directories().count(), relative.matches('/').count());
            (file.path.clone(), file.base().to_owned())
        };
        let path = PathBuf::from;
        assert_eq!(split("users", "a/b.db"), (path("users/a/b.db"), path("users")));
        assert_eq!(split(".", "a/b.db"), (path("a/b.db"), path(".")));
        assert_eq!(split("/", "a.db"), (path("/a.db"), path("/")));
        assert_eq!(split("/srv/x/", "a/b/c"), (path("/srv/x/a/b/c"), path("/srv/x")));
    }
}
