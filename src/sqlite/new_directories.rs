//! Creates missing directories on the path of a new database, and removes them if the database is not
//! created in the end. Only their owner can use them.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Component, Path};

use crate::sqlite::database_file::{DatabaseFile, ParentError, open_component};
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::{DirectoryUse, Users};
use crate::sqlite::regular_file::SymlinkPolicy;

/// The directory of a file that is to be created.
pub(crate) struct NewFileParent {
    pub(crate) directory: OpenDirectory,
    pub(crate) created: CreatedDirectories,
}

/// The directories that were created for a file, from top to bottom.
#[derive(Default)]
pub(crate) struct CreatedDirectories(Vec<CreatedDirectory>);

struct CreatedDirectory {
    parent: OpenDirectory,
    name: OsString,
}

/// What happens if the directory does not exist that holds all users, or the system database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingBase {
    Create,
    Refuse,
}

/// A path of a directory, divided where it ceases to exist.
pub(crate) struct DividedPath<'p> {
    /// The longest part that exists; a link exists, whatever it points to.
    pub(crate) existing: &'p Path,
    /// The names after that part. `None` if one of them is `..`.
    pub(crate) missing: Option<Vec<&'p OsStr>>,
}

impl<'p> DividedPath<'p> {
    pub(crate) fn new(path: &'p Path) -> Self {
        let is_existing =
            |path: &&Path| path.as_os_str().is_empty() || std::fs::symlink_metadata(path).is_ok();
        let existing = path.ancestors().find(is_existing).unwrap_or(Path::new(""));
        let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
        let name = |component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        };
        let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        Self { existing, missing: rest.components().map(name).collect() }
    }
}

impl NewFileParent {
    /// Opens the directory of a file, and creates missing directories on the way.
    pub(crate) fn create(
        file: &DatabaseFile,
        missing_base: MissingBase,
    ) -> Result<Self, ParentError> {
        let mut created = CreatedDirectories::default();
        match created.descend(file, missing_base) {
            Ok(directory) => Ok(Self { directory, created }),
            Err(error) => {
                created.remove();
                Err(error)
            }
        }
    }
}

impl CreatedDirectories {
    fn descend(
        &mut self,
        file: &DatabaseFile,
        missing_base: MissingBase,
    ) -> Result<OpenDirectory, ParentError> {
        let divided = DividedPath::new(file.base());
        let directory = match (divided.missing, missing_base) {
            (Some(missing), MissingBase::Create) if !missing.is_empty() => {
                let directory = OpenDirectory::open(divided.existing, DirectoryUse::Enter)?;
                // No link was there a moment ago, so none is followed now.
                self.enter(directory, missing.into_iter(), SymlinkPolicy::Refuse)?
            }
            _ => OpenDirectory::open(file.base(), DirectoryUse::Enter)?,
        };
        self.enter(directory, file.directories(), file.symlinks)
    }

    /// Opens one directory in the other, and creates those that do not exist.
    fn enter<'n>(
        &mut self,
        mut directory: OpenDirectory,
        names: impl Iterator<Item = &'n OsStr>,
        symlinks: SymlinkPolicy,
    ) -> Result<OpenDirectory, ParentError> {
        for name in names {
            let is_new = match directory.create_directory(name, Users::Owner) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
                // A directory that exists is enough, also where none can be created.
                Err(error) => match directory.status(name) {
                    Ok(_) => false,
                    Err(_) => return Err(error.into()),
                },
            };
            let child = open_component(&directory, name, symlinks);
            if is_new {
                let sync_result = directory.sync();
                self.0.push(CreatedDirectory { parent: directory, name: name.to_owned() });
                // Otherwise a power cut could remove the new directory with the database in it. A
                // directory may allow writing but not reading; then it cannot be synced.
                match sync_result {
                    Err(error) if error.kind() != ErrorKind::PermissionDenied => {
                        return Err(error.into());
                    }
                    _ => {}
                }
            }
            directory = child?;
        }
        Ok(directory)
    }

    /// Removes the directories that are empty.
    pub(crate) fn remove(self) {
        for CreatedDirectory { parent, name } in self.0.into_iter().rev() {
            if parent.remove_directory(&name).is_err() {
                return;
            }
        }
    }
}
