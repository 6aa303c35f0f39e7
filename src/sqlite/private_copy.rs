//! Copies a library to a place where no other program can change or replace it before it is loaded.

use std::io;
use std::path::{Path, PathBuf};

/// A copy of a file's bytes that only this process can read, under a path of its own.
pub(crate) struct PrivateCopy {
    path: PathBuf,
    /// Holds the copy.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    _memory: std::os::fd::OwnedFd,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    _directory: tempfile::TempDir,
}

impl PrivateCopy {
    /// Copies the bytes to memory, sealed against every change. The path is that of the descriptor.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new(bytes: &[u8], _original: &Path) -> io::Result<Self> {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = std::fs::File::from(memfd_create("tatmig-extension", flags)?);
        file.write_all(bytes)?;
        fcntl_add_seals(
            &file,
            SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Self { path, _memory: file.into() })
    }

    /// Copies the bytes to a directory that only this user can enter.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new(bytes: &[u8], original: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("tatmig-extension-").tempdir()?;
        let path = directory.path().join(original.file_name().unwrap_or_default());
        std::fs::write(&path, bytes)?;
        Ok(Self { path, _directory: directory })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_its_bytes_and_cannot_be_changed() {
        let directory = tempfile::tempdir().unwrap();
        let original = directory.path().join("x.so");
        std::fs::write(&original, "hashed").unwrap();
        let copy = PrivateCopy::new(&std::fs::read(&original).unwrap(), &original).unwrap();
        std::fs::write(&original, "replaced").unwrap();
        assert_eq!(std::fs::read(copy.path()).unwrap(), b"hashed");
        assert!(std::fs::write(copy.path(), "changed").is_err());
        assert_eq!(std::fs::read(copy.path()).unwrap(), b"hashed");
    }
}
