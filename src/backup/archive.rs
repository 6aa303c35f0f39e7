//! A whole backup: what it holds, whether that is what was written, and how it comes back.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::backup::error::BackupError;
use crate::backup::manifest::{Manifest, ManifestEntry};
use crate::backup::space::check_free_space;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::document::tag::Scope;
use crate::fleet::{RunOptions, parallel_map};
use crate::plan::outcome::MigrateError;
use crate::sqlite::locks;
use crate::target::TargetDatabase;
use crate::target::copy::StoredCopy;
use crate::text::escape_for_display;

/// A whole backup.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Backup {
    /// Its directory's name, a time in UTC: `20261121T114500Z`.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// Where in the manifest whose copy is.
    index_by_user: OnceLock<HashMap<(Scope, OsString), usize>>,
}

impl Backup {
    pub(crate) fn new(id: String, dir: PathBuf, manifest: Manifest) -> Self {
        Self { id, dir, manifest, index_by_user: OnceLock::new() }
    }

    /// The bytes of its copies.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.manifest.databases.iter().map(|entry| entry.size).sum()
    }

    /// The copy of a member's database.
    #[must_use]
    pub fn entry_for(&self, target: &TargetDatabase) -> Option<&ManifestEntry> {
        let entries = &self.manifest.databases;
        let index = self.index_by_user.get_or_init(|| {
            let indexed_entries = entries.iter().enumerate();
            indexed_entries
                .map(|(position, entry)| ((entry.scope, entry.user.clone()), position))
                .collect()
        });
        entries.get(*index.get(&(target.scope, target.name.clone()))?)
    }

    /// Where a copy of it is: the path of a file, or a namespace and its server.
    #[must_use]
    pub fn copy_location(&self, entry: &ManifestEntry) -> String {
        match &entry.server {
            None => escape_for_display(self.dir.join(&entry.file).as_os_str()),
            Some(server) => format!("{} @ {server}", escape_for_display(&entry.file)),
        }
    }

    /// The copy of a member, where it is kept.
    fn stored_copy(
        &self,
        (target, entry): (&TargetDatabase, &ManifestEntry),
        options: &ConnectOptions,
    ) -> StoredCopy {
        StoredCopy::new(target, (&self.dir.join(&entry.file), entry.server.as_deref()), options)
    }

    /// Checks that the copies of members are what the manifest says: files byte for byte, forks by
    /// their schema, their record and the numbers of their rows.
    ///
    /// # Errors
    ///
    /// Every copy that is not.
    pub fn check_copies(
        &self,
        targets: &[TargetDatabase],
        options: &RunOptions,
    ) -> Result<(), BackupError> {
        let work = |(target, entry): &(&TargetDatabase, &ManifestEntry)| {
            let stored_copy = self.stored_copy((target, entry), &options.connect_options);
            let problem = match stored_copy.size_and_digest(&options.connect_options) {
                Ok((size, digest)) if size == entry.size && digest == entry.sha256 => return None,
                Ok((size, _)) if size != entry.size => {
                    format!("is {size} bytes long instead of {}", entry.size)
                }
                Ok(_) => "does not have the checksum that it was written with".to_owned(),
                Err(MigrateError::Database(error)) if error.is_missing() => "is missing".to_owned(),
                Err(error) => error.to_string(),
            };
            Some(format!("`{}` {problem}", stored_copy.display()))
        };
        let is_cancelled = || options.connect_options.is_cancelled();
        let entries: Vec<(&TargetDatabase, &ManifestEntry)> =
            targets.iter().filter_map(|target| Some((target, self.entry_for(target)?))).collect();
        for (target, entry) in &entries {
            let stored_copy = self.stored_copy((target, entry), &options.connect_options);
            if let StoredCopy::UnknownServer { .. } = stored_copy {
                let (place, target_location) = (stored_copy.display(), target.location.display());
                return Err(BackupError::WrongServer {
                    id: self.id.clone(),
                    copy_location: place,
                    target_location,
                });
            }
        }
        let problem = parallel_map(&entries, options.jobs, (&work, &is_cancelled), &mut || {});
        if is_cancelled() {
            return Err(BackupError::Interrupted);
        }
        let reasons: Vec<String> = problem.into_iter().flatten().flatten().collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(BackupError::Corrupt { id: self.id.clone(), reasons })
    }

    /// Whether there is room for the copies of members in the place of their databases, with what
    /// SQLite keeps beside the largest meanwhile.
    ///
    /// # Errors
    ///
    /// Too little room.
    pub fn check_free_space(&self, targets: &[TargetDatabase]) -> Result<(), BackupError> {
        let mut space_by_directory: BTreeMap<&Path, (u64, u64)> = BTreeMap::new();
        for (target, entry) in
            targets.iter().filter_map(|target| Some((target, self.entry_for(target)?)))
        {
            let Some(dir) = target.location.file_path().and_then(Path::parent) else { continue };
            let old_size = target.location.copy_size();
            let (growth, largest) = space_by_directory.entry(dir).or_default();
            *growth += entry.size.saturating_sub(old_size);
            *largest = (*largest).max(entry.size.max(old_size));
        }
        space_by_directory
            .into_iter()
            .try_for_each(|(dir, (growth, largest))| check_free_space(dir, growth + largest))
    }

    /// Puts the copies of members in the place of their databases, each at once or not at all.
    /// `done` is called as each one is there.
    pub fn restore(
        &self,
        targets: &[TargetDatabase],
        options: &RunOptions,
        on_done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<ManifestEntry, MigrateError>>> {
        let files: Vec<&Path> =
            targets.iter().filter_map(|target| target.location.file_path()).collect();
        let processes = locks::other_processes(&files);
        let processes: HashMap<&Path, String> = files
            .iter()
            .zip(processes)
            .filter_map(|(file, process)| Some((*file, process?)))
            .collect();
        let work = |member: &TargetDatabase| {
            if let Some(process_name) =
                member.location.file_path().and_then(|file| processes.get(file))
            {
                return Err(DatabaseError::InUse { process: process_name.clone() }.into());
            }
            let no_copy_error = || {
                MigrateError::CannotOpen(format!("the backup `{}` holds no copy of it", self.id))
            };
            let entry = self.entry_for(member).ok_or_else(no_copy_error)?;
            member.restore_from(
                &self.stored_copy((member, entry), &options.connect_options),
                &options.connect_options,
            )?;
            Ok(entry.clone())
        };
        let is_cancelled = || options.connect_options.is_cancelled();
        let results = parallel_map(targets, options.jobs, (&work, &is_cancelled), on_done);
        let is_interrupted = |result: &Result<ManifestEntry, MigrateError>| {
            matches!(result, Err(MigrateError::Database(DatabaseError::Interrupted)))
        };
        results.into_iter().map(|result| result.filter(|result| !is_interrupted(result))).collect()
    }
}
