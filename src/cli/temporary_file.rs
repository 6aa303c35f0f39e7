//! Creates a temporary file beside the file that it will replace. Errors name no temporary path: a
//! person knows only the file that was to be written.

use std::io;
use std::path::Path;

/// A new file in the directory of `target`, with the permissions that the process gives to new
/// files. `kind` is a part of its name. Write to the [`File`](std::fs::File) in it: its own errors
/// name the temporary path.
///
/// # Errors
///
/// The file cannot be created.
pub(crate) fn temporary_file_beside(
    target: &Path,
    kind: &str,
) -> io::Result<tempfile::NamedTempFile> {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let prefix = format!(".tatmig-{kind}-");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory.unwrap_or(Path::new("."))).map_err(without_path)
}

/// The error without the path that the crate `tempfile` adds to its text.
fn without_path(error: io::Error) -> io::Error {
    match error.to_string().rsplit_once(" at path \"") {
        Some((text, _)) => io::Error::new(error.kind(), text),
        None => error,
    }
}
