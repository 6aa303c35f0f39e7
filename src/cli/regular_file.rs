//! Reads files that the user names. A FIFO or a device in the place of one is refused, because its
//! contents may never come or never end.

use std::io;
use std::path::Path;

/// Reads a regular file.
///
/// # Errors
///
/// The file cannot be read, or is neither a regular file nor a link to one.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file_type = std::fs::metadata(path)?.file_type();
    if !file_type.is_file() && !file_type.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a regular file"));
    }
    std::fs::read(path)
}
