//! Tests `backup`: what is copied, under which name, and what `list` and `prune` do with the
//! copies.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES, sha256};

pub(crate) fn fleet() -> Fleet {
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "").upgrade_to("1.1.0");
    fleet.user("ann", "INSERT INTO notes (body) VALUES ('kept')")
}

/// Creates a backup and returns its name.
#[track_caller]
pub(crate) fn create_backup(fleet: &Fleet, arguments: &[&str]) -> String {
    let arguments = [&["backup", "--json"], arguments].concat();
    let json = fleet.run(arguments).status(0).json();
    json["backup"]["id"].as_str().unwrap().to_owned()
}

/// The directories in the backups directory.
fn backup_names(fleet: &Fleet) -> Vec<String> {
    let entries = fs::read_dir(fleet.path("backups")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn manifest(fleet: &Fleet, id: &str) -> Value {
    let path = fleet.path("backups").join(id).join("manifest.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn it_copies_the_named_databases_and_prints_how_to_restore_them() {
    let fleet = fleet();
    let run = fleet.run(["backup", "--all-users"]);
    run.status(0).stderr("").stdout(
        "3 databases copied to backups/[..]Z ([..] kB)\n`tatmig restore [..]Z` restores them\n",
    );
    fleet
        .run(["backup"])
        .status(0)
        .stdout_contains("1 database copied to backups/")
        .stdout_contains(
            "2 user databases were not selected; add `--all-users` or `--user NAME`\n",
        );
    let json = fleet.run(["backup", "--user", "ann", "--json"]).status(0).json();
    assert_eq!(json["summary"]["copied"], 1);
    assert_eq!(json["databases"][0]["version"], "1.1.0");
    assert_eq!(json["databases"][0]["file"], "ann_longterm.db");
}

#[test]
fn a_copy_is_one_file_with_the_checksum_in_the_manifest() {
    let fleet =
        fleet().user("bob", "PRAGMA journal_mode = WAL; INSERT INTO notes (body) VALUES (1)");
    let id = create_backup(&fleet, &["--all-users"]);
    let dir = fleet.path("backups").join(&id);
    let mut files: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["ann_longterm.db", "bob_longterm.db", "manifest.json", "system.db"]);
    let manifest = manifest(&fleet, &id);
    assert_eq!(manifest["reason"], "backup");
    for copy in manifest["databases"].as_array().unwrap() {
        let bytes = fs::read(dir.join(copy["file"].as_str().unwrap())).unwrap();
        assert_eq!(copy["size"], bytes.len());
        assert_eq!(copy["sha256"], sha256(&bytes));
        assert_eq!(copy["version"], "1.1.0");
    }
    assert_eq!(manifest["databases"][0]["user"], "system");
}

#[test]
fn it_changes_no_byte_of_what_it_copies() {
    let fleet =
        fleet().user("ann", "PRAGMA journal_mode = WAL; INSERT INTO notes (body) VALUES (1)");
    let bytes = || {
        ["system", "ann_longterm", "bob_longterm"]
            .map(|name| fs::read(fleet.path(format!("{name}.db"))).unwrap())
    };
    let before = bytes();
    create_backup(&fleet, &["--all-users"]);
    assert!(before == bytes());
    assert!(!fleet.path("ann_longterm.db-wal").exists());
    assert!(!fleet.path("ann_longterm.db-shm").exists());
}

#[cfg(unix)]
#[test]
fn a_copy_has_the_permissions_of_its_database() {
    use std::os::unix::fs::PermissionsExt;

    let fleet = fleet();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let ann = fleet.path("ann_longterm.db");
    fs::set_permissions(&ann, fs::Permissions::from_mode(0o600)).unwrap();
    let id = create_backup(&fleet, &["--all-users"]);
    assert_eq!(mode(fleet.path("backups").join(&id).join("ann_longterm.db")), 0o600);
    fs::remove_file(&ann).unwrap();
    fleet.run(["restore", &id, "--user", "ann"]).status(0);
    assert_eq!(mode(ann), 0o600);
}

#[test]
fn backups_in_one_second_have_distinct_names() {
    let fleet = fleet();
    let ids: Vec<String> = (0..4).map(|_| create_backup(&fleet, &[])).collect();
    assert_eq!(backup_names(&fleet).len(), 4);
    let listed = fleet.run(["backup", "list", "--json"]).status(0).json();
    let listed: Vec<&str> = listed["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|listed_backup| listed_backup["id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ids, "in the order in which they were made");
}

#[test]
fn an_unreadable_database_is_reported_and_the_others_are_copied() {
    let fleet = fleet().file("eve_longterm.db", "no database");
    fleet
        .run(["backup", "--all-users"])
        .status(1)
        .stdout_contains("3 databases copied to")
        .stdout_contains("1 database failed and was not copied\n")
        .stderr_contains("`eve` (eve_longterm.db): not a SQLite database");
    let only = Fleet::from_blocks(&NOTES[1..]).file("eve_longterm.db", "no database");
    only.run(["backup", "--all-users"]).status(1).stdout_contains("no backup was created\n");
    assert!(backup_names(&only).is_empty());
}

#[test]
fn databases_with_one_error_are_listed_once() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.1.0");
    let fleet = fleet.file("bad_longterm.db", "no database").file("worse_longterm.db", "neither");
    let run = fleet.run(["backup", "--all-users"]);
    run.status(1).stderr_contains("error: 2 databases (`bad`, `worse`): not a SQLite database");
    let lines = run.stderr_text().lines().filter(|line| line.starts_with("error")).count();
    assert_eq!(lines, 1, "{}", run.describe());
}

#[test]
fn a_damaged_database_is_not_backed_up() {
    let fleet = fleet().user(
        "ann",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
         INSERT INTO notes (body) SELECT hex(zeroblob(100)) FROM n",
    );
    let path = fleet.path("ann_longterm.db");
    let mut bytes = fs::read(&path).unwrap();
    let offset = bytes.len() - 4096 * 20;
    bytes[offset..offset + 4096].fill(0xaa);
    fs::write(&path, bytes).unwrap();
    fleet
        .run(["backup", "--system", "--user", "ann"])
        .status(1)
        .stderr_contains("`ann` (ann_longterm.db): the integrity check of the copy failed");
    let copies = manifest(&fleet, &backup_names(&fleet)[0]);
    assert_eq!(copies["databases"].as_array().unwrap().len(), 1, "the system database alone");
}

#[test]
fn it_works_with_an_invalid_document() {
    let fleet = fleet().document("-- [user:baseline→1.0.0:start]\n");
    fleet
        .run(["backup", "--all-users"])
        .status(0)
        .stdout_contains("3 databases copied to")
        .stderr("the document cannot be used; copying every database that exists\n");
}

#[test]
fn users_are_copied_without_a_system_database() {
    let fleet = fleet();
    fs::remove_file(fleet.path("system.db")).unwrap();
    fleet
        .run(["backup", "--all-users"])
        .status(1)
        .stdout_contains("2 databases copied to")
        .stderr_contains("the system database `system.db` does not exist, so it was not copied");
    fleet
        .run(["backup"])
        .status(2)
        .stderr_contains("the system database `system.db` does not exist");
}

#[test]
fn insufficient_disk_space_is_reported_before_anything_is_written() {
    let fleet = fleet();
    // A sparse file with a hole of this many bytes; SQLite reads the pages that the header counts.
    let file = fs::OpenOptions::new().write(true).open(fleet.path("ann_longterm.db")).unwrap();
    file.set_len(1 << 42).unwrap();
    fleet.run(["backup", "--all-users"]).status(2).stderr_contains("needs 4.4 TB, ");
    assert!(!fleet.path("backups").exists());
    fleet.run(["upgrade", "--all-users", "--backup"]).status(2);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
    file.set_len(4096 * 3).unwrap();
}

#[test]
fn the_backup_directory_is_configurable() {
    let fleet = fleet().config("backups_dir = \"kept/here\"\n");
    fleet.run(["backup"]).status(0).stdout_contains("copied to kept/here/");
    let fleet = fleet.env("TATMIG_BACKUPS_DIR", "there");
    fleet.run(["backup"]).status(0).stdout_contains("copied to there/");
    fleet.run(["backup", "--backups-dir", "flag"]).status(0).stdout_contains("copied to flag/");
}

#[test]
fn files_with_the_same_name_do_not_overwrite_each_other() {
    let fleet = Fleet::from_blocks(NOTES)
        .config("users_dir = \"users\"\nuser_pattern = \"{username}\"\n")
        .directory("users")
        .system("")
        .database_file("users/system.db", "")
        .database_file("users/manifest.json", "");
    let fleet = fleet
        .upgrade_to("1.2.0")
        .database_file("users/system.db", "INSERT INTO notes (body) VALUES ('own')");
    let id = create_backup(&fleet, &["--all-users"]);
    let fleet = fleet.database_file("users/system.db", "DELETE FROM notes");
    fleet.run(["restore", &id]).status(0);
    let user = crate::support::Database::open(&fleet.path("users/system.db"));
    assert_eq!(user.rows("SELECT body FROM notes"), ["own"]);
    assert_eq!(fleet.database("system").tables(), ["accounts"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_of_any_bytes_are_copied_and_restored() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let fleet = Fleet::from_blocks(&NOTES[1..]);
    let all: Vec<_> = [b"\xff".as_slice(), b"file:x?mode=ro", "é\n".as_bytes(), b"..", b" '\"; "]
        .iter()
        .map(|user| OsStr::from_bytes(&[user, b"_longterm.db".as_slice()].concat()).to_owned())
        .collect();
    let fleet =
        all.iter().fold(fleet, |fleet, name| fleet.database_file(name, "")).upgrade_to("1.2.0");
    let id = create_backup(&fleet, &["--all-users"]);
    for name in &all {
        fs::remove_file(fleet.path(name)).unwrap();
    }
    fleet.run(["restore", &id]).status(0).stdout_contains("5 databases restored from");
    for name in &all {
        let database = crate::support::Database::open(&fleet.path(name));
        assert_eq!(database.version().as_deref(), Some("1.2.0"), "{name:?}");
    }
    let user = OsStr::from_bytes(b"\xff");
    let arguments = [OsStr::new("restore"), OsStr::new(&id), OsStr::new("--user"), user];
    fleet.run(arguments).status(0);
}

#[test]
fn an_upgrade_copies_only_databases_with_pending_migrations() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).users(50, "").upgrade_to("1.1.0");
    let mut arguments = vec!["upgrade".to_owned()];
    arguments.extend((20..50).map(|index| format!("--user=u{index:03}")));
    fleet.run(&arguments).status(0);
    fleet
        .run(["upgrade", "--all-users", "--backup"])
        .status(0)
        .stdout("20 databases copied to backups/[..]Z ([..] kB)\n50 users: 20 upgraded to 1.2.0, 30 already at 1.2.0\n");
    let ids = backup_names(&fleet);
    assert_eq!(ids.len(), 1);
    let copies = fs::read_dir(fleet.path("backups").join(&ids[0])).unwrap().count();
    assert_eq!(copies, 21, "twenty copies and the manifest");
    fleet
        .run(["upgrade", "--all-users", "--backup"])
        .status(0)
        .stdout("50 users: 50 already at 1.2.0\n");
    assert_eq!(backup_names(&fleet), ids, "nothing pending, nothing copied");
}

#[test]
fn a_failed_upgrade_names_the_copy() {
    let fleet = fleet().user("ann", DUPLICATE_NOTES);
    let run = fleet.run(["upgrade", "--all-users", "--backup"]);
    run.status(1)
        .stdout_contains("3 databases copied to backups/")
        .stdout_contains("`ann` was copied to backups/")
        .stdout_contains("/ann_longterm.db before the run; `tatmig restore ")
        .stdout_contains(" --user ann` restores it\n");
    let json = fleet.run(["upgrade", "--all-users", "--backup", "--json"]).status(1).json();
    assert_eq!(json["backup"]["databases"], 1);
    let copy = json["databases"][1]["copy"].as_str().unwrap();
    assert!(fleet.path(copy).exists());
    assert_eq!(json["databases"][2]["copy"], Value::Null);
}

#[test]
fn a_database_that_cannot_be_copied_is_not_upgraded() {
    let fleet = fleet().config("busy_timeout = 0.1\n");
    let before = fleet.database("ann").dump();
    let lock = rusqlite::Connection::open(fleet.path("ann_longterm.db")).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    fleet.run(["upgrade", "--all-users", "--backup"]).status(1).stderr_contains(
        "`ann` (ann_longterm.db): skipped, because its backup failed: the database is busy",
    );
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
    drop(lock);
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn all_or_nothing_commits_nothing_without_every_copy() {
    let fleet = fleet();
    fleet.run(["upgrade", "--all-users", "--all-or-nothing", "--backup"]).status(0);
    let fleet = self::fleet();
    let fleet = fleet.file("backups", "not a directory");
    fleet
        .run_without_changes(["upgrade", "--all-users", "--all-or-nothing", "--backup"])
        .status(2)
        .stderr_contains("`backups` cannot be created");
}

#[test]
fn prune_keeps_the_newest_and_the_only_copy_of_a_version() {
    let fleet = Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.0.0");
    let oldest = create_backup(&fleet, &["--all-users"]);
    let fleet = fleet.upgrade_to("1.1.0");
    let ids: Vec<String> = (0..5).map(|_| create_backup(&fleet, &["--all-users"])).collect();
    fleet.run(["backup", "prune", "--keep", "2"]).status(0).stdout_contains(&format!(
        "3 backups removed ([..] kB), 3 kept\nolder backups kept, each the only backup of a database at that version: `{oldest}`; "
    ).replace("[..] kB", "98.3 kB"));
    assert_eq!(backup_names(&fleet), [oldest.clone(), ids[3].clone(), ids[4].clone()]);
    fleet.run(["backup", "prune", "--keep", "0"]).status(0);
    assert_eq!(backup_names(&fleet), [oldest.clone(), ids[4].clone()], "one copy of each version");
    fleet.run(["restore", &oldest]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
    fleet.run(["backup", "prune"]).status(2);
}

#[test]
fn prune_leaves_other_files_alone() {
    let fleet = fleet();
    create_backup(&fleet, &[]);
    let fleet = fleet
        .file("backups/notes.txt", "mine")
        .file("backups/20200101T000000Z/data", "without a manifest")
        .file("backups/old/system.db", "mine");
    fleet.run(["backup", "prune", "--keep", "0"]).status(0).stdout_contains("0 backups removed");
    for path in ["backups/notes.txt", "backups/20200101T000000Z/data", "backups/old/system.db"] {
        assert!(fleet.path(path).exists());
    }
    fleet
        .run(["backup", "list"])
        .status(1)
        .stdout_contains("1 database, ")
        .stderr_contains("cannot use the manifest of backup `20200101T000000Z`");
}

#[test]
fn list_shows_what_each_backup_holds() {
    let fleet = fleet();
    fleet
        .run(["backup", "list"])
        .status(0)
        .stdout("no backups in `backups`; `tatmig backup --all-users` creates one\n");
    create_backup(&fleet, &["--all-users"]);
    fleet.run(["upgrade", "--all-users", "--backup"]).status(0);
    fleet.run(["backup", "list"]).status(0).stdout(
        "[..]Z[..]  3 databases, [..] kB, at 1.1.0, by `tatmig backup`\n[..]Z[..]  3 databases, [..] kB, at 1.1.0, before an upgrade\n",
    );
    fleet
        .run(["backup", "list", "-v"])
        .stdout_contains("  ann: at 1.1.0, 12.3 kB from ann_longterm.db\n");
}

/// The flags and their help are the same in every command that backs up first.
#[test]
fn one_rule_decides_whether_a_command_backs_up_first() {
    let rule =
        "Back up first what would change; `downgrade`, `redo`, `restore` and `reset` do so unless";
    for command in ["upgrade", "downgrade", "redo", "restore", "reset"] {
        let help = Fleet::new().run([command, "-h"]).status(0).stdout_text();
        let words: Vec<&str> = help.split_whitespace().collect();
        assert!(words.join(" ").contains(rule), "{help}");
        assert!(words.join(" ").contains("--no-backup Do not back up first"), "{help}");
    }
    let upgrade: &[&str] = &["upgrade", "--all-users"];
    let reset: &[&str] = &["reset", "--user", "ann", "--yes"];
    for (command, flag, setting, is_copied) in [
        (upgrade, None, "", false),
        (upgrade, None, "backup = false", false),
        (upgrade, None, "backup = true", true),
        (upgrade, Some("--backup"), "", true),
        (upgrade, Some("--no-backup"), "backup = true", false),
        (reset, None, "", true),
        (reset, None, "backup = false", true),
        (reset, None, "backup = true", true),
        (reset, Some("--backup"), "", true),
        (reset, Some("--no-backup"), "backup = true", false),
    ] {
        let fleet = fleet().config(setting);
        fleet.run([command, flag.as_slice()].concat()).status(0);
        assert_eq!(fleet.path("backups").exists(), is_copied, "{command:?} {flag:?} {setting}");
    }
}

#[test]
fn every_command_says_how_to_do_without_a_copy() {
    for command in
        [&["upgrade", "--all-users", "--backup"] as &[&str], &["reset", "--user", "ann", "--yes"]]
    {
        let fleet = fleet().config("busy_timeout = 0.1\n");
        let lock = rusqlite::Connection::open(fleet.path("ann_longterm.db")).unwrap();
        lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let run = fleet.run(command);
        run.status(1);
        if command[0] == "upgrade" {
            run.stderr_contains("pass `--no-backup` to change it without a copy");
        }
    }
}
