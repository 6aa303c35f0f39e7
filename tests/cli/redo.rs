//! Tests `redo`: the last migration is undone as it was applied and applied as it is now, in one
//! transaction per database.

use crate::support::Fleet;

const BASELINE: &[(&str, &str)] = &[
    ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
    ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);"),
];

/// The baseline and one migration for users, with or without its reverse block.
fn blocks<'b>(up: &'b str, down: Option<&'b str>) -> Vec<(&'b str, &'b str)> {
    let mut blocks = BASELINE.to_vec();
    blocks.push(("user:1.0.0→1.1.0", up));
    blocks.extend(down.map(|down| ("user:1.1.0→1.0.0", down)));
    blocks
}

const ADD_COLOUR: &str = "ALTER TABLE notes ADD COLUMN colour TEXT;";
const DROP_COLOUR: &str = "ALTER TABLE notes DROP COLUMN colour;";
const ADD_COLOR: &str = "ALTER TABLE notes ADD COLUMN color TEXT NOT NULL DEFAULT 'red';";
const DROP_COLOR: &str = "ALTER TABLE notes DROP COLUMN color;";

/// Three users with a note each, at 1.1.0.
fn fleet() -> Fleet {
    let fleet = Fleet::from_blocks(&blocks(ADD_COLOUR, Some(DROP_COLOUR))).system("");
    let fleet = ["ann", "bob", "cy"].into_iter().fold(fleet, |fleet, user| fleet.user(user, ""));
    let fleet = fleet.upgrade_to("1.1.0");
    ["ann", "bob", "cy"].into_iter().fold(fleet, |fleet, user| {
        fleet.user(user, &format!("INSERT INTO notes (body, colour) VALUES ('of {user}', 'blue')"))
    })
}

fn history(fleet: &Fleet, name: &str) -> Vec<String> {
    fleet.database(name).rows("SELECT event, from_version, to_version FROM _tatmig_migrations")
}

#[test]
fn an_edited_migration_is_undone_as_it_was_applied_and_applied_as_it_is_now() {
    let fleet = fleet().blocks(&blocks(ADD_COLOR, Some(DROP_COLOR)));
    fleet.run_without_changes(["redo", "--all-users", "--dry-run"]).status(0).stderr("").stdout(
        "-- user 1.1.0 → 1.0.0 (stored when the migration was applied): 3 databases, ann, bob, cy\n\
         ALTER TABLE notes DROP COLUMN colour;\n\
         \n\
         -- user 1.0.0 → 1.1.0 (MIGRATIONS.md:14): 3 databases, ann, bob, cy\n\
         ALTER TABLE notes ADD COLUMN color TEXT NOT NULL DEFAULT 'red';\n\n",
    );
    fleet
        .run(["redo", "--all-users", "--no-backup"])
        .status(0)
        .stderr("")
        .stdout("system: already at 1.1.0\n3 users: 3 redone at 1.1.0\n");
    assert_eq!(fleet.database("ann").rows("SELECT body, color FROM notes"), ["of ann|red"]);
    assert_eq!(fleet.database("ann").columns("notes"), ["id", "body", "color"]);
    assert_eq!(
        history(&fleet, "bob")[2..],
        ["downgrade|1.1.0|1.0.0", "upgrade|1.0.0|1.1.0"],
        "one transaction writes both entries"
    );
    fleet.run(["verify"]).status(0);
    fleet.run(["status"]).status(0);

    // The SQL of the second text is stored as well, so that a third one can follow.
    let fleet = fleet.blocks(&blocks(ADD_COLOUR, Some(DROP_COLOUR)));
    fleet.run(["redo", "--all-users", "--no-backup"]).status(0).stdout_contains("3 redone");
    let fleet = fleet.blocks(&blocks(ADD_COLOR, Some(DROP_COLOR)));
    fleet
        .run(["redo", "--user", "ann", "--no-backup"])
        .status(0)
        .stdout("ann: redone: 1.1.0 → 1.0.0 → 1.1.0\n");
    assert_eq!(fleet.database("ann").columns("notes"), ["id", "body", "color"]);
    assert_eq!(fleet.database("bob").columns("notes"), ["id", "body", "colour"]);
}

#[test]
fn databases_are_copied_first() {
    let fleet = fleet().blocks(&blocks(ADD_COLOR, Some(DROP_COLOR)));
    fleet.run(["redo", "--user", "ann"]).status(0).stdout_contains("1 database copied to backups/");
    fleet.run(["restore", "latest", "--no-backup"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body, colour FROM notes"), ["of ann|blue"]);
}

#[test]
fn without_an_edit_every_selected_database_is_redone() {
    let fleet = fleet();
    fleet
        .run(["redo", "--user", "ann", "--user", "bob", "--no-backup"])
        .status(0)
        .stdout("2 users: 2 redone at 1.1.0\n")
        .stderr("`1.0.0 → 1.1.0` was not edited after these databases applied it; it is redone all the same\n");
    assert_eq!(fleet.database("ann").rows("SELECT body, colour FROM notes"), ["of ann|NULL"]);
    assert_eq!(fleet.database("cy").rows("SELECT body, colour FROM notes"), ["of cy|blue"]);
    let run = fleet.run(["redo", "--all-users", "--no-backup", "--json"]).status(0).json();
    assert_eq!(run["edited"], false);
    assert_eq!(run["summary"]["redone"], 4, "{run}");
    assert_eq!(run["databases"][1]["steps"], serde_json::json!(["1.0.0", "1.1.0"]));
    fleet.run(["verify"]).status(0);
}

#[test]
fn a_database_that_fails_keeps_its_rows_and_the_next_run_finishes() {
    let unique = "CREATE UNIQUE INDEX one_body ON notes (body);";
    let fleet = fleet()
        .user("bob", "INSERT INTO notes (body, colour) VALUES ('of bob', 'green')")
        .blocks(&blocks(unique, Some("DROP INDEX one_body;")));
    let before = fleet.database("bob").dump();
    fleet
        .run(["redo", "--all-users", "--no-backup"])
        .status(1)
        .stdout_contains("3 users: 2 redone at 1.1.0, 1 failed")
        .stdout_contains("run the command again for the databases that failed")
        .stderr_contains("`bob` (bob_longterm.db): UNIQUE constraint failed: notes.body")
        .stderr_contains("MIGRATIONS.md:15:");
    assert_eq!(fleet.database("bob").dump(), before);
    let fleet = fleet.user("bob", "DELETE FROM notes WHERE colour = 'green'");
    fleet
        .run(["redo", "--all-users", "--no-backup"])
        .status(0)
        .stdout("system: already at 1.1.0\n3 users: 1 redone at 1.1.0, 2 already at 1.1.0\n");
    assert_eq!(fleet.database("bob").rows("SELECT body FROM notes"), ["of bob"]);
    fleet.run(["verify"]).status(0);
}

#[test]
fn a_stored_reverse_block_that_fails_on_the_rows_is_quoted() {
    let refuse = "-- tatmig:assert no note is blue\nSELECT body FROM notes WHERE colour = 'blue';\nALTER TABLE notes DROP COLUMN colour;";
    let fleet = Fleet::from_blocks(&blocks(ADD_COLOUR, Some(refuse)))
        .system("")
        .user("ann", "")
        .upgrade_to("1.1.0")
        .user("ann", "INSERT INTO notes (body, colour) VALUES ('tea', 'blue')")
        .blocks(&blocks(ADD_COLOR, Some(DROP_COLOR)));
    let before = fleet.database("ann").dump();
    fleet
        .run(["redo", "--user", "ann", "--no-backup"])
        .status(1)
        .stderr_contains("`ann` (ann_longterm.db): the reverse block `1.1.0 → 1.0.0` that was stored when the migration was applied:")
        .stderr_contains("no note is blue");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_migration_without_a_reverse_block_is_refused_with_what_to_do() {
    let fleet = Fleet::from_blocks(&blocks(ADD_COLOUR, None))
        .system("")
        .user("ann", "")
        .upgrade_to("1.1.0");
    fleet
        .run_without_changes(["redo", "--user", "ann"])
        .status(2)
        .stderr_contains("`1.0.0 → 1.1.0` cannot be undone:")
        .stderr_contains("`-- [user:1.1.0→1.0.0:start]`; add the reverse block");
    let fleet = fleet.blocks(&blocks(ADD_COLOR, None));
    fleet
        .run_without_changes(["redo", "--user", "ann"])
        .status(2)
        .stderr_contains("`ann`: `1.0.0 → 1.1.0` was applied without a user reverse block")
        .stderr_contains("run `tatmig adopt --user NAME`")
        .stderr_contains("`tatmig -f OLD.md downgrade --to 1.0.0`");
    // A reverse block that was added with the edit counts if it undoes what was applied.
    let with_default = "ALTER TABLE notes ADD COLUMN colour TEXT DEFAULT 'red';";
    let fleet = fleet.blocks(&blocks(with_default, Some(DROP_COLOUR)));
    fleet.run(["redo", "--user", "ann", "--no-backup"]).status(0);
    assert!(fleet.database("ann").dump().concat().contains("DEFAULT 'red'"));
}

#[test]
fn a_reverse_block_that_does_not_lead_back_is_refused() {
    let fleet = Fleet::from_blocks(&blocks(ADD_COLOUR, Some("SELECT 1;")))
        .system("")
        .user("ann", "")
        .upgrade_to("1.1.0");
    fleet
        .run_without_changes(["redo", "--user", "ann"])
        .status(2)
        .stderr_contains("the user reverse block of the document does not lead from `1.1.0` back to the schema of `1.0.0`")
        .stderr_contains("complete it, or allow `reverse-differs` in it");
    let fleet = fleet.blocks(&blocks(ADD_COLOR, Some(DROP_COLOR)));
    fleet
        .run_without_changes(["redo", "--user", "ann"])
        .status(2)
        .stderr_contains("the user reverse block that the system database stores does not lead from `1.1.0` back to the schema of `1.0.0`");
}

#[test]
fn the_help_names_adopt_where_the_edit_leaves_the_schema_as_it_is() {
    let fleet = fleet().blocks(&blocks(
        "ALTER TABLE notes ADD COLUMN colour TEXT;\nUPDATE notes SET colour = 'grey';",
        Some(DROP_COLOUR),
    ));
    fleet
        .run_without_changes(["redo", "--user", "ann", "--dry-run"])
        .status(0)
        .stderr("the edit of `1.0.0 → 1.1.0` does not change the schema of `ann`; `adopt` would accept it without running anything\n");
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("in development, `redo` undoes the last migration and applies it as it is now; if the schema already matches, `adopt` accepts the edit");
    fleet.run(["adopt", "--user", "ann"]).status(0);
    fleet
        .run(["redo", "--all-users", "--no-backup"])
        .status(0)
        .stdout_contains("2 redone at 1.1.0, 1 already at 1.1.0");
    assert_eq!(fleet.database("ann").rows("SELECT colour FROM notes"), ["blue"]);
    assert_eq!(fleet.database("bob").rows("SELECT colour FROM notes"), ["grey"]);
}

#[test]
fn more_databases_than_the_limit_need_a_confirmation() {
    let fleet =
        fleet().users(9, "").upgrade_to("1.1.0").blocks(&blocks(ADD_COLOR, Some(DROP_COLOR)));
    fleet.run_without_changes(["redo", "--all-users"]).status(2).stderr_contains(
        "`1.0.0 → 1.1.0` would be redone on 12 databases, more than 10; `redo` is for development",
    );
    fleet.run_without_changes(["redo", "--all-users", "--dry-run"]).status(0);
    fleet.run_without_changes(["redo", "--all-users", "--max", "11"]).status(2);
    fleet
        .run(["redo", "--all-users", "--max", "12", "--no-backup"])
        .status(0)
        .stdout_contains("12 redone");
    let fleet = fleet.blocks(&blocks(ADD_COLOUR, Some(DROP_COLOUR)));
    fleet
        .run(["redo", "--all-users", "--yes", "--no-backup"])
        .status(0)
        .stdout_contains("12 redone");
}

#[test]
fn an_edit_of_an_earlier_migration_is_refused() {
    let mut edited = blocks(ADD_COLOUR, Some(DROP_COLOUR));
    edited[1].1 = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);";
    let fleet = fleet().blocks(&edited);
    fleet
        .run_without_changes(["redo", "--user", "ann"])
        .status(1)
        .stderr_contains("error[edited]: `ann` (ann_longterm.db): a migration was edited after this database applied it: `baseline → 1.0.0`");
}

#[test]
fn databases_below_the_version_and_without_a_history_are_left_unchanged() {
    let fleet = fleet()
        .user("new", "")
        .user("own", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        .blocks(&blocks(ADD_COLOR, Some(DROP_COLOR)));
    let before = fleet.database("own").dump();
    fleet
        .run(["redo", "--all-users", "--no-backup"])
        .status(1)
        .stdout_contains("5 users: 3 redone at 1.1.0, 1 below 1.1.0, 1 failed")
        .stderr_contains("`own` (own_longterm.db): the database has no history, so its last migration is not known; run `tatmig adopt --user NAME` first");
    assert_eq!(fleet.database("own").dump(), before);
    assert!(fleet.database("new").tables().is_empty());
}

#[test]
fn without_a_system_database_an_unedited_migration_is_redone_and_an_edited_one_is_refused() {
    let fleet = Fleet::from_blocks(&blocks(ADD_COLOUR, Some(DROP_COLOUR))[1..])
        .user("ann", "")
        .upgrade_to("1.1.0");
    fleet.run(["redo", "--user", "ann", "--no-backup"]).status(0);
    let fleet = fleet.blocks(&blocks(ADD_COLOR, Some(DROP_COLOR))[1..]);
    fleet.run_without_changes(["redo", "--user", "ann"]).status(2).stderr_contains(
        "the document has no system database, which would store the SQL that was applied",
    );
}

#[test]
fn the_baseline_is_redone_if_it_is_the_last_migration() {
    let fleet = Fleet::from_blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT);"),
        ("system:1.0.0→baseline", "DROP TABLE accounts;"),
    ])
    .system("")
    .upgrade_to("1.0.0")
    .blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
        ("system:1.0.0→baseline", "DROP TABLE accounts;"),
    ]);
    fleet.run(["redo"]).status(0).stdout_contains("system: redone: 1.0.0 → baseline → 1.0.0");
    fleet.run(["verify"]).status(0);
}

#[test]
fn no_known_version_is_wrong_usage() {
    let fleet = Fleet::from_blocks(BASELINE).system("").user("ann", "");
    for command in [&["redo"] as &[&str], &["downgrade", "-1"]] {
        let run = fleet.run_without_changes([command, &["--all-users"]].concat());
        run.status(2)
            .stderr_contains("no migration can be undone: `system`, `ann`: the database is new");
    }
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);")])
        .user("ann", "CREATE TABLE own (a)");
    for command in [&["redo"] as &[&str], &["downgrade", "-1"]] {
        let run = fleet.run_without_changes(command);
        run.status(2).stderr_contains("no database is selected, so no migration can be undone; select user databases with `--all-users` or `--user NAME`");
        let run = fleet.run_without_changes([command, &["--user", "ann"]].concat());
        run.status(2).stderr_contains("no migration can be undone: `ann`: ");
    }
}
