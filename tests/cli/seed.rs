//! `seed`: blocks that have no version and run on demand, each database in a transaction.

use crate::support::Fleet;

fn fleet() -> Fleet {
    Fleet::of(&[
        ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
        ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT UNIQUE);"),
        ("system:seed:sample", "INSERT INTO accounts VALUES ('ann');"),
        ("user:seed:sample", "INSERT INTO notes VALUES ('tea');"),
        ("user:seed:twice", "INSERT INTO notes VALUES ('a');\nINSERT INTO notes VALUES ('a');"),
    ])
    .system("")
    .user("ann", "")
    .user("bob", "")
    .at("1.0.0")
}

#[test]
fn it_runs_on_the_system_database_and_the_users_named() {
    let fleet = fleet();
    fleet
        .run(["seed", "sample", "--user", "ann"])
        .status(0)
        .stdout("system: seeded\nann: seeded\n");
    assert_eq!(fleet.database("system").rows("SELECT * FROM accounts"), ["ann"]);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["tea"]);
    assert!(fleet.database("bob").rows("SELECT * FROM notes").is_empty());
    // It has no version.
    assert_eq!(fleet.database("ann").record(), ["baseline→1.0.0"]);
}

#[test]
fn an_upgrade_runs_none() {
    let fleet = fleet();
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert!(fleet.database("ann").rows("SELECT * FROM notes").is_empty());
}

#[test]
fn one_that_fails_leaves_no_row() {
    let fleet = fleet();
    let before = fleet.database("ann").dump();
    fleet
        .run(["seed", "twice", "--all-users"])
        .status(1)
        .stdout("ann: failed\nbob: failed\n")
        .stderr_contains("2 databases (`ann`, `bob`): UNIQUE constraint failed");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn one_that_is_not_there_is_told_with_those_that_are() {
    let fleet = fleet();
    fleet
        .run_without_a_trace(["seed", "smaple"])
        .status(2)
        .stderr_contains("the document has no seed `smaple`; it has `sample`, `twice`");
    fleet.run_without_a_trace(["seed"]).status(2);
}

#[test]
fn a_database_that_holds_nothing_yet_is_refused() {
    let fleet = fleet().user("new", "");
    fleet
        .run_without_a_trace(["seed", "twice", "--user", "new"])
        .status(1)
        .stderr_contains("`new` (new_longterm.db): it holds nothing yet");
}
