//! Names relative to the descriptor of a directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::sqlite::file_status::FileStatus;
use crate::sqlite::open_directory::entry::{
    DirectoryEntry, DirectoryLock, DirectoryUse, FileUse, Users,
};
use crate::sqlite::regular_file::SymlinkPolicy;

/// A directory that is open.
#[derive(Debug)]
pub(crate) struct OpenDirectory {
    descriptor: OwnedFd,
    purpose: DirectoryUse,
}

impl OpenDirectory {
    /// Opens a directory by its path, in which links are followed.
    pub(crate) fn open(path: &Path, purpose: DirectoryUse) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let descriptor = rustix::fs::open(path, directory_flags(purpose), Mode::empty())?;
        Ok(Self { descriptor, purpose })
    }

    /// Opens a directory in this one.
    pub(crate) fn open_child(
        &self,
        name: &OsStr,
        purpose: DirectoryUse,
        symlinks: SymlinkPolicy,
    ) -> io::Result<Self> {
        let flags = directory_flags(purpose) | symlink_flags(symlinks);
        let descriptor = rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())?;
        Ok(Self { descriptor, purpose })
    }

    /// The same directory.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { descriptor: self.descriptor.try_clone()?, purpose: self.purpose })
    }

    /// A descriptor with which the directory can be read.
    fn readable(&self) -> io::Result<OwnedFd> {
        match self.purpose {
            DirectoryUse::List => self.descriptor.try_clone(),
            DirectoryUse::Enter => {
                let flags = directory_flags(DirectoryUse::List);
                Ok(rustix::fs::openat(&self.descriptor, ".", flags, Mode::empty())?)
            }
        }
    }

    /// What this directory is.
    pub(crate) fn own_status(&self) -> io::Result<FileStatus> {
        Ok(rustix::fs::fstat(&self.descriptor)?.into())
    }

    /// What a name is; a link is not followed.
    pub(crate) fn status(&self, name: &OsStr) -> io::Result<FileStatus> {
        Ok(rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)?.into())
    }

    /// What a name is, or the file that a link points to.
    pub(crate) fn followed_status(&self, name: &OsStr) -> io::Result<FileStatus> {
        Ok(rustix::fs::statat(&self.descriptor, name, AtFlags::empty())?.into())
    }

    /// Calls `visit` for each name, in no particular order.
    pub(crate) fn for_each_entry(
        &self,
        visit: &mut dyn FnMut(DirectoryEntry<'_>),
    ) -> io::Result<()> {
        let mut directory = Dir::new(self.readable()?)?;
        // A descriptor that was cloned has the position of the original one.
        directory.rewind();
        for entry in directory {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            if !matches!(bytes, b"." | b"..") {
                let kind = entry.file_type();
                let kind = (kind != FileType::Unknown).then(|| kind.into());
                visit(DirectoryEntry { name: OsStr::from_bytes(bytes), kind });
            }
        }
        Ok(())
    }

    /// Opens a file. A link is not followed, and a FIFO is not waited for; the caller checks what
    /// was opened.
    pub(crate) fn open_file(&self, name: &OsStr, purpose: FileUse) -> io::Result<File> {
        let access = match purpose {
            FileUse::Read => OFlags::RDONLY,
            FileUse::ReadWrite => OFlags::RDWR,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())?.into())
    }

    /// Creates an empty file; fails if the name exists.
    pub(crate) fn create_file(&self, name: &OsStr, users: Users) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if users == Users::Owner { 0o600 } else { 0o666 });
        Ok(rustix::fs::openat(&self.descriptor, name, flags, mode)?.into())
    }

    /// Creates a directory; fails if the name exists.
    pub(crate) fn create_directory(&self, name: &OsStr, users: Users) -> io::Result<()> {
        let mode = Mode::from_raw_mode(if users == Users::Owner { 0o700 } else { 0o777 });
        Ok(rustix::fs::mkdirat(&self.descriptor, name, mode)?)
    }

    /// Locks the directory, which must be open for listing, until this value is dropped.
    pub(crate) fn try_lock(&self) -> DirectoryLock {
        match rustix::fs::flock(&self.descriptor, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => DirectoryLock::Locked,
            Err(Errno::WOULDBLOCK) => DirectoryLock::HeldByAnother,
            Err(_) => DirectoryLock::Unsupported,
        }
    }

    pub(crate) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty())?)
    }

    /// Removes a directory, which must be empty.
    pub(crate) fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.descriptor, name, AtFlags::REMOVEDIR)?)
    }

    /// Gives a file another name in another directory, which must be new there.
    pub(crate) fn rename_no_replace(
        &self,
        name: &OsStr,
        directory: &Self,
        new_name: &OsStr,
    ) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            let (from, to) = (&self.descriptor, &directory.descriptor);
            match renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
                // Some file systems do not support the flag.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                result => return Ok(result?),
            }
        }
        if directory.status(new_name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(rustix::fs::renameat(&self.descriptor, name, &directory.descriptor, new_name)?)
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.readable()?)?)
    }
}

fn directory_flags(purpose: DirectoryUse) -> OFlags {
    let access = match purpose {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        DirectoryUse::Enter => OFlags::PATH,
        _ => OFlags::RDONLY,
    };
    access | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn symlink_flags(symlinks: SymlinkPolicy) -> OFlags {
    match symlinks {
        SymlinkPolicy::Refuse => OFlags::NOFOLLOW,
        SymlinkPolicy::Follow => OFlags::empty(),
    }
}
