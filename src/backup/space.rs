//! Checks free disk space before copies are made.

use std::path::Path;

use crate::backup::error::BackupError;
use crate::fleet::health::free_space;

/// Checks that a directory, which need not exist yet, has a number of bytes of free space.
pub(crate) fn check_free_space(dir: &Path, needed: u64) -> Result<(), BackupError> {
    match free_space(dir) {
        Some(free) if free < needed => {
            let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
            Err(BackupError::InsufficientSpace { needed, free, dir })
        }
        _ => Ok(()),
    }
}
