//! Keeps descriptors of database files open while this process may have the files open elsewhere.
//! POSIX drops all locks that a process holds on a file when any descriptor of the file is closed,
//! so closing one would end the locks of a connection of the application, or of SQLite's own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Seek as _;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sqlite::file_status::FileIdentity;
use crate::sqlite::shared_lock;

/// The descriptors of this process that are not in use at present.
static KEPT: Mutex<Vec<KeptDescriptor>> = Mutex::new(Vec::new());

/// How many descriptors are kept before those that no connection can need are closed.
const MAX_KEPT: usize = 256;

/// A descriptor of a database file. When it is dropped, it is kept for the next use.
pub(crate) struct Descriptor(KeptDescriptor);

#[derive(Clone)]
struct KeptDescriptor {
    file: Arc<File>,
    /// `None` on systems without one: then the descriptor is never used again, nor closed.
    identity: Option<FileIdentity>,
    is_writable: bool,
}

impl Descriptor {
    pub(crate) fn new(file: File, identity: Option<FileIdentity>, is_writable: bool) -> Self {
        Self(KeptDescriptor { file: Arc::new(file), identity, is_writable })
    }

    /// A descriptor of a file that was kept, if there is one.
    pub(crate) fn find_kept(identity: FileIdentity, needs_write: bool) -> Option<Self> {
        let descriptor = Self(take_kept(identity, needs_write)?);
        // The position is that of the last read.
        (&*descriptor.0.file).rewind().ok()?;
        Some(descriptor)
    }
}

#[cfg(unix)]
impl Descriptor {
    /// The numbers of all kept descriptors.
    pub(crate) fn kept_numbers() -> HashSet<i32> {
        use std::os::fd::AsRawFd as _;

        lock_kept().iter().map(|descriptor| descriptor.file.as_raw_fd()).collect()
    }
}

impl Deref for Descriptor {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0.file
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        shared_lock::unlock(&self.0.file);
        let mut kept = lock_kept();
        kept.push(self.0.clone());
        if kept.len() > max_kept() {
            close_unshared(&mut kept);
        }
    }
}

fn take_kept(identity: FileIdentity, needs_write: bool) -> Option<KeptDescriptor> {
    let mut kept = lock_kept();
    let index = kept.iter().position(|descriptor| {
        descriptor.identity == Some(identity) && (descriptor.is_writable || !needs_write)
    })?;
    Some(kept.swap_remove(index))
}

fn lock_kept() -> MutexGuard<'static, Vec<KeptDescriptor>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Less than [`MAX_KEPT`] if the limit of open files is low.
fn max_kept() -> usize {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit: Option<u64> = None;
    let share = limit.map_or(MAX_KEPT, |limit| usize::try_from(limit / 4).unwrap_or(MAX_KEPT));
    share.min(MAX_KEPT)
}

/// Closes the descriptors of files that this process has not open otherwise, so that a run over many
/// databases does not reach the limit of open files. Without a list of the open files, none is
/// closed. An application that opens and locks one of these files in the few microseconds between
/// the listing and the close would lose that lock.
fn close_unshared(kept: &mut Vec<KeptDescriptor>) {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return };
    let kept_names: HashSet<OsString> =
        kept.iter().map(|descriptor| listed_name(&descriptor.file)).collect();
    let mut open_elsewhere: HashSet<FileIdentity> = HashSet::new();
    for descriptor in descriptors.flatten() {
        if kept_names.contains(&descriptor.file_name()) {
            continue;
        }
        let metadata = std::fs::metadata(descriptor.path());
        open_elsewhere.extend(metadata.ok().as_ref().and_then(FileIdentity::from_metadata));
    }
    kept.retain(|KeptDescriptor { identity, .. }| {
        identity.is_none_or(|identity| open_elsewhere.contains(&identity))
    });
}

/// The name of a descriptor in the list of this process's open files.
#[cfg(unix)]
fn listed_name(file: &File) -> OsString {
    use std::os::fd::AsRawFd as _;

    file.as_raw_fd().to_string().into()
}

/// Systems without descriptor numbers have no such list.
#[cfg(not(unix))]
fn listed_name(_file: &File) -> OsString {
    OsString::new()
}
