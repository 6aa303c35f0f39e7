//! Writes the document: to a temporary file in the same directory, which is then renamed, so that
//! the file is never half written. If another program changed the document meanwhile, that change
//! stays and the command fails.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use tatmig::fleet::read_regular_file;

use crate::cli::document_file::DocumentFile;
use crate::cli::temporary_file::temporary_file_beside;

/// A part of the names of temporary files.
const FILE_KIND: &str = "document";

/// Replaces the text that was read with a new one. Owner, group and permissions stay.
///
/// # Errors
///
/// The file is not a regular file, is read-only, cannot be written, or has another text than the
/// one that was read.
pub(crate) fn replace_document(
    path: &Path,
    original: &DocumentFile,
    text: &str,
) -> anyhow::Result<()> {
    let name = &original.name;
    let write_error = || format!("the document `{name}` cannot be written");
    // A symbolic link stays; the file that it points to is replaced.
    let target = path.canonicalize().with_context(write_error)?;
    let metadata = target.metadata().with_context(write_error)?;
    if !metadata.is_file() {
        bail!("the document `{name}` is not a regular file, so it was not written");
    }
    if metadata.permissions().readonly() {
        bail!("the document `{name}` is read-only, so it was not written");
    }
    let ensure_unchanged = || -> anyhow::Result<()> {
        if read_regular_file(&target).with_context(write_error)? != original.text.as_bytes() {
            bail!(
                "the document `{name}` was changed by another program meanwhile, so it was not written; run the command again"
            );
        }
        Ok(())
    };
    ensure_unchanged()?;
    let mut file = temporary_file_beside(&target, FILE_KIND).with_context(write_error)?;
    file.as_file_mut().write_all(text.as_bytes()).with_context(write_error)?;
    copy_owner(&metadata, file.path());
    file.as_file().set_permissions(metadata.permissions()).with_context(write_error)?;
    file.as_file().sync_all().with_context(write_error)?;
    ensure_unchanged()?;
    file.persist(&target).map_err(|error| error.error).with_context(write_error)?;
    Ok(())
}

/// Creates a document; an existing file is an error.
pub(crate) fn create_document(path: &Path, text: &str) -> anyhow::Result<()> {
    let write_error = || {
        format!(
            "the document `{}` cannot be written",
            tatmig::text::escape_for_display(path.as_os_str())
        )
    };
    let mut file = temporary_file_beside(path, FILE_KIND).with_context(write_error)?;
    file.as_file_mut().write_all(text.as_bytes()).with_context(write_error)?;
    file.as_file().sync_all().with_context(write_error)?;
    file.persist_noclobber(path).map_err(|error| error.error).with_context(write_error)?;
    Ok(())
}

/// Copies owner and group. Systems that only let root do so leave the new file's owner.
#[cfg(unix)]
fn copy_owner(metadata: &std::fs::Metadata, path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::chown(path, Some(metadata.uid()), Some(metadata.gid()));
}

#[cfg(not(unix))]
fn copy_owner(_metadata: &std::fs::Metadata, _path: &Path) {}
