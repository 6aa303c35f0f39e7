//! Who holds the lock that a run waited for, as far as the system tells.

use std::path::Path;

/// The process that holds a lock on the file, in words: `python3 (process 4711)`.
#[cfg(target_os = "linux")]
pub(super) fn holder(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let own = std::process::id();
    let shm = {
        let mut name = path.as_os_str().to_owned();
        name.push("-shm");
        std::path::PathBuf::from(name)
    };
    let inodes: Vec<u64> = [path, &shm]
        .into_iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|metadata| metadata.ino())
        .collect();
    // 1: POSIX  ADVISORY  WRITE 4711 fe:01:131112 1073741825 1073741825
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
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
    let named =
        holders.into_iter().map(|pid| match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("`{}` (process {pid})", name.trim().escape_debug()),
            Err(_) => format!("process {pid}"),
        });
    named.reduce(|all, next| format!("{all} and {next}"))
}

/// Other systems do not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn holder(_path: &Path) -> Option<String> {
    None
}
