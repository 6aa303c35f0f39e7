//! Builds the names of a database's side files and the URI of an immutable read, and syncs
//! directories after renames and removals.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::database::error::DatabaseError;

/// The ends of the names of side files.
const SIDE_FILE_SUFFIXES: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The ends of the names of the side files that SQLite applies to a database when it opens it.
pub(crate) const RECOVERY_SUFFIXES: [&str; 2] = ["-journal", "-wal"];

/// Whether SQLite gives files with this name to a database.
#[must_use]
pub fn is_side_file_name(name: &OsStr) -> bool {
    database_of_side_file(name).is_some()
}

/// The bytes of the name of the database that a file with this name belongs to, if it is the name of
/// a side file.
pub(crate) fn database_of_side_file(name: &OsStr) -> Option<&[u8]> {
    let bytes = name.as_encoded_bytes();
    let mut suffixes = SIDE_FILE_SUFFIXES.iter();
    suffixes.find_map(|suffix| bytes.strip_suffix(suffix.as_bytes()))
}

/// The path of a database's side file; `suffix` is `-journal`, `-wal` or `-shm`.
pub(crate) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A path that SQLite takes as a plain file name: a relative path gets `./` in front, so that
/// `file:x` is not read as a URI and `:memory:` not as a special name.
pub(crate) fn plain_name(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

/// The URI that opens a file with `immutable=1`. SQLite then takes no lock, so the caller must
/// hold the shared lock or be sure that no program writes to the file during the read.
///
/// # Errors
///
/// `DatabaseError::Io` if the working directory is unknown and the path is relative.
pub(crate) fn immutable_uri(path: &Path) -> Result<String, DatabaseError> {
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-');
    let absolute = std::path::absolute(path).map_err(|source| DatabaseError::Io {
        context: "the working directory cannot be determined".to_owned(),
        source,
    })?;
    let escaped_path = percent_encode(absolute.as_os_str().as_encoded_bytes(), ESCAPED);
    Ok(format!("file://{escaped_path}?immutable=1"))
}

/// The directory that contains a file; `.` for a bare file name.
pub(crate) fn parent_directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory durable: files that were created, renamed or removed there.
/// Does nothing on systems that cannot open a directory.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
