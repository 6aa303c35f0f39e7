//! Tests `reset`: databases are replaced with empty ones at head, after a confirmation and a
//! backup.

use std::fs;

use rusqlite::Connection;

use super::backup::fleet;
use crate::support::Fleet;

#[test]
fn without_a_terminal_it_requires_yes() {
    let fleet = fleet();
    fleet.run_without_changes(["reset"]).status(2).stderr_contains(
        "`reset` would delete every row of 1 database (`system.db`); cannot ask for confirmation here; pass `--yes`",
    );
    fleet
        .run_without_changes(["reset", "--user", "ann"])
        .status(2)
        .stderr_contains("1 database (`ann_longterm.db`)");
}

#[test]
fn named_databases_are_backed_up_and_replaced_at_head() {
    let fleet = fleet();
    let system = fleet.database("system").dump();
    fleet
        .run(["reset", "--user", "ann", "--yes"])
        .status(0)
        .stderr("")
        .stdout("1 database copied to backups/[..]Z (12.3 kB)\nann: reset, empty at 1.2.0\n");
    let ann = fleet.database("ann");
    assert!(ann.rows("SELECT * FROM notes").is_empty());
    assert_eq!(ann.history(), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"]);
    drop(ann);
    assert_eq!(fleet.database("system").dump(), system, "who resets a user means that user");
    fleet.run(["restore", "latest", "--user", "ann"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["kept"]);
}

#[test]
fn without_users_only_the_system_database_is_reset() {
    let fleet = fleet().system("INSERT INTO accounts VALUES ('ann')");
    fleet
        .run(["reset", "--yes"])
        .status(0)
        .stdout_contains("system: reset, empty at 1.2.0\n")
        .stdout_contains(
            "2 user databases were not selected; add `--all-users` or `--user NAME`\n",
        );
    assert!(fleet.database("system").rows("SELECT * FROM accounts").is_empty());
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"));
    let json = fleet.run(["reset", "--all-users", "--yes", "--no-backup", "--json"]);
    let json = json.status(0).json();
    assert_eq!(json["summary"]["reset"], 3);
    assert!(json["backup"].is_null());
    fleet.run(["status", "--exit-code"]).status(0);
    fleet.run(["verify"]).status(0);
}

#[test]
fn page_size_encoding_and_journal_mode_are_kept() {
    let settings = "PRAGMA page_size = 1024; PRAGMA encoding = 'UTF-16le'; PRAGMA journal_mode = WAL; \
                 CREATE TABLE x (a); DROP TABLE x";
    let fleet =
        Fleet::from_blocks(&crate::support::NOTES[1..]).user("ann", settings).upgrade_to("1.1.0");
    fleet.run(["reset", "--all-users", "--yes"]).status(0);
    let ann = fleet.database("ann");
    let keys = ["page_size", "encoding", "journal_mode"];
    let values = keys.map(|key| ann.rows(&format!("PRAGMA {key}")).concat());
    assert_eq!(values, ["1024", "UTF-16le", "wal"]);
}

#[test]
fn a_database_in_use_is_left_unchanged() {
    let fleet = fleet();
    let program = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    program.execute_batch("BEGIN IMMEDIATE").unwrap();
    fleet
        .run(["reset", "--all-users", "--yes", "--busy-timeout", "0.1"])
        .status(1)
        .stdout_contains("2 users: 1 reset, empty at 1.2.0, 1 failed\n");
    drop(program);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["kept"]);
}

#[test]
fn a_database_that_cannot_be_copied_is_not_reset() {
    let fleet = fleet().file("backups", "not a directory");
    fleet.run_without_changes(["reset", "--user", "ann", "--yes"]).status(2);
    fleet.run(["reset", "--user", "ann", "--yes", "--no-backup"]).status(0);
    fs::remove_file(fleet.path("ann_longterm.db")).unwrap();
    fleet.run_without_changes(["reset", "--user", "ann", "--yes"]).status(2);
}
