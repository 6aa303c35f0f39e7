//! What an application does with its databases and no document can say: the journal mode that they
//! are made in, and whether its foreign keys hold.

use crate::support::{Fleet, NOTES};

#[track_caller]
fn mode(fleet: &Fleet, name: &str) -> String {
    fleet.database(name).rows("PRAGMA journal_mode").join("")
}

#[test]
fn databases_are_made_in_the_journal_mode_asked_for_by_the_nearest_word() {
    let fleet = Fleet::of(NOTES);
    fleet.run(["init", "--user", "ann"]).status(0);
    assert_eq!(mode(&fleet, "system"), "delete");
    let fleet = fleet.config("journal_mode = \"wal\"");
    fleet.run(["init", "--user", "ann", "--user", "bob"]).status(0);
    assert_eq!(mode(&fleet, "bob"), "wal");
    // What is there keeps its own.
    assert_eq!(mode(&fleet, "ann"), "delete");
    let fleet = fleet.env("TATMIG_JOURNAL_MODE", "delete");
    fleet.run(["init", "--user", "cid"]).status(0);
    assert_eq!(mode(&fleet, "cid"), "delete");
    fleet.run(["init", "--user", "dan", "--journal-mode", "wal"]).status(0);
    assert_eq!(mode(&fleet, "dan"), "wal");
    assert_eq!(fleet.database("dan").version().as_deref(), Some("1.2.0"));
}

#[test]
fn the_wal_of_a_database_that_was_made_is_in_its_main_file() {
    let fleet = Fleet::of(NOTES).config("journal_mode = \"wal\"");
    fleet.run(["init", "--user", "ann"]).status(0);
    for side in ["-wal", "-shm", "-journal"] {
        assert!(!fleet.path(format!("ann_longterm.db{side}")).exists(), "{side} was left");
    }
    // It stays in that mode through migrations, and is read without a trace.
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(mode(&fleet, "ann"), "wal");
    fleet.run_without_a_trace(["status"]).status(0);
}

#[test]
fn one_that_cannot_be_made_leaves_nothing_in_either_mode() {
    let blocks = [(
        "user:baseline→1.0.0",
        "CREATE TABLE ages (age INTEGER CHECK (age > 0));\nINSERT INTO ages VALUES (0);",
    )];
    for wanted in ["delete", "wal"] {
        let fleet = Fleet::of(&blocks);
        let run = fleet.run_without_a_trace(["init", "--user", "ann", "--journal-mode", wanted]);
        run.status(1).stderr_contains("CHECK constraint failed");
    }
}

#[test]
fn modes_that_no_file_keeps_are_refused_before_anything_is_made() {
    let fleet = Fleet::of(NOTES);
    fleet.run_without_a_trace(["init", "--journal-mode", "memory"]).status(2);
    let fleet = fleet.config("journal_mode = \"truncate\"");
    fleet
        .run_without_a_trace(["init"])
        .status(2)
        .stderr_contains("unknown variant `truncate`, expected `delete` or `wal`");
}

/// A step that leaves a note without its account.
const ORPHANS: &[(&str, &str)] = &[
    (
        "user:baseline→1.0.0",
        "CREATE TABLE people (id INTEGER PRIMARY KEY);\nCREATE TABLE notes (person INTEGER REFERENCES people (id));",
    ),
    ("user:1.0.0→1.1.0", "DELETE FROM people;"),
];

const ROWS: &str = "INSERT INTO people VALUES (1); INSERT INTO notes VALUES (1);";

#[test]
fn foreign_keys_hold_unless_the_application_never_holds_them() {
    let fleet = Fleet::of(ORPHANS).user("ann", "").at("1.0.0").user("ann", ROWS);
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("1 foreign key was broken");
    assert_eq!(fleet.database("ann").dump(), before);
    let fleet = fleet.config("foreign_keys = true");
    fleet.run(["upgrade", "--all-users"]).status(1);
    let fleet = fleet.config("foreign_keys = false");
    fleet
        .run(["upgrade", "--all-users", "--rehearse"])
        .status(0)
        .stdout_contains("1 row refers to parents that are missing");
    assert_eq!(fleet.database("ann").dump(), before);
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("1 row refers to parents that are missing");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["1"]);
}

#[test]
fn verify_tells_broken_keys_as_the_application_takes_them() {
    let fleet = Fleet::of(&ORPHANS[..1]).user("ann", "").at("1.0.0");
    let fleet = fleet.user("ann", "PRAGMA foreign_keys = OFF; INSERT INTO notes VALUES (7);");
    let told = fleet.run_without_a_trace(["verify"]).status(1).out();
    assert!(told.contains("1 finding"), "{told}");
    let fleet = fleet.config("foreign_keys = false");
    let told = fleet.run_without_a_trace(["verify"]).status(0).out();
    assert!(told.contains("like the document") && told.contains("note: "), "{told}");
}
