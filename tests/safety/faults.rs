//! A disk that fails, fills up or may not be written, and limits that are too small: what is told of
//! each database is what became of it, and a plain second run finishes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fire::{
    Known, Stand, all, calls, injected, points, skipped, strace_is_here, sweep, tell,
};
use crate::support::{Fleet, NOTES};

/// SQLite takes some failed locks for held ones, so that waiting for them is short.
const ALONE: &[&str] =
    &["upgrade", "--all-users", "--json", "--jobs", "1", "--busy-timeout", "0.05"];

/// What the run tells of each database is what became of it.
#[track_caller]
pub(crate) fn tells_the_truth(known: &Known, fleet: &Fleet, (output, what): (&Output, &str)) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!err.contains("panicked"), "{what}: {err}");
    let stands = known.stands(&fleet.twin(), what);
    let done = |stand: &Stand| *stand == Stand::After;
    match output.status.code() {
        Some(0) => assert!(stands.iter().all(done), "{what}: exit status 0, and {stands:?}"),
        // 1: some failed; 129, 130, 143: a signal ended it where it was.
        Some(1 | 129 | 130 | 143) => {}
        _ => assert!(!stands.iter().any(done), "{what}: {}, and {stands:?}\n{err}", output.status),
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else { return };
    let Some(databases) = json["databases"].as_array() else { return };
    assert_eq!(databases.len(), stands.len(), "{what}: {json}");
    for (told, stand) in databases.iter().zip(&stands) {
        let expected = if told["outcome"] == "upgraded" { Stand::After } else { Stand::Before };
        assert_eq!(*stand, expected, "{what}: {told}");
    }
    let failed =
        |told: &serde_json::Value| told["outcome"] == "failed" || told["outcome"] == "busy";
    let failed = databases.iter().any(failed);
    assert_eq!(output.status.code() == Some(1), failed, "{what}: {}, and {json}", output.status);
}

/// Fails the n-th call of each kind with an error: that call alone, and every one from there on.
fn failing_at(kinds: &[(&str, &str)], some: usize) {
    if !strace_is_here() {
        return;
    }
    let known = Known::new(6);
    let mut tries = Vec::new();
    for (kind, error) in kinds {
        let count = calls(&known.fleet.twin(), kind, ALONE);
        for point in points(count, some) {
            tries.push((format!("{kind}:error={error}:when={point}"), point));
            if all() || point % 3 == 1 {
                tries.push((format!("{kind}:error={error}:when={point}+"), point));
            }
        }
    }
    assert!(!tries.is_empty(), "no call of {kinds:?}");
    sweep(&tries, |(injection, _)| {
        let fleet = known.fleet.twin();
        let output = injected(&fleet, std::slice::from_ref(injection), ALONE);
        tells_the_truth(&known, &fleet, (&output, injection));
        known.finishes(&fleet, injection);
    });
    tell(tries.len(), &format!("failures of {kinds:?}"));
}

#[test]
fn an_io_error_at_any_write_leaves_each_before_or_after_and_is_told() {
    failing_at(&[("pwrite64", "EIO"), ("ftruncate", "EIO"), ("write", "EIO")], 8);
}

#[test]
fn a_full_disk_at_any_write_leaves_each_before_or_after_and_is_told() {
    failing_at(&[("pwrite64", "ENOSPC"), ("pwrite64", "EDQUOT")], 6);
}

#[test]
fn an_io_error_at_any_sync_leaves_each_before_or_after_and_is_told() {
    failing_at(&[("fsync", "EIO"), ("fdatasync", "EIO"), ("fsync", "ENOSPC")], 8);
}

#[test]
fn a_journal_that_cannot_be_removed_leaves_each_before_or_after_and_is_told() {
    failing_at(&[("unlink", "EIO"), ("unlink", "EACCES"), ("unlinkat", "EIO")], 8);
}

#[test]
fn an_io_error_at_any_read_leaves_each_before_or_after_and_is_told() {
    failing_at(&[("pread64", "EIO"), ("read", "EIO")], 8);
}

#[test]
fn a_file_that_cannot_be_opened_or_locked_leaves_each_before_or_after_and_is_told() {
    failing_at(
        &[("openat", "EMFILE"), ("openat", "EACCES"), ("fcntl", "ENOLCK"), ("fcntl", "EIO")],
        6,
    );
}

#[test]
fn a_lock_that_cannot_be_given_back_after_the_commit_is_no_failure() {
    if !strace_is_here() {
        return;
    }
    // Some of the calls give back the lock of a database whose journal is gone already.
    let known = Known::new(1);
    let tries: Vec<_> = (1..=calls(&known.fleet.twin(), "fcntl", ALONE)).collect();
    sweep(&tries, |point| {
        for error in ["ENOLCK", "EIO"] {
            let injection = format!("fcntl:error={error}:when={point}");
            let fleet = known.fleet.twin();
            let output = injected(&fleet, std::slice::from_ref(&injection), ALONE);
            tells_the_truth(&known, &fleet, (&output, &injection));
            known.finishes(&fleet, &injection);
        }
    });
    tell(2 * tries.len(), "failures of a lock");
}

/// Runs a script in a mount namespace of its own; what it writes into the fleet's directory stays.
fn in_a_namespace(fleet: &Fleet, script: &str) -> Option<Output> {
    let enter = |script: &str, options: &[&str]| {
        Command::new("unshare")
            .args(options)
            .args(["sh", "-ec", script, env!("CARGO_BIN_EXE_tatmig")])
            .current_dir(fleet.path(""))
            .output()
    };
    let options = [&["-m"] as &[&str], &["-rm"]].into_iter().find(|options| {
        let tried = enter("mkdir -p mnt; mount -t tmpfs none mnt", options);
        tried.is_ok_and(|output| output.status.success())
    });
    let Some(options) = options else {
        skipped("no file system may be mounted here");
        return None;
    };
    Some(enter(script, options).unwrap())
}

#[test]
fn a_file_system_that_fills_up_leaves_each_before_or_after() {
    let known = Known::new(9);
    let tight = [0, 1, 2, 5, 12, 30, 80, 200, 500, 1200];
    sweep(&tight, |room| {
        let fleet = known.fleet.twin();
        // So much room above what is there; what it left is copied out, and then there is more.
        let script = format!(
            "mount -t tmpfs none mnt\ncp *.db MIGRATIONS.md mnt\nused=$(du -k --apparent-size -s mnt | cut -f1)\n\
             blocks=$(df -k mnt | tail -1 | awk '{{print $3}}')\n\
             mount -o remount,size=$((blocks + {room}))k mnt\ncd mnt\n\
             code=0; \"$0\" upgrade --all-users --json --jobs 3 >../out.json 2>../err || code=$?\n\
             echo $code >../code; mkdir ../left; cp *_longterm.db* ../left\n\
             mount -o remount,size=100m .\n\"$0\" upgrade --all-users\ncp *_longterm.db* ..\n"
        );
        let Some(output) = in_a_namespace(&fleet, &script) else { return };
        let err = String::from_utf8_lossy(&output.stderr);
        let what = format!("{room} KiB of room");
        assert!(output.status.success(), "{what}: {err}");
        let read = |name: &str| std::fs::read(fleet.path(name)).unwrap();
        let left = Fleet::new();
        for entry in std::fs::read_dir(fleet.path("left")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), left.path(entry.file_name())).unwrap();
        }
        let code: i32 = String::from_utf8(read("code")).unwrap().trim().parse().unwrap();
        let status = std::os::unix::process::ExitStatusExt::from_raw(code << 8);
        let output = Output { status, stdout: read("out.json"), stderr: read("err") };
        assert!(
            *room > 500 || code == 1,
            "{what}: {code} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        tells_the_truth(&known, &left, (&output, &what));
        let stands = known.stands(&fleet, &what);
        assert!(stands.iter().all(|stand| *stand == Stand::After), "{what}: {stands:?}");
    });
}

#[test]
fn a_read_only_mount_changes_nothing_and_is_told() {
    let known = Known::new(4);
    let fleet = known.fleet.twin();
    let script = "mkdir -p ro; cp *.db MIGRATIONS.md ro; mount --bind ro ro\n\
        mount -o remount,bind,ro ro\ncd ro\n\
        code=0; \"$0\" upgrade --all-users >../out 2>../err || code=$?; test $code = 1\n\
        code=0; \"$0\" init --user new 2>>../err || code=$?; test $code = 1\n\
        \"$0\" status >../status\n\"$0\" history --user u001 >../history\n";
    let Some(output) = in_a_namespace(&fleet, script) else { return };
    let read = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
    let told = format!("{}\n{}", String::from_utf8_lossy(&output.stderr), read("err"));
    assert!(output.status.success(), "{told}");
    assert!(read("out").contains("4 users: 4 failed\n"), "{}", read("out"));
    assert!(read("err").contains("the file cannot be written: "), "{told}");
    assert!(read("status").contains("u001  1.0.0     behind, pending 1.1.0, 1.2.0\n"), "{told}");
    assert!(read("history").contains("baseline → 1.0.0"));
    for name in &known.names {
        let same = std::fs::read(fleet.path("ro").join(name)).unwrap()
            == std::fs::read(fleet.path(name)).unwrap();
        assert!(same, "{name} changed");
    }
    assert!(!fleet.path("ro/new_longterm.db").exists());
}

/// The program, for which permission bits count: root is above them until it gives that up.
pub(crate) fn bound(fleet: &Fleet, arguments: &[&str]) -> Option<Command> {
    let plain = fleet.command(arguments);
    if !rustix::process::geteuid().is_root() {
        return Some(plain);
    }
    let give_up = ["--bounding-set", "-dac_override,-dac_read_search"];
    let probe = fleet.path("probe");
    std::fs::write(&probe, "").unwrap();
    chmod(&probe, 0);
    let tried = Command::new("setpriv").args(give_up).arg("cat").arg(&probe).output();
    std::fs::remove_file(&probe).unwrap();
    let bound = tried
        .is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("Permission denied"));
    if !bound {
        skipped("it runs as root, who is above permission bits and may not give that up here");
        return None;
    }
    let mut command = Command::new("setpriv");
    command
        .args(give_up)
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdin(Stdio::null());
    Some(command)
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_without_permission_is_told_and_the_others_go_on() {
    for (mode, readable) in [(0o444, true), (0o000, false), (0o222, false)] {
        let known = Known::new(5);
        let fleet = known.fleet.twin();
        for name in ["u001_longterm.db", "u003_longterm.db"] {
            chmod(&fleet.path(name), mode);
        }
        let Some(mut upgrade) = bound(&fleet, ALONE) else { return };
        let output = upgrade.output().unwrap();
        let what = format!("mode {mode:o}");
        assert_eq!(output.status.code(), Some(1), "{what}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("the file cannot be written: Permission denied"), "{what}: {err}");
        let status = bound(&fleet, &["status"]).unwrap().output().unwrap();
        let out = String::from_utf8_lossy(&status.stdout);
        let line =
            if readable { "u001  1.0.0     behind" } else { "error: the file cannot be read" };
        assert!(out.contains(line), "{what}: {out}");
        for name in ["u001_longterm.db", "u003_longterm.db"] {
            chmod(&fleet.path(name), 0o644);
        }
        tells_the_truth(&known, &fleet, (&output, &what));
        let stands = known.finishes(&fleet, &what);
        let done = stands.iter().filter(|stand| **stand == Stand::After).count();
        assert_eq!(done, 3, "{what}");
    }
}

#[test]
fn a_directory_without_permission_is_told_and_nothing_changes() {
    // Without the right to write, no journal can be made; without the right to enter, no file is
    // found; without the right to list, nobody knows whom to migrate.
    for (mode, code, words) in [
        (0o555, 1, "; is the file, its directory or its file system read-only?"),
        (0o444, 1, "Permission denied"),
        (0o333, 2, "Permission denied"),
        (0o000, 2, "Permission denied"),
    ] {
        let known = Known::new(5);
        let fleet = known.fleet.twin().directory("users");
        for name in &known.names {
            std::fs::rename(fleet.path(name), fleet.path("users").join(name)).unwrap();
        }
        chmod(&fleet.path("users"), mode);
        let arguments = [ALONE, &["--users-dir", "users"]].concat();
        let Some(mut upgrade) = bound(&fleet, &arguments) else {
            return chmod(&fleet.path("users"), 0o755);
        };
        let output = upgrade.output().unwrap();
        chmod(&fleet.path("users"), 0o755);
        let what = format!("mode {mode:o}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{what}: {err}");
        assert!(err.contains(words), "{what}: {err}");
        assert!(!err.contains("in the migration"), "no statement is to blame: {err}");
        for name in &known.names {
            std::fs::rename(fleet.path("users").join(name), fleet.path(name)).unwrap();
        }
        tells_the_truth(&known, &fleet, (&output, &what));
        let stands = known.finishes(&fleet, &what);
        assert!(stands.iter().all(|stand| *stand == Stand::Before), "{what}: {stands:?}");
    }
}

/// The program under a limit of the shell's.
fn limited(fleet: &Fleet, limit: &str, arguments: &[&str]) -> Output {
    let plain = fleet.command(arguments);
    Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit {limit}; exec \"$0\" \"$@\""))
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn twenty_descriptors_are_enough_for_five_hundred_databases() {
    const USERS: usize = 500;
    let template = Fleet::of(&NOTES[1..]).user("ann", "").user("wal", "PRAGMA journal_mode = WAL");
    let template = template.at("1.0.0");
    let rows = "INSERT INTO notes (body) VALUES ('tea'), ('rain')";
    let template = template.user("ann", rows).user("wal", rows);
    let fleet = Fleet::of(&NOTES[1..]);
    for at in 0..USERS {
        let from = if at % 2 == 0 { "ann_longterm.db" } else { "wal_longterm.db" };
        std::fs::copy(template.path(from), fleet.path(format!("u{at:03}_longterm.db"))).unwrap();
    }
    let output = limited(&fleet, "-n 20", &["upgrade", "--all-users", "--jobs", "64"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    let output = limited(&fleet, "-n 20", &["status"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).lines().last(),
        Some("500 databases: 1.2.0 current")
    );
    for at in 0..USERS {
        let user = fleet.database(&format!("u{at:03}"));
        assert_eq!(user.version().as_deref(), Some("1.2.0"), "u{at:03}");
        assert_eq!(user.rows("SELECT body, pinned FROM notes"), ["tea|0", "rain|0"], "u{at:03}");
    }
}

#[test]
fn too_few_descriptors_and_too_small_a_limit_lose_nothing() {
    let known = Known::new(6);
    let limits: Vec<String> = (3..14)
        .map(|count| format!("-n {count}"))
        .chain([8, 16, 24, 32, 48, 64, 96, 128, 256].map(|mib| format!("-v {}", mib * 1024)))
        .chain([0, 8, 64, 256].map(|blocks| format!("-f {blocks}")))
        .chain([64, 256].map(|kib| format!("-s {kib}")))
        .collect();
    sweep(&limits, |limit| {
        let fleet = known.fleet.twin();
        let arguments = ["upgrade", "--all-users", "--json", "--jobs", "32"];
        let output = limited(&fleet, limit, &arguments);
        if output.status.code().is_some() {
            tells_the_truth(&known, &fleet, (&output, limit));
        }
        known.finishes(&fleet, limit);
    });
}
