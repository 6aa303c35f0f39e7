//! Decides where the copies of a backup are in its directory: at the paths that their databases have
//! below the users directory.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::backup::error::BackupError;
use crate::backup::manifest;
use crate::backup::manifest::ManifestEntry;
use crate::fleet::pool::parallel_map;
use crate::fleet::run::RunOptions;
use crate::sqlite::paths::sync_directory;
use crate::target::TargetDatabase;

/// A database with the path of its copy in the backup.
pub(crate) struct PlannedCopy<'t> {
    pub(crate) target: &'t TargetDatabase,
    pub(crate) file: PathBuf,
}

/// Assigns each copy the path of its database below the users directory, with a number if a file or
/// directory of the backup has this path.
pub(crate) fn assign_paths<'t>(targets: &[&'t TargetDatabase]) -> Vec<PlannedCopy<'t>> {
    let mut used_files = HashSet::from([PathBuf::from(manifest::MANIFEST_FILE)]);
    let mut used_directories: HashSet<PathBuf> = HashSet::new();
    let assigned = targets.iter().map(|target| {
        let preferred = target.location.copy_path();
        let mut file = preferred.clone();
        let mut number = 1;
        while used_files.contains(&file)
            || used_directories.contains(&file)
            || directories_of(&file).any(|directory| used_files.contains(directory))
        {
            number += 1;
            file = numbered(&preferred, number);
        }
        used_directories.extend(directories_of(&file).map(Path::to_owned));
        used_files.insert(file.clone());
        PlannedCopy { target, file }
    });
    assigned.collect()
}

/// The directories of a relative path.
fn directories_of(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().skip(1).filter(|directory| !directory.as_os_str().is_empty())
}

/// A path whose first component has a number at its end.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut components = path.iter();
    let mut first = components.next().unwrap_or_default().to_owned();
    first.push(format!(".{number}"));
    std::iter::once(first.as_os_str()).chain(components).collect()
}

/// Removes an unfinished copy, and its directories if they are empty.
pub(crate) fn remove_copy(dir: &Path, file: &Path) {
    let _ = fs::remove_file(dir.join(file));
    let _ = directories_of(file).try_for_each(|directory| fs::remove_dir(dir.join(directory)));
}

/// Makes the names of the copies durable that are not in the backup's own directory.
pub(crate) fn sync_directories(
    dir: &Path,
    entries: &[ManifestEntry],
    options: &RunOptions,
) -> Result<(), BackupError> {
    let files = entries.iter().filter(|entry| entry.server.is_none());
    let directories: BTreeSet<&Path> =
        files.flat_map(|entry| directories_of(Path::new(&entry.file))).collect();
    let directories: Vec<PathBuf> = directories.into_iter().map(|path| dir.join(path)).collect();
    let work = |directory: &PathBuf| {
        Ok(sync_directory(directory).map_err(BackupError::from_io("cannot be synced", directory)))
    };
    let results = parallel_map(&directories, options.jobs, &work, &|| false, &mut |_, _| {});
    results.into_iter().flatten().flatten().collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::document::tag::Scope;
    use crate::sqlite::database_file::DatabaseFile;
    use crate::sqlite::regular_file::SymlinkPolicy;
    use crate::target::Location;

    #[test]
    fn no_copy_is_in_the_place_of_another_or_of_its_directory() {
        let target = |path: &str| {
            let file =
                DatabaseFile::below(Path::new("users"), Path::new(path), SymlinkPolicy::Refuse);
            TargetDatabase {
                scope: Scope::User,
                name: path.into(),
                location: Location::File(file),
                skip_reason: None,
            }
        };
        let targets: Vec<TargetDatabase> = [
            "ann",
            "ann/store",
            "b/x",
            "b",
            "ann.2/store",
            "manifest.json",
            "manifest.json/x",
            "c",
        ]
        .map(target)
        .into();
        let targets: Vec<&TargetDatabase> = targets.iter().collect();
        let paths: Vec<PathBuf> =
            assign_paths(&targets).into_iter().map(|planned| planned.file).collect();
        let expected = [
            "ann",
            "ann.2/store",
            "b/x",
            "b.2",
            "ann.2.2/store",
            "manifest.json.2",
            "manifest.json.3/x",
            "c",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
    }
}
