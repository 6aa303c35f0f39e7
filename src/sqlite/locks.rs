//! Finds the processes that hold a lock on a database file or have it open, where the operating
//! system can report it.

use std::path::Path;

use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;

/// Adds the process that holds the lock to a busy error. After a cancellation, a busy error becomes
/// `Interrupted`; other errors are returned unchanged.
pub(crate) fn add_lock_holder(
    error: DatabaseError,
    path: &Path,
    options: &ConnectOptions,
) -> DatabaseError {
    match error {
        DatabaseError::Busy { .. } if options.is_cancelled() => DatabaseError::Interrupted,
        DatabaseError::Busy { holder: None } => DatabaseError::Busy { holder: lock_holder(path) },
        error => error,
    }
}

/// The processes that hold a lock on a database file, as messages show them:
/// `` `python3` (process 4711)``. `None` if no other process does.
#[cfg(target_os = "linux")]
fn lock_holder(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let inodes: Vec<u64> = [path, &crate::sqlite::paths::side_file(path, "-shm")]
        .into_iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|metadata| metadata.ino())
        .collect();
    // While other processes take and release locks, `/proc/locks` may omit one.
    let mut attempts = (0..4).map(|attempt| {
        if attempt > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        lock_holder_pids(&inodes)
    });
    let holders = attempts.find(|holders| !holders.is_empty())?;
    holders.into_iter().map(describe_process).reduce(|all, next| format!("{all} and {next}"))
}

/// The ids of other processes that hold a lock on one of the files, which are given by inode.
#[cfg(target_os = "linux")]
fn lock_holder_pids(inodes: &[u64]) -> Vec<u32> {
    let own = std::process::id();
    // A line: `1: POSIX  ADVISORY  WRITE 4711 fe:01:131112 1073741825 1073741825`.
    // A line with `->` is a process that waits for a lock.
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut holders: Vec<u32> = locks
        .lines()
        .filter(|line| !line.contains("->"))
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(4);
            let pid: u32 = fields.next()?.parse().ok()?;
            let inode: u64 = fields.next()?.rsplit(':').next()?.parse().ok()?;
            (inodes.contains(&inode) && pid != own).then_some(pid)
        })
        .collect();
    holders.dedup();
    holders
}

#[cfg(target_os = "linux")]
fn describe_process(pid: u32) -> String {
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("`{}` (process {pid})", name.trim().escape_debug()),
        Err(_) => format!("process {pid}"),
    }
}

/// For each file, another process that has it open, locked or not. The processes of other
/// operating-system users are visible to root only.
#[cfg(target_os = "linux")]
pub(crate) fn other_processes(paths: &[&Path]) -> Vec<Option<String>> {
    use std::collections::HashMap;
    use std::os::unix::fs::MetadataExt;

    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    // A path may name another file by the time that it is looked at again.
    let files: Vec<Option<(u64, u64)>> = paths.iter().map(|path| identity(path)).collect();
    let mut pid_by_file: HashMap<(u64, u64), Option<u32>> =
        files.iter().flatten().map(|file| (*file, None)).collect();
    let own = std::process::id();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids.filter(|pid| *pid != own) {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let found = identity(&descriptor.path()).and_then(|file| pid_by_file.get_mut(&file));
            if let Some(opener) = found {
                opener.get_or_insert(pid);
            }
        }
    }
    let opener = |file: &Option<(u64, u64)>| {
        let pid = file.as_ref().and_then(|file| *pid_by_file.get(file)?);
        pid.map(describe_process)
    };
    files.iter().map(opener).collect()
}

/// Other systems have no `/proc`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn other_processes(paths: &[&Path]) -> Vec<Option<String>> {
    paths.iter().map(|_| None).collect()
}

/// Other systems have no `/proc`.
#[cfg(not(target_os = "linux"))]
fn lock_holder(_path: &Path) -> Option<String> {
    None
}
