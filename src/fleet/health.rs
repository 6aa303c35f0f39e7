//! Examines the files of a fleet before a run: journal mode, permissions, processes that have them
//! open, free disk space. Nothing is changed.

use std::path::Path;

use crate::fleet::discover::Fleet;
use crate::fleet::pool::parallel_map;
use crate::fleet::run::RunOptions;
use crate::plan::outcome::MigrateError;
use crate::sqlite::database_file::Access;
use crate::sqlite::locks;
use crate::sqlite::preflight::preflight;
use crate::target::{Location, TargetDatabase};

/// What was found about one database file.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileHealth {
    /// The size of the file, in bytes.
    pub size: u64,
    /// Whether the database is in WAL mode. Otherwise it has a rollback journal.
    pub is_wal: bool,
    /// Whether this process may write the file and create files beside it.
    pub is_writable: bool,
    /// Another process that has the file open, where the operating system can report it.
    pub open_by: Option<String>,
}

impl Fleet {
    /// Examines every database file, in the fleet's order. `None` for a namespace of a server, and
    /// for a database that was not started before an interrupt.
    #[must_use]
    pub fn health(&self, options: &RunOptions) -> Vec<Option<Result<FileHealth, MigrateError>>> {
        let targets: Vec<&TargetDatabase> =
            self.databases().filter(|target| target.location.file_path().is_some()).collect();
        let examine = |target: &&TargetDatabase| examine(target);
        let is_cancelled = || options.connect_options.is_cancelled();
        let mut results =
            parallel_map(&targets, options.jobs, &examine, &is_cancelled, &mut |_, _| {});
        let paths: Vec<&Path> =
            targets.iter().filter_map(|target| target.location.file_path()).collect();
        for (result, process) in results.iter_mut().zip(locks::other_processes(&paths)) {
            if let Some(Ok(health)) = result {
                health.open_by = process;
            }
        }
        let mut results = results.into_iter();
        let is_file = |target: &TargetDatabase| target.location.file_path().is_some();
        self.databases()
            .map(|target| if is_file(target) { results.next().flatten() } else { None })
            .collect()
    }
}

fn examine(target: &TargetDatabase) -> Result<FileHealth, MigrateError> {
    target.ensure_openable()?;
    let database = match &target.location {
        Location::File(database) => database,
        #[cfg(feature = "server")]
        Location::Namespace(..) => {
            return Err(MigrateError::CannotOpen("it is not a file".to_owned()));
        }
    };
    let info = preflight(database, Access::Read)?;
    let dir = database.path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let is_writable = can_write(&database.path) && can_create_files(dir.unwrap_or(Path::new(".")));
    Ok(FileHealth { size: info.size, is_wal: info.is_wal, is_writable, open_by: None })
}

/// Whether this process may write an existing file.
#[cfg(unix)]
fn can_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether this process may create files in an existing directory.
#[cfg(unix)]
#[must_use]
pub fn can_create_files(dir: &Path) -> bool {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(dir, access).is_ok()
}

#[cfg(not(unix))]
fn can_write(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.permissions().readonly())
}

/// Whether a directory exists; other systems are not asked for more.
#[cfg(not(unix))]
#[must_use]
pub fn can_create_files(dir: &Path) -> bool {
    dir.is_dir()
}

/// The free space on the file system of a directory, which need not exist yet, in bytes. `None`
/// where the operating system cannot report it.
#[cfg(unix)]
#[must_use]
pub fn free_space(dir: &Path) -> Option<u64> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let stats = absolute.ancestors().find_map(|dir| rustix::fs::statvfs(dir).ok())?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Other systems are not checked in advance; a full disk fails the write.
#[cfg(not(unix))]
#[must_use]
pub fn free_space(_dir: &Path) -> Option<u64> {
    None
}
