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
use crate::plan::outcome::Failure;
use crate::sqlite::locks;
use crate::target::Member;

pub use crate::backup::archive::Backup;
pub use crate::backup::error::BackupError;
pub use crate::backup::manifest::{Manifest, Saved};
pub use crate::backup::store::{Made, Pruned, Store};
pub use crate::text::bytes;

impl Member {
    /// Marks a database that must be left alone for want of a backup, so that whatever is to be
    /// done to it fails with the reason.
    pub fn refuse_without_copy(&mut self, failure: &Failure) {
        self.refused =
            Some(format!("no backup of it could be made, so it was left alone: {failure}"));
    }
}

/// Marks members whose databases another process has open.
pub fn refuse_those_in_use(members: &mut [Member]) {
    let files: Vec<&Path> = members.iter().filter_map(|member| member.home.file()).collect();
    let users = locks::users(&files);
    let in_files = members.iter_mut().filter(|member| member.home.file().is_some());
    for (member, user) in in_files.zip(users) {
        if let (None, Some(by)) = (&member.refused, user) {
            member.refused = Some(DatabaseError::InUse { by }.to_string());
        }
    }
}
