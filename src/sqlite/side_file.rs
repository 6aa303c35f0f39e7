//! Describes a side file of a database, so that a later look shows whether a program used it.

use std::path::Path;
use std::time::SystemTime;

use crate::sqlite::file_status::FileIdentity;
use crate::sqlite::paths::side_file;

/// A side file, as far as another program's use of it changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SideFile {
    identity: Option<FileIdentity>,
    /// In bytes.
    pub(crate) size: u64,
    modified: Option<SystemTime>,
    created: Option<SystemTime>,
}

impl SideFile {
    /// `None` if the file does not exist.
    pub(crate) fn find(path: &Path, suffix: &str) -> Option<Self> {
        let metadata = std::fs::symlink_metadata(side_file(path, suffix)).ok()?;
        Some(Self {
            identity: FileIdentity::from_metadata(&metadata),
            size: metadata.len(),
            modified: metadata.modified().ok(),
            created: metadata.created().ok(),
        })
    }
}
