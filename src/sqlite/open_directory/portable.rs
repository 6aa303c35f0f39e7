//! Names joined to the path of a directory, for systems whose standard library has no names relative
//! to a descriptor. A directory that is replaced meanwhile is noticed only where its files are
//! compared.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::sqlite::file_status::FileStatus;
use crate::sqlite::open_directory::entry::{
    DirectoryEntry, DirectoryLock, DirectoryUse, FileUse, Users,
};
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::SymlinkPolicy;

/// A directory that existed when this value was created.
#[derive(Debug)]
pub(crate) struct OpenDirectory(PathBuf);

impl OpenDirectory {
    /// Opens a directory by its path, in which links are followed.
    pub(crate) fn open(path: &Path, _purpose: DirectoryUse) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if !std::fs::metadata(path)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self(path.to_owned()))
    }

    /// Opens a directory in this one.
    pub(crate) fn open_child(
        &self,
        name: &OsStr,
        purpose: DirectoryUse,
        symlinks: SymlinkPolicy,
    ) -> io::Result<Self> {
        let path = self.0.join(name);
        if symlinks == SymlinkPolicy::Refuse && path.symlink_metadata()?.is_symlink() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Self::open(&path, purpose)
    }

    /// The same directory.
    #[allow(clippy::unnecessary_wraps, reason = "Unix can fail")]
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    /// What this directory is.
    pub(crate) fn own_status(&self) -> io::Result<FileStatus> {
        Ok((&std::fs::metadata(&self.0)?).into())
    }

    /// What a name is; a link is not followed.
    pub(crate) fn status(&self, name: &OsStr) -> io::Result<FileStatus> {
        Ok((&self.0.join(name).symlink_metadata()?).into())
    }

    /// What a name is, or the file that a link points to.
    pub(crate) fn followed_status(&self, name: &OsStr) -> io::Result<FileStatus> {
        Ok((&std::fs::metadata(self.0.join(name))?).into())
    }

    /// Calls `visit` for each name, in no particular order.
    pub(crate) fn for_each_entry(
        &self,
        visit: &mut dyn FnMut(DirectoryEntry<'_>),
    ) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            visit(DirectoryEntry { name: &entry?.file_name(), kind: None });
        }
        Ok(())
    }

    /// Opens a file. A link is not followed; the caller checks what was opened.
    pub(crate) fn open_file(&self, name: &OsStr, purpose: FileUse) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(purpose == FileUse::ReadWrite);
        regular_file::open(&self.0.join(name), &mut options, SymlinkPolicy::Refuse)
    }

    /// Creates an empty file; fails if the name exists.
    pub(crate) fn create_file(&self, name: &OsStr, _users: Users) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join(name))
    }

    /// Creates a directory.
    pub(crate) fn create_directory(&self, name: &OsStr, _users: Users) -> io::Result<()> {
        std::fs::create_dir(self.0.join(name))
    }

    /// Other systems cannot lock a directory.
    #[allow(clippy::unused_self, reason = "Unix locks the directory")]
    pub(crate) fn try_lock(&self) -> DirectoryLock {
        DirectoryLock::Unsupported
    }

    pub(crate) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    /// Removes a directory, which must be empty.
    pub(crate) fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_dir(self.0.join(name))
    }

    /// Gives a file another name in another directory, which must be new there.
    pub(crate) fn rename_no_replace(
        &self,
        name: &OsStr,
        directory: &Self,
        new_name: &OsStr,
    ) -> io::Result<()> {
        if directory.status(new_name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(self.0.join(name), directory.0.join(new_name))
    }

    /// Does nothing: other systems cannot open a directory as a file.
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "Unix can fail")]
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
