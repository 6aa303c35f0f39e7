//! Reads a complete backup: checks its copies against the manifest and restores databases.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::backup::error::BackupError;
use crate::backup::manifest::{Manifest, ManifestEntry};
use crate::backup::space::check_free_space;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::fleet::pool::parallel_map;
use crate::fleet::run::RunOptions;
use crate::fleet::selection::DatabaseName;
use crate::plan::outcome::MigrateError;
use crate::sqlite::copy::FileDigest;
use crate::sqlite::file_status::FileIdentity;
use crate::sqlite::locks;
use crate::sqlite::paths::parent_directory;
use crate::target::TargetDatabase;
use crate::target::copy::StoredCopy;
use crate::text::escape_for_display;

/// A complete backup.
///
/// Its operations open and close the copies of the backup, which drops the locks of a connection
/// that this process has to a copy. The databases of the fleet may be open: see
/// [`Fleet`](crate::fleet::Fleet).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Backup {
    /// The name of the backup's directory, a time in UTC: `20261121T114500Z`.
    pub id: String,
    /// The backup's directory.
    pub dir: PathBuf,
    /// The list of the copies.
    pub manifest: Manifest,
    /// The index of each database's copy in the manifest.
    index_by_user: OnceLock<HashMap<DatabaseName, usize>>,
}

/// A database that was restored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restored {
    /// The copy.
    pub entry: ManifestEntry,
    /// A remark that did not fail the restore, such as another journal mode.
    pub note: Option<String>,
}

/// A database that is to be restored, with its copy.
struct CopyOfTarget<'b> {
    target: &'b TargetDatabase,
    entry: &'b ManifestEntry,
}

impl Backup {
    pub(crate) fn new(id: String, dir: PathBuf, manifest: Manifest) -> Self {
        Self { id, dir, manifest, index_by_user: OnceLock::new() }
    }

    /// The total size of the copies, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.manifest.databases.iter().map(|entry| entry.size).sum()
    }

    /// The copy of a database; `None` if the backup has none.
    #[must_use]
    pub fn entry_for(&self, target: &TargetDatabase) -> Option<&ManifestEntry> {
        self.entry_named(&DatabaseName { scope: target.scope, name: target.name.clone() })
    }

    /// The copy of the database with a name; `None` if the backup has none.
    #[must_use]
    pub fn entry_named(&self, database: &DatabaseName) -> Option<&ManifestEntry> {
        let entries = &self.manifest.databases;
        let index = self.index_by_user.get_or_init(|| {
            let indexed_entries = entries.iter().enumerate();
            indexed_entries.map(|(position, entry)| (entry.database(), position)).collect()
        });
        entries.get(*index.get(database)?)
    }

    /// Where a copy is, for display: the path of a file, or a namespace and its server.
    #[must_use]
    pub fn copy_location(&self, entry: &ManifestEntry) -> String {
        match &entry.server {
            None => escape_for_display(self.dir.join(&entry.file).as_os_str()),
            Some(server) => format!("{} @ {server}", escape_for_display(&entry.file)),
        }
    }

    fn stored_copy(
        &self,
        target: &TargetDatabase,
        entry: &ManifestEntry,
        options: &ConnectOptions,
    ) -> StoredCopy {
        let location = entry.copy_location(&self.dir);
        StoredCopy::new(target, location, options)
    }

    /// The databases that have a copy in this backup, with their copies.
    fn copies_of<'b>(
        &'b self,
        targets: &'b [TargetDatabase],
    ) -> impl Iterator<Item = CopyOfTarget<'b>> {
        targets
            .iter()
            .filter_map(|target| Some(CopyOfTarget { target, entry: self.entry_for(target)? }))
    }

    /// Opens and closes the copies, which drops the locks of this process on them.
    ///
    /// Checks that the copies of databases are what the manifest says: files byte for byte, forks
    /// by their schema, their history and their row counts.
    ///
    /// # Errors
    ///
    /// `Corrupt` with every copy that differs; `WrongServer` for a fork that cannot be reached.
    pub fn check_copies(
        &self,
        targets: &[TargetDatabase],
        options: &RunOptions,
    ) -> Result<(), BackupError> {
        let copies: Vec<CopyOfTarget<'_>> = self.copies_of(targets).collect();
        for CopyOfTarget { target, entry } in &copies {
            let stored_copy = self.stored_copy(target, entry, &options.connect_options);
            if let StoredCopy::UnknownServer { .. } = stored_copy {
                return Err(BackupError::WrongServer {
                    id: self.id.clone(),
                    copy_location: stored_copy.display(),
                    target_location: target.location.display(),
                });
            }
        }
        let work = |copy: &CopyOfTarget<'_>| self.find_damage(copy, &options.connect_options);
        let is_cancelled = || options.connect_options.is_cancelled();
        let damage = parallel_map(&copies, options.jobs, &work, &is_cancelled, &mut |_, _| {});
        if is_cancelled() {
            return Err(BackupError::Interrupted);
        }
        let reasons: Vec<String> = damage.into_iter().flatten().flatten().collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(BackupError::Corrupt { id: self.id.clone(), reasons })
    }

    /// What is wrong with a copy; `None` if it is what the manifest says.
    fn find_damage(&self, copy: &CopyOfTarget<'_>, options: &ConnectOptions) -> Option<String> {
        let CopyOfTarget { target, entry } = copy;
        let stored_copy = self.stored_copy(target, entry, options);
        let problem = match stored_copy.digest(options) {
            Ok(FileDigest { size, sha256 }) if size == entry.size && sha256 == entry.sha256 => {
                return None;
            }
            Ok(FileDigest { size, .. }) if size != entry.size => {
                format!("has {size} bytes instead of {}", entry.size)
            }
            Ok(_) => "does not match its checksum".to_owned(),
            Err(MigrateError::Database(error)) if error.is_missing() => "is missing".to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!("`{}` {problem}", stored_copy.display()))
    }

    /// Checks that each file system has enough free space to restore the copies of databases, with
    /// the journal that SQLite writes for the largest one.
    ///
    /// # Errors
    ///
    /// `InsufficientSpace`.
    pub fn check_free_space(&self, targets: &[TargetDatabase]) -> Result<(), BackupError> {
        #[derive(Default)]
        struct Space<'p> {
            /// The first database on the file system.
            path: Option<&'p Path>,
            /// How much the databases grow, in bytes.
            growth: u64,
            /// The size of the largest database, before or after, in bytes.
            largest: u64,
        }
        let mut space_by_device: BTreeMap<Option<u64>, Space<'_>> = BTreeMap::new();
        for CopyOfTarget { target, entry } in self.copies_of(targets) {
            let Some(path) = target.location.file_path() else { continue };
            let old_size = target.location.copy_size();
            let space = space_by_device.entry(device_of(path)).or_default();
            space.path.get_or_insert(path);
            space.growth += entry.size.saturating_sub(old_size);
            space.largest = space.largest.max(entry.size.max(old_size));
        }
        space_by_device.into_values().try_for_each(|space| {
            let dir = space.path.map_or(Path::new("."), parent_directory);
            check_free_space(dir, space.growth + space.largest)
        })
    }

    /// Replaces databases with their copies, each in one transaction. `on_done` is called with each
    /// database and its result. Opens and closes the copies, which drops the locks of this process on
    /// them. Returns a result for each database; `None` if it was not started before an
    /// interrupt.
    pub fn restore(
        &self,
        targets: &[TargetDatabase],
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Result<Restored, MigrateError>),
    ) -> Vec<Option<Result<Restored, MigrateError>>> {
        let files: Vec<&Path> =
            targets.iter().filter_map(|target| target.location.file_path()).collect();
        let processes = locks::other_processes(&files);
        let processes: HashMap<&Path, String> = files
            .iter()
            .zip(processes)
            .filter_map(|(file, process)| Some((*file, process?)))
            .collect();
        let work = |target: &TargetDatabase| {
            let process = target.location.file_path().and_then(|file| processes.get(file));
            if let Some(process) = process {
                return Err(DatabaseError::InUse { process: process.clone() }.into());
            }
            let no_copy_error =
                || MigrateError::CannotOpen(format!("the backup `{}` has no copy of it", self.id));
            let entry = self.entry_for(target).ok_or_else(no_copy_error)?;
            let stored_copy = self.stored_copy(target, entry, &options.connect_options);
            let note = target.restore_from(&stored_copy, &options.connect_options)?;
            Ok(Restored { entry: entry.clone(), note })
        };
        let is_cancelled = || options.connect_options.is_cancelled();
        let results = parallel_map(targets, options.jobs, &work, &is_cancelled, on_done);
        let is_interrupted = |result: &Result<Restored, MigrateError>| {
            matches!(result, Err(MigrateError::Database(DatabaseError::Interrupted)))
        };
        results.into_iter().map(|result| result.filter(|result| !is_interrupted(result))).collect()
    }
}

/// The file system of a path that need not exist, by its nearest existing directory; `None` on
/// systems without such numbers.
fn device_of(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let metadata = absolute.ancestors().find_map(|path| path.metadata().ok())?;
    Some(FileIdentity::from_metadata(&metadata)?.device())
}
