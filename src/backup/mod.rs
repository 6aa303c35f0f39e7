//! Creates and restores backups: directories of complete, checked copies, named after the time. A
//! backup is written under a temporary name and renamed when it is complete, so every directory
//! with a backup's name is a complete backup.

pub(crate) mod archive;
pub(crate) mod copy_paths;
pub(crate) mod error;
pub(crate) mod manifest;
pub(crate) mod partial;
pub(crate) mod space;
pub(crate) mod store;

use std::path::Path;

use crate::database::error::DatabaseError;
use crate::plan::outcome::MigrateError;
use crate::sqlite::locks;
use crate::target::TargetDatabase;

pub use crate::backup::archive::{Backup, Restored};
pub use crate::backup::error::BackupError;
pub use crate::backup::manifest::{Manifest, ManifestEntry};
pub use crate::backup::store::{BackupDir, BackupResult, PruneResult};

impl TargetDatabase {
    /// Marks a database as not to be changed because its backup failed: every operation on it then
    /// fails with this reason. `hint` states how to run the command without a backup.
    pub fn skip_without_backup(&mut self, error: &MigrateError, hint: &str) {
        self.skip_reason = Some(format!("skipped, because its backup failed: {error}; {hint}"));
    }
}

/// Marks databases that another process has open as not to be changed.
pub fn reject_open_databases(targets: &mut [TargetDatabase]) {
    let files: Vec<&Path> =
        targets.iter().filter_map(|target| target.location.file_path()).collect();
    let processes = locks::other_processes(&files);
    let file_targets = targets.iter_mut().filter(|target| target.location.file_path().is_some());
    for (target, process) in file_targets.zip(processes) {
        if let (None, Some(process)) = (&target.skip_reason, process) {
            target.skip_reason = Some(DatabaseError::InUse { process }.to_string());
        }
    }
}
