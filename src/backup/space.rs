//! Checks free disk space before copies are made.

use std::path::Path;

use crate::backup::error::BackupError;

/// Checks that a directory, which need not exist yet, has a number of bytes of free space.
pub(crate) fn check_free_space(dir: &Path, needed: u64) -> Result<(), BackupError> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match absolute.ancestors().find_map(free_space) {
        Some(free) if free < needed => {
            Err(BackupError::InsufficientSpace { needed, free, dir: absolute })
        }
        _ => Ok(()),
    }
}

/// The free space on the file system of an existing path, in bytes.
#[cfg(unix)]
fn free_space(path: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Other systems are not checked in advance; a full disk fails the copy.
#[cfg(not(unix))]
fn free_space(_path: &Path) -> Option<u64> {
    None
}
