//! Tests that a closed, full or abandoned standard output changes neither a migration nor the exit
//! status.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES)
        .system("")
        .users(5, "")
        .upgrade_to("1.1.0")
        .user("u003", DUPLICATE_NOTES)
}

/// Asserts that the run fails for one user, which only the exit status shows.
#[track_caller]
fn assert_results_unaffected(fleet: &Fleet, mut command: Command) {
    assert_eq!(command.status().unwrap().code(), Some(1));
    for (user, version) in [("u000", "1.2.0"), ("u003", "1.1.0"), ("u004", "1.2.0")] {
        assert_eq!(fleet.database(user).version().as_deref(), Some(version), "{user}");
    }
    assert_eq!(fleet.database("u003").rows("SELECT body FROM notes"), ["tea", "tea"]);
}

/// The program under a shell that redirects its output.
fn redirected_command(fleet: &Fleet, redirections: &str) -> Command {
    let plain = fleet.command(["upgrade", "--all-users"]);
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("exec \"$0\" \"$@\" {redirections}"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    shell
}

#[test]
fn a_closed_output_changes_no_result() {
    for redirections in [">&-", ">&- 2>&-", ">/dev/null 2>&-", ">&- 2>&- <&-"] {
        let fleet = fleet();
        let command = redirected_command(&fleet, redirections);
        assert_results_unaffected(&fleet, command);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_changes_no_result() {
    for redirections in [">/dev/full", ">/dev/full 2>/dev/full"] {
        let fleet = fleet();
        let command = redirected_command(&fleet, redirections);
        assert_results_unaffected(&fleet, command);
    }
    let fleet = fleet();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (arguments, status) in [
        (&["status"] as &[&str], 0),
        (&["status", "--json"], 0),
        (&["status", "--exit-code"], 3),
        (&["lint"], 0),
        (&["history"], 0),
        (&["upgrade", "--all-users", "--dry-run"], 0),
        (&["upgrade", "--to", "9.9.9"], 2),
    ] {
        let mut command = fleet.command(arguments);
        let output = command.stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{arguments:?}");
    }
}

#[test]
fn a_broken_pipe_changes_no_result() {
    let fleet = fleet();
    let mut child = fleet.start(["upgrade", "--all-users", "--verbose"]);
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(fleet.database("u004").version().as_deref(), Some("1.2.0"));
    assert_eq!(fleet.database("u003").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_full_disk_leaves_the_database_unchanged() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE notes (body);"),
        (
            "user:1.0.0→1.1.0",
            "CREATE TABLE copy AS SELECT body FROM notes;\nUPDATE notes SET body = 1;",
        ),
    ]);
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) \
                INSERT INTO notes SELECT zeroblob(9000) FROM n";
    let fleet = fleet.user("ann", "").user("bob", "").upgrade_to("1.0.0").user("ann", rows);
    let before = fleet.database("ann").dump();
    // The file size limit is some hundred kilobytes; the file of `ann` is already larger.
    let plain = fleet.command(["upgrade", "--all-users"]);
    let output = Command::new("sh")
        .arg("-c")
        .arg("ulimit -f 500; exec \"$0\" \"$@\"")
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("`ann` (ann_longterm.db): "), "{stderr}");
    assert!(!stderr.contains("ended the transaction"), "no block is to blame: {stderr}");
    assert!(stderr.contains("check the limit of file sizes (`ulimit -f`)"), "{stderr}");
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM copy"), ["100"]);
}

#[test]
fn few_descriptors_are_enough() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(60, "");
    let plain = fleet.command(["upgrade", "--all-users", "--jobs", "60"]);
    let status = Command::new("sh")
        .arg("-c")
        .arg("ulimit -n 24; exec \"$0\" \"$@\"")
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdout(Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(0));
    let json = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(json["summary"]["current"], 61);
}
