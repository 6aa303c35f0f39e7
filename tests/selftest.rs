//! Tests `tatmig test` through the real program: losses are reported at their line, and intended
//! changes are not reported.
#![allow(
    clippy::unwrap_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "snapshots are written in this form when `SNAPSHOTS=overwrite` renews them"
)]

#[allow(dead_code, reason = "each of the binaries uses its own part")]
#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use snapbox::str;

use support::Fleet;

/// A table with an index and a trigger. The SQL is in lines 3 to 6.
const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
CREATE TABLE log (what TEXT);
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;",
);

/// The rule and the line of each problem.
fn reported_rules_and_lines(json: &Value) -> BTreeSet<(String, u64)> {
    let diagnostics = json["problems"].as_array().unwrap();
    diagnostics
        .iter()
        .map(|problem| {
            (problem["rule"].as_str().unwrap().to_owned(), problem["line"].as_u64().unwrap())
        })
        .collect()
}

/// Asserts what the test reports for a document with the baseline and another block, whose SQL
/// begins in line 12.
#[track_caller]
fn assert_second_block_reports(tag: &str, sql: &str, expected: &[(&str, u64)]) {
    assert_document_reports(&[BASELINE, (tag, sql)], expected);
}

/// The same for an upgrade, where the test may also have gaps.
#[track_caller]
fn assert_second_block_finds(sql: &str, expected: &[(&str, u64)]) {
    let fleet = Fleet::from_blocks(&[BASELINE, ("user:1.0.0→1.1.0", sql)]);
    let run = fleet.run_without_changes(["test", "--json"]);
    let expected: BTreeSet<_> =
        expected.iter().map(|(rule, line)| ((*rule).to_owned(), *line)).collect();
    assert_eq!(reported_rules_and_lines(&run.json()), expected, "{}", run.stderr_text());
}

#[track_caller]
fn assert_document_reports(blocks: &[(&str, &str)], expected: &[(&str, u64)]) {
    let fleet = Fleet::from_blocks(blocks);
    let run = fleet.run_without_changes(["test", "--json"]);
    let expected: BTreeSet<_> =
        expected.iter().map(|(rule, line)| ((*rule).to_owned(), *line)).collect();
    assert_eq!(reported_rules_and_lines(&run.json()), expected, "{}", run.stderr_text());
    run.status(i32::from(!expected.is_empty()));
    assert_eq!(run.json()["caveats"], serde_json::json!([]));
}

#[test]
fn the_projects_own_document_passes() {
    let fleet = Fleet::new().document(include_str!("../MIGRATIONS.md"));
    fleet.run_without_changes(["test"]).status(0).stderr("").stdout(str![[r#"
system 0.3.19 to 0.3.20: no data lost up to 0.3.20 (11 tables, 130 rows)
user 0.3.19 to 0.3.20: no data lost up to 0.3.20 (10 tables, 132 rows)
MIGRATIONS.md: 4 databases tested, no data lost

"#]]);
}

#[test]
fn an_invalid_document_is_not_tested() {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "DROP TABLE b;")]);
    fleet.run(["test"]).status(2).stdout("").stderr_contains("no such table");
}

#[test]
fn a_rebuild_that_loses_rows_is_reported_at_its_line() {
    let sql = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT NOT NULL);
INSERT INTO new SELECT id, body, owner FROM notes WHERE owner IS NOT NULL;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    let fleet = Fleet::from_blocks(&[BASELINE, ("user:1.0.0→1.1.0", sql)]);
    fleet
        .run_without_changes(["test"])
        .status(1)
        .stdout(str![[r#"
user 1.0.0: data lost on the way to 1.1.0 (2 tables, 36 rows)
user 1.1.0: no data lost up to 1.1.0 (2 tables, 72 rows)
MIGRATIONS.md: 2 databases tested, 1 problem

"#]])
        .stderr(str![[r#"
error[row-loss]: rebuilding table `notes` loses 1 of its 12 rows
  --> MIGRATIONS.md:13:1
   |
13 | INSERT INTO new SELECT id, body, owner FROM notes WHERE owner IS NOT NULL;
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ in user databases filled at 1.0.0
   |
   = help: copy every row; if this is intended, write `-- tatmig:allow row-loss` and the reason into the block


"#]]);
}

#[test]
fn an_equal_row_count_does_not_hide_changed_rows() {
    let sql = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO new SELECT NULL, n.body, n.owner FROM notes n, notes m WHERE n.id = -1;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    // The keys are changed on purpose, so rows are matched by their other values.
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[("row-change", 13)]);
    assert_second_block_reports(
        "user:1.0.0→1.1.0",
        &sql.replace("n, notes m WHERE n.id = -1", "n"),
        &[],
    );
    // The statement does not mention the keys, and yet they change.
    let sql = sql.replace("INTO new SELECT NULL,", "INTO new (body, owner) SELECT");
    assert_second_block_reports("user:1.0.0→1.1.0", &sql, &[("row-loss", 13)]);
}

#[test]
fn swapped_columns_are_reported() {
    let sql = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO new (id, owner, body) SELECT * FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[("row-change", 13)]);
}

#[test]
fn a_rebuild_that_loses_a_trigger_is_reported() {
    let sql = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO new SELECT * FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);";
    let fleet = Fleet::from_blocks(&[BASELINE, ("user:1.0.0→1.1.0", sql)]);
    fleet.run_without_changes(["test"]).status(1).stderr(str![[r#"
error[object-loss]: trigger `notes_log` is lost: it was dropped with the old table `notes` and never recreated
  --> MIGRATIONS.md:14:1
   |
14 | DROP TABLE notes;
   | ^^^^^^^^^^^^^^^^^ in user databases filled at 1.0.0
   |
   = help: create it again after the table; if this is intended, write `-- tatmig:allow object-loss` and the reason into the block


"#]]);
}

#[test]
fn a_lost_index_and_lost_rows_are_both_reported() {
    let sql = "ALTER TABLE notes RENAME TO old;
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO notes SELECT * FROM old WHERE body <> '';
DROP TABLE old;
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[("row-loss", 14), ("object-loss", 15)]);
}

#[test]
fn explicitly_dropped_objects_are_not_reported() {
    let sql = "DROP INDEX notes_owner;
DROP TRIGGER notes_log;
CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO new SELECT * FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[]);
}

#[test]
fn an_index_may_be_renamed_or_dropped_with_its_column() {
    let sql = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO new SELECT * FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX by_owner ON notes(owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[]);
    let sql = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO new SELECT id, body FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[]);
}

#[test]
fn explicit_changes_are_not_reported() {
    assert_second_block_reports(
        "user:1.0.0→1.1.0",
        "UPDATE notes SET body = upper(body) || '!';",
        &[],
    );
    assert_second_block_reports("user:1.0.0→1.1.0", "ALTER TABLE notes RENAME TO papers;", &[]);
    assert_second_block_reports(
        "user:1.0.0→1.1.0",
        "ALTER TABLE notes RENAME COLUMN body TO text;",
        &[],
    );
    assert_second_block_reports("user:1.0.0→1.1.0", "DROP TRIGGER notes_log; DROP TABLE log;", &[]);
    let sql = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO new SELECT id, trim(body), owner FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[]);
}

#[test]
fn deleted_rows_are_reported_unless_allowed() {
    assert_second_block_reports(
        "user:1.0.0→1.1.0",
        "DELETE FROM notes WHERE body = '';",
        &[("row-loss", 12)],
    );
    let sql =
        "-- tatmig:allow row-loss empty notes are of no use\nDELETE FROM notes WHERE body = '';";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[]);
}

#[test]
fn existing_rows_must_satisfy_new_constraints() {
    let rebuild = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT NOT NULL, owner TEXT);
INSERT INTO new SELECT id, BODY, owner FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_second_block_reports("user:1.0.0→1.1.0", rebuild, &[("constraint", 13)]);
    assert_second_block_reports(
        "user:1.0.0→1.1.0",
        &rebuild.replace("BODY", "COALESCE(body, '')"),
        &[],
    );
    let allowed = format!("-- tatmig:allow constraint the application never wrote NULL\n{rebuild}");
    assert_second_block_reports("user:1.0.0→1.1.0", &allowed, &[]);
    // An allowed failure does not hide a later loss.
    let lossy = allowed.replace("FROM notes", "FROM notes LIMIT 2");
    assert_second_block_reports("user:1.0.0→1.1.0", &lossy, &[("row-loss", 14)]);
}

#[test]
fn down_and_up_again_keeps_the_rows() {
    let up = ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN pinned INTEGER DEFAULT 0;");
    // The values of a dropped column are deleted on purpose.
    assert_document_reports(
        &[BASELINE, up, ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;")],
        &[],
    );
    let down = "CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT);
INSERT INTO new SELECT id, body, owner FROM notes WHERE NOT pinned;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_document_reports(&[BASELINE, up, ("user:1.1.0→1.0.0", down)], &[("row-loss", 19)]);
}

#[test]
fn downgrades_are_tested_as_far_as_reverse_blocks_exist() {
    let fleet = Fleet::from_blocks(&[
        BASELINE,
        ("user:1.0.0→baseline", "DROP TABLE notes; DROP TABLE log;"),
        ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN a;"),
        ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN a;"),
        ("user:1.1.0→1.2.0", "CREATE TABLE more (a REFERENCES notes);"),
        ("user:1.2.0→1.1.0", "DROP TABLE more;"),
    ]);
    fleet.run_without_changes(["test"]).status(0).stderr("").stdout(str![[r#"
user 1.0.0 to 1.2.0: no data lost up to 1.2.0, down to baseline and up again (3 tables, 60 rows)
MIGRATIONS.md: 3 databases tested, no data lost

"#]]);
}

#[test]
fn a_loss_is_reported_once_with_every_affected_version() {
    let fleet = Fleet::from_blocks(&[
        ("system:baseline→1.0.0", "CREATE TABLE t (a TEXT, b INT);"),
        ("system:1.0.0→1.1.0", "ALTER TABLE t ADD COLUMN c;"),
        ("system:1.1.0→1.2.0", "DELETE FROM t WHERE b < 0;"),
        ("system:1.2.0→1.3.0", "ALTER TABLE t ADD COLUMN d;"),
    ]);
    let json = fleet.run_without_changes(["test", "--json"]).status(1).json();
    assert_eq!(reported_rules_and_lines(&json), BTreeSet::from([("row-loss".to_owned(), 15)]));
    assert_eq!(json["problems"][0]["scope"], "system");
    assert_eq!(json["problems"][0]["versions"], serde_json::json!(["1.0.0", "1.1.0"]));
    assert_eq!(json["summary"]["databases"], 4);
    assert_eq!(json["summary"]["held"], 2);
}

#[test]
fn a_table_that_accepts_no_row_is_a_gap_with_status_1() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE never (a INTEGER NOT NULL CHECK (a > 5 AND a < 5));"),
        ("user:1.0.0→1.1.0", "CREATE TABLE child (a INTEGER NOT NULL REFERENCES never (a));"),
    ]);
    fleet.run_without_changes(["test"]).status(1).stderr("").stdout(str![[r#"
user 1.0.0 to 1.1.0: not fully tested up to 1.1.0 (0 tables, 0 rows)
user 1.1.0: table `child` is not tested, no generated row satisfies its constraints: its parent `never` has no rows
user 1.0.0 to 1.1.0: table `never` is not tested, no generated row satisfies its constraints: CHECK constraint failed: a > 5 AND a < 5
MIGRATIONS.md: 2 databases tested, 2 tables not tested

"#]]);
}

#[test]
fn a_trigger_that_cannot_run_is_a_failure() {
    let fleet = Fleet::from_blocks(&[
        BASELINE,
        ("user:1.0.0→1.1.0", "ALTER TABLE log ADD COLUMN at TEXT;"),
    ]);
    fleet.run_without_changes(["test"]).status(1).stderr(str![[r#"
error[sql]: trigger `notes_log` cannot run, so no row can be inserted into `notes`: table log has 2 columns but 1 values were supplied
 --> MIGRATIONS.md:6:1
  |
6 | CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ in user databases filled at 1.1.0
  |
  = help: change the trigger, or create it again after the change that it does not fit


"#]]).stdout(str![[r#"
user 1.0.0: no data lost up to 1.1.0 (2 tables, 36 rows)
user 1.1.0: data lost on the way to 1.1.0 (2 tables, 60 rows)
user 1.1.0: table `notes` is not tested with its triggers, one of them cannot run: table log has 2 columns but 1 values were supplied
MIGRATIONS.md: 2 databases tested, 1 problem, 1 table not tested

"#]]);
}

#[test]
fn constraints_of_many_kinds_are_satisfied() {
    let sql = "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL CHECK (kind IN ('x', 'y')), UNIQUE (kind, id));
CREATE TABLE b (a_id INTEGER NOT NULL REFERENCES a, n INTEGER NOT NULL CHECK (n BETWEEN 10 AND 20), PRIMARY KEY (a_id, n)) WITHOUT ROWID;
CREATE TABLE c (a_id INTEGER, n INTEGER, note TEXT NOT NULL CHECK (length(note) = 3), FOREIGN KEY (a_id, n) REFERENCES b ON DELETE CASCADE);
CREATE TABLE strict (a INT NOT NULL, b TEXT UNIQUE, c REAL, d BLOB, e ANY, f INT GENERATED ALWAYS AS (a * 2)) STRICT;
CREATE TABLE tree (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES tree);
CREATE TABLE \"odd \"\"name\" (\"select\" TEXT NOT NULL DEFAULT 'x', email TEXT CHECK (email LIKE '%@%.%'), j TEXT CHECK (json_valid(j)));
CREATE TABLE one (id INTEGER PRIMARY KEY CHECK (id = 1), v REAL NOT NULL CHECK (v > 0 AND v < 1));
CREATE UNIQUE INDEX one_of_each ON a (kind) WHERE kind = 'x';
CREATE TABLE egg (id INTEGER PRIMARY KEY, hen INTEGER NOT NULL REFERENCES hen);
CREATE TABLE hen (id INTEGER PRIMARY KEY, egg INTEGER NOT NULL REFERENCES egg);
CREATE TABLE span (low INTEGER NOT NULL, high INTEGER NOT NULL, CHECK (low < high));
CREATE VIRTUAL TABLE words USING fts5 (note);
CREATE TRIGGER c_words AFTER INSERT ON c BEGIN INSERT INTO words VALUES (new.note); END;
CREATE TRIGGER no_rows BEFORE INSERT ON span WHEN new.low < 3 BEGIN SELECT RAISE(ABORT, 'too low'); END;";
    let fleet =
        Fleet::from_blocks(&[("user:baseline→1.0.0", sql), ("user:1.0.0→1.1.0", "SELECT 1;")]);
    let json = fleet.run_without_changes(["test", "--json"]).status(0).json();
    assert_eq!(json["caveats"], serde_json::json!([]));
    assert_eq!(json["databases"][0]["tables"], 10);
}

#[test]
fn composite_foreign_keys_are_satisfied() {
    let sql = "CREATE TABLE tenants (id TEXT PRIMARY KEY);
CREATE TABLE people (tenant TEXT NOT NULL REFERENCES tenants, id INTEGER NOT NULL, PRIMARY KEY (tenant, id));
CREATE TABLE rooms (tenant TEXT NOT NULL REFERENCES tenants, id INTEGER NOT NULL, PRIMARY KEY (tenant, id));
CREATE TABLE visits (tenant TEXT NOT NULL, person INTEGER NOT NULL, room INTEGER NOT NULL,
    FOREIGN KEY (tenant, person) REFERENCES people, FOREIGN KEY (tenant, room) REFERENCES rooms);";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", sql)]);
    let json = fleet.run_without_changes(["test", "--json"]).status(0).json();
    assert_eq!(json["caveats"], serde_json::json!([]));
    assert_eq!(json["databases"][0]["rows"], 48);
}

#[test]
fn a_later_baseline_is_tested_too() {
    let fleet = Fleet::from_blocks(&[
        BASELINE,
        ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN at TEXT;"),
        ("user:baseline→1.1.0", &BASELINE.1.replace("owner TEXT", "owner TEXT, at TEXT")),
        ("user:1.1.0→1.2.0", "CREATE TABLE more (a);"),
    ]);
    fleet.run_without_changes(["test"]).status(0).stderr("").stdout(str![[r#"
user 1.0.0 to 1.2.0: no data lost up to 1.2.0 (3 tables, 60 rows)
user 1.1.0, created from its own baseline: no data lost up to 1.2.0 (2 tables, 36 rows)
MIGRATIONS.md: 4 databases tested, no data lost

"#]]);
}

#[test]
fn a_foreign_key_violated_by_existing_rows_is_reported() {
    let sql = "CREATE TABLE owners (name TEXT PRIMARY KEY);
CREATE TABLE new (id INTEGER PRIMARY KEY, body TEXT, owner TEXT REFERENCES owners);
INSERT INTO new SELECT * FROM notes;
DROP TABLE notes;
ALTER TABLE new RENAME TO notes;
CREATE INDEX notes_owner ON notes (owner);
CREATE TRIGGER notes_log AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.body); END;";
    assert_second_block_reports("user:1.0.0→1.1.0", sql, &[("foreign-keys", 14)]);
    let fixed = sql.replace(
        "CREATE TABLE new",
        "INSERT INTO owners SELECT DISTINCT owner FROM notes WHERE owner IS NOT NULL;\nCREATE TABLE new",
    );
    assert_second_block_reports("user:1.0.0→1.1.0", &fixed, &[]);
}

#[test]
fn rows_that_do_not_meet_an_assertion_are_a_named_gap() {
    let sql = "-- tatmig:assert the application writes every owner once
SELECT owner, count(*) FROM notes GROUP BY owner HAVING count(*) > 1;
CREATE UNIQUE INDEX notes_by_owner ON notes (owner);";
    let fleet = Fleet::from_blocks(&[BASELINE, ("user:1.0.0→1.1.0", sql)]);
    fleet.run_without_changes(["test"]).status(0).stderr("").stdout(str![[r#"
user 1.0.0 to 1.1.0: no data lost up to 1.1.0 (2 tables, 72 rows)
user 1.0.0: rows that do not meet the assertion in MIGRATIONS.md:13 are left out: the application writes every owner once
MIGRATIONS.md: 2 databases tested, no data lost

"#]]);
    let lossy = format!("{sql}\nDELETE FROM notes WHERE id > 1;");
    assert_second_block_finds(&lossy, &[("row-loss", 15)]);
}
