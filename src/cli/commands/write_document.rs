//! The document written: beside itself, then renamed, so that there is never half of one. Where
//! somebody else wrote to it in the meantime, theirs stays.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::commands::DocumentFile;

/// Puts a new text in the place of the one that was read.
pub(crate) fn replace_document(
    path: &Path,
    original: &DocumentFile,
    text: &str,
) -> anyhow::Result<()> {
    let name = &original.name;
    let write_error = || format!("the document `{name}` cannot be written");
    // What a link points at is written; the link stays.
    let target = path.canonicalize().with_context(write_error)?;
    let metadata = target.metadata().with_context(write_error)?;
    if !metadata.is_file() {
        bail!("the document `{name}` is not a regular file, so it is not written");
    }
    if metadata.permissions().readonly() {
        bail!("the document `{name}` is read-only, so it is not written");
    }
    let ensure_unchanged = || -> anyhow::Result<()> {
        if std::fs::read(&target).with_context(write_error)? != original.text.as_bytes() {
            bail!(
                "the document `{name}` was changed by somebody else meanwhile and is left as it is; run this again"
            );
        }
        Ok(())
    };
    ensure_unchanged()?;
    let mut file = temp_file_in_same_dir(&target).with_context(write_error)?;
    file.write_all(text.as_bytes()).with_context(write_error)?;
    copy_owner(&metadata, file.path());
    file.as_file().set_permissions(metadata.permissions()).with_context(write_error)?;
    file.as_file().sync_all().with_context(write_error)?;
    ensure_unchanged()?;
    file.persist(&target).map_err(|error| error.error).with_context(write_error)?;
    Ok(())
}

/// Writes a document that is not there yet.
pub(crate) fn create_document(path: &Path, text: &str) -> anyhow::Result<()> {
    let write_error = || {
        format!(
            "the document `{}` cannot be written",
            tatmig::text::escape_for_display(path.as_os_str())
        )
    };
    let mut file = std::fs::File::create_new(path).with_context(write_error)?;
    file.write_all(text.as_bytes()).with_context(write_error)?;
    file.sync_all().with_context(write_error)
}

fn temp_file_in_same_dir(target: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = target.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    tempfile::Builder::new().prefix(".tatmig-document-").tempfile_in(directory)
}

/// The file's owner and group, where the system lets them be kept.
#[cfg(unix)]
fn copy_owner(metadata: &std::fs::Metadata, path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::chown(path, Some(metadata.uid()), Some(metadata.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_metadata: &std::fs::Metadata, _path: &Path) {}
