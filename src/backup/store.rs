//! The directory that backups are kept in: one is made, looked for, or removed.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup::archive::Backup;
use crate::backup::error::BackupError;
use crate::backup::manifest;
use crate::backup::manifest::{Manifest, ManifestEntry};
use crate::backup::partial::{PENDING_PREFIX, PendingBackup};
use crate::backup::space::check_free_space;
use crate::database::connection::ConnectOptions;
use crate::fleet::{RunOptions, parallel_map};
use crate::plan::outcome::MigrateError;
use crate::target::TargetDatabase;
use crate::target::copy::StoredCopy;
use crate::target::layout::FleetConfig;
use crate::text::escape_for_display;

/// The directory that backups are kept in.
#[derive(Clone, Debug)]
pub struct BackupDir {
    dir: PathBuf,
}

/// What came of making a backup.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackupResult {
    /// It, if there is anything in it.
    pub backup: Option<Backup>,
    /// Why a database has no copy in it, for each that was asked for; those that were not begun
    /// have no verdict.
    pub results: Vec<Option<Result<ManifestEntry, MigrateError>>>,
}

/// What came of removing backups.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PruneResult {
    /// Those that are gone, oldest first.
    pub removed: Vec<Backup>,
    /// Those that are left.
    pub kept: Vec<Backup>,
    /// Those of them that are left only because nothing else holds some version of a database.
    pub kept_as_only_copy: Vec<String>,
}

/// A backup's name: the second, and which of that second.
fn parse_id(name: &str) -> Option<(&str, u32)> {
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
    is_timestamp.then_some((time, number))
}

impl BackupDir {
    /// Backups are kept in this directory, which need not be there yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Copies databases while they may be in use. Without any that can be copied no backup is
    /// made. `done` is called as each one is copied.
    ///
    /// # Errors
    ///
    /// A directory that cannot be written, or too little room in it.
    pub fn create(
        &self,
        (targets, reason): (&[&TargetDatabase], &str),
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Result<BackupResult, BackupError> {
        if targets.is_empty() {
            return Ok(BackupResult { backup: None, results: Vec::new() });
        }
        if let Some(target) = targets.iter().find(|target| !target.can_be_copied()) {
            return Err(BackupError::NoAdminUrl { location: target.location.display() });
        }
        check_free_space(
            &self.dir,
            targets.iter().map(|target| target.location.copy_size()).sum(),
        )?;
        fs::create_dir_all(&self.dir).map_err(BackupError::from_io("cannot be made", &self.dir))?;
        self.remove_stale();
        let now = jiff::Timestamp::now();
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let pending = PendingBackup::new(&self.dir, &time)?;
        let work = |(target, file): &(&TargetDatabase, OsString)| {
            let copy_path = pending.path.join(file);
            let (copy_info, fork) =
                target.copy_to((&copy_path, &time), &options.connect_options)?;
            let (file, server) = match fork {
                None => (file.clone(), None),
                Some((name, server)) => (name.into(), Some(server)),
            };
            Ok(ManifestEntry {
                scope: target.scope,
                user: target.name.clone(),
                file,
                server,
                path: target.location.display(),
                version: copy_info.version,
                size: copy_info.size,
                sha256: copy_info.sha256,
            })
        };
        let items = assign_file_names(targets);
        let is_cancelled = || options.connect_options.is_cancelled();
        let verdicts: Vec<Option<Result<ManifestEntry, MigrateError>>> =
            parallel_map(&items, options.jobs, (&work, &is_cancelled), on_done);
        let databases: Vec<ManifestEntry> =
            verdicts.iter().flatten().filter_map(|result| result.as_ref().ok()).cloned().collect();
        if is_cancelled() {
            for (target, result) in targets.iter().zip(&verdicts) {
                let Some(Ok(entry)) = result else { continue };
                // An interrupt ends every request; what is to be cleared up is not interrupted.
                let cleanup_options =
                    ConnectOptions { cancel: Arc::default(), ..options.connect_options.clone() };
                let file = pending.path.join(&entry.file);
                let _ = StoredCopy::new(target, (&file, entry.server.as_deref()), &cleanup_options)
                    .remove();
            }
            return Ok(BackupResult {
                backup: None,
                results: targets.iter().map(|_| None).collect(),
            });
        }
        // What failed in the middle is no copy.
        for ((_, file), verdict) in items.iter().zip(&verdicts) {
            if !matches!(verdict, Some(Ok(_))) {
                let _ = fs::remove_file(pending.path.join(file));
            }
        }
        if databases.is_empty() {
            return Ok(BackupResult { backup: None, results: verdicts });
        }
        let manifest = Manifest {
            format: manifest::FORMAT_VERSION,
            created_at: format!("{now:.3}"),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            reason: reason.to_owned(),
            databases,
        };
        let backup = pending.finish(&self.dir, &time, manifest)?;
        Ok(BackupResult { backup: Some(backup), results: verdicts })
    }

    /// Removes what killed processes left behind.
    fn remove_stale(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(PENDING_PREFIX.as_bytes())
                && File::open(&path).is_ok_and(|directory| directory.try_lock().is_ok())
            {
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    /// The backups, oldest first, each with its manifest or what is wrong with that.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read. One that is not there holds none.
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
            ids.extend(name.to_str().filter(|name| parse_id(name).is_some()).map(str::to_owned));
        }
        ids.sort_by(|left, right| parse_id(left).cmp(&parse_id(right)));
        Ok(ids.into_iter().map(|id| self.read_backup(id)).collect())
    }

    fn read_backup(&self, id: String) -> Result<Backup, BackupError> {
        let dir = self.dir.join(&id);
        let invalid = |reason: String| BackupError::InvalidManifest { id: id.clone(), reason };
        let text = fs::read(dir.join(manifest::MANIFEST_FILE))
            .map_err(|error| invalid(error.to_string()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        if manifest.format > manifest::FORMAT_VERSION {
            let format = manifest.format;
            return Err(invalid(format!("it has the form {format} of a newer tatmig")));
        }
        let is_plain_name = |file: &OsString| Path::new(file).file_name() == Some(file.as_os_str());
        if let Some(entry) = manifest.databases.iter().find(|entry| !is_plain_name(&entry.file)) {
            return Err(invalid(format!(
                "`{}` is no name of a file in it",
                escape_for_display(&entry.file)
            )));
        }
        Ok(Backup::new(id, dir, manifest))
    }

    /// The backup of a name; `latest` is the last one.
    ///
    /// # Errors
    ///
    /// No such backup, or one whose manifest cannot be used.
    pub fn find(&self, id: &str) -> Result<Backup, BackupError> {
        let mut all = self.list()?;
        let names: Vec<String> = all
            .iter()
            .map(|backup| match backup {
                Ok(Backup { id, .. }) | Err(BackupError::InvalidManifest { id, .. }) => id.clone(),
                Err(_) => String::new(),
            })
            .collect();
        let index = match id {
            "latest" => all.len().checked_sub(1),
            id => names.iter().position(|name| name == id),
        };
        match index {
            Some(at) => all.swap_remove(at),
            None => {
                let newest: Vec<String> =
                    names.iter().rev().take(5).map(|name| format!("`{name}`")).collect();
                let hint = match newest.as_slice() {
                    [] => "there is none at all; `tatmig backup` makes one".to_owned(),
                    last => format!("the last ones are {}", last.join(", ")),
                };
                Err(BackupError::UnknownBackup { id: id.to_owned(), dir: self.dir.clone(), hint })
            }
        }
    }

    /// Removes all but the newest backups; of the older ones those stay that hold a database at a
    /// version that no newer one holds it at.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read or removed, and forks on a server that `layout` does not
    /// name.
    pub fn prune(
        &self,
        keep_count: usize,
        (config, options): (&FleetConfig, &ConnectOptions),
    ) -> Result<PruneResult, BackupError> {
        self.remove_stale();
        let mut seen_versions = BTreeSet::new();
        let mut pruned = PruneResult::default();
        for (age_rank, backup) in self.list()?.into_iter().flatten().rev().enumerate() {
            let versions = backup
                .manifest
                .databases
                .iter()
                .map(|copy| (copy.scope, copy.user.clone(), copy.version.clone()));
            let count_before = seen_versions.len();
            seen_versions.extend(versions);
            let is_only_copy = seen_versions.len() > count_before;
            if age_rank >= keep_count && !is_only_copy {
                pruned.removed.push(backup);
                continue;
            }
            if age_rank >= keep_count {
                pruned.kept_as_only_copy.push(backup.id.clone());
            }
            pruned.kept.push(backup);
        }
        let mut forks: Vec<(&Backup, StoredCopy)> = Vec::new();
        for backup in &pruned.removed {
            for entry in backup.manifest.databases.iter().filter(|entry| entry.server.is_some()) {
                let file = backup.dir.join(&entry.file);
                let copy = StoredCopy::on_server(config, (&file, entry.server.as_deref()), options);
                if let StoredCopy::UnknownServer { .. } = copy {
                    let (id, copy_location) = (backup.id.clone(), copy.display());
                    return Err(BackupError::CopyUnreachable { id, copy_location });
                }
                forks.push((backup, copy));
            }
        }
        // As long as a fork is left, its list is.
        for (backup, copy) in forks {
            copy.remove().map_err(|source| BackupError::RemoveFailed {
                id: backup.id.clone(),
                copy_location: copy.display(),
                source,
            })?;
        }
        for backup in &pruned.removed {
            self.remove(backup)?;
        }
        for list in [&mut pruned.removed, &mut pruned.kept] {
            list.reverse();
        }
        pruned.kept_as_only_copy.sort_by_key(|id| {
            Reverse(parse_id(id).map(|(time, number)| (time.to_owned(), number)))
        });
        Ok(pruned)
    }

    /// Under its own name a backup is whole until it is none.
    fn remove(&self, backup: &Backup) -> Result<(), BackupError> {
        let removal_path =
            self.dir.join(format!("{PENDING_PREFIX}{}-{}", backup.id, std::process::id()));
        fs::rename(&backup.dir, &removal_path)
            .and_then(|()| fs::remove_dir_all(&removal_path))
            .map_err(BackupError::from_io("cannot be removed", &backup.dir))
    }
}

/// A name in the backup for each database: its file's own, unless that is taken.
fn assign_file_names<'m>(targets: &[&'m TargetDatabase]) -> Vec<(&'m TargetDatabase, OsString)> {
    let mut used_names = BTreeSet::from([OsString::from(manifest::MANIFEST_FILE)]);
    let assigned = targets.iter().map(|target| {
        let base_name = target.location.copy_file_name();
        let mut file = base_name.clone();
        let mut number = 1;
        while !used_names.insert(file.clone()) {
            number += 1;
            file.clone_from(&base_name);
            file.push(format!(".{number}"));
        }
        (*target, file)
    });
    assigned.collect()
}
