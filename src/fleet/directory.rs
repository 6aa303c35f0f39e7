//! The user databases that a directory holds: which files they are, which of them may be opened,
//! and one name for each.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::path::Path;

use crate::document::tag::Scope;
use crate::fleet::error::FleetError;
use crate::sqlite::paths::side_file;
use crate::target::layout::{FleetConfig, SymlinkPolicy};
use crate::target::{Location, TargetDatabase};
use crate::text::{escape_for_display, os_string_from_bytes};

/// What a users directory holds.
pub(crate) struct DirectoryScan {
    pub(crate) targets: Vec<TargetDatabase>,
    pub(crate) notices: Vec<String>,
    /// Second names of one file, and the name that counts.
    aliases: HashMap<OsString, OsString>,
}

/// What tells one file from another, whatever its names.
type FileIdentity = (u64, u64);

impl DirectoryScan {
    pub(crate) fn read(config: &FleetConfig) -> Result<Self, FleetError> {
        let dir = &config.users_dir;
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => FleetError::NoUsersDir(dir.clone()),
            _ => FleetError::UnreadableUsersDir { dir: dir.clone(), source },
        };
        let system_identity =
            std::fs::metadata(&config.system_db).ok().as_ref().and_then(file_identity);
        let mut scan = Self { targets: Vec::new(), notices: Vec::new(), aliases: HashMap::new() };
        let mut found: Vec<(TargetDatabase, Option<FileIdentity>)> = Vec::new();
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
                    "`{}` fits the user pattern and names nobody; it was left alone",
                    escape_for_display(&file)
                ));
                continue;
            }
            if !config.contains(&user) {
                continue;
            }
            let (identity, skip_reason) = match entry.metadata() {
                Err(error) => (None, Some(format!("it cannot be looked at: {error}"))),
                Ok(metadata) => classify_entry(&path, metadata, config.symlink_policy),
            };
            if identity.is_some() && identity == system_identity {
                continue;
            }
            let (scope, location) = (Scope::User, Location::File(path));
            found.push((TargetDatabase { scope, name: user, location, skip_reason }, identity));
        }
        found.sort_by(|left, right| file_name(&left.0).cmp(file_name(&right.0)));
        scan.deduplicate(found);
        Ok(scan)
    }

    /// Leaves one name for each file: the first.
    fn deduplicate(&mut self, mut found: Vec<(TargetDatabase, Option<FileIdentity>)>) {
        let mut first_by_identity: HashMap<FileIdentity, usize> =
            HashMap::with_capacity(found.len());
        let mut duplicates = Vec::new();
        for (index, (_, identity)) in found.iter().enumerate() {
            let Some(identity) = *identity else { continue };
            let first_index = *first_by_identity.entry(identity).or_insert(index);
            if first_index != index {
                duplicates.push((first_index, index));
            }
        }
        drop(first_by_identity);
        for (first_index, index) in &duplicates {
            let duplicate = found[*index].0.clone();
            let original = &mut found[*first_index].0;
            if duplicate.location.file_path().is_some_and(has_journal_or_wal) {
                original.skip_reason = Some(format!(
                    "the same file is named `{}` too, and a journal stands beside that name; end the program that uses it, then remove one of the names",
                    escape_for_display(file_name(&duplicate))
                ));
            }
            self.notices.push(format!(
                "`{}` is another name of the file of user `{}`: one database, told once",
                escape_for_display(file_name(&duplicate)),
                original.display_name()
            ));
            self.aliases.insert(duplicate.name, original.name.clone());
        }
        let mut duplicates = duplicates.into_iter().map(|(_, index)| index).peekable();
        // In place: of a large fleet there is not room for two such lists.
        let indexed_targets = found.into_iter().enumerate();
        let remaining = indexed_targets.filter(|(index, _)| duplicates.next_if_eq(index).is_none());
        self.targets = remaining.map(|(_, (target, _))| target).collect();
        self.targets.shrink_to_fit();
    }

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
                (0, _) => "; none are there".to_owned(),
                (listed_count, total_count) if listed_count == total_count => {
                    format!("; there are {}", examples.join(", "))
                }
                (_, all) => format!("; there are {all}: {}, …", examples.join(", ")),
            };
            return Err(FleetError::UnknownUsers {
                users: unknown,
                dir: config.users_dir.clone(),
                path_template: config.path_template.clone(),
                hint,
            });
        }
        let is_requested = |member: &TargetDatabase| requested.binary_search(&&member.name).is_ok();
        Ok(self.targets.into_iter().filter(is_requested).collect())
    }
}

/// What a directory entry is: its identity if it may be opened, else why not.
fn classify_entry(
    path: &Path,
    metadata: Metadata,
    symlink_policy: SymlinkPolicy,
) -> (Option<FileIdentity>, Option<String>) {
    let metadata = if metadata.is_symlink() {
        if symlink_policy == SymlinkPolicy::Refuse {
            let reason = "it is a symbolic link; `--follow-symlinks` permits it";
            return (None, Some(reason.to_owned()));
        }
        match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return (None, Some(format!("it is a link that leads nowhere: {error}"))),
        }
    } else {
        metadata
    };
    if metadata.is_file() {
        return (file_identity(&metadata), None);
    }
    let file_type = if metadata.is_dir() { "a directory" } else { "no regular file" };
    (None, Some(format!("it is {file_type}, not a database")))
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // other systems have none
fn file_identity(metadata: &Metadata) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_identity(_metadata: &Metadata) -> Option<FileIdentity> {
    None
}

fn file_name(target: &TargetDatabase) -> &OsStr {
    target.location.file_path().and_then(Path::file_name).unwrap_or_default()
}

/// Whether a file is tatmig's own: a database that a restore is about to put there.
fn is_tatmig_file(file: &OsStr) -> bool {
    file.as_encoded_bytes().starts_with(b".tatmig-")
}

fn has_journal_or_wal(path: &Path) -> bool {
    ["-journal", "-wal"].iter().any(|suffix| side_file(path, suffix).exists())
}

/// Whether a file is SQLite's side file of another one beside it.
fn is_side_file(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    ["-journal", "-wal", "-shm"].iter().any(|suffix| {
        bytes
            .strip_suffix(suffix.as_bytes())
            .is_some_and(|base| Path::new(&os_string_from_bytes(base)).exists())
    })
}
