//! Describes what a name in a directory is: a file, a directory, a link or something else, and
//! which one, independently of its names.

use std::fs::Metadata;

/// Identifies a file independently of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The identity of a file; `None` on systems that have no such identity.
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps, reason = "other systems have no such identity")]
    pub(crate) fn from_metadata(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    #[cfg(not(unix))]
    pub(crate) fn from_metadata(_metadata: &Metadata) -> Option<Self> {
        None
    }

    /// The file system that the file is on.
    pub(crate) fn device(self) -> u64 {
        self.device
    }
}

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    Symlink,
    Other,
}

/// What a name is, and which file it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStatus {
    pub(crate) kind: FileKind,
    /// `None` on systems without one.
    pub(crate) identity: Option<FileIdentity>,
}

impl From<&Metadata> for FileStatus {
    fn from(metadata: &Metadata) -> Self {
        let kind = match metadata.file_type() {
            kind if kind.is_file() => FileKind::Regular,
            kind if kind.is_dir() => FileKind::Directory,
            kind if kind.is_symlink() => FileKind::Symlink,
            _ => FileKind::Other,
        };
        Self { kind, identity: FileIdentity::from_metadata(metadata) }
    }
}

#[cfg(unix)]
impl From<rustix::fs::FileType> for FileKind {
    fn from(kind: rustix::fs::FileType) -> Self {
        use rustix::fs::FileType;
        match kind {
            FileType::RegularFile => Self::Regular,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            _ => Self::Other,
        }
    }
}

#[cfg(unix)]
impl From<rustix::fs::Stat> for FileStatus {
    #[allow(
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        reason = "the types differ between systems; the standard library casts them in this way"
    )]
    fn from(stat: rustix::fs::Stat) -> Self {
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode).into();
        let identity = FileIdentity { device: stat.st_dev as u64, inode: stat.st_ino as u64 };
        Self { kind, identity: Some(identity) }
    }
}
