//! Tests the database settings of an application that are not in the document: the journal mode of
//! new databases, and whether foreign keys are enforced.

use crate::support::{Fleet, NOTES};

#[track_caller]
fn journal_mode(fleet: &Fleet, name: &str) -> String {
    fleet.database(name).rows("PRAGMA journal_mode").join("")
}

#[test]
fn new_databases_use_the_most_specific_journal_mode_setting() {
    let fleet = Fleet::from_blocks(NOTES);
    fleet.run(["init", "--user", "ann"]).status(0);
    assert_eq!(journal_mode(&fleet, "system"), "delete");
    let fleet = fleet.config("journal_mode = \"wal\"");
    fleet.run(["init", "--user", "ann", "--user", "bob"]).status(0);
    assert_eq!(journal_mode(&fleet, "bob"), "wal");
    // Existing databases keep their journal mode.
    assert_eq!(journal_mode(&fleet, "ann"), "delete");
    let fleet = fleet.env("TATMIG_JOURNAL_MODE", "delete");
    fleet.run(["init", "--user", "cid"]).status(0);
    assert_eq!(journal_mode(&fleet, "cid"), "delete");
    fleet.run(["init", "--user", "dan", "--journal-mode", "wal"]).status(0);
    assert_eq!(journal_mode(&fleet, "dan"), "wal");
    assert_eq!(fleet.database("dan").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_new_wal_database_is_checkpointed() {
    let fleet = Fleet::from_blocks(NOTES).config("journal_mode = \"wal\"");
    fleet.run(["init", "--user", "ann"]).status(0);
    for side in ["-wal", "-shm", "-journal"] {
        assert!(!fleet.path(format!("ann_longterm.db{side}")).exists(), "{side} was left");
    }
    // The database stays in that mode through migrations, and reading changes no file.
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(journal_mode(&fleet, "ann"), "wal");
    fleet.run_without_changes(["status"]).status(0);
}

#[test]
fn a_failed_init_leaves_no_file_in_either_mode() {
    let blocks = [(
        "user:baseline→1.0.0",
        "CREATE TABLE ages (age INTEGER CHECK (age > 0));\nINSERT INTO ages VALUES (0);",
    )];
    for mode in ["delete", "wal"] {
        let fleet = Fleet::from_blocks(&blocks);
        let run = fleet.run_without_changes(["init", "--user", "ann", "--journal-mode", mode]);
        run.status(1).stderr_contains("CHECK constraint failed");
    }
}

#[test]
fn unsupported_journal_modes_are_refused_before_anything_is_created() {
    let fleet = Fleet::from_blocks(NOTES);
    fleet.run_without_changes(["init", "--journal-mode", "memory"]).status(2);
    let fleet = fleet.config("journal_mode = \"truncate\"");
    fleet
        .run_without_changes(["init"])
        .status(2)
        .stderr_contains("unknown value `truncate`; expected one of `delete`, `wal`");
}

/// A step that leaves a note without its account.
const ORPHANING_MIGRATION: &[(&str, &str)] = &[
    (
        "user:baseline→1.0.0",
        "CREATE TABLE people (id INTEGER PRIMARY KEY);\nCREATE TABLE notes (person INTEGER REFERENCES people (id));",
    ),
    ("user:1.0.0→1.1.0", "DELETE FROM people;"),
];

const ROWS: &str = "INSERT INTO people VALUES (1); INSERT INTO notes VALUES (1);";

#[test]
fn foreign_keys_are_enforced_unless_disabled() {
    let fleet = Fleet::from_blocks(ORPHANING_MIGRATION)
        .user("ann", "")
        .upgrade_to("1.0.0")
        .user("ann", ROWS);
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("leave 1 row without a parent");
    assert_eq!(fleet.database("ann").dump(), before);
    let fleet = fleet.config("foreign_keys = true");
    fleet.run(["upgrade", "--all-users"]).status(1);
    let fleet = fleet.config("foreign_keys = false");
    fleet
        .run(["upgrade", "--all-users", "--rehearse"])
        .status(0)
        .stdout_contains("1 row refers to missing parents");
    assert_eq!(fleet.database("ann").dump(), before);
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("1 row refers to missing parents");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["1"]);
}

#[test]
fn verify_reports_broken_keys_by_the_foreign_key_policy() {
    let fleet = Fleet::from_blocks(&ORPHANING_MIGRATION[..1]).user("ann", "").upgrade_to("1.0.0");
    let fleet = fleet.user("ann", "PRAGMA foreign_keys = OFF; INSERT INTO notes VALUES (7);");
    let output = fleet.run_without_changes(["verify"]).status(1).stdout_text();
    assert!(output.contains("1 finding"), "{output}");
    let fleet = fleet.config("foreign_keys = false");
    let output = fleet.run_without_changes(["verify"]).status(0).stdout_text();
    assert!(output.contains("OK, matches MIGRATIONS.md") && output.contains("note: "), "{output}");
}

#[test]
fn a_downgrade_is_rehearsed_with_the_foreign_key_policy() {
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE topics (id INTEGER PRIMARY KEY);\n\
             CREATE TABLE notes (topic INTEGER REFERENCES topics (id));",
        ),
        ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN body TEXT;"),
        ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN body;\nDELETE FROM topics;"),
    ])
    .user("ann", "")
    .upgrade_to("1.1.0")
    .user("ann", "INSERT INTO topics VALUES (1); INSERT INTO notes (topic) VALUES (1);");
    let arguments = ["downgrade", "--to", "1.0.0", "--user", "ann", "--no-backup"];
    let rehearse = ["downgrade", "--to", "1.0.0", "--user", "ann", "--rehearse"];
    let before = fleet.database("ann").dump();
    fleet.run(arguments).status(1).stderr_contains("leave 1 row without a parent");
    assert_eq!(fleet.database("ann").dump(), before);
    let fleet = fleet.config("foreign_keys = false");
    fleet.run(rehearse).status(0);
    assert_eq!(fleet.database("ann").dump(), before);
    fleet.run(arguments).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT topic FROM notes"), ["1"]);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
}

#[test]
fn init_reset_and_seed_heed_the_foreign_key_policy() {
    let orphan = "INSERT INTO notes VALUES (8);";
    let fleet = Fleet::from_blocks(&[
        ORPHANING_MIGRATION[0],
        ORPHANING_MIGRATION[1],
        ("user:seed:orphan", orphan),
        ("user:1.1.0→1.2.0", orphan),
    ])
    .user("ann", "");
    for arguments in
        [["init", "--user", "bob"].as_slice(), &["reset", "--user", "ann", "--yes", "--no-backup"]]
    {
        fleet.run(arguments).status(1);
    }
    assert!(!fleet.path("bob_longterm.db").exists());
    let fleet = fleet.config("foreign_keys = false");
    fleet.run(["init", "--user", "bob"]).status(0);
    assert_eq!(fleet.database("bob").rows("SELECT * FROM notes"), ["8"]);
    fleet.run(["reset", "--user", "bob", "--yes", "--no-backup"]).status(0);
    assert_eq!(fleet.database("bob").rows("SELECT * FROM notes"), ["8"]);
    fleet.run(["seed", "orphan", "--user", "bob"]).status(0);
    assert_eq!(fleet.database("bob").rows("SELECT * FROM notes"), ["8", "8"]);
    let fleet = fleet.config("foreign_keys = true");
    fleet.run(["seed", "orphan", "--user", "bob"]).status(1);
    assert_eq!(fleet.database("bob").rows("SELECT * FROM notes"), ["8", "8"]);
}
