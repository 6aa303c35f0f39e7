//! Names of the files that belong to a database file, and the URI of an immutable read.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::database::error::DatabaseError;

/// The journal, WAL or shared memory file beside a database.
pub(crate) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A path that SQLite cannot take for a URI or a special name: `file:x` is a file's name here.
pub(crate) fn plain_name(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

/// tatmig's own URI of a file that nobody writes to while it is read.
pub(crate) fn immutable_uri(path: &Path) -> Result<String, DatabaseError> {
    let absolute = std::path::absolute(path).map_err(|source| DatabaseError::Io {
        context: "the working directory is not known".to_owned(),
        source,
    })?;
    let mut uri = "file://".to_owned();
    for byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    Ok(uri)
}
