//! Backups: directories of whole, checked copies under the time when they were made. One is
//! written under another name and moved to its own when nothing of it is missing, so that what has
//! a backup's name is a backup.

pub(crate) mod archive;
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

pub use crate::backup::archive::Backup;
pub use crate::backup::error::BackupError;
pub use crate::backup::manifest::{Manifest, ManifestEntry};
pub use crate::backup::store::{BackupDir, BackupResult, PruneResult};

impl TargetDatabase {
    /// Marks a database that must be left alone for want of a backup, so that whatever is to be
    /// done to it fails with the reason.
    pub fn skip_without_backup(&mut self, failure: &MigrateError) {
        self.skip_reason =
            Some(format!("no backup of it could be made, so it was left alone: {failure}"));
    }
}

/// Marks members whose databases another process has open.
pub fn reject_open_databases(targets: &mut [TargetDatabase]) {
    let files: Vec<&Path> =
        targets.iter().filter_map(|target| target.location.file_path()).collect();
    let processes = locks::other_processes(&files);
    let file_targets = targets.iter_mut().filter(|target| target.location.file_path().is_some());
    for (target, process) in file_targets.zip(processes) {
        if let (None, Some(process_name)) = (&target.skip_reason, process) {
            target.skip_reason = Some(DatabaseError::InUse { process: process_name }.to_string());
        }
    }
}
