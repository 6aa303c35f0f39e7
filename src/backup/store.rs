//! Manages the directory of backups: creates, lists, finds and removes backups.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::backup::archive::Backup;
use crate::backup::copy_paths::{PlannedCopy, assign_paths, remove_copy, sync_directories};
use crate::backup::error::BackupError;
use crate::backup::manifest;
use crate::backup::manifest::{Manifest, ManifestEntry};
use crate::backup::partial::{PENDING_PREFIX, PendingBackup};
use crate::backup::space::check_free_space;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::fleet::pool::parallel_map;
use crate::fleet::run::RunOptions;
use crate::plan::outcome::MigrateError;
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::copy::StoredCopy;
use crate::target::layout::FleetConfig;
use crate::target::{Location, TargetDatabase};
use crate::text::nearest_name;

/// The directory of backups.
#[derive(Clone, Debug)]
pub struct BackupDir {
    dir: PathBuf,
}

/// The result of creating a backup.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct BackupResult {
    /// The backup; `None` if nothing was copied.
    pub backup: Option<Backup>,
    /// The copy of each database, or why it has none, in the order of the databases. `None` for all
    /// of them after an interrupt, which removes the copies that were complete.
    pub results: Vec<Option<Result<ManifestEntry, MigrateError>>>,
    /// What the user should know about the backup's directory, one message each.
    pub notices: Vec<String>,
}

/// The result of removing backups.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PruneResult {
    /// The backups that were removed, oldest first.
    pub removed: Vec<Backup>,
    /// The backups that are left, oldest first.
    pub kept: Vec<Backup>,
    /// The names of kept backups that would have been removed if they were not the only copy of
    /// some database at some version, newest first.
    pub kept_as_only_copy: Vec<String>,
}

/// The parsed name of a backup; names are ordered by age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BackupId {
    /// To the second, in UTC: `20261121T114500Z`.
    time: String,
    /// 1 for the first backup of a second, else the suffix: 2 in `20261121T114500Z-2`.
    number: u32,
}

impl BackupId {
    /// `None` if a directory's name is not that of a backup.
    fn parse(name: &str) -> Option<Self> {
        let (time, number) = match name.split_once('-') {
            Some((time, number)) => (time, number.parse().ok().filter(|number| *number > 1)?),
            None => (name, 1),
        };
        let is_timestamp = time.len() == 16
            && time.bytes().enumerate().all(|(index, byte)| match index {
                8 => byte == b'T',
                15 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            });
        is_timestamp.then(|| Self { time: time.to_owned(), number })
    }
}

impl BackupDir {
    /// A directory of backups, which need not exist yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Copies databases, which may be in use, into a new backup. If none can be copied, or after an
    /// interrupt, no backup is created. `on_done` is called after each copy. `reason` is the command, for the manifest.
    ///
    /// # Errors
    ///
    /// A directory that cannot be written, or too little free space.
    pub fn create(
        &self,
        targets: &[&TargetDatabase],
        reason: &str,
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Result<BackupResult, BackupError> {
        if targets.is_empty() {
            return Ok(BackupResult { backup: None, results: Vec::new(), notices: Vec::new() });
        }
        self.prepare(targets)?;
        let now = jiff::Timestamp::now();
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let pending = PendingBackup::new(&self.dir, &time)?;
        let planned_copies = assign_paths(targets);
        let work = |planned: &PlannedCopy<'_>| {
            copy_database(planned, &pending, &time, &options.connect_options)
        };
        let is_cancelled = || options.connect_options.is_cancelled();
        let results =
            parallel_map(&planned_copies, options.jobs, &work, &is_cancelled, &mut |_, _| {
                on_done();
            });
        if is_cancelled() {
            // Dropping `pending` removes the files, but not the forks on servers.
            let left = remove_forks(targets, &results, pending.path(), &options.connect_options);
            let results = targets.iter().map(|_| None).collect();
            let notices = left
                .iter()
                .map(|fork| format!("a copy on its server could not be removed: {fork}"))
                .collect();
            return Ok(BackupResult { backup: None, results, notices });
        }
        // An unfinished copy must not stay in the backup.
        for (planned, result) in planned_copies.iter().zip(&results) {
            if !matches!(result, Some(Ok(_))) {
                remove_copy(pending.path(), &planned.file);
            }
        }
        let databases: Vec<ManifestEntry> =
            results.iter().flatten().filter_map(|result| result.as_ref().ok()).cloned().collect();
        if databases.is_empty() {
            return Ok(BackupResult { backup: None, results, notices: Vec::new() });
        }
        let manifest = Manifest {
            format: manifest::FORMAT_VERSION,
            created_at: format!("{now:.3}"),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            reason: reason.to_owned(),
            databases,
        };
        let path = pending.path().to_owned();
        let synced = sync_directories(&path, &manifest.databases, options);
        let finished = synced.and_then(|()| pending.finish(&self.dir, &time, manifest));
        let finished = finished.map_err(|source| {
            // Without a manifest, no command finds the forks again.
            match remove_forks(targets, &results, &path, &options.connect_options) {
                left if left.is_empty() => source,
                forks => BackupError::ForksLeft { source: Box::new(source), forks },
            }
        })?;
        let notices = finished.sync_error.map(|error| {
            format!("the backup is complete, but a power cut may still remove it: {error}")
        });
        let notices = notices.into_iter().collect();
        Ok(BackupResult { backup: Some(finished.backup), results, notices })
    }

    /// Checks that databases can be copied and that their copies fit, creates the directory, and
    /// removes stale backups.
    fn prepare(&self, targets: &[&TargetDatabase]) -> Result<(), BackupError> {
        if let Some(target) = targets.iter().find(|target| !target.can_be_copied()) {
            return Err(BackupError::NoAdminUrl { location: target.location.display() });
        }
        let needed = targets.iter().map(|target| target.location.copy_size()).sum();
        check_free_space(&self.dir, needed)?;
        fs::create_dir_all(&self.dir)
            .map_err(BackupError::from_io("cannot be created", &self.dir))?;
        PendingBackup::remove_stale(&self.dir);
        Ok(())
    }

    /// Lists the backups, oldest first; `Err` for a backup whose manifest cannot be used. A missing
    /// directory contains no backups.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Backup, BackupError>>, BackupError> {
        let unreadable = |error| BackupError::from_io("cannot be read", &self.dir)(error);
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let Ok(name) = name.into_string() else { continue };
            ids.extend(BackupId::parse(&name).map(|id| (id, name)));
        }
        ids.sort();
        Ok(ids.into_iter().map(|(_, name)| self.read_backup(name)).collect())
    }

    fn read_backup(&self, id: String) -> Result<Backup, BackupError> {
        let dir = self.dir.join(&id);
        let invalid = |reason: String| BackupError::InvalidManifest { id: id.clone(), reason };
        let text = regular_file::read(&dir.join(manifest::MANIFEST_FILE), SymlinkPolicy::Refuse)
            .map_err(|error| invalid(error.to_string()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| invalid(describe_json_error(&error)))?;
        if manifest.format > manifest::FORMAT_VERSION {
            let format = manifest.format;
            return Err(invalid(format!("its format {format} belongs to a newer tatmig")));
        }
        match manifest.invalid_entry() {
            Some(reason) => Err(invalid(reason)),
            None => Ok(Backup::new(id, dir, manifest)),
        }
    }

    /// Finds a backup by name; `latest` is the newest one.
    ///
    /// # Errors
    ///
    /// `UnknownBackup`, or `InvalidManifest`.
    pub fn find(&self, id: &str) -> Result<Backup, BackupError> {
        let mut backups = self.list()?;
        let names: Vec<String> = backups
            .iter()
            .map(|backup| match backup {
                Ok(Backup { id, .. }) | Err(BackupError::InvalidManifest { id, .. }) => id.clone(),
                Err(_) => String::new(),
            })
            .collect();
        let index = match id {
            "latest" => backups.len().checked_sub(1),
            id => names.iter().position(|name| name == id),
        };
        match index {
            Some(index) => backups.swap_remove(index),
            None => {
                let hint = unknown_backup_hint(id, &names);
                Err(BackupError::UnknownBackup { id: id.to_owned(), dir: self.dir.clone(), hint })
            }
        }
    }

    /// Removes all but the newest backups. An older backup is kept if it contains a database at a
    /// version at which no newer backup contains it.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read or removed; `CopyUnreachable` for a fork on a server that
    /// `config` does not name, before anything is removed.
    pub fn prune(
        &self,
        keep_count: usize,
        config: &FleetConfig,
        options: &ConnectOptions,
    ) -> Result<PruneResult, BackupError> {
        PendingBackup::remove_stale(&self.dir);
        let pruned = self.select_removable(keep_count)?;
        let forks = find_forks(&pruned.removed, config, options)?;
        // A backup's manifest is the only list of its forks, so the forks are removed first.
        for ForkOfBackup { backup, copy } in forks {
            copy.remove().map_err(|source| BackupError::RemoveFailed {
                id: backup.id.clone(),
                copy_location: copy.display(),
                source,
            })?;
        }
        for backup in &pruned.removed {
            self.remove(backup)?;
        }
        Ok(pruned)
    }

    /// Decides which backups `prune` removes, and removes none. Backups whose manifest cannot be used
    /// are left alone: they are in no list of the result.
    fn select_removable(&self, keep_count: usize) -> Result<PruneResult, BackupError> {
        // The databases, with their versions, that the newer backups contain.
        let mut seen_copies = BTreeSet::new();
        let mut pruned = PruneResult::default();
        for (newer_count, backup) in self.list()?.into_iter().flatten().rev().enumerate() {
            let copies = backup
                .manifest
                .databases
                .iter()
                .map(|copy| (copy.scope, copy.user.clone(), copy.version.clone()));
            let count_before = seen_copies.len();
            seen_copies.extend(copies);
            let is_only_copy = seen_copies.len() > count_before;
            if newer_count >= keep_count && !is_only_copy {
                pruned.removed.push(backup);
                continue;
            }
            if newer_count >= keep_count {
                pruned.kept_as_only_copy.push(backup.id.clone());
            }
            pruned.kept.push(backup);
        }
        for list in [&mut pruned.removed, &mut pruned.kept] {
            list.reverse();
        }
        pruned.kept_as_only_copy.sort_by_key(|id| Reverse(BackupId::parse(id)));
        Ok(pruned)
    }

    /// Renames a backup before its files are removed, so that an interrupt never leaves an
    /// incomplete backup under a backup's name.
    fn remove(&self, backup: &Backup) -> Result<(), BackupError> {
        let removal_path =
            self.dir.join(format!("{PENDING_PREFIX}{}-{}", backup.id, std::process::id()));
        fs::rename(&backup.dir, &removal_path)
            .and_then(|()| fs::remove_dir_all(&removal_path))
            .map_err(BackupError::from_io("cannot be removed", &backup.dir))
    }
}

/// Copies one database to a file of the pending backup, or to a fork on its server; `time` becomes a
/// part of the fork's name. Returns the manifest entry of the copy.
fn copy_database(
    planned: &PlannedCopy<'_>,
    pending: &PendingBackup,
    time: &str,
    options: &ConnectOptions,
) -> Result<ManifestEntry, MigrateError> {
    let PlannedCopy { target, file } = planned;
    let copy_file = DatabaseFile::below(pending.path(), file, SymlinkPolicy::Refuse);
    if let (Location::File(_), Some(directory)) = (&target.location, copy_file.path.parent()) {
        fs::create_dir_all(directory).map_err(|source| DatabaseError::Io {
            context: "the directory of the copy cannot be created".to_owned(),
            source,
        })?;
    }
    let copy = target.copy_to(&copy_file, time, options)?;
    let (file, server) = match copy.fork {
        None => (file.clone().into_os_string(), None),
        Some(fork) => (fork.namespace.into(), Some(fork.server)),
    };
    Ok(ManifestEntry {
        scope: target.scope,
        user: target.name.clone(),
        file,
        server,
        path: target.location.display(),
        version: copy.info.version,
        size: copy.info.size,
        sha256: copy.info.sha256,
    })
}

/// Removes the forks of a backup that does not get its name. Returns those that are left.
fn remove_forks(
    targets: &[&TargetDatabase],
    results: &[Option<Result<ManifestEntry, MigrateError>>],
    dir: &Path,
    options: &ConnectOptions,
) -> Vec<String> {
    // The cancellation flag is set and would end every request at once, so a new flag replaces it.
    let options = ConnectOptions { setup: options.setup.uncancelled(), ..options.clone() };
    let mut left = Vec::new();
    for (target, result) in targets.iter().zip(results) {
        let Some(Ok(entry)) = result else { continue };
        let copy = StoredCopy::new(target, entry.copy_location(dir), &options);
        if let Err(error) = copy.remove() {
            left.push(format!("{}: {error}", copy.display()));
        }
    }
    left
}

/// A fork that belongs to a backup.
struct ForkOfBackup<'b> {
    backup: &'b Backup,
    copy: StoredCopy,
}

/// The forks of backups.
///
/// # Errors
///
/// `CopyUnreachable` for a fork on a server that the configuration does not name.
fn find_forks<'b>(
    backups: &'b [Backup],
    config: &FleetConfig,
    options: &ConnectOptions,
) -> Result<Vec<ForkOfBackup<'b>>, BackupError> {
    let mut forks = Vec::new();
    for backup in backups {
        for entry in backup.manifest.databases.iter().filter(|entry| entry.server.is_some()) {
            let copy = StoredCopy::on_server(config, entry.copy_location(&backup.dir), options);
            if let StoredCopy::UnknownServer { .. } = copy {
                let (id, copy_location) = (backup.id.clone(), copy.display());
                return Err(BackupError::CopyUnreachable { id, copy_location });
            }
            forks.push(ForkOfBackup { backup, copy });
        }
    }
    Ok(forks)
}

/// What is wrong with the text of a manifest, with its line.
fn describe_json_error(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Eof => format!("it ends too early, in line {}", error.line()),
        Category::Syntax => format!("it is not valid JSON, in line {}", error.line()),
        Category::Io | Category::Data => error.to_string(),
    }
}

/// What to write in place of a name that no backup has.
fn unknown_backup_hint(id: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "no backups exist; create one with `tatmig backup`".to_owned();
    }
    let known = || names.iter().map(String::as_str);
    let mut beginning = known().filter(|name| !id.is_empty() && name.starts_with(id));
    let unique = beginning.next().filter(|_| beginning.next().is_none());
    if let Some(name) = unique.or_else(|| nearest_name(id, known().rev().chain(["latest"]))) {
        return format!("did you mean `{name}`? `tatmig backup list` lists all backups");
    }
    let newest: Vec<String> = known().rev().take(5).map(|name| format!("`{name}`")).collect();
    format!("the newest backups are {}", newest.join(", "))
}
