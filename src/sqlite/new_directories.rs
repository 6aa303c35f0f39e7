//! Creates the directories between the users directory and a new database, and removes them if the
//! database is not created in the end. Only their owner can use them.

use std::ffi::OsString;
use std::io::ErrorKind;

use crate::sqlite::database_file::{DatabaseFile, ParentError, open_component};
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::{DirectoryUse, Users};

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

impl NewFileParent {
    /// Opens the directory of a file, and creates missing directories on the way. The directory of
    /// all users is never created.
    pub(crate) fn create(file: &DatabaseFile) -> Result<Self, ParentError> {
        let mut created = CreatedDirectories::default();
        match created.descend(file) {
            Ok(directory) => Ok(Self { directory, created }),
            Err(error) => {
                created.remove();
                Err(error)
            }
        }
    }
}

impl CreatedDirectories {
    fn descend(&mut self, file: &DatabaseFile) -> Result<OpenDirectory, ParentError> {
        let mut directory = OpenDirectory::open(file.base(), DirectoryUse::Enter)?;
        for name in file.directories() {
            let is_new = match directory.create_directory(name, Users::Owner) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
                // A directory that exists is enough, also where none can be created.
                Err(error) => match directory.status(name) {
                    Ok(_) => false,
                    Err(_) => return Err(error.into()),
                },
            };
            let child = open_component(&directory, name, file.symlinks);
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
