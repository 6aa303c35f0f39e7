//! Tests `restore`: databases are restored from a backup completely, with their history, or not
//! changed.

use std::fs;

use rusqlite::Connection;

use super::backup::{create_backup, fleet};
use crate::support::{Fleet, NOTES};

#[test]
fn one_user_is_restored_and_the_others_are_unchanged() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).users(50, "").upgrade_to("1.1.0");
    let fleet = fleet.user("u007", "INSERT INTO notes (body) VALUES ('kept')");
    let id = create_backup(&fleet, &["--all-users"]);
    let fleet = fleet.upgrade_to("1.2.0").user("u007", "DELETE FROM notes");
    let bytes = || -> Vec<_> {
        let others = (0..50).filter(|index| *index != 7);
        others
            .map(|index| fs::read(fleet.path(format!("u{index:03}_longterm.db"))).unwrap())
            .collect()
    };
    let before = bytes();
    fleet
        .run(["restore", &id, "--user", "u007"])
        .status(0)
        .stderr("")
        .stdout("1 database copied to backups/[..] (16.4 kB) before the restore\nu007: restored from [..], at 1.1.0\n`tatmig restore [..]` undoes this\n");
    assert!(before == bytes(), "the other 49 are as they were");
    let user = fleet.database("u007");
    assert_eq!(user.rows("SELECT body FROM notes"), ["kept"]);
    assert_eq!(user.history(), ["baseline→1.0.0", "1.0.0→1.1.0"]);
    drop(user);
    let json = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(json["summary"]["current"], 49);
    assert_eq!(json["databases"][7]["version"], "1.1.0");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("1 upgraded to 1.2.0");
    fleet.run(["verify"]).status(0);
}

#[test]
fn a_restore_can_be_undone() {
    let fleet = fleet();
    let id = create_backup(&fleet, &["--all-users"]);
    let fleet = fleet.upgrade_to("1.2.0").user("ann", "INSERT INTO notes (body) VALUES ('newer')");
    let run = fleet.run(["restore", &id]);
    run.status(0).stdout_contains("3 databases restored from ");
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["kept"]);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.1.0"));
    fleet.run(["restore", "latest"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["kept", "newer"]);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_missing_database_is_recreated() {
    let fleet = fleet();
    let id = create_backup(&fleet, &["--all-users"]);
    for name in ["system.db", "ann_longterm.db"] {
        fs::remove_file(fleet.path(name)).unwrap();
    }
    let json = fleet.run(["restore", &id, "--json"]).status(0).json();
    assert_eq!(json["replaced"]["databases"], 1, "bob alone was there to be copied");
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["kept"]);
    assert_eq!(fleet.database("system").version().as_deref(), Some("1.1.0"));
    let hidden = fs::read_dir(fleet.path("")).unwrap().flatten();
    assert!(!hidden.into_iter().any(|e| e.file_name().to_string_lossy().starts_with('.')));
}

#[test]
fn a_leftover_journal_is_not_applied_to_a_restored_database() {
    for suffix in ["journal", "wal"] {
        let fleet = fleet();
        let id = create_backup(&fleet, &["--all-users"]);
        fs::remove_file(fleet.path("ann_longterm.db")).unwrap();
        let fleet = fleet.file(format!("ann_longterm.db-{suffix}"), "left behind");
        fleet.run(["restore", &id, "--user", "ann"]).status(1).stderr_contains(&format!(
            "`ann_longterm.db-{suffix}` exists, and SQLite would apply it"
        ));
        assert!(!fleet.path("ann_longterm.db").exists());
        assert!(fleet.path(format!("ann_longterm.db-{suffix}")).exists());
    }
}

#[test]
fn the_manifest_is_checked_before_any_change() {
    let fleet = fleet();
    let id = create_backup(&fleet, &["--all-users"]);
    let copy = fleet.path("backups").join(&id).join("ann_longterm.db");
    let original = fs::read(&copy).unwrap();
    let mut changed = original.clone();
    changed[5000] ^= 1;
    for (bytes, message) in [
        (changed.as_slice(), "`ann_longterm.db` does not match its checksum"),
        (&original[..original.len() - 1], "`ann_longterm.db` has 12287 bytes instead of 12288"),
    ] {
        fs::write(&copy, bytes).unwrap();
        fleet.run_without_changes(["restore", &id]).status(2).stderr_contains(message);
    }
    fs::remove_file(&copy).unwrap();
    let missing = fleet.run_without_changes(["restore", &id]);
    missing.status(2).stderr_contains("`ann_longterm.db` is missing");
    fleet.run(["restore", &id, "--user", "bob"]).status(0);
    let fleet = fleet.file(format!("backups/{id}/manifest.json"), "{}");
    fleet
        .run_without_changes(["restore", &id])
        .status(2)
        .stderr_contains("cannot use the manifest");
}

#[test]
fn a_missing_backup_or_copy_is_reported() {
    let fleet = fleet();
    let none = fleet.run_without_changes(["restore", "latest"]);
    none.status(2).stderr_contains("no backups exist; create one with `tatmig backup`");
    let id = create_backup(&fleet, &["--user", "ann"]);
    let bob = fleet.run_without_changes(["restore", &id, "--user", "bob"]);
    bob.status(2).stderr_contains("has no copy of `bob`; no backup has one");
    let whole = create_backup(&fleet, &["--all-users"]);
    let bob = fleet.run_without_changes(["restore", &id, "--user", "bob"]);
    bob.status(2).stderr_contains(&format!("the newest backup with such a copy is `{whole}`"));
    fleet.run(["restore", &whole, "--user", "bob"]).status(0);
    for wrong in ["20200101T000000Z", "../x", "", "/"] {
        fleet
            .run_without_changes(["restore", wrong])
            .status(2)
            .stderr_contains(&format!("no backup `{wrong}`"))
            .stderr_contains(&id);
    }
}

#[test]
fn a_malicious_manifest_reaches_no_other_file() {
    let fleet = fleet();
    let id = create_backup(&fleet, &["--all-users"]);
    let path = fleet.path("backups").join(&id).join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    for outside in ["../../x", "/etc/passwd", "a/../../../x", "..", "./ann_longterm.db", ""] {
        let file = format!("\"file\": \"{outside}\"");
        fs::write(&path, text.replace("\"file\": \"ann_longterm.db\"", &file)).unwrap();
        fleet
            .run_without_changes(["restore", &id])
            .status(2)
            .stderr_contains(&format!("`{outside}` is not the path of a file in the backup"));
    }
    fs::write(&path, text.replace("\"user\": \"ann\"", "\"user\": \"../ann\"")).unwrap();
    fleet
        .run_without_changes(["restore", &id])
        .status(2)
        .stderr_contains("is not a valid user name");
}

#[test]
fn a_database_that_another_program_uses_is_refused() {
    for (mode, usage_sql) in [
        ("WAL", "SELECT 1"),
        ("WAL", "BEGIN IMMEDIATE"),
        ("DELETE", "SELECT 1"),
        ("DELETE", "BEGIN; SELECT count(*) FROM notes"),
    ] {
        let fleet = fleet().user("ann", &format!("PRAGMA journal_mode = {mode}"));
        let id = create_backup(&fleet, &["--all-users"]);
        let fleet = fleet.user("ann", "INSERT INTO notes (body) VALUES ('newer')");
        let program = Connection::open(fleet.path("ann_longterm.db")).unwrap();
        program.execute_batch(&format!("PRAGMA user_version; {usage_sql}")).unwrap();
        let run = fleet.run(["restore", &id, "--busy-timeout", "0.1"]);
        run.status(1).stdout_contains("2 databases restored from");
        if cfg!(target_os = "linux") {
            let process = format!(
                "(process {}) has the database open; stop that process first",
                std::process::id()
            );
            run.stderr_contains(&process);
        }
        drop(program);
        assert_eq!(
            fleet.database("ann").rows("SELECT body FROM notes"),
            ["kept", "newer"],
            "{mode}"
        );
    }
}

#[test]
fn page_size_encoding_and_journal_mode_may_all_differ() {
    let settings = [
        "PRAGMA page_size = 1024; PRAGMA encoding = 'UTF-16le'; PRAGMA auto_vacuum = FULL;",
        "PRAGMA page_size = 65536;",
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;",
        "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA encoding = 'UTF-16be';",
    ];
    for (from, to) in settings.iter().flat_map(|from| settings.map(|to| (*from, to))) {
        let with_settings = |pragmas: &str, fleet: Fleet| {
            let path = fleet.path("ann_longterm.db");
            let _ = fs::remove_file(&path);
            let rows = "CREATE TABLE x (a); INSERT INTO x VALUES ('é')";
            fleet.user("ann", &format!("{pragmas} {rows}; DROP TABLE x")).upgrade_to("1.2.0")
        };
        let fleet = with_settings(from, Fleet::from_blocks(&NOTES[1..]));
        let fleet = fleet.user("ann", "INSERT INTO notes (body) VALUES ('größer')");
        let id = create_backup(&fleet, &["--all-users"]);
        let before = fleet.database("ann").dump();
        let pragmas = ["page_size", "encoding", "auto_vacuum"];
        let read_settings =
            |fleet: &Fleet| pragmas.map(|key| fleet.database("ann").rows(&format!("PRAGMA {key}")));
        let expected = read_settings(&fleet);
        let fleet = with_settings(to, fleet);
        fleet.run(["restore", &id]).status(0).stderr("");
        assert_eq!(fleet.database("ann").dump(), before, "{from} → {to}");
        assert_eq!(fleet.database("ann").rows("PRAGMA integrity_check"), ["ok"]);
        assert_eq!(read_settings(&fleet), expected, "{from} → {to}");
        let wal = [from, to].iter().any(|pragmas| pragmas.contains("WAL"));
        let journal = fleet.database("ann").rows("PRAGMA journal_mode");
        assert_eq!(journal, [if wal { "wal" } else { "delete" }], "{from} → {to}");
        // The database is as usable as before.
        fleet.run(["verify"]).status(0);
        let fleet = fleet.user("ann", "INSERT INTO notes (body) VALUES ('more')");
        assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM notes"), ["2"]);
    }
}

#[test]
fn a_damaged_database_is_replaced() {
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
                INSERT INTO notes (body) SELECT hex(zeroblob(100)) FROM n";
    let fleet = fleet().user("ann", rows);
    let id = create_backup(&fleet, &["--all-users"]);
    let expected = fleet.database("ann").dump();
    let path = fleet.path("ann_longterm.db");
    let original = fs::read(&path).unwrap();
    let mut damaged_pages = original.clone();
    damaged_pages[4096 * 30..4096 * 35].fill(0x55);
    let mut damaged_schema = original.clone();
    damaged_schema[100..4000].fill(0x55);
    let damaged = [
        damaged_pages.as_slice(),
        &original[..original.len() - 4096 * 9 - 100],
        &damaged_schema,
        b"",
    ];
    for bytes in damaged {
        fs::write(&path, bytes).unwrap();
        if !bytes.is_empty() {
            // The database cannot be copied first, so it is not replaced silently.
            fleet
                .run_without_changing(&path, ["restore", &id, "--user", "ann"])
                .status(1)
                .stderr_contains("skipped, because its backup failed");
        }
        fleet.run(["restore", &id, "--user", "ann", "--no-backup"]).status(0);
        assert_eq!(fleet.database("ann").dump(), expected);
        assert_eq!(fleet.database("ann").rows("PRAGMA integrity_check"), ["ok"]);
    }
    fs::write(&path, "no database at all").unwrap();
    fleet
        .run_without_changing(&path, ["restore", &id, "--user", "ann", "--no-backup"])
        .status(1)
        .stderr_contains("Move it away; `tatmig restore` then creates the database");
    fleet
        .run_without_changing(&path, ["reset", "--user", "ann", "--yes", "--no-backup"])
        .status(1)
        .stderr_contains("and `tatmig init` an empty one");
    fs::remove_file(&path).unwrap();
    let copy = fleet.copy();
    copy.run(["init", "--user", "ann"]).status(0);
    fleet.run(["restore", &id, "--user", "ann"]).status(0);
    assert_eq!(fleet.database("ann").dump(), expected);
}

#[cfg(unix)]
#[test]
fn a_symlink_is_not_followed_unless_permitted() {
    let fleet = fleet();
    let id = create_backup(&fleet, &["--all-users"]);
    fs::rename(fleet.path("ann_longterm.db"), fleet.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", fleet.path("ann_longterm.db")).unwrap();
    fleet
        .run_without_changing(&fleet.path("elsewhere"), ["restore", &id, "--user", "ann"])
        .status(1)
        .stderr_contains("it is a symbolic link; pass `--follow-symlinks` to open it");
    fleet.run(["restore", &id, "--user", "ann", "--follow-symlinks"]).status(0);
    assert!(fleet.path("ann_longterm.db").is_symlink());
}
