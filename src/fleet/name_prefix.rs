//! Lists the users whose name begins with given bytes, for the completions of a shell: fast rather
//! than exact. Only names are read, no file is opened, and what cannot be read is left out.

use std::ffi::{OsStr, OsString};
use std::fs::DirEntry;
use std::path::Path;

use crate::fleet::walk::is_tatmig_file;
use crate::sqlite::paths::is_side_file_name;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::layout::FleetConfig;
use crate::target::pattern::PathMatch;

/// How many users may be checked for the existence of their file, which costs a system call each.
const MAX_CHECKED: usize = 1000;

impl FleetConfig {
    /// The users with a file whose name begins with `prefix`, sorted. None for a fleet on servers.
    #[must_use]
    pub fn users_with_prefix(&self, prefix: &OsStr) -> Vec<OsString> {
        #[cfg(feature = "server")]
        if self.server_set.is_some() {
            return Vec::new();
        }
        let mut listing = Listing {
            config: self,
            prefix: prefix.as_encoded_bytes(),
            names: Vec::new(),
            found: Vec::new(),
        };
        listing.list(&self.users_dir);
        let mut found = listing.found;
        if found.len() <= MAX_CHECKED {
            found.retain(|found| {
                let path: std::path::PathBuf = found.path.iter().collect();
                let path = self.users_dir.join(path);
                path != self.system_db && path.is_file()
            });
        }
        let mut users: Vec<OsString> = found.into_iter().map(|found| found.user).collect();
        users.sort_unstable();
        users.dedup();
        users
    }
}

/// The users that are found below one directory after the other.
struct Listing<'c> {
    config: &'c FleetConfig,
    prefix: &'c [u8],
    /// The names of the directories from the users directory to the one that is read.
    names: Vec<OsString>,
    found: Vec<FoundUser>,
}

struct FoundUser {
    user: OsString,
    /// The components of the path below the users directory.
    path: Vec<OsString>,
}

impl Listing<'_> {
    fn list(&mut self, directory: &Path) {
        let components = self.config.path_template.components();
        let component = &components[self.names.len()];
        let is_last = self.names.len() + 1 == components.len();
        if let Some(literal) = component.literal() {
            self.enter(directory, OsString::from(literal), is_last);
            return;
        }
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let bytes = name.as_encoded_bytes();
            let has_prefix = |name: &[u8]| name.starts_with(self.prefix);
            if component.has_shape(bytes)
                && component.name_in(bytes).is_none_or(has_prefix)
                && !is_tatmig_file(&name)
                && !is_side_file_name(&name)
                && self.has_right_kind(&entry, is_last)
            {
                self.enter(directory, name, is_last);
            }
        }
    }

    /// Takes a name in a directory: of a file, or of the next directory.
    fn enter(&mut self, directory: &Path, name: OsString, is_last: bool) {
        let path = directory.join(&name);
        self.names.push(name);
        if is_last {
            let names = self.names.iter().map(OsString::as_os_str);
            if let PathMatch::User(user) = self.config.path_template.match_names(names)
                && user.as_encoded_bytes().starts_with(self.prefix)
                && self.config.contains(&user)
            {
                self.found.push(FoundUser { user, path: self.names.clone() });
            }
        } else if self.config.backups_dir.as_ref() != Some(&path) {
            self.list(&path);
        }
        self.names.pop();
    }

    fn has_right_kind(&self, entry: &DirEntry, is_last: bool) -> bool {
        let Ok(kind) = entry.file_type() else { return false };
        let is_followed = kind.is_symlink() && self.config.symlink_policy == SymlinkPolicy::Follow;
        is_followed || if is_last { kind.is_file() } else { kind.is_dir() }
    }
}
