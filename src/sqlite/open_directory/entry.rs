//! Names what directories and files are opened and created for, and what a listing shows.

use std::ffi::OsStr;

use crate::sqlite::file_status::FileKind;

/// What a directory is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectoryUse {
    /// To list its names, which needs permission to read it.
    List,
    /// To open names in it, which needs permission to search it.
    Enter,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileUse {
    Read,
    ReadWrite,
}

/// Who may use a file or directory that is created, on systems with such permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    Owner,
    /// Those that the umask of the process allows.
    Default,
}

/// The result of locking a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectoryLock {
    Locked,
    HeldByAnother,
    Unsupported,
}

/// A name in a directory that is being listed.
pub(crate) struct DirectoryEntry<'d> {
    pub(crate) name: &'d OsStr,
    /// `None` if the listing does not show it.
    pub(crate) kind: Option<FileKind>,
}
