//! Tests hostile documents: forbidden statements are found in every place, and no
//! database is changed. All other SQL works or is refused, and never affects anything outside its
//! database.

use crate::support::Fleet;

const BASELINE: (&str, &str) =
    ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);");

fn fleet() -> Fleet {
    Fleet::from_blocks(&[BASELINE])
        .user("ann", "")
        .upgrade_to("1.0.0")
        .user("ann", "INSERT INTO notes (body) VALUES ('kept'), ('also')")
        .user("new", "")
}

/// Asserts that the block is refused at this line before any database is changed.
#[track_caller]
fn assert_refused(fleet: Fleet, sql: &str, line: usize) -> Fleet {
    let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", sql)]);
    let run = fleet.run_without_changes(["upgrade", "--all-users"]);
    run.status(2).stderr_contains(&format!("MIGRATIONS.md:{}:", 8 + line));
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["kept", "also"]);
    assert_eq!(fleet.database("ann").tables(), ["notes"]);
    fleet
}

/// One statement for each thing that the authorizer forbids.
const FORBIDDEN: &[&str] = &[
    "BEGIN;",
    "COMMIT;",
    "END;",
    "ROLLBACK;",
    "SAVEPOINT s;",
    "RELEASE s;",
    "ATTACH 'other.db' AS other;",
    "DETACH main;",
    "VACUUM;",
    "VACUUM INTO 'other.db';",
    "SELECT load_extension('other');",
    "PRAGMA writable_schema = ON;",
    "PRAGMA journal_mode = OFF;",
    "PRAGMA synchronous = OFF;",
    "PRAGMA locking_mode = EXCLUSIVE;",
    "PRAGMA wal_checkpoint;",
    "PRAGMA trusted_schema = ON;",
    "DELETE FROM _tatmig_migrations;",
    "DROP TABLE _tatmig_migrations;",
    "DELETE FROM sqlite_schema;",
    "UPDATE sqlite_schema SET sql = '';",
];

#[test]
fn forbidden_statements_are_found_behind_comments_and_in_any_case() {
    let mut fleet = fleet();
    for statement in FORBIDDEN {
        // Line ends and the case of quoted letters are kept.
        let mixed: String = statement
            .split('\'')
            .enumerate()
            .map(|(index, part)| {
                let toggled = part.chars().enumerate().map(|(index, c)| {
                    if index % 2 == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
                });
                if index % 2 == 0 { toggled.collect() } else { part.to_owned() }
            })
            .collect::<Vec<String>>()
            .join("'");
        for (sql, line) in [
            (format!("/* ; */ {statement}"), 1),
            (format!("-- harmless;\n\t{mixed}"), 2),
            (format!("SELECT ';'; {statement}"), 1),
            (format!("CREATE TABLE a (x); -- ' \n/* '\n */ {mixed}\nCREATE TABLE b (x);"), 3),
            (format!(";;;\n;{statement}"), 2),
            (format!("EXPLAIN {statement}"), 1),
        ] {
            let is_harmless = sql.starts_with("EXPLAIN VACUUM");
            if !is_harmless {
                fleet = assert_refused(fleet, &sql, line);
            }
        }
        let trimmed = statement.trim_end_matches(';');
        fleet = assert_refused(fleet, &format!("CREATE TABLE a (x);\n{trimmed}"), 2);
    }
    assert!(!fleet.path("other.db").exists());
}

#[test]
fn forbidden_statements_are_found_after_ten_thousand_others() {
    let many = "INSERT INTO notes (body) VALUES ('x');\n".repeat(10_000);
    let mut fleet = fleet();
    for statement in ["COMMIT;", "ATTACH 'other.db' AS other;", "DELETE FROM _tatmig_migrations;"] {
        fleet = assert_refused(fleet, &format!("{many}{statement}"), 10_001);
    }
    // Without that statement all others run.
    let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", &many)]);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM notes"), ["10002"]);
}

#[test]
fn forbidden_access_is_found_inside_triggers_views_and_expressions() {
    let mut fleet = fleet();
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN DELETE FROM _tatmig_migrations; END;",
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT 1; SELECT 2 FROM _TATMIG_MIGRATIONS; END;",
        "CREATE TRIGGER t AFTER INSERT ON notes WHEN EXISTS (SELECT 1 FROM _tatmig_migrations) BEGIN SELECT 1; END;",
        "CREATE TRIGGER t INSTEAD OF INSERT ON _tatmig_migrations BEGIN SELECT 1; END;",
        "CREATE VIEW v AS WITH w AS (SELECT * FROM _tatmig_migrations) SELECT * FROM w;",
        "WITH w AS (SELECT id FROM _tatmig_migrations) INSERT INTO notes SELECT id, 'x' FROM w;",
        "INSERT INTO notes SELECT 1, (SELECT max(to_version) FROM main.\"_tatmig_migrations\");",
        "UPDATE notes SET body = to_version FROM _tatmig_migrations;",
        "DELETE FROM notes WHERE id IN (SELECT id FROM _tatmig_migrations);",
        "SELECT load_extension('x') WHERE 0;",
        "SELECT 1 FROM pragma_journal_mode('off');",
        "SELECT * FROM pragma_locking_mode;",
        "SELECT * FROM pragma_wal_checkpoint;",
        "UPDATE sqlite_dbpage SET data = zeroblob(4096);",
        "CREATE VIRTUAL TABLE v USING no_such_module (x);",
        "SELECT writefile('other.db', 'x');",
        "SELECT readfile('MIGRATIONS.md');",
        "SELECT edit('x');",
        "SELECT fts3_tokenizer('x', x'00');",
        "DROP TABLE sqlite_schema;",
        "ALTER TABLE sqlite_schema RENAME TO other;",
        "CREATE TABLE sqlite_other (x);",
    ] {
        fleet = assert_refused(fleet, sql, 1);
    }
    assert!(!fleet.path("other.db").exists());
}

/// SQL whose creation the authorizer allows, but that would call something forbidden later: it is
/// refused, or created without effect. Either way nothing outside the database changes and no row
/// is lost.
#[test]
fn a_deferred_forbidden_call_does_no_harm() {
    for sql in [
        "CREATE TABLE d (x DEFAULT (load_extension('x')));\nINSERT INTO d DEFAULT VALUES;",
        "CREATE TABLE d (x, y AS (load_extension(x)));\nINSERT INTO d VALUES (1);\nSELECT y FROM d;",
        "CREATE TABLE d (x CHECK (load_extension(x)));\nINSERT INTO d VALUES (1);",
        "CREATE INDEX d ON notes (load_extension(body));",
        "CREATE VIEW d AS SELECT load_extension('x');\nSELECT * FROM d;",
        "CREATE TRIGGER d AFTER INSERT ON notes BEGIN SELECT load_extension('x'); END;\nINSERT INTO notes (body) VALUES ('x');",
        "CREATE TRIGGER d AFTER INSERT ON notes BEGIN SELECT RAISE(ROLLBACK, 'x'); END;\nINSERT INTO notes (body) VALUES ('x');",
    ] {
        let fleet = fleet().blocks(&[BASELINE, ("user:1.0.0→1.1.0", sql)]);
        let before = fleet.database("ann").dump();
        let run = fleet.run(["upgrade", "--all-users"]);
        assert!(run.has_status(&[1, 2]), "{sql}: {}", run.describe());
        assert_eq!(fleet.database("ann").dump(), before, "{sql}");
    }
}

#[test]
fn a_failure_rolls_back_changes_of_every_kind() {
    let succeeding_sql = "PRAGMA user_version = 9;
PRAGMA application_id = 9;
CREATE VIRTUAL TABLE search USING fts5 (body, content = 'notes', content_rowid = 'id');
INSERT INTO search (search) VALUES ('rebuild');
CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1);
INSERT INTO boxes VALUES (1, 2, 3);
CREATE TABLE strict_one (a INTEGER, b TEXT GENERATED ALWAYS AS (a || 'x') STORED) STRICT;
CREATE TABLE flat (k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO flat SELECT id, body FROM notes RETURNING *;
INSERT INTO flat VALUES (1, 'again') ON CONFLICT DO UPDATE SET v = excluded.v;
CREATE UNIQUE INDEX part ON flat (lower(v)) WHERE v IS NOT NULL;
CREATE VIEW looking AS SELECT * FROM flat;
CREATE TRIGGER looked INSTEAD OF INSERT ON looking BEGIN INSERT INTO flat VALUES (new.k, ';'); END;
INSERT INTO looking VALUES (77, 'x');
CREATE TEMP TABLE aside AS SELECT * FROM notes;
ALTER TABLE notes RENAME COLUMN body TO text;
ALTER TABLE notes ADD COLUMN more DEFAULT 7;
UPDATE notes SET text = 'gone', id = id + 100;
DELETE FROM notes;
ANALYZE;
REINDEX;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO flat SELECT i + 1000, hex(i) FROM n;
DROP TABLE boxes;";
    // The last statement fails if a row exists, inside the savepoint that was opened before.
    let failing_statement = "INSERT INTO flat SELECT 77, 'twice' FROM aside;";
    let sql = format!("{succeeding_sql}\n{failing_statement}");
    for mode in ["DELETE", "WAL"] {
        let fleet = fleet().user("ann", &format!("PRAGMA journal_mode = {mode}"));
        let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", &sql)]);
        let before = fleet.database("ann").dump();
        fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("flat.k");
        assert_eq!(fleet.database("ann").dump(), before, "{mode}");
        assert_eq!(fleet.database("ann").rows("PRAGMA integrity_check"), ["ok"]);
        assert_eq!(fleet.database("new").version().as_deref(), Some("1.1.0"));
        // Without that statement everything works.
        let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", succeeding_sql)]);
        let run = fleet.run(["upgrade", "--user", "ann"]);
        run.status(0);
        let ann = fleet.database("ann");
        assert_eq!(ann.rows("SELECT count(*) FROM flat"), ["3003"], "{mode}");
        assert_eq!(ann.rows("SELECT v FROM flat WHERE k IN (1, 77)"), ["again", ";"]);
        assert_eq!(ann.rows("SELECT rowid FROM search WHERE search MATCH 'also'"), ["2"]);
    }
}
