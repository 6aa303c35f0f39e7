//! Tests valid SQL that is hard to split or to authorize: it must work, with the right rows
//! afterwards.

use crate::support::Fleet;

/// Runs a block as the step after a baseline, on a new database and on one with rows, and queries
/// both.
#[track_caller]
fn assert_block_works(sql: &str, query: &str, expected: &[&str]) {
    let baseline = "CREATE TABLE base (id INTEGER PRIMARY KEY, body TEXT);\n\
                    INSERT INTO base VALUES (1, 'one'), (2, 'two');";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", baseline), ("user:1.0.0→1.1.0", sql)]);
    let fleet = fleet.user("ann", "").upgrade_to("1.0.0").user("new", "");
    fleet.run(["lint"]).status(0).stderr_lacks("error");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout("2 users: 2 upgraded to 1.1.0\n");
    for user in ["ann", "new"] {
        assert_eq!(fleet.database(user).rows(query), expected, "{user}");
    }
    fleet.run_without_changes(["upgrade", "--all-users"]).status(0);
}

#[test]
fn a_full_text_index_with_its_triggers() {
    assert_block_works(
        "CREATE VIRTUAL TABLE search USING fts5 (body, content = 'base', content_rowid = 'id');
INSERT INTO search (rowid, body) SELECT id, body FROM base;
CREATE TRIGGER base_ai AFTER INSERT ON base BEGIN
    INSERT INTO search (rowid, body) VALUES (new.id, new.body);
END;
CREATE TRIGGER base_au AFTER UPDATE ON base BEGIN
    INSERT INTO search (search, rowid, body) VALUES ('delete', old.id, old.body);
    INSERT INTO search (rowid, body) VALUES (new.id, new.body);
END;
INSERT INTO base (id, body) VALUES (3, 'three; and more');
UPDATE base SET body = 'won' WHERE id = 1;
INSERT INTO search (search) VALUES ('optimize');",
        "SELECT rowid FROM search WHERE search MATCH 'more OR two OR one' ORDER BY rowid",
        &["2", "3"],
    );
}

#[test]
fn a_full_text_index_that_is_dropped_again() {
    assert_block_works(
        "CREATE VIRTUAL TABLE search USING fts5 (body);\nDROP TABLE search;",
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'search%'",
        &["0"],
    );
}

#[test]
fn an_r_tree() {
    assert_block_works(
        "CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1, y0, y1);
INSERT INTO boxes VALUES (1, 0, 10, 0, 10), (2, 20, 30, 20, 30);",
        "SELECT id FROM boxes WHERE x0 >= 15",
        &["2"],
    );
}

#[test]
fn triggers_with_semicolons_strings_and_cases() {
    assert_block_works(
        "CREATE TABLE log (what TEXT);
CREATE TRIGGER noted AFTER UPDATE OF body ON base WHEN old.body IS NOT new.body BEGIN
    -- end; this is a comment
    INSERT INTO log VALUES ('; END;' || CASE WHEN new.body = '' THEN 'empty' ELSE 'full' END);
    INSERT INTO log SELECT 'it''s' /* ; */ WHERE EXISTS (SELECT 1 FROM base);
END;
UPDATE base SET body = '' WHERE id = 1;",
        "SELECT what FROM log",
        &["; END;empty", "it's"],
    );
}

#[test]
fn generated_columns_strict_tables_and_tables_without_rowid() {
    assert_block_works(
        "CREATE TABLE price (
    net INTEGER NOT NULL CHECK (net >= 0),
    gross INTEGER GENERATED ALWAYS AS (net * 119 / 100) STORED,
    text TEXT AS (printf('%d', net)) VIRTUAL
) STRICT;
CREATE TABLE pair (a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID, STRICT;
INSERT INTO price (net) VALUES (100);
INSERT INTO pair VALUES ('x', 'y');
ALTER TABLE price ADD COLUMN doubled INTEGER AS (net * 2) VIRTUAL;",
        "SELECT net, gross, text, doubled, a FROM price, pair",
        &["100|119|100|200|x"],
    );
}

#[test]
fn partial_and_expression_indexes() {
    assert_block_works(
        "CREATE UNIQUE INDEX once ON base (lower(body)) WHERE id > 1;
CREATE INDEX long ON base (length(body) DESC, body COLLATE NOCASE);
CREATE UNIQUE INDEX IF NOT EXISTS once ON base (lower(body)) WHERE id > 1;",
        "SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name",
        &["long", "once"],
    );
}

#[test]
fn upsert_returning_and_common_table_expressions() {
    assert_block_works(
        "INSERT INTO base (id, body) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING id;
WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 12)
INSERT INTO base (id, body) SELECT i, 'n' || i FROM n RETURNING id, body;
DELETE FROM base WHERE id = 2 RETURNING *;
UPDATE base SET body = t.b FROM (SELECT 11 AS i, 'eleven' AS b) AS t WHERE id = t.i;
REPLACE INTO base (id, body) VALUES (12, 'twelve');
INSERT OR IGNORE INTO base (id, body) VALUES (12, 'not this');",
        "SELECT * FROM base",
        &["1|again", "10|n10", "11|eleven", "12|twelve"],
    );
}

#[test]
fn statements_that_return_rows_and_statements_that_do_nothing() {
    assert_block_works(
        ";;SELECT * FROM base; VALUES (1), (2);
PRAGMA user_version = 7;
PRAGMA table_info(base);
PRAGMA foreign_key_check;
EXPLAIN QUERY PLAN SELECT * FROM base;
/* nothing */ ;
ANALYZE;
REINDEX;
SELECT 'no semicolon at the end' -- and a comment",
        "SELECT user_version FROM pragma_user_version",
        &["7"],
    );
}

#[test]
fn views_with_triggers() {
    assert_block_works(
        "CREATE VIEW both AS SELECT a.id, b.body FROM base a JOIN base b USING (id);
CREATE TRIGGER both_ii INSTEAD OF INSERT ON both BEGIN
    INSERT INTO base (id, body) VALUES (new.id, new.body);
END;
INSERT INTO both VALUES (5, 'five');",
        "SELECT * FROM both WHERE id = 5",
        &["5|five"],
    );
}

#[test]
fn temporary_tables_that_do_not_outlive_their_block() {
    assert_block_works(
        "CREATE TEMP TABLE held AS SELECT id, body FROM base;
CREATE TEMP TRIGGER seen AFTER INSERT ON base BEGIN SELECT 1; END;
DELETE FROM base;
INSERT INTO base (id, body) SELECT id + 10, body FROM held;
CREATE TEMPORARY VIEW v AS SELECT * FROM held;",
        "SELECT * FROM base",
        &["11|one", "12|two"],
    );
}

#[test]
fn the_same_temporary_table_in_two_migrations() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x);\nCREATE TEMP TABLE t (x);"),
        (
            "user:1.0.0→1.1.0",
            "CREATE TEMP TABLE t (y);\nINSERT INTO t VALUES (3);\nINSERT INTO a SELECT y FROM t;",
        ),
    ]);
    let fleet = fleet.user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT * FROM a"), ["3"]);
}

#[test]
fn double_quoted_strings_and_names_that_are_keywords() {
    assert_block_works(
        "CREATE TABLE \"order\" (\"group\" TEXT DEFAULT \"none\", [select] TEXT, `from` TEXT);
INSERT INTO \"order\" ([select], `from`) VALUES (\"a literal\", 'x');
CREATE TABLE \"it's; -- odd\" (\"a\"\"b\");",
        "SELECT * FROM \"order\"",
        &["none|a literal|x"],
    );
}

#[test]
fn blobs_and_text_of_any_script() {
    assert_block_works(
        "INSERT INTO base (id, body) VALUES (3, x'00ff'), (4, '日本語 → 🦀'), (5, 'a\n-- no tag\nb');
INSERT INTO base (id, body) SELECT 6, '-- [user:1.1.0→1.2.0:start]';",
        "SELECT id, length(body) FROM base WHERE id > 2",
        &["3|2", "4|7", "5|13", "6|27"],
    );
}

#[test]
fn a_rename_and_a_rebuilt_table() {
    assert_block_works(
        "ALTER TABLE base RENAME TO old_base;
CREATE TABLE base (id INTEGER PRIMARY KEY, body TEXT NOT NULL DEFAULT '', length INTEGER);
INSERT INTO base SELECT id, body, length(body) FROM old_base;
DROP TABLE old_base;
ALTER TABLE base ADD COLUMN late TEXT DEFAULT (NULL);",
        "SELECT * FROM base",
        &["1|one|3|NULL", "2|two|3|NULL"],
    );
}

#[test]
fn an_autoincrement_keeps_counting() {
    assert_block_works(
        "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, x);
INSERT INTO counted (x) VALUES (1), (2), (3);
DELETE FROM counted;
INSERT INTO counted (x) VALUES (4);",
        "SELECT id FROM counted",
        &["4"],
    );
}
