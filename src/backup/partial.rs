//! Writes a backup under a temporary name, renames it when it is complete, and removes it if it is
//! not finished.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::backup::archive::Backup;
use crate::backup::error::BackupError;
use crate::backup::manifest;
use crate::backup::manifest::Manifest;
use crate::sqlite::paths::sync_directory;

/// The prefix of the directory names of unfinished backups.
pub(crate) const PENDING_PREFIX: &str = ".partial-";

/// A backup that is being written. Dropping it removes its directory.
pub(crate) struct PendingBackup {
    /// The temporary directory; empty after `finish`.
    pub(crate) path: PathBuf,
    /// The directory, locked while this process writes there: other processes do not remove a locked
    /// directory as stale.
    lock: Option<File>,
}

impl PendingBackup {
    /// Creates the temporary directory.
    pub(crate) fn new(dir: &Path, time: &str) -> Result<Self, BackupError> {
        let mut number = 0;
        loop {
            number += 1;
            let path = dir.join(format!("{PENDING_PREFIX}{time}-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let lock = File::open(&path).ok();
                    let lock_result = lock.as_ref().map(File::try_lock);
                    // Another process may have removed the new directory as stale, or be about to.
                    let is_locked_by_other =
                        matches!(lock_result, Some(Err(TryLockError::WouldBlock)));
                    if (is_locked_by_other || !path.exists()) && number < 1000 {
                        continue;
                    }
                    return Ok(Self { path, lock });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => {}
                Err(error) => return Err(BackupError::from_io("cannot be created", &path)(error)),
            }
        }
    }

    /// Writes the manifest, syncs it, and gives the backup its name.
    pub(crate) fn finish(
        mut self,
        dir: &Path,
        time: &str,
        manifest: Manifest,
    ) -> Result<Backup, BackupError> {
        let manifest_path = self.path.join(manifest::MANIFEST_FILE);
        let write = || -> io::Result<()> {
            let mut text = serde_json::to_vec_pretty(&manifest)?;
            text.push(b'\n');
            fs::write(&manifest_path, text)?;
            File::open(&manifest_path)?.sync_all()?;
            sync_directory(&self.path)
        };
        write().map_err(BackupError::from_io("cannot be written", &manifest_path))?;
        let mut number = 1;
        loop {
            let id = if number == 1 { time.to_owned() } else { format!("{time}-{number}") };
            number += 1;
            let final_path = dir.join(&id);
            // A rename never replaces a directory that is not empty; this check keeps an empty one.
            if final_path.symlink_metadata().is_ok() {
                continue;
            }
            match fs::rename(&self.path, &final_path) {
                Err(_) if final_path.symlink_metadata().is_ok() => {}
                Err(error) => {
                    return Err(BackupError::from_io("cannot be created", &final_path)(error));
                }
                Ok(()) => {
                    self.lock = None;
                    self.path = PathBuf::new();
                    if let Err(error) = sync_directory(dir) {
                        let _ = fs::remove_dir_all(&final_path);
                        return Err(BackupError::from_io("cannot be synced", dir)(error));
                    }
                    return Ok(Backup::new(id, final_path, manifest));
                }
            }
        }
    }
}

impl Drop for PendingBackup {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
