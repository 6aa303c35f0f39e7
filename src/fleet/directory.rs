//! Lists the user databases in a directory: which files they are, which of them may be opened, and
//! one name for each.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::document::tag::Scope;
use crate::fleet::error::FleetError;
use crate::sqlite::database_file::{DatabaseFile, FileIdentity};
use crate::sqlite::paths::side_file;
use crate::target::layout::FleetConfig;
use crate::target::{Location, TargetDatabase};
use crate::text::{escape_for_display, os_string_from_bytes};

/// The databases in a users directory.
pub(crate) struct DirectoryScan {
    /// In the order of their file names.
    pub(crate) targets: Vec<TargetDatabase>,
    /// What the user should know about the directory, one message each.
    pub(crate) notices: Vec<String>,
    /// Users whose file is a second name of another user's file, with that other user.
    aliases: HashMap<OsString, OsString>,
}

/// A user database in the directory.
struct FoundFile {
    target: TargetDatabase,
    /// `None` if the file may not be opened.
    identity: Option<FileIdentity>,
}

impl DirectoryScan {
    /// Lists the databases that match the path template and belong to the configured shard.
    pub(crate) fn read(config: &FleetConfig) -> Result<Self, FleetError> {
        let dir = &config.users_dir;
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => FleetError::NoUsersDir(dir.clone()),
            _ => FleetError::UnreadableUsersDir { dir: dir.clone(), source },
        };
        let system_identity = config.system_file().located().identity;
        let mut scan = Self { targets: Vec::new(), notices: Vec::new(), aliases: HashMap::new() };
        let mut found: Vec<FoundFile> = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file = entry.file_name();
            let Some(user) = config.path_template.user_name(&file) else { continue };
            let path = config.user_file_path(&file);
            if path == config.system_db || is_side_file(&path) || is_tatmig_file(&file) {
                continue;
            }
            if user.is_empty() {
                scan.notices.push(format!(
                    "`{}` matches the user pattern without a user name; it was skipped",
                    escape_for_display(&file)
                ));
                continue;
            }
            if !config.contains(&user) {
                continue;
            }
            let file = DatabaseFile::new(path, config.symlink_policy);
            // The metadata is read relative to the directory that is being listed.
            let openable = match entry.metadata() {
                Err(error) => Err(format!("cannot read its metadata: {error}")),
                Ok(metadata) => file.identify(metadata),
            };
            let (identity, skip_reason) = match openable {
                Ok(identity) => (identity, None),
                Err(reason) => (None, Some(reason)),
            };
            if identity.is_some() && identity == system_identity {
                continue;
            }
            let (scope, location) =
                (Scope::User, Location::File(DatabaseFile { identity, ..file }));
            let target = TargetDatabase { scope, name: user, location, skip_reason };
            found.push(FoundFile { target, identity });
        }
        found.sort_by(|left, right| file_name(&left.target).cmp(file_name(&right.target)));
        scan.deduplicate(found);
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
                    escape_for_display(file_name(&duplicate))
                ));
            }
            self.notices.push(format!(
                "`{}` is a second name of the file of user `{}`; the database is listed once",
                escape_for_display(file_name(&duplicate)),
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

fn file_name(target: &TargetDatabase) -> &OsStr {
    target.location.file_path().and_then(Path::file_name).unwrap_or_default()
}

/// Whether a file is tatmig's own: the temporary file of a restore.
fn is_tatmig_file(file: &OsStr) -> bool {
    file.as_encoded_bytes().starts_with(b".tatmig-")
}

fn has_journal_or_wal(path: &Path) -> bool {
    ["-journal", "-wal"].iter().any(|suffix| side_file(path, suffix).exists())
}

/// Whether a file is the side file of another file in the same directory.
fn is_side_file(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    ["-journal", "-wal", "-shm"].iter().any(|suffix| {
        bytes
            .strip_suffix(suffix.as_bytes())
            .is_some_and(|base| Path::new(&os_string_from_bytes(base)).exists())
    })
}
