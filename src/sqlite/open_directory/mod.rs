//! Works in a directory that is open: lists, opens, creates, renames and removes names in it. On
//! Unix each name is relative to a descriptor of the directory, so that a directory or a link that
//! is put in its place meanwhile changes nothing. Other systems have paths only.

pub(crate) mod entry;
#[cfg(any(not(unix), test))]
#[cfg_attr(unix, allow(dead_code, reason = "only tests use it on Unix"))]
mod portable;
#[cfg(unix)]
mod unix;

use std::ffi::OsStr;
use std::io;

use crate::sqlite::file_status::FileKind;
use crate::sqlite::open_directory::entry::DirectoryUse;
#[cfg(not(unix))]
pub(crate) use crate::sqlite::open_directory::portable::OpenDirectory;
#[cfg(unix)]
pub(crate) use crate::sqlite::open_directory::unix::OpenDirectory;
use crate::sqlite::regular_file::SymlinkPolicy;

impl OpenDirectory {
    /// Removes a directory in this one with everything in it. Links are removed, not followed.
    pub(crate) fn remove_tree(&self, name: &OsStr) -> io::Result<()> {
        let directory = self.open_child(name, DirectoryUse::List, SymlinkPolicy::Refuse)?;
        let mut names = Vec::new();
        directory.for_each_entry(&mut |entry| names.push(entry.name.to_owned()))?;
        for name in names {
            match directory.status(&name)?.kind {
                FileKind::Directory => directory.remove_tree(&name)?,
                _ => directory.remove_file(&name)?,
            }
        }
        self.remove_directory(name)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;

    use super::*;
    use crate::sqlite::open_directory::entry::{FileUse, Users};

    /// The same test for the directories of all systems.
    macro_rules! test_directory {
        ($name:ident, $directory:path) => {
            #[test]
            fn $name() {
                type Directory = $directory;
                let temporary = tempfile::tempdir().unwrap();
                let root = Directory::open(temporary.path(), DirectoryUse::List).unwrap();
                let name = |name: &'static str| OsStr::new(name);
                root.create_directory(name("a"), Users::Owner).unwrap();
                assert_eq!(
                    root.create_directory(name("a"), Users::Owner).unwrap_err().kind(),
                    ErrorKind::AlreadyExists
                );
                let (list, refuse) = (DirectoryUse::List, SymlinkPolicy::Refuse);
                let child = root.open_child(name("a"), list, refuse).unwrap();
                child.create_file(name("file"), Users::Default).unwrap();
                assert_eq!(
                    child.create_file(name("file"), Users::Default).unwrap_err().kind(),
                    ErrorKind::AlreadyExists
                );
                assert_eq!(child.status(name("file")).unwrap().kind, FileKind::Regular);
                assert_eq!(root.own_status().unwrap().kind, FileKind::Directory);
                child.open_file(name("file"), FileUse::ReadWrite).unwrap();
                child.rename_no_replace(name("file"), &root, name("moved")).unwrap();
                root.create_file(name("other"), Users::Default).unwrap();
                assert!(root.rename_no_replace(name("moved"), &root, name("other")).is_err());
                let mut names = Vec::new();
                root.for_each_entry(&mut |entry| names.push(entry.name.to_owned())).unwrap();
                names.sort();
                assert_eq!(names, ["a", "moved", "other"]);
                assert!(root.open_child(name("moved"), list, refuse).is_err());
                root.sync().unwrap();
                root.remove_file(name("moved")).unwrap();
                root.remove_directory(name("a")).unwrap();
                assert_eq!(root.status(name("a")).unwrap_err().kind(), ErrorKind::NotFound);
                #[cfg(unix)]
                {
                    let link = |target: &str, path: &str| {
                        std::os::unix::fs::symlink(target, temporary.path().join(path)).unwrap();
                    };
                    link(".", "link");
                    assert!(root.open_child(name("link"), list, refuse).is_err());
                    root.open_child(name("link"), list, SymlinkPolicy::Follow).unwrap();
                    link("other", "file link");
                    assert_eq!(root.status(name("file link")).unwrap().kind, FileKind::Symlink);
                    let followed = root.followed_status(name("file link")).unwrap();
                    assert_eq!(followed, root.status(name("other")).unwrap());
                    assert!(root.open_file(name("file link"), FileUse::Read).is_err());
                    assert!(root.create_file(name("file link"), Users::Default).is_err());
                }
                assert!(Directory::open(Path::new("no such directory"), list).is_err());
            }
        };
    }

    #[cfg(unix)]
    test_directory!(names_are_relative_to_a_descriptor, super::unix::OpenDirectory);
    test_directory!(names_are_relative_to_a_path, super::portable::OpenDirectory);
}
