//! Who holds the lock that a run waited for, as far as the system tells.

use std::path::Path;

/// The process that holds a lock on the file, in words: `python3 (process 4711)`.
#[cfg(target_os = "linux")]
pub(crate) fn lock_holder(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let inodes: Vec<u64> = [path, &crate::sqlite::paths::side_file(path, "-shm")]
        .into_iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|metadata| metadata.ino())
        .collect();
    // While others take and give back locks, the system's list may leave one out.
    let mut attempts = (0..4).map(|attempt| {
        if attempt > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        lock_holder_pids(&inodes)
    });
    let holders = attempts.find(|holders| !holders.is_empty())?;
    holders.into_iter().map(describe_process).reduce(|all, next| format!("{all} and {next}"))
}

/// The processes that hold a lock on one of some files.
#[cfg(target_os = "linux")]
fn lock_holder_pids(inodes: &[u64]) -> Vec<u32> {
    let own = std::process::id();
    // 1: POSIX  ADVISORY  WRITE 4711 fe:01:131112 1073741825 1073741825
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

/// Another process that has one of some files open, locked or not, for each of them; of
/// processes of other users only the administrator is told.
#[cfg(target_os = "linux")]
pub(crate) fn other_processes(paths: &[&Path]) -> Vec<Option<String>> {
    use std::collections::HashMap;
    use std::os::unix::fs::MetadataExt;

    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let mut pid_by_file: HashMap<(u64, u64), Option<u32>> =
        paths.iter().filter_map(|path| identity(path)).map(|file| (file, None)).collect();
    let own = std::process::id();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids.filter(|pid| *pid != own) {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let found = identity(&descriptor.path()).and_then(|file| pid_by_file.get_mut(&file));
            if let Some(user) = found {
                user.get_or_insert(pid);
            }
        }
    }
    let user =
        |path: &&Path| identity(path).and_then(|file| pid_by_file[&file]).map(describe_process);
    paths.iter().map(user).collect()
}

/// Other systems do not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn other_processes(paths: &[&Path]) -> Vec<Option<String>> {
    paths.iter().map(|_| None).collect()
}

/// Other systems do not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn lock_holder(_path: &Path) -> Option<String> {
    None
}
