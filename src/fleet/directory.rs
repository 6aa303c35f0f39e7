//! Lists the user databases in the users directory: which of them may be opened, and one name for
//! each.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::Path;

use crate::fleet::error::FleetError;
use crate::fleet::walk::{FoundFile, Walk};
use crate::sqlite::file_status::FileIdentity;
use crate::sqlite::paths::side_file;
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;
use crate::text::{escape_for_display, list_names};

/// The databases in a users directory.
pub(crate) struct DirectoryScan {
    /// In the order of their paths.
    pub(crate) targets: Vec<TargetDatabase>,
    /// What the user should know about the directory, one message each.
    pub(crate) notices: Vec<String>,
    /// What was skipped and has to be corrected, one message each.
    pub(crate) problems: Vec<String>,
    /// Users whose file is a second name of another user's file, with that other user.
    aliases: HashMap<OsString, OsString>,
}

impl DirectoryScan {
    /// Lists the databases that match the path template and belong to the configured shard.
    pub(crate) fn read(config: &FleetConfig) -> Result<Self, FleetError> {
        let dir = &config.users_dir;
        let walk = Walk::run(config).map_err(|source| match source.kind() {
            ErrorKind::NotFound => FleetError::NoUsersDir(dir.clone()),
            _ => FleetError::UnreadableUsersDir { dir: dir.clone(), source },
        })?;
        let (notices, problems) = (walk.notices, walk.problems);
        let mut scan = Self { targets: Vec::new(), notices, problems, aliases: HashMap::new() };
        scan.deduplicate(walk.found);
        if config.path_template.has_wildcard() {
            refuse_same_names(&mut scan.targets);
        }
        Ok(scan)
    }

    /// Keeps one name for each file, the first, and notes the others as aliases.
    fn deduplicate(&mut self, mut found: Vec<FoundFile>) {
        let mut first_by_identity: HashMap<FileIdentity, usize> =
            HashMap::with_capacity(found.len());
        let mut duplicates = Vec::new();
        for (index, file) in found.iter().enumerate() {
            let Some(identity) = file.identity else { continue };
            let first_index = *first_by_identity.entry(identity).or_insert(index);
            if first_index != index {
                duplicates.push((first_index, index));
            }
        }
        drop(first_by_identity);
        for (first_index, index) in &duplicates {
            let duplicate = found[*index].target.clone();
            let original = &mut found[*first_index].target;
            if duplicate.location.file_path().is_some_and(has_journal_or_wal) {
                original.skip_reason = Some(format!(
                    "`{}` is a second name of this file and has a journal; stop the program that uses that name, then remove one of the names",
                    escape_for_display(relative_path(&duplicate))
                ));
            }
            self.notices.push(format!(
                "`{}` is a second name of the file of user `{}`; the database is listed once",
                escape_for_display(relative_path(&duplicate)),
                original.display_name()
            ));
            self.aliases.insert(duplicate.name, original.name.clone());
        }
        let mut duplicates = duplicates.into_iter().map(|(_, index)| index).peekable();
        // Collecting reuses the vector's memory, which matters for a large fleet.
        let indexed_files = found.into_iter().enumerate();
        let remaining = indexed_files.filter(|(index, _)| duplicates.next_if_eq(index).is_none());
        self.targets = remaining.map(|(_, file)| file.target).collect();
        self.targets.shrink_to_fit();
    }

    /// The databases of the named users; an alias selects the user of the same file.
    ///
    /// # Errors
    ///
    /// Users that have no database.
    pub(crate) fn select_named(
        self,
        config: &FleetConfig,
        names: &[OsString],
    ) -> Result<Vec<TargetDatabase>, FleetError> {
        let mut requested: Vec<&OsString> =
            names.iter().map(|name| self.aliases.get(name).unwrap_or(name)).collect();
        requested.sort();
        requested.dedup();
        let unknown: Vec<String> = requested
            .iter()
            .filter(|name| !self.targets.iter().any(|target| target.name == ***name))
            .map(|name| escape_for_display(name))
            .collect();
        if !unknown.is_empty() {
            let examples: Vec<String> = self
                .targets
                .iter()
                .take(5)
                .map(|target| format!("`{}`", target.display_name()))
                .collect();
            let hint = match (examples.len(), self.targets.len()) {
                (0, _) => "; the directory has no user databases".to_owned(),
                (listed_count, total_count) if listed_count == total_count => {
                    format!("; existing users: {}", examples.join(", "))
                }
                (_, count) => format!("; {count} users exist: {}, …", examples.join(", ")),
            };
            // The database may be among what was skipped.
            let skipped = self.problems.iter().take(3).map(|problem| format!("; {problem}"));
            let hint = hint + &skipped.collect::<String>();
            return Err(FleetError::UnknownUsers {
                users: unknown,
                dir: config.users_dir.clone(),
                path_template: config.path_template.clone(),
                hint,
            });
        }
        let is_requested = |target: &TargetDatabase| requested.binary_search(&&target.name).is_ok();
        Ok(self.targets.into_iter().filter(is_requested).collect())
    }
}

/// Refuses databases of the same user name: a path with `*` does not decide which one is meant.
fn refuse_same_names(targets: &mut [TargetDatabase]) {
    let mut indices: Vec<usize> = (0..targets.len()).collect();
    indices.sort_by(|left, right| targets[*left].name.cmp(&targets[*right].name));
    let groups = indices.chunk_by(|left, right| targets[*left].name == targets[*right].name);
    let groups: Vec<&[usize]> = groups.filter(|group| group.len() > 1).collect();
    for group in groups {
        let path = |index: &usize| escape_for_display(relative_path(&targets[*index]));
        let paths: Vec<String> = group.iter().map(path).collect();
        for (position, index) in group.iter().enumerate() {
            let mut others = paths.clone();
            others.remove(position);
            targets[*index].skip_reason.get_or_insert_with(|| {
                format!(
                    "its user also has {}; rename or remove all but one of these files",
                    list_names(&others)
                )
            });
        }
    }
}

fn relative_path(target: &TargetDatabase) -> &OsStr {
    target.location.file().map_or(OsStr::new(""), |file| file.relative_path().as_os_str())
}

fn has_journal_or_wal(path: &Path) -> bool {
    ["-journal", "-wal"].iter().any(|suffix| side_file(path, suffix).exists())
}
