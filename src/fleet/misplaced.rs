//! Reports databases in the wrong place: where their path and their user are not the inverse of
//! each other, in directories that no user's path contains, and in the backups directory.

use std::ffi::{OsStr, OsString};
use std::iter::once;
use std::path::Path;

use crate::fleet::walk::{Walk, is_hidden, is_side_file};
use crate::sqlite::file_status::FileKind;
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::DirectoryUse;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::pattern::PathMatch;
use crate::text::{escape_for_display, os_string_from_bytes};

/// How many files in the wrong place are listed one by one.
const MAX_MISPLACED: usize = 10;

/// How many names are looked at in directories that no user's path contains, so that a wrong
/// `--users-dir` such as `/` costs little.
const MAX_STRAY_NAMES: usize = 10_000;

impl Walk<'_> {
    /// Reports what has the name and the depth of a user's database in directories that no user's
    /// path contains, such as those of a hash with other digits. Directories that cannot be opened
    /// and links are passed over.
    pub(super) fn visit_strays(&mut self, parent: &OpenDirectory, mut names: Vec<OsString>) {
        names.sort_unstable();
        for name in names {
            let opened = parent.open_child(&name, DirectoryUse::List, SymlinkPolicy::Refuse);
            let Ok(directory) = opened else { continue };
            if self.is_backups_dir(&directory) {
                continue;
            }
            self.names.push(name);
            self.visit_stray(&directory);
            self.names.pop();
        }
    }

    fn visit_stray(&mut self, directory: &OpenDirectory) {
        let is_last_level = self.is_last_level();
        let component = self.component();
        let mut names_seen = self.stray_names;
        let mut found = Vec::new();
        // What cannot be read is no database of a user.
        let _ = directory.for_each_entry(&mut |entry| {
            names_seen += 1;
            if names_seen > MAX_STRAY_NAMES || is_hidden(entry.name) {
                return;
            }
            // Some file systems do not keep the kind in the directory.
            let kind = entry.kind.or_else(|| directory.status(entry.name).ok().map(|it| it.kind));
            let is_wanted = match kind {
                Some(FileKind::Directory) => !is_last_level,
                Some(FileKind::Regular) => {
                    is_last_level && component.has_shape(entry.name.as_encoded_bytes())
                }
                _ => false,
            };
            if is_wanted {
                found.push(entry.name.to_owned());
            }
        });
        self.stray_names = names_seen;
        if !is_last_level {
            return self.visit_strays(directory, found);
        }
        found.sort_unstable();
        for name in found.iter().filter(|name| !is_side_file(directory, name)) {
            let names = self.names.iter().map(OsString::as_os_str).chain(once(name.as_os_str()));
            let path = self.path_of(name);
            match self.config.path_template.match_loosely(names) {
                PathMatch::Misplaced { user, expected } if self.config.contains(&user) => {
                    self.add_misplaced(&path, &user, expected.as_deref());
                }
                PathMatch::Misplaced { .. } => {}
                _ => self.add_problem_of_misplaced(format!(
                    "`{}` does not fit the user pattern `{}`; it was skipped. Move it to the path of its user, or out of the users directory",
                    escape_for_display(path.as_os_str()),
                    self.config.path_template
                )),
            }
        }
    }

    /// Reports a database in the backups directory if this is the path of its user.
    pub(super) fn report_user_of_backups(&mut self, name: &OsStr) {
        let Some(user) = self.component().name_in(name.as_encoded_bytes()) else { return };
        let user = os_string_from_bytes(user);
        let Ok(path) = self.config.path_template.path(&user) else { return };
        let is_below = path.starts_with(self.path_of(name));
        if is_below && self.config.contains(&user) && self.config.users_dir.join(&path).is_file() {
            self.add_problem_of_misplaced(format!(
                "`{}` is in the backups directory, where no database of a user is looked for; it was skipped. Choose another directory with --backups-dir, or move the file",
                escape_for_display(path.as_os_str())
            ));
        }
    }

    pub(super) fn add_misplaced(&mut self, path: &Path, user: &OsStr, expected: Option<&Path>) {
        let shown = |name: &OsStr| escape_for_display(name);
        let (path, user) = (shown(path.as_os_str()), shown(user));
        self.add_problem_of_misplaced(match expected {
            Some(expected) => format!(
                "`{path}` does not belong to `{user}`: its path would be `{}`; it was skipped. Move it to that path, or out of the users directory",
                shown(expected.as_os_str())
            ),
            None => format!(
                "`{path}` does not belong to `{user}`, for whom the user pattern results in no path; it was skipped. Move it out of the users directory"
            ),
        });
    }

    fn add_problem_of_misplaced(&mut self, problem: String) {
        self.misplaced_count += 1;
        if self.misplaced_count <= MAX_MISPLACED {
            self.problems.push(problem);
        }
    }

    /// Adds what the limits of the lists left out.
    pub(super) fn count_unlisted(&mut self) {
        if self.misplaced_count > MAX_MISPLACED {
            let more = self.misplaced_count - MAX_MISPLACED;
            self.problems.push(format!(
                "{more} more files do not belong to the user in their path; they were skipped"
            ));
        }
        if self.stray_names > MAX_STRAY_NAMES {
            self.notices.push(format!(
                "the users directory has many directories that do not fit the user pattern `{}`; only {MAX_STRAY_NAMES} names in them were searched for databases in the wrong place",
                self.config.path_template
            ));
        }
    }
}
