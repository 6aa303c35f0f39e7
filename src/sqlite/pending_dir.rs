//! Creates a directory for files that are not complete yet, beside the place that they get in the
//! end. The directory is locked while this process writes there. An unlocked one is stale: its
//! process was killed, wherever it ran. A process id says nothing about that, since two containers
//! that share a volume number their processes alike.

use std::ffi::OsString;
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::{DirectoryLock, DirectoryUse, Users};
use crate::sqlite::regular_file::SymlinkPolicy;

/// A directory that is removed when this value is dropped. Where a directory cannot be locked, no
/// process removes it as stale.
pub(crate) struct PendingDir {
    parent: OpenDirectory,
    /// `None` after `rename`.
    name: Option<OsString>,
    path: PathBuf,
    /// Locked, if possible, as long as it is open.
    directory: OpenDirectory,
}

impl PendingDir {
    /// Creates a directory whose name begins with a prefix. `parent_path` is the path of `parent`.
    pub(crate) fn new(
        parent: OpenDirectory,
        parent_path: &Path,
        prefix: &str,
        users: Users,
    ) -> io::Result<Self> {
        let mut number = 0;
        loop {
            number += 1;
            let name = OsString::from(format!("{prefix}{}-{number}", std::process::id()));
            match parent.create_directory(&name, users) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => continue,
                result => result?,
            }
            // Another process may have removed the new directory as stale, or be about to.
            let directory =
                match parent.open_child(&name, DirectoryUse::List, SymlinkPolicy::Refuse) {
                    Err(error) if error.kind() == ErrorKind::NotFound && number < 1000 => continue,
                    result => result?,
                };
            let is_locked_by_other = directory.try_lock() == DirectoryLock::HeldByAnother;
            let exists = || parent.status(&name).ok() == directory.own_status().ok();
            if (!is_locked_by_other && exists()) || number == 1000 {
                let path = parent_path.join(&name);
                return Ok(Self { parent, name: Some(name), path, directory });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn directory(&self) -> &OpenDirectory {
        &self.directory
    }

    /// Gives the directory another name, under which it stays.
    pub(crate) fn rename(&mut self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)?;
        self.name = None;
        Ok(())
    }

    /// Removes the directories of processes that were killed.
    pub(crate) fn remove_stale(parent: &OpenDirectory, prefix: &str) {
        let mut names = Vec::new();
        // A directory that cannot be listed or removed now is stale the next time as well.
        let _ = parent.for_each_entry(&mut |entry| {
            if entry.name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
                names.push(entry.name.to_owned());
            }
        });
        for name in names {
            let directory = parent.open_child(&name, DirectoryUse::List, SymlinkPolicy::Refuse);
            let Ok(directory) = directory else { continue };
            if directory.try_lock() == DirectoryLock::Locked {
                let _ = parent.remove_tree(&name);
            }
        }
    }
}

impl Drop for PendingDir {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = self.parent.remove_tree(name);
        }
    }
}
