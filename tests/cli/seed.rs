//! Tests `seed`: blocks without a version that run on demand, in one transaction per database.

use crate::support::Fleet;

fn fleet() -> Fleet {
    Fleet::from_blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
        ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT UNIQUE);"),
        ("system:seed:sample", "INSERT INTO accounts VALUES ('ann');"),
        ("user:seed:sample", "INSERT INTO notes VALUES ('tea');"),
        ("user:seed:twice", "INSERT INTO notes VALUES ('a');\nINSERT INTO notes VALUES ('a');"),
    ])
    .system("")
    .user("ann", "")
    .user("bob", "")
    .upgrade_to("1.0.0")
}

#[test]
fn it_runs_on_the_system_database_and_the_named_users() {
    let fleet = fleet();
    fleet
        .run(["seed", "sample", "--system", "--user", "ann"])
        .status(0)
        .stdout("system: seeded\nann: seeded\n");
    assert_eq!(fleet.database("system").rows("SELECT * FROM accounts"), ["ann"]);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["tea"]);
    assert!(fleet.database("bob").rows("SELECT * FROM notes").is_empty());
    // A seed has no version.
    assert_eq!(fleet.database("ann").history(), ["baseline→1.0.0"]);
}

#[test]
fn an_upgrade_runs_no_seeds() {
    let fleet = fleet();
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert!(fleet.database("ann").rows("SELECT * FROM notes").is_empty());
}

#[test]
fn several_users_are_counted_and_listed_with_verbose() {
    let fleet = fleet();
    fleet
        .run(["seed", "sample", "--all-users"])
        .status(0)
        .stdout("system: seeded\n2 users: 2 seeded\n");
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);"),
        ("user:seed:sample", "INSERT INTO notes VALUES ('tea');"),
    ]);
    let fleet = fleet.user("ann", "").user("bob", "").upgrade_to("1.0.0");
    fleet
        .run(["seed", "sample", "--all-users", "-v"])
        .status(0)
        .stdout("ann: seeded\nbob: seeded\n2 users: 2 seeded\n");
}

#[test]
fn a_failing_seed_leaves_no_row() {
    let fleet = fleet();
    let before = fleet.database("ann").dump();
    fleet
        .run(["seed", "twice", "--all-users"])
        .status(1)
        .stdout("2 users: 2 failed\n")
        .stderr_contains("2 databases (`ann`, `bob`): UNIQUE constraint failed");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn several_seeds_run_in_order_in_one_transaction() {
    let fleet = fleet();
    let before = fleet.database("ann").dump();
    fleet.run(["seed", "sample", "twice", "--system", "--user", "ann"]).status(1);
    assert_eq!(fleet.database("ann").dump(), before, "`sample` was kept without `twice`");
    // Each database is seeded independently: the system database was seeded.
    assert_eq!(fleet.database("system").rows("SELECT * FROM accounts"), ["ann"]);
}

#[test]
fn existing_orphans_in_a_renamed_table_are_reported_and_allowed() {
    let notes = "CREATE TABLE notes (id INTEGER PRIMARY KEY, above INTEGER REFERENCES notes (id));";
    let rename = "ALTER TABLE notes RENAME TO pages;\nINSERT INTO pages VALUES (2, NULL);";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", notes), ("user:seed:rename", rename)])
        .user("ann", "")
        .upgrade_to("1.0.0")
        .user("ann", "PRAGMA foreign_keys = OFF; INSERT INTO notes VALUES (1, 9)");
    let run = fleet.run(["seed", "rename", "--user", "ann"]);
    run.status(0).stdout("ann: seeded (1 row refers to parents that were missing before)\n");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM pages"), ["1|9", "2|NULL"]);
}

#[test]
fn an_idempotent_seed_changes_nothing_the_second_time() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT UNIQUE);"),
        ("user:seed:sample", "INSERT OR IGNORE INTO notes VALUES ('tea');"),
    ])
    .user("ann", "")
    .upgrade_to("1.0.0");
    fleet.run(["seed", "sample", "--all-users"]).status(0);
    let after_first_run = fleet.database("ann").dump();
    fleet.run(["seed", "sample", "--all-users"]).status(0).stdout("ann: seeded\n");
    assert_eq!(fleet.database("ann").dump(), after_first_run);
}

#[test]
fn the_authorizer_is_active_during_a_seed() {
    let escapes = [
        "INSERT INTO notes VALUES ('x'); COMMIT;",
        "ATTACH 'other.db' AS other;",
        "PRAGMA journal_mode = WAL;",
        "DELETE FROM _tatmig_migrations;",
        "INSERT OR ROLLBACK INTO notes VALUES ('a'), ('a');",
    ];
    for sql in escapes {
        let fleet = Fleet::from_blocks(&[
            ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT UNIQUE);"),
            ("user:seed:escape", sql),
        ])
        .user("ann", "");
        fleet.run_without_changes(["seed", "escape", "--all-users"]).status(2);
    }
}

#[test]
fn new_orphans_are_rolled_back() {
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE people (id INTEGER PRIMARY KEY);\nCREATE TABLE notes (person INTEGER REFERENCES people (id));",
        ),
        ("user:seed:orphan", "INSERT INTO notes SELECT 7 WHERE EXISTS (SELECT 1 FROM people);"),
    ])
    .user("ann", "")
    .upgrade_to("1.0.0")
    .user("ann", "INSERT INTO people VALUES (1);");
    let before = fleet.database("ann").dump();
    fleet
        .run(["seed", "orphan", "--all-users"])
        .status(1)
        .stderr_contains("leave 1 row without a parent");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_seed_for_a_newer_version_is_reported() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);"),
        ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN pinned INTEGER;"),
        ("user:seed:pins", "INSERT INTO notes (body, pinned) VALUES ('tea', 1);"),
    ])
    .user("ann", "")
    .upgrade_to("1.0.0");
    fleet.run(["seed", "pins", "--user", "ann"]).status(1).stderr_contains(
        "the seed `pins`, which is for version 1.1.0; this database is at 1.0.0, so run `tatmig upgrade` first",
    );
    assert!(fleet.database("ann").rows("SELECT * FROM notes").is_empty());
    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet.run(["seed", "pins", "--user", "ann"]).status(0);
}

#[test]
fn a_user_for_a_system_only_seed_is_a_usage_error() {
    let fleet = Fleet::from_blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT);"),
        ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);"),
        ("system:seed:admin", "INSERT INTO accounts VALUES ('admin');"),
    ])
    .system("")
    .user("ann", "")
    .upgrade_to("1.0.0");
    fleet
        .run_without_changes(["seed", "admin", "--user", "ann"])
        .status(2)
        .stderr_contains("the seed `admin` has no user block; remove `--user`");
    fleet.run(["seed", "admin", "--all-users"]).status(0).stdout("system: seeded\n");
}

#[test]
fn an_unknown_seed_is_reported_with_the_existing_ones() {
    let fleet = fleet();
    fleet.run_without_changes(["seed", "smaple"]).status(2).stderr_contains(
        "the document has no seed `smaple`; did you mean `sample`? it has `sample`, `twice`",
    );
    fleet.run_without_changes(["seed"]).status(2);
}

#[test]
fn an_empty_database_is_refused() {
    let fleet = fleet().user("new", "");
    fleet
        .run_without_changes(["seed", "twice", "--user", "new"])
        .status(1)
        .stderr_contains("`new` (new_longterm.db): the database is empty");
}
