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
pub(crate) const PARTIAL: &str = ".partial-";

/// A backup that is being written; unless it is finished it goes again.
pub(crate) struct Partial {
    pub(crate) path: PathBuf,
    /// Locked for as long as somebody writes there.
    lock: Option<File>,
}

impl Partial {
    pub(crate) fn new(dir: &Path, time: &str) -> Result<Self, BackupError> {
        let mut number = 0;
        loop {
            number += 1;
            let path = dir.join(format!("{PARTIAL}{time}-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let lock = File::open(&path).ok();
                    let locked = lock.as_ref().map(File::try_lock);
                    // Whoever clears up may have come in between.
                    let taken = matches!(locked, Some(Err(TryLockError::WouldBlock)));
                    if (taken || !path.exists()) && number < 1000 {
                        continue;
                    }
                    return Ok(Self { path, lock });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => {}
                Err(error) => return Err(BackupError::io("cannot be made", &path)(error)),
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
        let file = self.path.join(manifest::FILE);
        let write = || -> io::Result<()> {
            let mut text = serde_json::to_vec_pretty(&manifest)?;
            text.push(b'\n');
            fs::write(&file, text)?;
            File::open(&file)?.sync_all()?;
            sync(&self.path)
        };
        write().map_err(BackupError::io("cannot be written", &file))?;
        let mut number = 1;
        loop {
            let id = if number == 1 { time.to_owned() } else { format!("{time}-{number}") };
            number += 1;
            let named = dir.join(&id);
            // A directory that holds something is never replaced by a rename.
            if named.symlink_metadata().is_ok() {
                continue;
            }
            match fs::rename(&self.path, &named) {
                Err(_) if named.symlink_metadata().is_ok() => {}
                Err(error) => return Err(BackupError::io("cannot be made", &named)(error)),
                Ok(()) => {
                    self.lock = None;
                    self.path = PathBuf::new();
                    sync(dir).map_err(BackupError::io("cannot be synced", dir))?;
                    return Ok(Backup::new(id, named, manifest));
                }
            }
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
