//! A backup that is being written, under a name that counts for nothing: it gets its own once
//! nothing of it is missing, and goes again if that does not come about.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::backup::archive::Backup;
use crate::backup::error::BackupError;
use crate::backup::manifest;
use crate::backup::manifest::Manifest;

/// What its directory's name begins with.
pub(crate) const PENDING_PREFIX: &str = ".partial-";

/// A backup that is being written; unless it is finished it goes again.
pub(crate) struct PendingBackup {
    pub(crate) path: PathBuf,
    /// Locked for as long as somebody writes there.
    lock: Option<File>,
}

impl PendingBackup {
    pub(crate) fn new(dir: &Path, time: &str) -> Result<Self, BackupError> {
        let mut number = 0;
        loop {
            number += 1;
            let path = dir.join(format!("{PENDING_PREFIX}{time}-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let lock = File::open(&path).ok();
                    let lock_result = lock.as_ref().map(File::try_lock);
                    // Whoever clears up may have come in between.
                    let is_locked_by_other =
                        matches!(lock_result, Some(Err(TryLockError::WouldBlock)));
                    if (is_locked_by_other || !path.exists()) && number < 1000 {
                        continue;
                    }
                    return Ok(Self { path, lock });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => {}
                Err(error) => return Err(BackupError::from_io("cannot be made", &path)(error)),
            }
        }
    }

    /// Writes the manifest and gives the backup its name.
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
            // A directory that holds something is never replaced by a rename.
            if final_path.symlink_metadata().is_ok() {
                continue;
            }
            match fs::rename(&self.path, &final_path) {
                Err(_) if final_path.symlink_metadata().is_ok() => {}
                Err(error) => {
                    return Err(BackupError::from_io("cannot be made", &final_path)(error));
                }
                Ok(()) => {
                    self.lock = None;
                    self.path = PathBuf::new();
                    sync_directory(dir).map_err(BackupError::from_io("cannot be synced", dir))?;
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

fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
