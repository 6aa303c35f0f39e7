//! Tests `upgrade --dry-run`: it prints what would run, and changes no byte.

use snapbox::str;

use crate::support::{Fleet, NOTES};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES)
        .system("")
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.0.0")
        .user("new", "")
}

#[test]
fn it_prints_each_pending_block_once_with_its_line_and_databases() {
    let fleet = fleet();
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    run.status(0).stderr("").stdout(str![[r#"
-- system 1.0.0 → 1.1.0 (MIGRATIONS.md:14): 1 database, system
-- no block for this scope: recorded in the history only

-- system 1.1.0 → 1.2.0 (MIGRATIONS.md:20): 1 database, system
-- no block for this scope: recorded in the history only

-- user baseline → 1.0.0 (MIGRATIONS.md:8): 1 database, new
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);

-- user 1.0.0 → 1.1.0 (MIGRATIONS.md:14): 3 databases, ann, bob, new
ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;

-- user 1.1.0 → 1.2.0 (MIGRATIONS.md:20): 3 databases, ann, bob, new
CREATE UNIQUE INDEX one_body ON notes (body);


"#]]);
}

#[test]
fn its_output_is_runnable_sql() {
    let fleet = fleet();
    let printed = fleet.run(["upgrade", "--user", "new", "--dry-run"]).status(0).stdout_text();
    let other = Fleet::new().user("copy", &printed);
    fleet.run(["upgrade", "--user", "new"]).status(0);
    assert_eq!(other.database("copy").columns("notes"), fleet.database("new").columns("notes"));
}

#[test]
fn it_respects_the_target_and_the_named_users() {
    let fleet = fleet();
    let run = fleet.run_without_changes(["up", "--user", "ann", "--to", "1.1.0", "--dry-run"]);
    run.status(0)
        .stdout_contains("(MIGRATIONS.md:14): 1 database, ann\n")
        .stdout_lacks("bob")
        .stdout_lacks("one_body");
}

#[test]
fn it_reports_when_nothing_is_pending() {
    let fleet = fleet().upgrade_to("1.2.0");
    fleet
        .run_without_changes(["upgrade", "--all-users", "--dry-run"])
        .status(0)
        .stdout("-- nothing is pending up to 1.2.0\n");
}

#[test]
fn many_databases_are_counted_and_the_first_are_named() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).users(7, "");
    fleet
        .run_without_changes(["upgrade", "--all-users", "--dry-run", "--to", "1.0.0"])
        .status(0)
        .stdout_contains(
            "(MIGRATIONS.md:2): 7 databases, u000, u001, u002, u003, u004 and 2 more\n",
        );
}

#[test]
fn a_block_is_printed_verbatim() {
    let sql = "-- why\nCREATE TABLE a (\n    x  TEXT -- it's\n);\n\nINSERT INTO a VALUES ('→ ;');";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", sql)]).user("ann", "");
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    run.status(0).stdout_contains(&format!("1 database, ann\n{sql}\n\n"));
}
