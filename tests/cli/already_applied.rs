//! Tests ADD COLUMN and DROP COLUMN that were applied before the run: tatmig skips them if the
//! result is the same, and fails with both definitions if it differs. Changes of the document
//! itself are never skipped.

use crate::support::Fleet;

const COLUMN_CHANGES: &[(&str, &str)] = &[
    ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, old TEXT);"),
    (
        "user:1.0.0→1.1.0",
        "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;\nALTER TABLE notes DROP COLUMN old;",
    ),
];

/// A user at the baseline whose database was changed by hand.
fn fleet_changed_by_hand(sql: &str) -> Fleet {
    Fleet::from_blocks(COLUMN_CHANGES)
        .user("ann", "")
        .upgrade_to("1.0.0")
        .user("ann", sql)
        .user("ann", "INSERT INTO notes (id) VALUES (7)")
}

#[test]
fn an_existing_column_with_the_same_definition_is_skipped() {
    for sql in [
        "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE notes ADD COLUMN \"PINNED\" integer not null default 0",
    ] {
        let fleet = fleet_changed_by_hand(sql);
        fleet
            .run(["upgrade", "--all-users"])
            .status(0)
            .stdout("ann: 1.0.0 → 1.1.0 (column `notes.pinned` already existed)\n");
        let ann = fleet.database("ann");
        assert_eq!(ann.rows("SELECT id, pinned FROM notes"), ["7|0"]);
        assert_eq!(ann.columns("notes").len(), 2);
        let note = ann.rows("SELECT note FROM _tatmig_migrations ORDER BY id DESC LIMIT 1");
        assert_eq!(note, ["column `notes.pinned` already existed"]);
    }
}

#[test]
fn a_column_already_dropped_is_skipped() {
    let fleet = fleet_changed_by_hand("ALTER TABLE notes DROP COLUMN old");
    let json = fleet.run(["upgrade", "--all-users", "--json"]).status(0).json();
    assert_eq!(json["databases"][0]["notes"][0], "column `notes.old` was already dropped");
    assert_eq!(fleet.database("ann").columns("notes"), ["id", "pinned"]);
}

#[test]
fn a_different_definition_fails_and_shows_both() {
    for (sql, found) in [
        ("ALTER TABLE notes ADD COLUMN pinned TEXT", "TEXT"),
        ("ALTER TABLE notes ADD COLUMN pinned INTEGER", "INTEGER"),
        ("ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 1", "DEFAULT 1"),
        ("ALTER TABLE notes ADD COLUMN pinned AS (1)", "pinned"),
        ("ALTER TABLE notes ADD COLUMN pinned INTEGER REFERENCES notes (id)", "notes"),
    ] {
        let fleet = fleet_changed_by_hand(sql);
        let before = fleet.database("ann").dump();
        let run = fleet.run(["upgrade", "--all-users"]);
        run.status(1)
            .stderr_contains("MIGRATIONS.md:9:")
            .stderr_contains("column `notes.pinned` already exists as `")
            .stderr_contains("the migration 1.0.0 → 1.1.0 adds it as `")
            .stderr_contains("INTEGER NOT NULL DEFAULT 0`")
            .stderr_contains(found);
        assert_eq!(fleet.database("ann").dump(), before, "{sql}");
    }
}

#[test]
fn a_column_added_twice_in_one_run_is_an_error() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);"),
        ("user:1.0.0→1.1.0", "ALTER TABLE a ADD COLUMN y;\nALTER TABLE a ADD COLUMN y;"),
    ]);
    let fleet = fleet.user("ann", "");
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(2)
        .stderr_contains("duplicate column name: y")
        .stderr_contains("MIGRATIONS.md:10:");
}

#[test]
fn a_database_with_the_full_schema_is_adopted() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE IF NOT EXISTS a (x);"),
        ("user:1.0.0→1.1.0", "ALTER TABLE a ADD COLUMN y TEXT;"),
    ]);
    let fleet = fleet.user("ann", "CREATE TABLE a (x, y TEXT); INSERT INTO a VALUES (1, 'kept');");
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout("ann: at 1.1.0 (adopted at 1.1.0, since its schema is that of this version)\n");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM a"), ["1|kept"]);
}

#[test]
fn a_missing_table_does_not_count_as_already_applied() {
    let fleet = fleet_changed_by_hand("ALTER TABLE notes RENAME TO other; CREATE TABLE notes (id)");
    let fleet = fleet.user("ann", "DROP TABLE notes");
    let before = fleet.database("ann").dump();
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("no such table: notes");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn an_if_not_exists_over_a_different_object_fails_before_commit() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT);\nCREATE INDEX IF NOT EXISTS by_body ON notes (body);\nCREATE VIEW IF NOT EXISTS bodies AS SELECT body FROM notes;",
    )]);
    for (sql, missing) in [
        (
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, more TEXT); DROP TABLE notes; CREATE TABLE notes (body TEXT)",
            "column `notes.id` is missing",
        ),
        ("CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB)", "column `notes.body` is `"),
        (
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT); CREATE INDEX by_body ON notes (id)",
            "index `by_body` is `CREATE INDEX by_body ON notes (id)`, not `CREATE INDEX",
        ),
        (
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT); CREATE VIEW bodies AS SELECT 1",
            "view `bodies` is `CREATE VIEW bodies AS SELECT 1`, not `CREATE VIEW",
        ),
    ] {
        let fleet = Fleet::new()
            .document(std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap())
            .user("ann", sql)
            .user("bob", "");
        // The schema matches no version and was not adopted; `stamp` makes the baseline run on it.
        fleet.run(["stamp", "baseline", "--user", "ann"]).status(0);
        let before = fleet.database("ann").dump();
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains("after the last step, the schema does not match the document")
            .stderr_contains(missing);
        assert_eq!(fleet.database("ann").dump(), before, "{sql}");
        assert_eq!(fleet.database("bob").version().as_deref(), Some("1.0.0"));
    }
}

#[test]
fn extra_columns_and_tables_are_left_unchanged() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY);"),
        ("user:1.0.0→1.1.0", "CREATE TABLE more (x);"),
    ]);
    let fleet = fleet.user(
        "ann",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, own TEXT); CREATE TABLE mine (x);",
    );
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("column `notes.own`");
    fleet.run(["adopt", "--all-users"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").columns("notes"), ["id", "own"]);
    assert_eq!(fleet.database("ann").tables(), ["mine", "more", "notes"]);
}
