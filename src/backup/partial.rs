//! Writes a backup under a temporary name, renames it when it is complete, and removes it if it is
//! not finished.

use std::fs::File;
use std::path::Path;
use std::{fs, io};

use crate::backup::archive::Backup;
use crate::backup::error::BackupError;
use crate::backup::manifest;
use crate::backup::manifest::Manifest;
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::{DirectoryUse, Users};
use crate::sqlite::paths::sync_directory;
use crate::sqlite::pending_dir::PendingDir;

/// The prefix of the directory names of unfinished backups.
pub(crate) const PENDING_PREFIX: &str = ".partial-";

/// A backup that is being written. Dropping it removes its directory.
pub(crate) struct PendingBackup(PendingDir);

/// A backup that has its name.
pub(crate) struct FinishedBackup {
    pub(crate) backup: Backup,
    /// Why a power cut may still undo the rename.
    pub(crate) sync_error: Option<BackupError>,
}

impl PendingBackup {
    /// Creates the temporary directory.
    pub(crate) fn new(dir: &Path, time: &str) -> Result<Self, BackupError> {
        OpenDirectory::open(dir, DirectoryUse::Enter)
            .and_then(|parent| {
                let prefix = format!("{PENDING_PREFIX}{time}-");
                PendingDir::new(parent, dir, &prefix, Users::Default)
            })
            .map(Self)
            .map_err(BackupError::from_io("cannot be written", dir))
    }

    /// Removes the temporary directories of processes that were killed.
    pub(crate) fn remove_stale(dir: &Path) {
        // A directory that cannot be opened now is cleaned the next time.
        if let Ok(dir) = OpenDirectory::open(dir, DirectoryUse::Enter) {
            PendingDir::remove_stale(&dir, PENDING_PREFIX);
        }
    }

    /// The temporary directory.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the manifest, syncs it, and gives the backup its name. From then on the backup is
    /// complete: that its new name could not be synced is not an error of the backup.
    ///
    /// # Errors
    ///
    /// The manifest cannot be written, or the directory cannot be renamed. The directory is removed.
    pub(crate) fn finish(
        mut self,
        dir: &Path,
        time: &str,
        manifest: Manifest,
    ) -> Result<FinishedBackup, BackupError> {
        let manifest_path = self.path().join(manifest::MANIFEST_FILE);
        let write = || -> io::Result<()> {
            let mut text = serde_json::to_vec_pretty(&manifest)?;
            text.push(b'\n');
            fs::write(&manifest_path, text)?;
            File::open(&manifest_path)?.sync_all()?;
            sync_directory(self.path())
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
            match self.0.rename(&final_path) {
                Err(_) if final_path.symlink_metadata().is_ok() => {}
                Err(error) => {
                    return Err(BackupError::from_io("cannot be created", &final_path)(error));
                }
                Ok(()) => {
                    let sync_error =
                        sync_directory(dir).map_err(BackupError::from_io("cannot be synced", dir));
                    let backup = Backup::new(id, final_path, manifest);
                    return Ok(FinishedBackup { backup, sync_error: sync_error.err() });
                }
            }
        }
    }
}
