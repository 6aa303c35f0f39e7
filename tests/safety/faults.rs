//! Tests disks that fail, are full or read-only, and limits that are too small: the report of each
//! database is true, and a plain second run completes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fault_injection::{
    MigrationState, ReferenceFleet, count_syscalls, has_strace, is_exhaustive, report_count,
    report_skipped, run_in_parallel, run_with_injections, sample_points,
};
use crate::support::{Fleet, NOTES};

/// SQLite treats some failed lock calls as held locks, so the timeout is short.
const SINGLE_JOB_UPGRADE: &[&str] =
    &["upgrade", "--all-users", "--json", "--jobs", "1", "--busy-timeout", "0.05"];

/// Asserts that the report of each database is true.
#[track_caller]
pub(crate) fn assert_report_matches_state(
    reference: &ReferenceFleet,
    fleet: &Fleet,
    (output, context): (&Output, &str),
) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!err.contains("panicked"), "{context}: {err}");
    let states = reference.states(&fleet.copy(), context);
    let is_done = |state: &MigrationState| *state == MigrationState::After;
    match output.status.code() {
        Some(0) => assert!(states.iter().all(is_done), "{context}: exit status 0, and {states:?}"),
        // 1: some failed; 129, 130, 143: a signal ended the run.
        Some(1 | 129 | 130 | 143) => {}
        _ => assert!(
            !states.iter().any(is_done),
            "{context}: {}, and {states:?}\n{err}",
            output.status
        ),
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else { return };
    let Some(databases) = json["databases"].as_array() else { return };
    if json["error"].is_object() {
        assert!(databases.is_empty(), "{context}: {json}");
        return;
    }
    assert_eq!(databases.len(), states.len(), "{context}: {json}");
    for (entry, state) in databases.iter().zip(&states) {
        let expected = if entry["outcome"] == "upgraded" {
            MigrationState::After
        } else {
            MigrationState::Before
        };
        assert_eq!(*state, expected, "{context}: {entry}");
    }
    let failed =
        |entry: &serde_json::Value| entry["outcome"] == "failed" || entry["outcome"] == "busy";
    let failed = databases.iter().any(failed);
    assert_eq!(output.status.code() == Some(1), failed, "{context}: {}, and {json}", output.status);
}

/// Fails the n-th call of each kind with an error: once only that call, once also every later one.
fn check_failing_syscalls(syscalls: &[(&str, &str)], max_points: usize) {
    if !has_strace() {
        return;
    }
    let reference = ReferenceFleet::new(6);
    let mut cases = Vec::new();
    for (syscall, error) in syscalls {
        let count = count_syscalls(&reference.fleet.copy(), syscall, SINGLE_JOB_UPGRADE);
        for point in sample_points(count, max_points) {
            cases.push((format!("{syscall}:error={error}:when={point}"), point));
            if is_exhaustive() || point % 3 == 1 {
                cases.push((format!("{syscall}:error={error}:when={point}+"), point));
            }
        }
    }
    assert!(!cases.is_empty(), "no call of {syscalls:?}");
    run_in_parallel(&cases, |(injection, _)| {
        let fleet = reference.fleet.copy();
        let output =
            run_with_injections(&fleet, std::slice::from_ref(injection), SINGLE_JOB_UPGRADE);
        assert_report_matches_state(&reference, &fleet, (&output, injection));
        reference.assert_second_run_finishes(&fleet, injection);
    });
    report_count(cases.len(), &format!("failures of {syscalls:?}"));
}

#[test]
fn an_io_error_at_any_write_leaves_each_before_or_after_and_is_reported() {
    check_failing_syscalls(&[("pwrite64", "EIO"), ("ftruncate", "EIO"), ("write", "EIO")], 8);
}

#[test]
fn a_full_disk_at_any_write_leaves_each_before_or_after_and_is_reported() {
    check_failing_syscalls(&[("pwrite64", "ENOSPC"), ("pwrite64", "EDQUOT")], 6);
}

#[test]
fn an_io_error_at_any_sync_leaves_each_before_or_after_and_is_reported() {
    check_failing_syscalls(&[("fsync", "EIO"), ("fdatasync", "EIO"), ("fsync", "ENOSPC")], 8);
}

#[test]
fn a_journal_that_cannot_be_removed_leaves_each_before_or_after_and_is_reported() {
    check_failing_syscalls(&[("unlink", "EIO"), ("unlink", "EACCES"), ("unlinkat", "EIO")], 8);
}

#[test]
fn an_io_error_at_any_read_leaves_each_before_or_after_and_is_reported() {
    check_failing_syscalls(&[("pread64", "EIO"), ("read", "EIO")], 8);
}

#[test]
fn a_file_that_cannot_be_opened_or_locked_leaves_each_before_or_after_and_is_reported() {
    check_failing_syscalls(
        &[("openat", "EMFILE"), ("openat", "EACCES"), ("fcntl", "ENOLCK"), ("fcntl", "EIO")],
        6,
    );
}

#[test]
fn a_failed_unlock_after_commit_is_not_a_failure() {
    if !has_strace() {
        return;
    }
    // Some of the calls release the lock of a database whose journal is already deleted.
    let reference = ReferenceFleet::new(1);
    let cases: Vec<_> =
        (1..=count_syscalls(&reference.fleet.copy(), "fcntl", SINGLE_JOB_UPGRADE)).collect();
    run_in_parallel(&cases, |point| {
        for error in ["ENOLCK", "EIO"] {
            let injection = format!("fcntl:error={error}:when={point}");
            let fleet = reference.fleet.copy();
            let output =
                run_with_injections(&fleet, std::slice::from_ref(&injection), SINGLE_JOB_UPGRADE);
            assert_report_matches_state(&reference, &fleet, (&output, &injection));
            reference.assert_second_run_finishes(&fleet, &injection);
        }
    });
    report_count(2 * cases.len(), "failures of a lock");
}

/// Runs a script in its own mount namespace; files that it writes into the fleet's directory
/// remain.
fn run_in_mount_namespace(fleet: &Fleet, script: &str) -> Option<Output> {
    let run_unshared = |script: &str, options: &[&str]| {
        Command::new("unshare")
            .args(options)
            .args(["sh", "-ec", script, env!("CARGO_BIN_EXE_tatmig")])
            .current_dir(fleet.path(""))
            .output()
    };
    let options = [&["-m"] as &[&str], &["-rm"]].into_iter().find(|options| {
        let probe = run_unshared("mkdir -p mnt; mount -t tmpfs none mnt", options);
        probe.is_ok_and(|output| output.status.success())
    });
    let Some(options) = options else {
        report_skipped("no file system may be mounted here");
        return None;
    };
    Some(run_unshared(script, options).unwrap())
}

#[test]
fn a_full_file_system_leaves_each_before_or_after() {
    let reference = ReferenceFleet::new(9);
    let free_kib = [0, 1, 2, 5, 12, 30, 80, 200, 500, 1200];
    run_in_parallel(&free_kib, |kib| {
        let fleet = reference.fleet.copy();
        // The disk has this much free space; afterwards the files are copied to a larger one.
        let script = format!(
            "mount -t tmpfs none mnt\ncp *.db MIGRATIONS.md mnt\nused=$(du -k --apparent-size -s mnt | cut -f1)\n\
             blocks=$(df -k mnt | tail -1 | awk '{{print $3}}')\n\
             mount -o remount,size=$((blocks + {kib}))k mnt\ncd mnt\n\
             code=0; \"$0\" upgrade --all-users --json --jobs 3 >../out.json 2>../err || code=$?\n\
             echo $code >../code; mkdir ../left; cp *_longterm.db* ../left\n\
             mount -o remount,size=100m .\n\"$0\" upgrade --all-users\ncp *_longterm.db* ..\n"
        );
        let Some(output) = run_in_mount_namespace(&fleet, &script) else { return };
        let err = String::from_utf8_lossy(&output.stderr);
        let context = format!("{kib} KiB of room");
        assert!(output.status.success(), "{context}: {err}");
        let read = |name: &str| std::fs::read(fleet.path(name)).unwrap();
        let leftover_fleet = Fleet::new();
        for entry in std::fs::read_dir(fleet.path("left")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), leftover_fleet.path(entry.file_name())).unwrap();
        }
        let code: i32 = String::from_utf8(read("code")).unwrap().trim().parse().unwrap();
        let status = std::os::unix::process::ExitStatusExt::from_raw(code << 8);
        let output = Output { status, stdout: read("out.json"), stderr: read("err") };
        assert!(
            *kib > 500 || code == 1,
            "{context}: {code} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_report_matches_state(&reference, &leftover_fleet, (&output, &context));
        let states_after = reference.states(&fleet, &context);
        assert!(
            states_after.iter().all(|state| *state == MigrationState::After),
            "{context}: {states_after:?}"
        );
    });
}

#[test]
fn a_read_only_mount_changes_nothing_and_is_reported() {
    let reference = ReferenceFleet::new(4);
    let fleet = reference.fleet.copy();
    let script = "mkdir -p ro; cp *.db MIGRATIONS.md ro; mount --bind ro ro\n\
        mount -o remount,bind,ro ro\ncd ro\n\
        code=0; \"$0\" upgrade --all-users >../out 2>../err || code=$?; test $code = 1\n\
        code=0; \"$0\" init --user new 2>>../err || code=$?; test $code = 1\n\
        \"$0\" status >../status\n\"$0\" history --user u001 >../history\n";
    let Some(output) = run_in_mount_namespace(&fleet, script) else { return };
    let read = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
    let errors = format!("{}\n{}", String::from_utf8_lossy(&output.stderr), read("err"));
    assert!(output.status.success(), "{errors}");
    assert!(read("out").contains("4 users: 4 failed\n"), "{}", read("out"));
    assert!(read("err").contains("the file cannot be written: "), "{errors}");
    assert!(read("status").contains("u001  1.0.0     behind, pending 1.1.0, 1.2.0\n"), "{errors}");
    assert!(read("history").contains("baseline → 1.0.0"));
    for name in &reference.file_names {
        let is_unchanged = std::fs::read(fleet.path("ro").join(name)).unwrap()
            == std::fs::read(fleet.path(name)).unwrap();
        assert!(is_unchanged, "{name} changed");
    }
    assert!(!fleet.path("ro/new_longterm.db").exists());
}

/// The program without root's capability to ignore permission bits.
pub(crate) fn command_bound_by_permissions(fleet: &Fleet, arguments: &[&str]) -> Option<Command> {
    let plain = fleet.command(arguments);
    if !rustix::process::geteuid().is_root() {
        return Some(plain);
    }
    let drop_capabilities = ["--bounding-set", "-dac_override,-dac_read_search"];
    let probe = fleet.path("probe");
    std::fs::write(&probe, "").unwrap();
    chmod(&probe, 0);
    let probe_output =
        Command::new("setpriv").args(drop_capabilities).arg("cat").arg(&probe).output();
    std::fs::remove_file(&probe).unwrap();
    let is_denied = probe_output
        .is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("Permission denied"));
    if !is_denied {
        report_skipped(
            "it runs as root, who is above permission bits and may not give that up here",
        );
        return None;
    }
    let mut command = Command::new("setpriv");
    command
        .args(drop_capabilities)
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
fn a_file_without_permission_is_reported_and_the_others_continue() {
    for (mode, is_readable) in [(0o444, true), (0o000, false), (0o222, false)] {
        let reference = ReferenceFleet::new(5);
        let fleet = reference.fleet.copy();
        for name in ["u001_longterm.db", "u003_longterm.db"] {
            chmod(&fleet.path(name), mode);
        }
        let Some(mut upgrade) = command_bound_by_permissions(&fleet, SINGLE_JOB_UPGRADE) else {
            return;
        };
        let output = upgrade.output().unwrap();
        let context = format!("mode {mode:o}");
        assert_eq!(output.status.code(), Some(1), "{context}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("the file cannot be written: Permission denied"), "{context}: {err}");
        let status = command_bound_by_permissions(&fleet, &["status"]).unwrap().output().unwrap();
        let out = String::from_utf8_lossy(&status.stdout);
        let line =
            if is_readable { "u001  1.0.0     behind" } else { "error: the file cannot be read" };
        assert!(out.contains(line), "{context}: {out}");
        for name in ["u001_longterm.db", "u003_longterm.db"] {
            chmod(&fleet.path(name), 0o644);
        }
        assert_report_matches_state(&reference, &fleet, (&output, &context));
        let states_after = reference.assert_second_run_finishes(&fleet, &context);
        let done = states_after.iter().filter(|state| **state == MigrationState::After).count();
        assert_eq!(done, 3, "{context}");
    }
}

#[test]
fn a_directory_without_permission_is_reported_and_nothing_changes() {
    // Without write permission no journal can be created; without search permission no file is
    // found; without read permission the users are unknown.
    for (mode, code, message) in [
        (0o555, 1, "; check whether the file, its directory or its file system is read-only"),
        (0o444, 1, "Permission denied"),
        (0o333, 2, "Permission denied"),
        (0o000, 2, "Permission denied"),
    ] {
        let reference = ReferenceFleet::new(5);
        let fleet = reference.fleet.copy().directory("users");
        for name in &reference.file_names {
            std::fs::rename(fleet.path(name), fleet.path("users").join(name)).unwrap();
        }
        chmod(&fleet.path("users"), mode);
        let arguments = [SINGLE_JOB_UPGRADE, &["--users-dir", "users"]].concat();
        let Some(mut upgrade) = command_bound_by_permissions(&fleet, &arguments) else {
            return chmod(&fleet.path("users"), 0o755);
        };
        let output = upgrade.output().unwrap();
        chmod(&fleet.path("users"), 0o755);
        let context = format!("mode {mode:o}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{context}: {err}");
        assert!(err.contains(message), "{context}: {err}");
        assert!(!err.contains("in the migration"), "no statement is to blame: {err}");
        for name in &reference.file_names {
            std::fs::rename(fleet.path("users").join(name), fleet.path(name)).unwrap();
        }
        assert_report_matches_state(&reference, &fleet, (&output, &context));
        let states = reference.assert_second_run_finishes(&fleet, &context);
        assert!(
            states.iter().all(|state| *state == MigrationState::Before),
            "{context}: {states:?}"
        );
    }
}

/// The program under a limit set by the shell.
fn run_with_ulimit(fleet: &Fleet, limit: &str, arguments: &[&str]) -> Output {
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
    let template =
        Fleet::from_blocks(&NOTES[1..]).user("ann", "").user("wal", "PRAGMA journal_mode = WAL");
    let template = template.upgrade_to("1.0.0");
    let rows = "INSERT INTO notes (body) VALUES ('tea'), ('rain')";
    let template = template.user("ann", rows).user("wal", rows);
    let fleet = Fleet::from_blocks(&NOTES[1..]);
    for index in 0..USERS {
        let from = if index % 2 == 0 { "ann_longterm.db" } else { "wal_longterm.db" };
        std::fs::copy(template.path(from), fleet.path(format!("u{index:03}_longterm.db"))).unwrap();
    }
    let output = run_with_ulimit(&fleet, "-n 20", &["upgrade", "--all-users", "--jobs", "64"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    let output = run_with_ulimit(&fleet, "-n 20", &["status"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).lines().last(),
        Some("500 databases: 1.2.0 current")
    );
    for index in 0..USERS {
        let user = fleet.database(&format!("u{index:03}"));
        assert_eq!(user.version().as_deref(), Some("1.2.0"), "u{index:03}");
        assert_eq!(user.rows("SELECT body, pinned FROM notes"), ["tea|0", "rain|0"], "u{index:03}");
    }
}

#[test]
fn a_small_address_space_is_enough_for_many_databases() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(80, "");
    let arguments = ["upgrade", "--all-users", "--jobs", "64"];
    let output = run_with_ulimit(&fleet, "-v 262144", &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(json["summary"]["current"], 81);
}

#[test]
fn too_few_descriptors_and_too_small_a_limit_lose_nothing() {
    let reference = ReferenceFleet::new(6);
    let limits: Vec<String> = (3..14)
        .map(|count| format!("-n {count}"))
        .chain([8, 16, 24, 32, 48, 64, 96, 128, 256].map(|mib| format!("-v {}", mib * 1024)))
        .chain([0, 8, 64, 256].map(|blocks| format!("-f {blocks}")))
        .chain([64, 256].map(|kib| format!("-s {kib}")))
        .collect();
    run_in_parallel(&limits, |limit| {
        let fleet = reference.fleet.copy();
        let arguments = ["upgrade", "--all-users", "--json", "--jobs", "32"];
        let output = run_with_ulimit(&fleet, limit, &arguments);
        // Neither SIGXFSZ nor a failed allocation ends the program. With fewer addresses than the
        // program itself and 8 MiB, it cannot even start.
        let starts_within = |kib: u32| {
            let limit = format!("-v {}", kib.saturating_sub(8 << 10));
            run_with_ulimit(&fleet, &limit, &["--version"]).status.success()
        };
        let addresses = limit.strip_prefix("-v ").map(|kib| kib.parse::<u32>().unwrap());
        let is_started = || limit.starts_with("-f") || addresses.is_some_and(starts_within);
        assert!(output.status.code().is_some() || !is_started(), "{limit}: {output:?}");
        if output.status.code().is_some() {
            assert_report_matches_state(&reference, &fleet, (&output, limit));
        }
        reference.assert_second_run_finishes(&fleet, limit);
    });
}
