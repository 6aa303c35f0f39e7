//! The document written: beside itself, then renamed, so that there is never half of one. Where
//! somebody else wrote to it in the meantime, theirs stays.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::commands::Text;

/// Puts a new text in the place of the one that was read.
pub(crate) fn replace(path: &Path, read: &Text, text: &str) -> anyhow::Result<()> {
    let name = &read.name;
    let cannot = || format!("the document `{name}` cannot be written");
    // What a link points at is written; the link stays.
    let target = path.canonicalize().with_context(cannot)?;
    let metadata = target.metadata().with_context(cannot)?;
    if !metadata.is_file() {
        bail!("the document `{name}` is not a regular file, so it is not written");
    }
    if metadata.permissions().readonly() {
        bail!("the document `{name}` is read-only, so it is not written");
    }
    let unchanged = || -> anyhow::Result<()> {
        if std::fs::read(&target).with_context(cannot)? != read.text.as_bytes() {
            bail!(
                "the document `{name}` was changed by somebody else meanwhile and is left as it is; run this again"
            );
        }
        Ok(())
    };
    unchanged()?;
    let mut file = beside(&target).with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    keep_owner(&metadata, file.path());
    file.as_file().set_permissions(metadata.permissions()).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    unchanged()?;
    file.persist(&target).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}

/// Writes a document that is not there yet.
pub(crate) fn create(path: &Path, text: &str) -> anyhow::Result<()> {
    let cannot = || format!("the document `{}` cannot be written", tatmig::shown(path.as_os_str()));
    let mut file = std::fs::File::create_new(path).with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    file.sync_all().with_context(cannot)
}

fn beside(target: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = target.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    tempfile::Builder::new().prefix(".tatmig-document-").tempfile_in(directory)
}

/// The file's owner and group, where the system lets them be kept.
#[cfg(unix)]
fn keep_owner(metadata: &std::fs::Metadata, path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::chown(path, Some(metadata.uid()), Some(metadata.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_metadata: &std::fs::Metadata, _path: &Path) {}
