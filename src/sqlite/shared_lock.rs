//! Takes the shared lock of SQLite's readers on a file that SQLite itself has not opened.

use std::fs::File;

/// Whether this system has the lock.
pub(crate) const HAS_SHARED_LOCK: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));

// SQLite's names and numbers. A writer that waits for readers to finish holds the pending byte, so
// a new reader must be able to lock that byte first.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const PENDING_BYTE: i64 = 0x4000_0000;
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const SHARED_FIRST: i64 = PENDING_BYTE + 2;
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const SHARED_SIZE: i64 = 510;

/// Takes the shared lock of SQLite's readers without waiting. Returns whether the lock was taken;
/// closing the file releases the lock.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn try_shared_lock(file: &File) -> bool {
    set_lock(file, Lock::Read, PENDING_BYTE, 1) && {
        let is_shared = set_lock(file, Lock::Read, SHARED_FIRST, SHARED_SIZE);
        set_lock(file, Lock::None, PENDING_BYTE, 1) && is_shared
    }
}

/// Releases the shared lock, so that SQLite's own connections are the only ones that hold locks. A
/// writer that waits for this lock keeps new readers out, and this process would wait for itself.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn unlock(file: &File) {
    // Unlocking what is not locked succeeds.
    let _ = set_lock(file, Lock::None, SHARED_FIRST, SHARED_SIZE);
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[derive(Clone, Copy)]
enum Lock {
    Read,
    None,
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[allow(
    clippy::cast_possible_truncation,
    reason = "each system has a type of its own for these small numbers"
)]
fn set_lock(file: &File, lock: Lock, start: i64, length: i64) -> bool {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_RDLCK, F_UNLCK, SEEK_SET, flock};

    let lock_type = match lock {
        Lock::Read => F_RDLCK,
        Lock::None => F_UNLCK,
    };
    let lock = flock {
        l_type: lock_type as _,
        l_whence: SEEK_SET as _,
        l_start: start as _,
        l_len: length as _,
        l_pid: 0,
    };
    // An open file description lock, where the system has it, also conflicts with the locks of this
    // process's own connections; a plain POSIX lock does not.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let lock = FcntlArg::F_OFD_SETLK(&lock);
    #[cfg(target_vendor = "apple")]
    let lock = FcntlArg::F_SETLK(&lock);
    fcntl(file, lock).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn try_shared_lock(_file: &File) -> bool {
    false
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn unlock(_file: &File) {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn a_lock_of_the_same_process_blocks_the_shared_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        let file = File::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE").unwrap();
        assert!(!try_shared_lock(&file));
        connection.execute_batch("COMMIT").unwrap();
        assert!(try_shared_lock(&file));
    }
}
