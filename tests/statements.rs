//! Tests properties of every upgrade, with any statements: it is applied, has a history entry
//! and has no effect when repeated, or it is refused and no row has changed.

#[path = "support/oracle.rs"]
mod oracle;

use oracle::{Scenario, ScenarioOutcome};
use proptest::prelude::*;
use proptest::sample::select;

/// Statements that create a database.
const BASELINES: &[&str] = &[
    "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT);\nCREATE TABLE b (a REFERENCES a (id) ON DELETE CASCADE, y UNIQUE);",
    "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x NOT NULL);\nCREATE INDEX ax ON a (x);\nCREATE TABLE b (a, y);",
    "CREATE TABLE a (id TEXT PRIMARY KEY, x) WITHOUT ROWID;\nCREATE TABLE b (a INTEGER, y TEXT) STRICT;",
    "CREATE TABLE a (id, x);\nCREATE VIRTUAL TABLE b USING fts5 (a, y);\nCREATE VIEW v AS SELECT * FROM a;",
    "CREATE TABLE a (id, x);\nCREATE TABLE b (a, y);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.id, ';'); END;",
];

/// Statements of an application or a block. Many do not fit the database.
const STATEMENTS: &[&str] = &[
    "INSERT INTO a (id, x) VALUES (1, 'one');",
    "INSERT INTO a (id, x) VALUES (2, 'two'), (3, NULL);",
    "INSERT INTO b (a, y) VALUES (1, 'p'), (9, 'orphan');",
    "INSERT OR ROLLBACK INTO a (id, x) VALUES (1, 'again');",
    "INSERT OR REPLACE INTO b (a, y) VALUES (1, 'p');",
    "INSERT INTO a (id, x) VALUES (1, 'up') ON CONFLICT DO UPDATE SET x = 'up' RETURNING id;",
    "UPDATE a SET x = x || '!', id = id + 10;",
    "UPDATE OR ROLLBACK a SET id = 1;",
    "DELETE FROM a;",
    "DELETE FROM b WHERE y = 'p';",
    "ALTER TABLE a ADD COLUMN more INTEGER NOT NULL DEFAULT 7;",
    "ALTER TABLE a ADD COLUMN more TEXT;",
    "ALTER TABLE a DROP COLUMN more;",
    "ALTER TABLE a DROP COLUMN x;",
    "ALTER TABLE a RENAME COLUMN x TO z;",
    "ALTER TABLE a RENAME TO c;",
    "ALTER TABLE c RENAME TO a;",
    "CREATE TABLE c (x, y);",
    "CREATE TABLE IF NOT EXISTS c (x, y);",
    "CREATE TABLE c AS SELECT * FROM a;",
    "CREATE TABLE fresh (id, x);\nINSERT INTO fresh SELECT id, x FROM a;\nDROP TABLE a;\nALTER TABLE fresh RENAME TO a;",
    "CREATE TABLE fresh (id, x);\nINSERT INTO fresh SELECT id, x FROM a LIMIT 1;\nDROP TABLE a;\nALTER TABLE fresh RENAME TO a;",
    "CREATE TEMP TABLE aside AS SELECT * FROM a;",
    "DROP TABLE a;",
    "DROP TABLE IF EXISTS c;",
    "DROP VIEW IF EXISTS v;",
    "CREATE INDEX i ON a (x);",
    "CREATE UNIQUE INDEX u ON a (x);",
    "CREATE UNIQUE INDEX IF NOT EXISTS u ON b (y) WHERE y IS NOT NULL;",
    "DROP INDEX i;",
    "CREATE VIEW v AS SELECT * FROM a;",
    "CREATE TRIGGER g BEFORE DELETE ON a BEGIN SELECT RAISE(ABORT, 'no'); END;",
    "CREATE TRIGGER r BEFORE DELETE ON b BEGIN SELECT RAISE(ROLLBACK, 'no'); END;",
    "CREATE VIRTUAL TABLE f USING rtree (id, lo, hi);",
    "PRAGMA foreign_keys = ON;",
    "PRAGMA legacy_alter_table = ON;",
    "PRAGMA user_version = 5;",
    "ANALYZE;",
    "REINDEX;",
    "COMMIT;",
    "ROLLBACK;",
    "SELECT * FROM a;",
    "WITH w (i) AS (VALUES (5), (6)) INSERT INTO a (id, x) SELECT i, 'w' FROM w;",
    "DELETE FROM _tatmig_migrations;",
    "-- tatmig:allow row-loss the test says so",
    "-- tatmig:allow foreign-keys the test says so",
    "nonsense;",
];

fn statements(max_len: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(select(STATEMENTS), 0..max_len).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_upgrade_is_applied_and_recorded_or_changes_nothing(
        baseline in select(BASELINES),
        application in statements(5),
        blocks in prop::collection::vec(statements(4), 0..4),
    ) {
        let blocks = blocks.iter().map(String::as_str).collect();
        Scenario { baseline, application: &application, blocks }.run();
    }

    #[test]
    fn any_text_as_a_block_is_applied_or_changes_nothing(text in "\\PC{0,80}|[A-Za-z0-9_ ,;()'\"*=\n-]{0,80}") {
        if oracle::is_quick_to_run(&text) {
            let application = "INSERT INTO a (id, x) VALUES (1, 'one');";
            Scenario { baseline: BASELINES[0], application, blocks: vec![&text] }.run();
        }
    }
}

#[test]
fn scenarios_reach_every_outcome() {
    let run = |application, blocks: &[&'static str]| {
        Scenario { baseline: BASELINES[0], application, blocks: blocks.to_vec() }.run()
    };
    assert_eq!(
        run("INSERT INTO a VALUES (1, 'x');", &["ALTER TABLE a ADD COLUMN y;"]),
        ScenarioOutcome::Applied
    );
    assert_eq!(run("INSERT INTO a VALUES (1, 'x');", &[]), ScenarioOutcome::Applied);
    let duplicate_rows = "INSERT INTO a VALUES (1, 'x'), (2, 'x');";
    assert_eq!(
        run(duplicate_rows, &["DELETE FROM b;", "CREATE UNIQUE INDEX u ON a (x);"]),
        ScenarioOutcome::Refused
    );
    assert_eq!(run("nonsense", &[]), ScenarioOutcome::InvalidInput);
    oracle::check_document(
        "```sql\n-- [user:baseline→1.0.0:start]\nSELEC\n-- [user:baseline→1.0.0:end]\n```\n",
    );
}
