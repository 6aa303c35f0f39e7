//! Holds whether this process opens databases of the fleet only through tatmig.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_SOLE_USE: AtomicBool = AtomicBool::new(false);

/// Declares that this process opens databases only through tatmig, one connection for each file.
/// Reads are then faster, and a WAL database is read without a `-wal` and a `-shm` file.
///
/// Without this declaration, tatmig opens database files only through SQLite. Closing any other
/// descriptor of a file drops every POSIX lock that the process holds on that file, so an
/// application which has a connection to the database would lose the locks of its transaction. The
/// command line makes this declaration. An application that has a connection of its own to any
/// database of the fleet must not.
///
/// ```
/// // At the start of a program that only migrates.
/// tatmig::fleet::assume_sole_use();
/// ```
pub fn assume_sole_use() {
    IS_SOLE_USE.store(true, Ordering::Relaxed);
}

/// Whether a database file may be opened and closed beside SQLite.
pub(crate) fn is_sole_use() -> bool {
    IS_SOLE_USE.load(Ordering::Relaxed)
}
