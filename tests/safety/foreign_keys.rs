//! Tests foreign keys: they are off while the steps run, so that no rebuild deletes child rows, and
//! checked before the commit, so that new violations fail the migration and existing ones do not.

use crate::support::Fleet;

const PARENTS_AND_CHILDREN: &str = "\
CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE children (
    id INTEGER PRIMARY KEY,
    parent INTEGER REFERENCES parents (id) ON DELETE CASCADE
);";

const ROWS: &str = "INSERT INTO parents VALUES (1, 'eve'), (2, 'ada'); \
                    INSERT INTO children VALUES (10, 1), (11, 1), (12, 2), (13, NULL);";

/// Parents and children at the baseline, and one pending migration.
fn fleet_with_children(sql: &str, rows: &str) -> Fleet {
    let blocks = [("user:baseline→1.0.0", PARENTS_AND_CHILDREN), ("user:1.0.0→1.1.0", sql)];
    let rows = format!("PRAGMA foreign_keys = OFF; {rows}");
    Fleet::from_blocks(&blocks)
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.0.0")
        .user("ann", &rows)
}

/// Asserts that `ann` fails with this message and keeps all rows, and that `bob`, who has no rows,
/// is migrated.
#[track_caller]
fn assert_ann_fails(fleet: &Fleet, messages: &[&str]) {
    let before = fleet.database("ann").dump();
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("`ann` (ann_longterm.db): ");
    for messages in messages {
        run.stderr_contains(messages);
    }
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_table_rebuild_keeps_child_rows() {
    let rebuild = "\
CREATE TABLE new_parents (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '');
INSERT INTO new_parents SELECT id, name FROM parents;
DROP TABLE parents;
ALTER TABLE new_parents RENAME TO parents;";
    for first in ["", "PRAGMA foreign_keys = ON;\n"] {
        let fleet = fleet_with_children(&format!("{first}{rebuild}"), ROWS);
        fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
        let ann = fleet.database("ann");
        assert_eq!(ann.rows("SELECT * FROM children"), ["10|1", "11|1", "12|2", "13|NULL"]);
        assert_eq!(ann.rows("SELECT * FROM parents"), ["1|eve", "2|ada"]);
        assert!(ann.rows("PRAGMA foreign_key_check").is_empty());
        // The children still refer to the table of that name, and their foreign key works.
        ann.connection()
            .execute_batch("PRAGMA foreign_keys = ON; DELETE FROM parents WHERE id = 1")
            .unwrap();
        assert_eq!(ann.rows("SELECT id FROM children"), ["12", "13"]);
    }
}

#[test]
fn a_new_violation_fails_and_names_table_key_and_parent() {
    let fleet = fleet_with_children("DELETE FROM parents WHERE id = 1;", ROWS);
    assert_ann_fails(
        &fleet,
        &["these migrations leave 2 rows without a parent", "`children", "parent", "1", "parents"],
    );
}

#[test]
fn many_new_violations_are_counted() {
    let rows = "INSERT INTO parents VALUES (1, 'eve'); \
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                INSERT INTO children SELECT i, i FROM n; INSERT INTO parents SELECT id, 'x' FROM children WHERE id > 1;";
    let fleet = fleet_with_children("DELETE FROM parents;", rows);
    assert_ann_fails(
        &fleet,
        &["these migrations leave 1000 rows without a parent", "and 995 more"],
    );
}

#[test]
fn an_existing_violation_is_reported_and_allowed() {
    let rows = format!("{ROWS} INSERT INTO children VALUES (14, 99);");
    let fleet = fleet_with_children("UPDATE parents SET name = upper(name);", &rows);
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(0)
        .stdout_contains("ann: 1.0.0 → 1.1.0 (1 row refers to parents that were missing before)\n");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM children WHERE id = 14"), ["14|99"]);
}

#[test]
fn an_existing_violation_moved_by_a_rebuild_is_allowed() {
    let rows = format!("{ROWS} INSERT INTO children VALUES (14, 99);");
    let rebuild = "\
CREATE TABLE new_children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id) ON DELETE CASCADE, note TEXT);
INSERT INTO new_children SELECT id + 1000, parent, 'moved' FROM children;
DROP TABLE children;
ALTER TABLE new_children RENAME TO children;";
    let fleet = fleet_with_children(rebuild, &rows);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM children WHERE id > 1000"), ["5"]);
}

#[test]
fn a_new_violation_is_found_in_a_renamed_table() {
    let orphaning_rename =
        "UPDATE children SET parent = 99 WHERE id = 10;\nALTER TABLE children RENAME TO kids;";
    assert_ann_fails(&fleet_with_children(orphaning_rename, ROWS), &["kids", "parents"]);
}

#[test]
fn an_existing_violation_does_not_hide_a_new_one() {
    let rows = format!("{ROWS} INSERT INTO children VALUES (14, 99);");
    let fleet = fleet_with_children("UPDATE children SET parent = 99 WHERE id = 12;", &rows);
    assert_ann_fails(&fleet, &["these migrations leave 1 row without a parent", "99"]);
}

#[test]
fn violations_repaired_before_commit_are_allowed() {
    let fleet = fleet_with_children(
        "DELETE FROM parents;\nINSERT INTO parents VALUES (1, 'new eve'), (2, 'new ada');",
        ROWS,
    );
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
    assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM children"), ["4"]);
}

#[test]
fn a_later_migration_may_repair_violations() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", PARENTS_AND_CHILDREN),
        ("user:1.0.0→1.1.0", "UPDATE children SET parent = 50;"),
        ("user:1.1.0→1.2.0", "INSERT INTO parents VALUES (50, 'all');"),
    ]);
    let fleet = fleet.user("ann", "").upgrade_to("1.0.0").user("ann", ROWS);
    let before = fleet.database("ann").dump();
    // The first of them alone violates foreign keys.
    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(1);
    assert_eq!(fleet.database("ann").dump(), before);
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn a_new_key_on_existing_rows_is_checked() {
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE parents (id INTEGER PRIMARY KEY);\nCREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER);",
        ),
        (
            "user:1.0.0→1.1.0",
            "CREATE TABLE c2 (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id));\nINSERT INTO c2 SELECT * FROM children;\nDROP TABLE children;\nALTER TABLE c2 RENAME TO children;",
        ),
    ]);
    let fleet = fleet.user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet.user("ann", "INSERT INTO children VALUES (1, 7)");
    assert_ann_fails(&fleet, &["these migrations leave 1 row without a parent", "7", "parents"]);
}

#[test]
fn composite_keys_and_tables_without_rowid_are_checked() {
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE parents (a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;\n\
             CREATE TABLE children (id TEXT PRIMARY KEY, a TEXT, b TEXT, FOREIGN KEY (a, b) REFERENCES parents) WITHOUT ROWID;",
        ),
        ("user:1.0.0→1.1.0", "UPDATE parents SET b = 'z';"),
    ]);
    let fleet = fleet.user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet.user(
        "ann",
        "INSERT INTO parents VALUES ('x', 'y'); INSERT INTO children VALUES ('k', 'x', 'y'), ('l', 'x', NULL)",
    );
    assert_ann_fails(
        &fleet,
        &["these migrations leave 1 row without a parent", "children", "parents"],
    );
}

#[test]
fn a_key_to_non_unique_columns_does_not_crash() {
    // As in the baseline of Tatlock.
    let mismatched = "\
CREATE TABLE memories (id INTEGER PRIMARY KEY, conversation_id TEXT);
CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    conversation_id TEXT REFERENCES memories (conversation_id)
);";
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", &format!("{mismatched}\nINSERT INTO memories VALUES (0, 'c');")),
        (
            "user:1.0.0→1.1.0",
            "UPDATE memories SET conversation_id = 'c';\nALTER TABLE topics ADD COLUMN note TEXT;",
        ),
    ]);
    let fleet = fleet.user("ann", "").user("bob", "");
    fleet
        .run(["upgrade", "--all-users", "--to", "1.0.0", "-v"])
        .status(0)
        .stdout_contains("SQLite cannot use the foreign key `topics`");
    let fleet = fleet.user(
        "ann",
        "PRAGMA foreign_keys = OFF; INSERT INTO memories VALUES (1, 'a'), (2, 'a'); \
         INSERT INTO topics VALUES (1, 'gone');",
    );
    // The key was unusable before, so the next migration neither fails nor reports it again.
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(0)
        .stderr("")
        .stdout_contains("ann: 1.0.0 → 1.1.0\n");
    assert_eq!(fleet.database("ann").rows("SELECT id, conversation_id FROM topics"), ["1|gone"]);
}

#[test]
fn existing_orphans_of_a_repaired_key_are_reported_and_allowed() {
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);\n\
             CREATE TABLE children (id INTEGER PRIMARY KEY, parent TEXT REFERENCES parents (name));",
        ),
        (
            "user:1.0.0→1.1.0",
            "UPDATE parents SET name = lower(name);\nCREATE UNIQUE INDEX by_name ON parents (name);",
        ),
    ]);
    let rows = "PRAGMA foreign_keys = OFF; INSERT INTO parents VALUES (1, 'EVE'); \
                INSERT INTO children VALUES (1, 'eve'), (2, 'gone')";
    let fleet = fleet.user("ann", "").upgrade_to("1.0.0").user("ann", rows);
    fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(0)
        .stdout_contains("ann: 1.0.0 → 1.1.0 (1 row refers to parents that were missing before)\n");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM children"), ["1|eve", "2|gone"]);
}

#[test]
fn a_key_to_a_missing_table_does_not_crash() {
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE children (id INTEGER PRIMARY KEY, parent REFERENCES nowhere (id));",
        ),
        (
            "user:1.0.0→1.1.0",
            "ALTER TABLE children ADD COLUMN note TEXT;\nUPDATE children SET note = 'x';",
        ),
    ]);
    let fleet = fleet.user("ann", "").upgrade_to("1.0.0");
    let fleet = fleet
        .user("ann", "PRAGMA foreign_keys = OFF; INSERT INTO children VALUES (1, 5), (2, NULL)");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM children"), ["1|5|x", "2|NULL|x"]);
}

#[test]
fn dropping_a_referenced_parent_fails() {
    let fleet = fleet_with_children("DROP TABLE parents;", ROWS);
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("error[dangling-reference]: 2 databases (`ann`, `bob`)")
        .stderr_contains("the foreign key `children (parent)` → `parents` cannot be used");
    assert_eq!(fleet.database("ann").dump(), before);
}
