//! Finds the settings file: in the directory of the document, or in one above it, as Cargo finds
//! `Cargo.toml`.

use std::path::{Component, Path, PathBuf};

/// The name of the settings file.
pub(crate) const SETTINGS_FILE_NAME: &str = "tatmig.toml";

/// The nearest settings file in the directory of `document`, or in the current directory without
/// one, or above it. The path is relative to the current directory if one contains the other.
pub(crate) fn find_settings_file(document: Option<&Path>) -> Option<PathBuf> {
    let current_dir = std::env::current_dir().ok()?;
    let start = document.and_then(Path::parent).unwrap_or(Path::new(""));
    let start = without_parent_components(&current_dir.join(start));
    let dir = start.ancestors().find(|dir| dir.join(SETTINGS_FILE_NAME).exists())?;
    Some(relative_to(dir, &current_dir).join(SETTINGS_FILE_NAME))
}

/// An absolute path without `.` and `..`. A symbolic link before a `..` is followed.
fn without_parent_components(path: &Path) -> PathBuf {
    let has_parent = path.components().any(|component| component == Component::ParentDir);
    let canonical = if has_parent { path.canonicalize().ok() } else { None };
    canonical.unwrap_or_else(|| path.components().collect())
}

/// Fails if another user could have put a settings file in its place: the file may load libraries,
/// and it is found in directories above, such as one that everybody can write. A file of root is
/// accepted.
///
/// # Errors
///
/// The file belongs to another user.
#[cfg(unix)]
pub(crate) fn require_own_file(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let owner = std::fs::metadata(path)?.uid();
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let name = tatmig::text::escape_for_display(path.as_os_str());
    anyhow::bail!(
        "the settings file `{name}` loads an extension and belongs to another user (id {owner}); if you trust the file, name it with `--config {name}`"
    )
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(crate) fn require_own_file(_path: &Path) -> anyhow::Result<()> {
    Ok(())
}

fn relative_to(dir: &Path, current_dir: &Path) -> PathBuf {
    if let Ok(below) = dir.strip_prefix(current_dir) {
        return below.to_owned();
    }
    match current_dir.strip_prefix(dir) {
        Ok(below) => below.components().map(|_| Component::ParentDir).collect(),
        Err(_) => dir.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_where_one_directory_contains_the_other() {
        let relative = |dir: &str| relative_to(Path::new(dir), Path::new("/a/b"));
        assert_eq!(relative("/a/b"), Path::new(""));
        assert_eq!(relative("/a/b/c"), Path::new("c"));
        assert_eq!(relative("/a"), Path::new(".."));
        assert_eq!(relative("/"), Path::new("../.."));
        assert_eq!(relative("/x"), Path::new("/x"));
    }
}
