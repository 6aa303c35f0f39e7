//! Creates a directory for files that are not complete yet, beside the place that they get in the
//! end. The directory is locked while this process writes there. An unlocked one is stale: its
//! process was killed, wherever it ran. A process id says nothing about that, since two containers
//! that share a volume number their processes alike.

use std::fs::{File, TryLockError};
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A directory that is removed when this value is dropped.
pub(crate) struct PendingDir {
    /// Empty after `rename`.
    path: PathBuf,
    /// `None` where a directory cannot be locked; no process then removes it as stale.
    _lock: Option<File>,
}

impl PendingDir {
    /// Creates a directory whose name begins with a prefix.
    pub(crate) fn new(parent: &Path, prefix: &str) -> io::Result<Self> {
        let mut number = 0;
        loop {
            number += 1;
            let path = parent.join(format!("{prefix}{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => continue,
                result => result?,
            }
            let lock = open_directory(&path).ok();
            let lock_result = lock.as_ref().map(File::try_lock);
            // Another process may have removed the new directory as stale, or be about to.
            let is_locked_by_other = matches!(lock_result, Some(Err(TryLockError::WouldBlock)));
            if (!is_locked_by_other && path.exists()) || number == 1000 {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the directory another name, under which it stays.
    pub(crate) fn rename(&mut self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)?;
        self.path = PathBuf::new();
        Ok(())
    }

    /// Removes the directories of processes that were killed.
    pub(crate) fn remove_stale(parent: &Path, prefix: &str) {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            if !entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
                continue;
            }
            let Ok(directory) = open_directory(&entry.path()) else { continue };
            if directory.try_lock().is_ok() {
                // A directory that cannot be removed now is stale the next time as well.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Drop for PendingDir {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Opens a directory; never a FIFO of that name, and never what a symbolic link points to.
#[cfg(unix)]
fn open_directory(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;

    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path)
}

/// Other systems cannot open a directory as a file.
#[cfg(not(unix))]
fn open_directory(_path: &Path) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}
