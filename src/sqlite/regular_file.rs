//! Opens files that must be regular files: databases, copies, manifests, and the files that the
//! user names. A FIFO or a device in the place of one is refused and never waited for: its contents
//! may never come or never end.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

/// What to do with a symbolic link in the place of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymlinkPolicy {
    /// Report it, and do not open it.
    #[default]
    Refuse,
    /// Open the file that it points to.
    Follow,
}

/// Reads a regular file, or the one that a symbolic link points to.
///
/// # Errors
///
/// The file cannot be read, or is not a regular file.
pub fn read_regular_file(path: &Path) -> io::Result<Vec<u8>> {
    read(path, SymlinkPolicy::Follow)
}

/// Reads a regular file.
pub(crate) fn read(path: &Path, symlinks: SymlinkPolicy) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, OpenOptions::new().read(true), symlinks)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file.
///
/// # Errors
///
/// The file cannot be opened, or is not a regular file, or is a symbolic link that is to be refused.
pub(crate) fn open(
    path: &Path,
    options: &mut OpenOptions,
    symlinks: SymlinkPolicy,
) -> io::Result<File> {
    // Opening a device can act on it, so the type is checked before and after the file is opened.
    let metadata = match symlinks {
        SymlinkPolicy::Refuse => std::fs::symlink_metadata(path)?,
        SymlinkPolicy::Follow => std::fs::metadata(path)?,
    };
    require_regular(&metadata)?;
    Ok(open_checked(path, options, symlinks)?.file)
}

/// A regular file that was opened.
pub(crate) struct OpenedFile {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

/// Opens a file that was seen to be a regular one before.
///
/// # Errors
///
/// As [`open`]: the path may name something else now.
pub(crate) fn open_checked(
    path: &Path,
    options: &mut OpenOptions,
    symlinks: SymlinkPolicy,
) -> io::Result<OpenedFile> {
    set_open_flags(options, symlinks);
    OpenedFile::new(options.open(path)?)
}

impl OpenedFile {
    /// Checks that a file that was opened is a regular one.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        require_regular(&metadata)?;
        Ok(Self { file, metadata })
    }
}

/// Fails if a file is not a regular one.
pub(crate) fn require_regular(metadata: &Metadata) -> io::Result<()> {
    let reason = match metadata.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_symlink() => "this is a symbolic link",
        kind if kind.is_dir() => "this is a directory",
        _ => "this is not a regular file",
    };
    Err(io::Error::new(ErrorKind::InvalidInput, reason))
}

/// Never waits for the other end of a FIFO, and follows no symbolic link that is to be refused.
#[cfg(unix)]
fn set_open_flags(options: &mut OpenOptions, symlinks: SymlinkPolicy) {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;

    let no_follow = match symlinks {
        SymlinkPolicy::Refuse => OFlags::NOFOLLOW,
        SymlinkPolicy::Follow => OFlags::empty(),
    };
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY | no_follow).bits().cast_signed());
}

#[cfg(not(unix))]
fn set_open_flags(_options: &mut OpenOptions, _symlinks: SymlinkPolicy) {}
