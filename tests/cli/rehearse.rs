//! Tests rehearsals: every statement and every check runs on the real databases, and no byte of
//! them changes.

use crate::support::{DUPLICATE_NOTES, Fleet, NOTES, document};

/// 30 users at 1.0.0, some in WAL mode; `u007` has rows that violate the unique index.
fn fleet() -> Fleet {
    let fleet = Fleet::from_blocks(NOTES).system("").users(30, "").upgrade_to("1.0.0");
    fleet.user("u003", "PRAGMA journal_mode = WAL; INSERT INTO notes (body) VALUES ('kept')").user(
        "u005",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
                       INSERT INTO notes (body) SELECT i || hex(zeroblob(100)) FROM n",
    )
}

#[test]
fn a_rehearsal_changes_no_byte() {
    let fleet = fleet();
    fleet.run_without_changes(["upgrade", "--all-users", "--rehearse"]).status(0).stdout(
        "system: 1.0.0 → 1.2.0, rehearsed and rolled back\n\
             30 users: 30 rehearsed up to 1.2.0 and rolled back\n",
    );
}

#[test]
fn the_rows_that_each_step_changes_are_counted() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);"),
        ("user:1.0.0→1.1.0", "ALTER TABLE t ADD COLUMN m TEXT; CREATE INDEX tn ON t (n);"),
        ("user:1.1.0→1.2.0", "UPDATE t SET m = n WHERE id < 4; DELETE FROM t WHERE id = 7;"),
    ])
    .user("ann", "")
    .upgrade_to("1.0.0")
    .user("ann", "INSERT INTO t (id) VALUES (1), (2), (3), (4), (5), (6), (7)");
    let json = fleet.run_without_changes(["upgrade", "--all-users", "--rehearse", "--json"]);
    let json = json.status(0).json();
    assert_eq!(json["databases"][0]["rows_changed"], serde_json::json!([0, 4]));
    let json = fleet.run(["upgrade", "--all-users", "--json"]).status(0).json();
    assert_eq!(json["databases"][0]["rows_changed"], serde_json::json!([0, 4]));
}

#[test]
fn a_rehearsal_finds_failures_that_depend_on_rows() {
    let fleet = fleet().user("u007", DUPLICATE_NOTES);
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--rehearse"]);
    run.status(1)
        .stdout_contains("30 users: 29 rehearsed up to 1.2.0 and rolled back, 1 failed\n")
        .stdout_contains("1 database failed; a rehearsal changes no database. Fix the cause and run the command again\n")
        .stderr_contains("`u007` (u007_longterm.db): UNIQUE constraint failed: notes.body")
        .stderr_contains("MIGRATIONS.md:21:");
    let json = fleet.run_without_changes(["upgrade", "--all-users", "--rehearse", "--json"]);
    assert_eq!(json.status(1).json()["summary"]["rehearsed"], 30);
}

#[test]
fn all_or_nothing_commits_only_if_every_database_passes() {
    let fleet = fleet().user("u007", DUPLICATE_NOTES);
    fleet
        .run_without_changes(["upgrade", "--all-users", "--all-or-nothing"])
        .status(1)
        .stdout_contains("nothing was committed: not every database passed the rehearsal\n");
    let fleet = fleet.user("u007", "DELETE FROM notes");
    fleet
        .run(["upgrade", "--all-users", "--all-or-nothing"])
        .status(0)
        .stdout("system: 1.0.0 → 1.2.0\n30 users: 30 upgraded to 1.2.0\n");
    assert_eq!(fleet.database("u003").rows("SELECT body FROM notes"), ["kept"]);
}

#[test]
fn a_planned_migration_is_rehearsed_with_its_sql_uncommented() {
    let planned = document(&[(
        "user:1.2.0→1.3.0",
        "-- Drop what nobody reads:\n-- ALTER TABLE notes\n--   DROP COLUMN pinned;",
    )]);
    let broken = document(&[("user:1.3.0→1.4.0", "-- DROP TABLE nothing;")]);
    let markdown = format!(
        "{}## 1.2.0 → 1.3.0 (Planned)\n\n{planned}## 1.3.0 → 1.4.0 (Planned)\n\n{broken}",
        document(NOTES)
    );
    let fleet = fleet().document(markdown);
    fleet
        .run_without_changes(["upgrade", "--all-users", "--rehearse", "--planned", "1.3.0"])
        .status(0)
        .stdout_contains("30 users: 30 rehearsed up to 1.3.0 and rolled back\n");
    fleet
        .run_without_changes(["upgrade", "--all-users", "--rehearse", "--planned", "1.4.0"])
        .status(2)
        .stderr_contains("near \"nothing\": syntax error");
    fleet
        .run_without_changes(["upgrade", "--rehearse", "--planned", "9.0.0"])
        .status(2)
        .stderr_contains("version `9.0.0` is not in MIGRATIONS.md");
    // Only a rehearsal may run planned migrations.
    fleet.run_without_changes(["upgrade", "--planned", "1.3.0"]).status(2);
}
