//! Checks free disk space before copies are made.

use std::path::Path;

use crate::backup::error::BackupError;

/// Whether so many bytes are free where a directory is or is to be.
pub(crate) fn check_free_space(dir: &Path, needed: u64) -> Result<(), BackupError> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match absolute.ancestors().find_map(free_space) {
        Some(free) if free < needed => {
            Err(BackupError::InsufficientSpace { needed, free, dir: absolute })
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Other systems are not asked; a full disk fails the copy.
#[cfg(not(unix))]
pub(crate) fn free_space(_path: &Path) -> Option<u64> {
    None
}
