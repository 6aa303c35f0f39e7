//! Tests what a restore believes: only regular files, named once by the manifest, without a journal
//! or WAL beside them. Whatever else lies in a backup's directory is refused by name, and nothing is
//! restored.

use std::fs;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::fault_injection::{has_strace, run_under_strace};
use crate::support::{Fleet, NOTES};

fn fleet() -> Fleet {
    let rows = "INSERT INTO notes (body) VALUES ('old')";
    Fleet::from_blocks(&NOTES[1..])
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.1.0")
        .user("ann", rows)
        .user("bob", rows)
}

/// A fleet with a backup, and the directory of that backup. The rows have changed since.
fn fleet_with_backup() -> (Fleet, PathBuf) {
    let fleet = fleet();
    let json = fleet.run(["backup", "--all-users", "--json"]).status(0).json();
    let dir = fleet.path("backups").join(json["backup"]["id"].as_str().unwrap());
    let fleet = fleet.user("ann", "UPDATE notes SET body = 'new'");
    (fleet, dir)
}

fn make_fifo(path: PathBuf) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Asserts that a restore of everything is refused with this message and changes no database.
#[track_caller]
fn assert_restore_refused(fleet: &Fleet, message: &str) {
    for arguments in [&["restore", "latest"] as &[&str], &["restore", "latest", "--no-backup"]] {
        fleet.run_without_changes(arguments).status(2).stderr_contains(message);
    }
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["new"]);
    assert_eq!(fleet.database("bob").rows("SELECT body FROM notes"), ["old"]);
}

#[test]
fn a_copy_with_a_wal_or_journal_beside_it_is_refused() {
    for suffix in ["-wal", "-journal"] {
        let (fleet, dir) = fleet_with_backup();
        fs::write(dir.join(format!("bob_longterm.db{suffix}")), "a change").unwrap();
        assert_restore_refused(
            &fleet,
            &format!(
                "`bob_longterm.db` has `bob_longterm.db{suffix}` beside it, which no checksum covers"
            ),
        );
        fleet.run(["restore", "latest", "--user", "ann"]).status(0);
        assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["old"]);
    }
}

#[test]
fn a_manifest_that_lists_a_database_twice_is_refused() {
    let (fleet, dir) = fleet_with_backup();
    let path = dir.join("manifest.json");
    let original: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut user_twice = original.clone();
    user_twice["databases"][1]["user"] = "ann".into();
    let mut copy_twice = original.clone();
    copy_twice["databases"][1]["file"] = "ann_longterm.db".into();
    let mut outside = original;
    outside["databases"][1]["file"] = "../../bob_longterm.db".into();
    for (manifest, message) in [
        (user_twice, "it lists user `ann` twice"),
        (copy_twice, "it lists the copy `ann_longterm.db` twice"),
        (outside, "`../../bob_longterm.db` is not the path of a file in the backup"),
    ] {
        fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
        assert_restore_refused(&fleet, message);
        fleet.run_without_changes(["backup", "list"]).status(1).stderr_contains(message);
    }
}

#[test]
fn a_copy_or_manifest_that_is_not_a_regular_file_is_refused_and_never_waited_for() {
    for name in ["manifest.json", "bob_longterm.db"] {
        let (fleet, dir) = fleet_with_backup();
        let path = dir.join(name);
        let elsewhere = fleet.path("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        make_fifo(path.clone());
        assert_restore_refused(&fleet, "this is not a regular file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_restore_refused(&fleet, "this is a directory");
        fs::remove_dir(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert_restore_refused(&fleet, "this is a symbolic link");
    }
}

#[test]
fn an_unfinished_restore_or_backup_is_stale_only_without_a_lock() {
    let (fleet, _) = fleet_with_backup();
    fs::remove_file(fleet.path("ann_longterm.db")).unwrap();
    let fleet = fleet.directory("backups/.partial-20260101T000000Z-1-1");
    // The first has the number of this process, which runs, and no lock: it ran in a container.
    let own = std::process::id();
    let stale = fleet.path(format!(".tatmig-restore-{own}-1"));
    let locked = fleet.path(".tatmig-restore-1-1");
    for dir in [&stale, &locked] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("copy.db"), "half").unwrap();
    }
    make_fifo(fleet.path(".tatmig-restore-2-1"));
    make_fifo(fleet.path("backups/.partial-fifo"));
    let lock = File::open(&locked).unwrap();
    lock.try_lock().unwrap();
    fleet.run(["restore", "latest", "--user", "ann"]).status(0);
    fleet.run(["backup", "--all-users"]).status(0);
    assert!(!stale.exists());
    assert!(!fleet.path("backups/.partial-20260101T000000Z-1-1").exists());
    assert_eq!(fs::read(locked.join("copy.db")).unwrap(), b"half");
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["old"]);
    fleet.run(["verify"]).stdout_contains("2 users");
}

#[test]
fn a_finished_backup_whose_directory_cannot_be_synced_is_reported_as_finished() {
    if !has_strace() {
        return;
    }
    let fleet = fleet().directory("backups");
    let backups = fleet.path("backups").canonicalize().unwrap();
    let options = [
        "-P".to_owned(),
        backups.display().to_string(),
        "-e".to_owned(),
        "inject=fsync:error=EIO".to_owned(),
    ];
    let output = run_under_strace(
        &fleet,
        &options,
        (std::path::Path::new("/dev/null"), &["backup", "--all-users"]),
    );
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("2 databases copied to "), "{out}{err}");
    assert!(err.contains("the backup is complete, but a power cut may still remove it"), "{err}");
    let fleet = fleet.user("ann", "UPDATE notes SET body = 'new'");
    fleet.run(["restore", "latest"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["old"]);
}

#[test]
fn a_database_without_a_backup_names_the_flag_that_changes_it_all_the_same() {
    let fleet = fleet();
    let path = fleet.path("ann_longterm.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..4000].fill(0x55);
    fs::write(&path, &bytes).unwrap();
    for arguments in [
        &["reset", "--user", "ann", "--yes"] as &[&str],
        &["downgrade", "--user", "ann", "--to", "1.0.0"],
    ] {
        let fleet = Fleet::from_blocks(&[
            NOTES[1],
            NOTES[2],
            ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;"),
        ])
        .file("ann_longterm.db", &bytes);
        fleet
            .run_without_changing(&fleet.path("ann_longterm.db"), arguments)
            .status(1)
            .stderr_contains("; pass `--no-backup` to change it without a copy");
    }
    fleet.run(["reset", "--user", "ann", "--yes", "--no-backup"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
}
