//! Tests unusual file names, and directory entries that are not files: every database is found and
//! migrated, everything else is refused by name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::{Database, Fleet, NOTES};

fn fleet() -> Fleet {
    Fleet::from_blocks(&NOTES[1..])
}

#[test]
fn any_file_name_works() {
    let names: [&[u8]; 12] = [
        b"two words",
        b"o'brien",
        b"the \"boss\"",
        b"new\nline",
        b"-rf",
        b"--help",
        b"file:x?mode=memory&vfs=none",
        b"50%41",
        b"caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac",
        b"latin-\xe9",
        b"..",
        b":memory:",
    ];
    let fleet = names.iter().fold(fleet(), |fleet, name| {
        let file = [name as &[u8], b"_longterm.db"].concat();
        fleet.file(OsStr::from_bytes(&file), "")
    });
    let before = fleet.snapshot();
    fleet.run(["status"]).status(0);
    before.assert_same(&fleet.snapshot());
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stderr("")
        .stdout("12 users: 12 upgraded to 1.2.0\n");
    for name in names {
        let file = [name, b"_longterm.db"].concat();
        let database = Database::open(&fleet.path("./").join(OsStr::from_bytes(&file)));
        assert_eq!(database.version().as_deref(), Some("1.2.0"), "{}", name.escape_ascii());
    }
    // No other file was created.
    assert_eq!(std::fs::read_dir(fleet.path("")).unwrap().count(), names.len() + 1);
}

#[test]
fn names_are_shown_escaped() {
    let fleet = fleet()
        .file("new\nline_longterm.db", "")
        .file(OsStr::from_bytes(b"latin-\xe9_longterm.db"), "")
        .file("\u{1b}[31mred_longterm.db", "");
    fleet
        .run(["status"])
        .status(0)
        .stdout_contains("new\\nline ")
        .stdout_contains("latin-\\xe9 ")
        .stdout_contains("\\u{1b}[31mred ")
        .stdout_lacks("\u{1b}");
    fleet.run(["status", "--json"]).status(0).json();
}

#[test]
fn a_user_is_selected_by_its_raw_file_name() {
    for name in [&b"latin-\xe9"[..], b"new\nline", b"..", b"file:x?mode=memory"] {
        let file = [name, b"_longterm.db"].concat();
        let name = OsStr::from_bytes(name);
        let fleet = fleet().file(OsStr::from_bytes(&file), "").user("other", "");
        fleet.run([OsStr::new("upgrade"), OsStr::new("--user"), name]).status(0);
        fleet.run([OsStr::new("history"), OsStr::new("--user"), name]).stdout_contains("1.2.0");
        assert!(fleet.database("other").tables().is_empty());
    }
    // A name that begins with a dash is written with `=` after its flag.
    let fleet = fleet().user("-rf", "");
    fleet.run(["upgrade", "--user=-rf"]).status(0).stdout("-rf: created at 1.2.0\n");
}

#[test]
fn the_system_database_may_be_named_like_a_uri() {
    for name in ["file:s.db?mode=memory", "two words.db", "-s.db"] {
        let fleet = Fleet::from_blocks(&NOTES[..1]).file(name, "");
        fleet.run(["upgrade".to_owned(), format!("--system-db={name}")]).status(0);
        let path = fleet.path("./").join(name);
        assert_eq!(Database::open(&path).tables(), ["accounts"], "{name}");
        assert_eq!(std::fs::read_dir(fleet.path("")).unwrap().count(), 2);
    }
}

#[test]
fn the_system_database_is_never_a_user() {
    let fleet = Fleet::from_blocks(NOTES).system("").file("ann.db", "");
    for system in ["system.db", "./system.db"] {
        let flags = ["--user-pattern", "{username}.db", "--system-db", system];
        let run = fleet.run([&["upgrade", "--all-users"][..], &flags].concat());
        run.status(0).stdout_contains("ann: ");
        assert_eq!(fleet.database("system").tables(), ["accounts"]);
    }
    let absolute = fleet.path("system.db");
    let fleet = fleet.env("TATMIG_SYSTEM_DB", absolute);
    let run = fleet.run(["status", "--user-pattern", "{username}.db", "--json"]);
    assert_eq!(run.status(0).json()["summary"]["total"], 2);
}

#[test]
fn an_empty_user_name_is_reported() {
    let fleet = fleet().file("_longterm.db", "").user("ann", "");
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stderr_contains("`_longterm.db` fits the user pattern and names nobody")
        .stdout("ann: created at 1.2.0\n");
    assert_eq!(std::fs::read(fleet.path("_longterm.db")).unwrap(), b"");
}

#[test]
fn sqlite_side_files_are_not_users() {
    let fleet = fleet().file("ann", "").file("ann-journal", "").file("ann-wal", "");
    let json = fleet.run(["status", "--json", "--user-pattern", "a{username}"]).status(0).json();
    assert_eq!(json["summary"]["total"], 1);
}

#[test]
fn a_symlink_is_refused_unless_permitted() {
    let fleet = fleet().user("ann", "").database_file("elsewhere.db", "");
    symlink("elsewhere.db", fleet.path("bob_longterm.db")).unwrap();
    assert_bob_is_refused(
        &fleet,
        "`bob` (bob_longterm.db): it is a symbolic link; `--follow-symlinks` permits it",
    );
    assert_eq!(std::fs::read(fleet.path("elsewhere.db")).unwrap(), b"");

    fleet.run(["upgrade", "--all-users", "--follow-symlinks"]).status(0);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
    assert!(fleet.path("bob_longterm.db").is_symlink(), "the link is still one");
}

#[test]
fn a_dangling_symlink_is_refused() {
    let fleet = fleet().user("ann", "");
    symlink("nowhere.db", fleet.path("bob_longterm.db")).unwrap();
    assert_bob_is_refused(&fleet, "`bob` (bob_longterm.db): it is a symbolic link");
    let fleet = fleet.env("TATMIG_FOLLOW_SYMLINKS", "1");
    assert_bob_is_refused(&fleet, "`bob` (bob_longterm.db): it is a link that leads nowhere");
    assert!(!fleet.path("nowhere.db").exists(), "nothing is made where it points");
}

#[test]
fn a_directory_is_refused() {
    assert_bob_is_refused(
        &fleet().user("ann", "").directory("bob_longterm.db"),
        "`bob` (bob_longterm.db): it is a directory, not a database",
    );
}

#[test]
fn a_fifo_is_refused_without_blocking() {
    let fleet = fleet().user("ann", "");
    let status = Command::new("mkfifo").arg(fleet.path("bob_longterm.db")).status().unwrap();
    assert!(status.success());
    assert_bob_is_refused(&fleet, "`bob` (bob_longterm.db): it is no regular file, not a database");
    // It is refused behind a permitted link as well.
    let fleet = fleet.env("TATMIG_FOLLOW_SYMLINKS", "true");
    symlink("bob_longterm.db", fleet.path("cid_longterm.db")).unwrap();
    fleet.run(["status"]).status(1).stdout_contains("cid  -         error: it is no regular file");
}

#[test]
fn a_system_database_that_is_not_a_regular_file_is_refused() {
    let fleet = Fleet::from_blocks(NOTES).user("ann", "").directory("system.db");
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("`system` (system.db): not a regular file");
    std::fs::remove_dir(fleet.path("system.db")).unwrap();
    assert!(Command::new("mkfifo").arg(fleet.path("system.db")).status().unwrap().success());
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("`system` (system.db): not a regular file");
    fleet.run_without_changes(["history", "--system"]).status(1);
}

/// Asserts that every command refuses `bob`, and that `ann` is upgraded to head.
#[track_caller]
fn assert_bob_is_refused(fleet: &Fleet, message: &str) {
    let reason = message.split_once("): ").unwrap().1;
    fleet.run_without_changes(["status"]).status(1).stdout_contains(&format!("error: {reason}"));
    fleet.run_without_changes(["history", "--user", "bob"]).status(1).stderr_contains(reason);
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    run.status(1).stderr_contains(message);
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains(message);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
}

#[test]
fn hard_links_are_one_database() {
    let fleet = fleet().user("bob", "");
    std::fs::hard_link(fleet.path("bob_longterm.db"), fleet.path("ann_longterm.db")).unwrap();
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stderr_contains("`bob_longterm.db` is another name of the file of user `ann`")
        .stdout("ann: created at 1.2.0\n");
    assert_eq!(fleet.database("bob").history().len(), 3);
    let json = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(json["summary"]["total"], 1);
    // Both names select that database.
    fleet.run(["upgrade", "--user", "bob"]).status(0).stdout("ann: already at 1.2.0\n");
}

#[test]
fn a_hard_link_with_a_journal_is_refused() {
    let fleet = fleet().user("bob", "").file("bob_longterm.db-journal", "");
    std::fs::hard_link(fleet.path("bob_longterm.db"), fleet.path("ann_longterm.db")).unwrap();
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("`ann` (ann_longterm.db): the same file is named `bob_longterm.db` too");
}

#[test]
fn permitted_links_to_one_file_are_one_database() {
    let fleet = fleet().user("bob", "").env("TATMIG_FOLLOW_SYMLINKS", "yes");
    symlink("bob_longterm.db", fleet.path("cid_longterm.db")).unwrap();
    fleet.run(["upgrade", "--all-users"]).status(0).stdout("bob: created at 1.2.0\n");
    assert_eq!(fleet.database("bob").history().len(), 3);
}
