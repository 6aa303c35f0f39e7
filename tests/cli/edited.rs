//! Tests migrations that were edited after they were applied: the database is refused and the
//! change is shown. Changes of layout alone are no edits.

use crate::support::{Fleet, NOTES, document};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.1.0")
}

fn blocks_with_edit(sql: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut blocks = NOTES.to_vec();
    blocks[2].1 = sql;
    blocks
}

#[test]
fn an_edited_migration_is_refused_with_both_statements() {
    let fleet = fleet().blocks(&blocks_with_edit(
        "ALTER TABLE notes ADD COLUMN pinned TEXT NOT NULL DEFAULT 'no';",
    ));
    let fleet = fleet.user("new", "");
    let before = fleet.database("ann").dump();
    let run = fleet.run_without_changes(["status"]);
    run.status(1).stdout_contains("ann     1.1.0     edited: a migration was edited");
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("error[edited]: `ann` (ann_longterm.db): a migration was edited after this database applied it: `1.0.0 → 1.1.0`")
        .stderr_contains("MIGRATIONS.md:14:1")
        .stderr_contains("as applied: ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0")
        .stderr_contains("now: ALTER TABLE notes ADD COLUMN pinned TEXT NOT NULL DEFAULT 'no'");
    assert_eq!(fleet.database("ann").dump(), before);
    // A database to which it was never applied gets the current SQL.
    assert_eq!(fleet.database("new").version().as_deref(), Some("1.2.0"));

    let fleet = fleet.blocks(NOTES);
    fleet.run(["upgrade", "--all-users"]).stdout_contains("1 upgraded to 1.2.0");
}

#[test]
fn without_a_system_database_only_the_migration_is_named() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "").upgrade_to("1.1.0");
    let fleet = fleet.blocks(&blocks_with_edit("ALTER TABLE notes ADD COLUMN pinned;")[1..]);
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("`1.0.0 → 1.1.0`")
        .stderr_lacks("ran then");
}

#[test]
fn changes_in_comments_and_whitespace_are_not_edits() {
    let markdown = format!(
        "# Mended prose\n\n{}",
        document(&blocks_with_edit(
            "-- pinned notes stand first\nALTER TABLE   notes\n  ADD COLUMN pinned /* a flag */ INTEGER\n  NOT NULL DEFAULT 0;"
        ))
    );
    let fleet = fleet().document(markdown.replace('\n', "\r\n"));
    fleet.run_without_changes(["status"]).status(0).stdout_contains("behind, pending 1.2.0");
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn a_changed_string_is_an_edit() {
    let blocks_with =
        |text| [("user:baseline→1.0.0", "CREATE TABLE a (x);"), ("user:1.0.0→1.1.0", text)];
    let fleet = Fleet::from_blocks(&blocks_with("INSERT INTO a VALUES ('a  b');"))
        .user("ann", "")
        .upgrade_to("1.1.0");
    let fleet = fleet.blocks(&blocks_with("INSERT INTO a VALUES ('a b');"));
    fleet.run_without_changes(["status"]).status(1).stdout_contains("edited");
}

#[test]
fn a_baseline_that_replaces_applied_migrations_is_not_an_edit() {
    let fleet = fleet().upgrade_to("1.2.0");
    let squashed = [
        ("system:baseline→1.2.0", "CREATE TABLE accounts (name TEXT PRIMARY KEY);"),
        (
            "user:baseline→1.2.0",
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL, pinned INTEGER NOT NULL DEFAULT 0);\n\
             CREATE UNIQUE INDEX one_body ON notes (body);",
        ),
        ("user:1.2.0→1.3.0", "CREATE TABLE more (x);"),
    ];
    let fleet = fleet.blocks(&squashed);
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("ann: 1.2.0 → 1.3.0\n");
    assert_eq!(fleet.database("ann").tables(), ["more", "notes"]);
}

#[test]
fn an_edit_in_one_scope_does_not_affect_the_other() {
    let mut blocks = NOTES.to_vec();
    blocks[0].1 = "CREATE TABLE accounts (name TEXT PRIMARY KEY, mail TEXT);";
    let fleet = fleet().blocks(&blocks);
    let run = fleet.run_without_changes(["status"]);
    run.status(1)
        .stdout_contains("system  1.1.0     edited")
        .stdout_contains("ann     1.1.0     behind, pending 1.2.0");
    fleet.run_without_changes(["upgrade", "--all-users"]).status(1).stdout_contains("skipped");
}
