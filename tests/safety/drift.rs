//! Tests that a run destroys nothing that the document does not know: databases whose schema differs
//! from the document's are refused, unless the block allows the rule, and keep all of their rows.

use crate::support::Fleet;

const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);\nCREATE INDEX by_n ON t (n);",
);

const REBUILD: &str = "CREATE TABLE t_new (id INTEGER PRIMARY KEY, n TEXT NOT NULL);
INSERT INTO t_new (id, n) SELECT id, n FROM t;
DROP TABLE t;
ALTER TABLE t_new RENAME TO t;
CREATE INDEX by_n ON t (n);";

/// Users `ann` and `bob` at 1.0.0; ann's database then runs `drift`. The block is pending.
fn fleet_with_drift(baseline: &str, drift: &str, block: &str) -> Fleet {
    let baseline = ("user:baseline→1.0.0", baseline);
    let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    fleet.user("ann", drift).blocks(&[baseline, ("user:1.0.0→1.1.0", block)])
}

/// Expects that the upgrade refuses ann with these texts, leaves every row and byte of the schema,
/// and upgrades bob, whose database is the document's.
#[track_caller]
fn assert_refused(fleet: &Fleet, texts: &[&str]) {
    let before = fleet.database("ann").dump();
    let output = fleet.run(["upgrade", "--all-users"]);
    output.status(1);
    for text in texts {
        output.stderr_contains(text);
    }
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
}

#[test]
fn a_rebuild_keeps_a_column_that_the_document_does_not_have() {
    let drift = "ALTER TABLE t ADD COLUMN colour TEXT; INSERT INTO t VALUES (1, 'a', 'red')";
    let fleet = fleet_with_drift(BASELINE.1, drift, REBUILD);
    assert_refused(
        &fleet,
        &[
            "error[undocumented-loss]",
            "this drops `t` with what the document does not have: column `colour`",
            "MIGRATIONS.md:12:1",
            "-- tatmig:allow undocumented-loss",
        ],
    );
    assert_eq!(fleet.database("ann").rows("SELECT colour FROM t"), ["red"]);
}

#[test]
fn a_database_with_drift_is_refused_after_many_without() {
    let names = ["ann", "bob", "cid", "zoe"];
    let fleet =
        names.iter().fold(Fleet::from_blocks(&[BASELINE]), |fleet, name| fleet.user(name, ""));
    let fleet = fleet.upgrade_to("1.0.0");
    let drift = "ALTER TABLE t ADD COLUMN colour TEXT; INSERT INTO t VALUES (1, 'a', 'red')";
    let fleet = fleet.user("zoe", drift).blocks(&[BASELINE, ("user:1.0.0→1.1.0", REBUILD)]);
    fleet.run(["upgrade", "--all-users", "--jobs", "1"]).status(1).stderr_contains("`colour`");
    for name in ["ann", "bob", "cid"] {
        assert_eq!(fleet.database(name).version().as_deref(), Some("1.1.0"));
    }
    assert_eq!(fleet.database("zoe").version().as_deref(), Some("1.0.0"));
    assert_eq!(fleet.database("zoe").rows("SELECT colour FROM t"), ["red"]);
}

/// A DELETE and an INSERT, or REPLACE, rebuild the rows as a copy of the table would.
#[test]
fn rows_that_are_inserted_again_keep_columns_that_the_document_does_not_have() {
    let drift = "ALTER TABLE t ADD COLUMN colour TEXT; INSERT INTO t VALUES (1, 'a', 'red'), (2, 'b', NULL)";
    for block in [
        "INSERT OR REPLACE INTO t (id, n) SELECT id, upper(n) FROM t;",
        "REPLACE INTO t (id, n) VALUES (1, 'new');",
        "CREATE TEMP TABLE k AS SELECT id, n FROM t;\nDELETE FROM t;\nINSERT INTO t (id, n) SELECT id, n FROM k;\nDROP TABLE k;",
        "DELETE FROM t WHERE id = 1;\nINSERT INTO t (id, n) VALUES (1, 'a');",
        "ALTER TABLE t RENAME TO u;\nREPLACE INTO u (id, n) VALUES (1, 'new');",
    ] {
        let fleet = fleet_with_drift(BASELINE.1, drift, block);
        assert_refused(
            &fleet,
            &["error[undocumented-loss]", "1 value of `", ".colour` would be lost"],
        );
        assert_eq!(fleet.database("ann").rows("SELECT colour FROM t WHERE id = 1"), ["red"]);
        let allowed = format!("-- tatmig:allow undocumented-loss colours are not used\n{block}");
        let fleet = fleet_with_drift(BASELINE.1, drift, &allowed);
        fleet.run(["upgrade", "--all-users"]).status(0);
    }
    for block in [
        "REPLACE INTO t (id, n) VALUES (2, 'new');",
        "INSERT INTO t (id, n) VALUES (1, 'c') ON CONFLICT (id) DO UPDATE SET n = excluded.n;",
        "INSERT OR IGNORE INTO t (id, n) VALUES (1, 'c'), (3, 'd');",
        "DELETE FROM t WHERE id = 2;\nINSERT INTO t (id, n) SELECT id + 5, n FROM t;",
    ] {
        let fleet = fleet_with_drift(BASELINE.1, drift, block);
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(
            fleet.database("ann").rows("SELECT colour FROM t WHERE id = 1"),
            ["red"],
            "{block}"
        );
    }
    let deleted = fleet_with_drift(BASELINE.1, drift, "DELETE FROM t WHERE id = 1;");
    deleted.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn a_rebuild_keeps_a_column_that_adopt_accepted() {
    let fleet = Fleet::from_blocks(&[BASELINE]).user(
        "ann",
        &format!(
            "{} ALTER TABLE t ADD COLUMN colour TEXT; INSERT INTO t VALUES (1, 'a', 'red')",
            BASELINE.1
        ),
    );
    fleet.run(["adopt", "--at", "1.0.0", "--all-users"]).status(0);
    let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", REBUILD)]);
    fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("column `colour`");
    assert_eq!(fleet.database("ann").rows("SELECT colour FROM t"), ["red"]);
}

#[test]
fn a_rebuild_keeps_indexes_triggers_and_unique_keys_that_the_document_does_not_have() {
    for (drift, named) in [
        ("CREATE INDEX own ON t (n, id)", "index `own`"),
        (
            "CREATE TABLE log (x); CREATE TRIGGER audit AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.n); END",
            "trigger `audit`",
        ),
        (
            "CREATE TRIGGER _litestream_t AFTER DELETE ON t BEGIN SELECT 1; END",
            "trigger `_litestream_t`",
        ),
        (
            "DROP INDEX by_n; CREATE UNIQUE INDEX by_n ON t (n)",
            "index `by_n` (with this definition)",
        ),
        (
            "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT UNIQUE); CREATE INDEX by_n ON t (n)",
            "constraint `UNIQUE (n)`",
        ),
    ] {
        let drift = format!("{drift}; INSERT INTO t VALUES (1, 'a')");
        let fleet = fleet_with_drift(BASELINE.1, &drift, REBUILD);
        assert_refused(&fleet, &["error[undocumented-loss]", named]);
    }
}

#[test]
fn a_rebuild_that_renames_the_old_table_aside_is_checked_too() {
    let block = "ALTER TABLE t RENAME TO t_old;
CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);
INSERT INTO t (id, n) SELECT id, n FROM t_old;
DROP TABLE t_old;
CREATE INDEX by_n ON t (n);";
    let drift = "ALTER TABLE t ADD COLUMN colour TEXT; INSERT INTO t VALUES (1, 'a', 'red')";
    let fleet = fleet_with_drift(BASELINE.1, drift, block);
    assert_refused(&fleet, &["this drops `t_old`", "column `colour`"]);
}

#[test]
fn a_drop_keeps_columns_and_triggers_that_the_document_does_not_have() {
    let drift = "ALTER TABLE t ADD COLUMN colour TEXT; INSERT INTO t VALUES (1, 'a', 'red')";
    let fleet = fleet_with_drift(BASELINE.1, drift, "DROP TABLE IF EXISTS t;");
    assert_refused(&fleet, &["column `colour`"]);
    let views =
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);\nCREATE VIEW v AS SELECT n FROM t;";
    let drift =
        "CREATE TRIGGER put INSTEAD OF INSERT ON v BEGIN INSERT INTO t (n) VALUES (new.n); END";
    let fleet =
        fleet_with_drift(views, drift, "DROP VIEW v;\nCREATE VIEW v AS SELECT id, n FROM t;");
    assert_refused(&fleet, &["this drops `v`", "trigger `put`"]);
}

#[test]
fn a_table_that_the_document_never_had_is_dropped_only_without_rows() {
    let block = format!("DROP TABLE IF EXISTS t_new;\n{REBUILD}");
    let fleet = fleet_with_drift(
        BASELINE.1,
        "CREATE TABLE t_new (x); INSERT INTO t_new VALUES (7)",
        &block,
    );
    assert_refused(&fleet, &["this drops table `t_new`, which holds rows"]);
    assert_eq!(fleet.database("ann").rows("SELECT x FROM t_new"), ["7"]);
    let fleet = fleet_with_drift(BASELINE.1, "CREATE TABLE t_new (x)", &block);
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn an_allowed_loss_is_applied() {
    let drift = "ALTER TABLE t ADD COLUMN colour TEXT; INSERT INTO t VALUES (1, 'a', 'red')";
    let block = format!("-- tatmig:allow undocumented-loss colours were an experiment\n{REBUILD}");
    let fleet = fleet_with_drift(BASELINE.1, drift, &block);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").columns("t"), ["id", "n"]);
    assert_eq!(fleet.database("ann").rows("SELECT n FROM t"), ["a"]);
}

#[test]
fn a_rebuild_runs_where_only_the_spelling_or_another_table_differs() {
    for drift in [
        "DROP INDEX by_n; CREATE INDEX \"ix_t_n\" on \"t\" (\"n\")",
        "CREATE TABLE own (x); CREATE INDEX own_x ON own (x); INSERT INTO own VALUES (1)",
        "DROP TABLE t; CREATE TABLE \"t\" (\"n\" text, [id] integer primary key); CREATE INDEX by_n ON t (n)",
    ] {
        let drift = format!("{drift}; INSERT INTO t (id, n) VALUES (1, 'a')");
        let fleet = fleet_with_drift(BASELINE.1, &drift, REBUILD);
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(fleet.database("ann").rows("SELECT id, n FROM t"), ["1|a"]);
    }
}

const STATE: &str =
    "ALTER TABLE t ADD COLUMN state TEXT; INSERT INTO t (id, n, state) VALUES (1, 'a', 'done')";

#[test]
fn a_column_that_was_already_applied_keeps_its_values() {
    let add = "ALTER TABLE t ADD COLUMN state TEXT;";
    for statement in [
        "UPDATE t SET state = 'new';",
        "UPDATE t SET state = 'new' WHERE state IS NULL;",
        "INSERT INTO t (id, n) VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET state = 'new';",
        "INSERT OR REPLACE INTO t (id, n) VALUES (1, 'a');",
        "REPLACE INTO t (id, n) SELECT id, n FROM t;",
        "CREATE VIEW v AS SELECT id, state FROM t;\nCREATE TRIGGER put INSTEAD OF UPDATE ON v BEGIN UPDATE t SET state = new.state WHERE id = new.id; END;\nUPDATE v SET state = 'new';",
        "CREATE TABLE log (x);\nCREATE TRIGGER mark AFTER INSERT ON log BEGIN UPDATE t SET state = 'new'; END;\nINSERT INTO log (x) VALUES (1);",
        "ALTER TABLE t RENAME COLUMN state TO status;\nUPDATE t SET status = 'new';",
        "ALTER TABLE t RENAME TO u;\nUPDATE u SET state = 'new';",
        "CREATE TABLE t_new (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t_new (id, n, state) SELECT id, n, state FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;\nCREATE INDEX by_n ON t (n);\nUPDATE t SET state = 'new';",
        "CREATE TABLE t_new (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t_new (id, n, state) SELECT id, n, 'new' FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;\nCREATE INDEX by_n ON t (n);",
        "ALTER TABLE t DROP COLUMN state;\nALTER TABLE t ADD COLUMN state TEXT;",
        "CREATE TEMP TABLE k AS SELECT id, n FROM t;\nDELETE FROM t WHERE id > 0;\nINSERT INTO t (id, n, state) SELECT id, n, 'new' FROM k;\nDROP TABLE k;",
        "CREATE TABLE t_new (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t_new (id, n, state) SELECT id, n, CASE WHEN n IS NOT NULL THEN 'new' ELSE state END FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;\nCREATE INDEX by_n ON t (n);",
        "ALTER TABLE t RENAME TO t_old;\nCREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t (id, n, state) SELECT id, n, nullif(state, 'done') FROM t_old;\nDROP TABLE t_old;\nCREATE INDEX by_n ON t (n);",
        "INSERT INTO t (id, n, state) SELECT id + 100, n, 'new' FROM t;\nDELETE FROM t WHERE id < 100;",
        "DELETE FROM t WHERE id = 1;\nINSERT INTO t (id, n) VALUES (1, 'a');",
        "DELETE FROM t WHERE n = 'a';\nALTER TABLE t RENAME COLUMN id TO key;\nALTER TABLE t RENAME TO u;\nINSERT INTO u VALUES (1, 'a', 'new');",
        "CREATE VIEW v AS SELECT id, n FROM t;\nCREATE TRIGGER gone INSTEAD OF DELETE ON v BEGIN DELETE FROM t WHERE id = old.id; END;\nDELETE FROM v WHERE id = 1;\nINSERT INTO t (id, n) VALUES (1, 'a');",
    ] {
        let fleet = fleet_with_drift(BASELINE.1, STATE, &format!("{add}\n{statement}"));
        assert_refused(&fleet, &["error[overwrite]", "-- tatmig:allow overwrite"]);
        assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["done"], "{statement}");
    }
}

#[test]
fn a_later_migration_of_the_run_cannot_overwrite_an_applied_column_either() {
    let blocks = [
        BASELINE,
        ("user:1.0.0→1.1.0", "ALTER TABLE t ADD COLUMN state TEXT;"),
        ("user:1.1.0→1.2.0", "UPDATE t SET state = 'new';"),
    ];
    let fleet = Fleet::from_blocks(&[BASELINE]).user("ann", "").upgrade_to("1.0.0");
    let fleet = fleet.user("ann", STATE).blocks(&blocks);
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("this writes to `t.state`")
        .stderr_contains("the migration 1.1.0 → 1.2.0");
    assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["done"]);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
}

#[test]
fn a_later_migration_of_the_run_cannot_drop_an_applied_column_with_values() {
    let blocks = [
        BASELINE,
        ("user:1.0.0→1.1.0", "ALTER TABLE t ADD COLUMN state TEXT DEFAULT 'open';"),
        ("user:1.1.0→1.2.0", "ALTER TABLE t DROP COLUMN state;"),
    ];
    let fleet = Fleet::from_blocks(&[BASELINE]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let state = "ALTER TABLE t ADD COLUMN state TEXT DEFAULT 'open'; INSERT INTO t (id, n)";
    let fleet = fleet
        .user("ann", &format!("{state} VALUES (1, 'a'); UPDATE t SET state = 'done'"))
        .user("bob", &format!("{state} VALUES (1, 'a')"))
        .blocks(&blocks);
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("error[overwrite]")
        .stderr_contains("this drops `t.state`");
    assert_eq!(fleet.database("ann").dump(), before);
    // Every row of bob has the default, which the migration itself would have given it.
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
}

/// Runs migrations after 1.0.0, of one run, on ann, whose table has a column `state` already.
fn upgrade_with_state(migrations: &[(&str, &str)]) -> Fleet {
    let blocks: Vec<_> = [BASELINE].iter().chain(migrations).copied().collect();
    let fleet = Fleet::from_blocks(&[BASELINE]).user("ann", "").upgrade_to("1.0.0");
    fleet.user("ann", STATE).blocks(&blocks)
}

#[test]
fn an_allowed_overwrite_is_not_reported_again_by_a_later_migration() {
    let start_again = (
        "user:1.0.0→1.1.0",
        "-- tatmig:allow overwrite every state starts again\nALTER TABLE t ADD COLUMN state TEXT;\nUPDATE t SET state = 'new';",
    );
    let rebuild = "CREATE TABLE t_new (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t_new (id, n, state) SELECT id, n, state FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;\nCREATE INDEX by_n ON t (n);";
    let fleet = upgrade_with_state(&[start_again, ("user:1.1.0→1.2.0", rebuild)]);
    fleet.run(["upgrade", "--all-users"]).status(0).stderr_lacks("overwrite");
    assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["new"]);
    // Another overwrite is another finding.
    let other = ("user:1.1.0→1.2.0", "UPDATE t SET state = 'other';");
    let fleet = upgrade_with_state(&[start_again, other]);
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("error[overwrite]").stderr_contains("1.1.0 → 1.2.0");
    assert_eq!(run.stderr_text().matches("error[").count(), 1, "{}", run.describe());
    assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["done"]);
}

#[test]
fn a_column_that_the_document_drops_and_adds_again_is_its_own() {
    let fleet = upgrade_with_state(&[
        ("user:1.0.0→1.1.0", "ALTER TABLE t ADD COLUMN state TEXT;"),
        (
            "user:1.1.0→1.2.0",
            "-- tatmig:allow overwrite the states are of no use\nALTER TABLE t DROP COLUMN state;",
        ),
        ("user:1.2.0→1.3.0", "ALTER TABLE t ADD COLUMN state TEXT;\nUPDATE t SET state = 'new';"),
    ]);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["new"]);
}

#[test]
fn values_that_a_rebuild_over_two_migrations_loses_are_missed() {
    let fleet = upgrade_with_state(&[
        (
            "user:1.0.0→1.1.0",
            "ALTER TABLE t ADD COLUMN state TEXT;\nCREATE TABLE k AS SELECT id, n FROM t;\nDROP TABLE t;",
        ),
        (
            "user:1.1.0→1.2.0",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t (id, n) SELECT id, n FROM k;\nDROP TABLE k;",
        ),
    ]);
    let run = fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("after this, 1 value of `t.state` would be lost");
    assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["done"]);
}

#[test]
fn a_trigger_of_the_database_that_would_overwrite_counts() {
    let drift = format!(
        "{STATE}; CREATE TRIGGER own AFTER UPDATE OF n ON t BEGIN UPDATE t SET state = 'stale'; END"
    );
    let block = "ALTER TABLE t ADD COLUMN state TEXT;\nUPDATE t SET n = upper(n);";
    assert_refused(&fleet_with_drift(BASELINE.1, &drift, block), &["error[overwrite]"]);
}

#[test]
fn an_applied_column_may_be_read_copied_or_allowed() {
    let add = "ALTER TABLE t ADD COLUMN state TEXT;";
    for (statement, state) in [
        ("UPDATE t SET n = state;", "done"),
        ("INSERT INTO t (id, n, state) VALUES (2, 'b', 'new');", "done"),
        ("UPDATE t SET n = replace(n, 'a', 'b');", "done"),
        (
            "CREATE TABLE t_new (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t_new (id, n, state) SELECT id, n, state FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;\nCREATE INDEX by_n ON t (n);",
            "done",
        ),
        ("-- tatmig:allow overwrite every state starts again\nUPDATE t SET state = 'new';", "new"),
        ("DELETE FROM t WHERE id > 5;\nINSERT INTO t (id, n) VALUES (9, 'seed');", "done"),
        (
            "DELETE FROM t WHERE id = 1;\nINSERT INTO t (id, n, state) VALUES (1, 'b', 'done');",
            "done",
        ),
        ("INSERT OR IGNORE INTO t (id, n, state) VALUES (1, 'a', 'new');", "done"),
        (
            "CREATE TEMP TABLE k AS SELECT id, n, state FROM t;\nDROP TABLE t;\nCREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, state TEXT);\nINSERT INTO t (id, n, state) SELECT id, n, state FROM k;\nDROP TABLE k;\nCREATE INDEX by_n ON t (n);",
            "done",
        ),
        (
            "INSERT INTO t (id, n, state) SELECT id + 100, n, state FROM t;\nDELETE FROM t WHERE id < 100;\nUPDATE t SET id = id - 100;",
            "done",
        ),
        (
            "-- tatmig:allow overwrite every state starts again\nINSERT INTO t (id, n, state) SELECT id + 1, n, 'new' FROM t;\nDELETE FROM t WHERE id = 1;\nUPDATE t SET id = 1;",
            "new",
        ),
    ] {
        let fleet = fleet_with_drift(BASELINE.1, STATE, &format!("{add}\n{statement}"));
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(
            fleet.database("ann").rows("SELECT state FROM t WHERE id = 1"),
            [state],
            "{statement}"
        );
    }
}

const COLUMNS: &str =
    "CREATE TABLE c (id INTEGER PRIMARY KEY, body TEXT, status TEXT, author TEXT);";

#[test]
fn a_copy_by_position_is_refused_where_the_columns_have_another_order() {
    let swapped = "DROP TABLE c; CREATE TABLE c (id INTEGER PRIMARY KEY, body TEXT, author TEXT, status TEXT); INSERT INTO c VALUES (1, 'b', 'ann', 'open')";
    let create = "CREATE TABLE c_new (id INTEGER PRIMARY KEY, body TEXT NOT NULL, status TEXT, author TEXT);";
    let rest = "DROP TABLE c;\nALTER TABLE c_new RENAME TO c;";
    for block in [
        format!("{create}\nINSERT INTO c_new SELECT * FROM c;\n{rest}"),
        format!(
            "{create}\nINSERT INTO c_new (id, body, status, author) SELECT c.* FROM c;\n{rest}"
        ),
        "INSERT INTO c VALUES (2, 'x', 'closed', 'bob');".to_owned(),
        "CREATE TABLE copy AS SELECT * FROM c;".to_owned(),
        "UPDATE c SET (id, body, status, author) = (SELECT * FROM c q WHERE q.id = c.id);".to_owned(),
        "DELETE FROM c WHERE (id, body, status, author) NOT IN (SELECT * FROM c);".to_owned(),
        "DELETE FROM c WHERE (id, body, status, author) NOT IN main.c;".to_owned(),
        "UPDATE c SET status = z.s FROM (SELECT 0 AS i, '' AS b, '' AS s, '' AS a UNION ALL SELECT * FROM c) z WHERE z.i = c.id;".to_owned(),
        "UPDATE c SET status = z.s FROM (VALUES (1, '', 's', '') UNION SELECT * FROM c) y, (SELECT 1 AS s) z;".to_owned(),
        "WITH z (i, b, s, a) AS (SELECT * FROM c) UPDATE c SET status = (SELECT s FROM z WHERE i = c.id);".to_owned(),
        "CREATE VIEW named (i, b, s, a) AS SELECT * FROM c;".to_owned(),
        "DELETE FROM c WHERE id = (SELECT id FROM (SELECT * FROM c ORDER BY 3 LIMIT 1));".to_owned(),
        format!("CREATE VIEW v AS SELECT * FROM c;\n{create}\nINSERT INTO c_new SELECT * FROM v;\nDROP VIEW v;\n{rest}"),
    ] {
        let fleet = fleet_with_drift(COLUMNS, swapped, &block);
        assert_refused(
            &fleet,
            &[
                "error[positional-copy]",
                "the document has id, body, status, author",
                "this database has id, body, author, status",
            ],
        );
        assert_eq!(fleet.database("ann").rows("SELECT author, status FROM c"), ["ann|open"]);
    }
}

#[test]
fn a_view_or_trigger_of_an_older_block_that_uses_positions_is_found() {
    let baseline = format!(
        "{COLUMNS}
CREATE TABLE arch (id, body, status, author);
CREATE VIEW named (id, body, status, author) AS SELECT * FROM c;
CREATE TRIGGER keep BEFORE DELETE ON c BEGIN INSERT INTO arch SELECT * FROM c WHERE id = old.id; END;"
    );
    let swapped = "DROP VIEW named; DROP TABLE c;
CREATE TABLE c (id INTEGER PRIMARY KEY, body TEXT, author TEXT, status TEXT);
CREATE VIEW named (id, body, status, author) AS SELECT * FROM c;
INSERT INTO c VALUES (1, 'b', 'ann', 'open');
CREATE TRIGGER keep BEFORE DELETE ON c BEGIN INSERT INTO arch SELECT * FROM c WHERE id = old.id; END;";
    for (block, object) in [
        (
            "DELETE FROM c WHERE id = 1;",
            "the trigger `keep`, which this uses, uses the columns of `c`",
        ),
        (
            "UPDATE c SET body = (SELECT status FROM named WHERE id = c.id);",
            "the view `named`, which this uses, uses the columns of `c`",
        ),
    ] {
        let fleet = fleet_with_drift(&baseline, swapped, block);
        assert_refused(&fleet, &["error[positional-copy]", object, "body, author, status"]);
        let rows = fleet.database("ann").rows("SELECT body, author, status FROM c");
        assert_eq!(rows, ["b|ann|open"]);
        assert!(fleet.database("ann").rows("SELECT * FROM arch").is_empty());
    }
    // Nothing is by position, so the order does not matter.
    for block in [
        "UPDATE c SET body = (SELECT status FROM (SELECT * FROM c q) z WHERE z.id = c.id);",
        "UPDATE c SET body = 'x' WHERE EXISTS (SELECT * FROM c q WHERE q.id = c.id);",
        "CREATE VIEW all_of_c AS SELECT * FROM c;",
    ] {
        let fleet = fleet_with_drift(&baseline, swapped, block);
        fleet.run(["upgrade", "--all-users"]).status(0);
    }
}

#[test]
fn a_copy_by_position_is_refused_where_a_column_more_exists_and_can_be_allowed() {
    let drift =
        "ALTER TABLE c ADD COLUMN colour TEXT; INSERT INTO c VALUES (1, 'b', 'open', 'ann', 'red')";
    let block = "CREATE TABLE copy AS SELECT * FROM c;";
    let fleet = fleet_with_drift(COLUMNS, drift, block);
    assert_refused(&fleet, &["this database has id, body, status, author, colour"]);
    let allowed = format!("-- tatmig:allow positional-copy the copy may hold more\n{block}");
    let fleet = fleet_with_drift(COLUMNS, drift, &allowed);
    fleet.run(["upgrade", "--user", "bob"]).status(0);
}

#[test]
fn a_step_that_breaks_a_trigger_of_this_database_alone_is_rolled_back() {
    let tables = "CREATE TABLE tasks (id INTEGER PRIMARY KEY, n TEXT);\nCREATE TABLE events (x TEXT, y TEXT);";
    let trigger = "CREATE TRIGGER own AFTER UPDATE ON tasks BEGIN INSERT INTO events (y) VALUES (new.n); END; INSERT INTO tasks VALUES (1, 'a')";
    for (block, message) in [
        ("ALTER TABLE events DROP COLUMN y;", "y"),
        ("DROP TABLE events;", "no such table: events"),
        (
            "ALTER TABLE events RENAME TO events_old;\nCREATE TABLE events (x TEXT, y TEXT);\nDROP TABLE events_old;",
            "no such table: events_old",
        ),
    ] {
        let fleet = fleet_with_drift(tables, trigger, block);
        assert_refused(&fleet, &[message]);
        assert_eq!(fleet.database("ann").rows("SELECT n FROM tasks"), ["a"]);
    }
    let block =
        "-- tatmig:allow dangling-reference the application creates it again\nDROP TABLE events;";
    let fleet = fleet_with_drift(tables, trigger, block);
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn a_step_that_breaks_a_view_or_a_foreign_key_of_this_database_alone_is_rolled_back() {
    let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY, n TEXT);\nCREATE TABLE q (id INTEGER PRIMARY KEY);";
    for drift in [
        "CREATE VIEW own AS SELECT n FROM p; INSERT INTO p VALUES (1, 'a')",
        "CREATE TABLE child (p INTEGER REFERENCES p (id)); INSERT INTO p VALUES (1, 'a')",
    ] {
        let fleet = fleet_with_drift(tables, drift, "DROP TABLE p;");
        assert_refused(&fleet, &["error[dangling-reference]", "MIGRATIONS.md:"]);
        assert_eq!(fleet.database("ann").rows("SELECT n FROM p"), ["a"]);
    }
}

#[test]
fn a_documented_reference_that_a_step_breaks_stops_every_database() {
    let baseline = (
        "user:baseline→1.0.0",
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, n TEXT);
CREATE TABLE events (x TEXT);
CREATE TRIGGER log AFTER UPDATE ON tasks BEGIN INSERT INTO events (x) VALUES (new.n); END;",
    );
    let block = (
        "user:1.0.0→1.1.0",
        "ALTER TABLE events RENAME TO events_old;
CREATE TABLE events (x TEXT);
DROP TABLE events_old;",
    );
    let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").user("bob", "").upgrade_to("1.0.0");
    let fleet = fleet.user("ann", "INSERT INTO tasks VALUES (1, 'a')").blocks(&[baseline, block]);
    let output = fleet.run(["upgrade", "--all-users"]);
    output
        .status(1)
        .stderr_contains("error[dangling-reference]")
        .stderr_contains("the trigger `log`");
    for name in ["ann", "bob"] {
        assert_eq!(fleet.database(name).version().as_deref(), Some("1.0.0"));
    }
    assert_eq!(fleet.database("ann").rows("SELECT n FROM tasks"), ["a"]);
}

#[test]
fn a_reference_that_was_unusable_before_is_not_charged_to_a_step() {
    let drift = "CREATE VIEW own AS SELECT n FROM gone; CREATE TABLE child (x REFERENCES nowhere (id)); INSERT INTO t VALUES (1, 'a')";
    let block = "CREATE TABLE u (a);\nDROP INDEX by_n;\nCREATE INDEX by_n ON t (n, id);";
    let fleet = fleet_with_drift(BASELINE.1, drift, block);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT n FROM t"), ["a"]);
}

/// Runs a Python script on a user's database: only an application can define collations and functions.
#[track_caller]
fn run_python(fleet: &Fleet, script: &str) {
    let path = fleet.path("ann_longterm.db");
    let script =
        format!("import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n{script}\nc.commit()");
    let status = std::process::Command::new("python3").arg("-c").arg(script).arg(path).status();
    assert!(status.unwrap().success());
}

/// Databases with an object that this SQLite cannot load, each with what `verify` names.
const UNLOADABLE: [(&str, &str); 4] = [
    (
        "c.execute('PRAGMA writable_schema = ON')\nc.execute(\"INSERT INTO sqlite_schema VALUES ('table', 'emb', 'emb', 0, 'CREATE VIRTUAL TABLE emb USING vec0(v float[4])')\")",
        "emb",
    ),
    (
        "c.create_collation('uni', lambda a, b: (a > b) - (a < b))\nc.executescript('CREATE TABLE own (x); INSERT INTO own VALUES (2), (1); CREATE INDEX own_x ON own (x COLLATE uni)')",
        "table `own` cannot be checked here: no such collation sequence: uni",
    ),
    (
        "c.executescript(\"CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('a'); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE f USING fts5(x, tokenize = gone)' WHERE name = 'f'\")",
        "`f`",
    ),
    (
        "c.create_function('fn', 1, lambda x: x, deterministic=True)\nc.executescript('CREATE TABLE g (a, b AS (fn(a))); INSERT INTO g VALUES (1); CREATE INDEX g_a ON g (fn(a)); CREATE VIEW gv AS SELECT fn(a) AS z FROM g; CREATE TRIGGER gt AFTER INSERT ON g BEGIN SELECT fn(new.a); END')",
        "table `g` cannot be checked here",
    ),
];

#[test]
fn an_object_that_cannot_be_loaded_stops_no_database_that_does_not_touch_it() {
    for (script, named) in UNLOADABLE {
        let fleet = fleet_with_drift(BASELINE.1, "INSERT INTO t VALUES (1, 'a')", REBUILD);
        run_python(&fleet, script);
        fleet.run(["status", "--stats"]).status(0);
        fleet.run(["backup", "--all-users"]).status(0);
        let verify = fleet.run(["verify", "-v"]);
        let text = verify.stdout_text() + &verify.stderr_text();
        assert!(text.contains(named) && text.contains("is not expected"), "{text}");
        fleet.run(["upgrade", "--all-users"]).status(0);
        assert_eq!(fleet.database("ann").version().as_deref(), Some("1.1.0"));
        assert_eq!(fleet.database("ann").rows("SELECT n FROM t"), ["a"]);
        let new = fleet.run(["new", "-m", "Rest", "--from-db", "ann_longterm.db"]);
        let text = new.status(0).stdout_text() + &new.stderr_text();
        assert!(text.contains("` is left out: "), "{text}");
        fleet.run(["adopt", "--user", "ann"]).status(0);
    }
}

#[test]
fn a_statement_that_needs_a_missing_collation_itself_fails() {
    let blocks = [BASELINE, ("user:1.0.0→1.1.0", "ALTER TABLE t DROP COLUMN n;")];
    let baseline = ("user:baseline→1.0.0", "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);");
    let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").upgrade_to("1.0.0");
    let fleet = fleet.blocks(&[baseline, blocks[1]]);
    run_python(
        &fleet,
        "c.create_collation('uni', lambda a, b: (a > b) - (a < b))\nc.executescript('CREATE INDEX own ON t (id COLLATE uni); CREATE TABLE u (x COLLATE uni UNIQUE)')",
    );
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("no such collation sequence: uni");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_reverse_block_that_allows_reverse_differs_records_the_difference() {
    let up = ("user:1.0.0→1.1.0", "ALTER TABLE t ADD COLUMN state TEXT;\nCREATE TABLE u (a);");
    let down = (
        "user:1.1.0→1.0.0",
        "-- tatmig:allow reverse-differs the states stay for later\nDROP TABLE u;",
    );
    let fleet = Fleet::from_blocks(&[BASELINE, up, down]).user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    let fleet = fleet.user("ann", "INSERT INTO t (id, n, state) VALUES (1, 'a', 'done')");
    fleet.run(["downgrade", "--to", "1.0.0", "--all-users", "--no-backup"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["done"]);
    assert_eq!(
        fleet.database("ann").rows("SELECT note FROM _tatmig_migrations WHERE event = 'downgrade'"),
        ["accepted drift: column `t.state` is not expected (TEXT)"]
    );
    fleet.run(["verify"]).status(0).stdout_contains("(accepted drift)");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT state FROM t"), ["done"]);
}

/// The database would be recorded at 1.0.0 with the schema of no version.
#[test]
fn a_reverse_block_that_does_not_restore_the_schema_changes_nothing() {
    let up = ("user:1.0.0→1.1.0", "ALTER TABLE t ADD COLUMN state TEXT;\nCREATE TABLE u (a);");
    for (reverse, problem) in [
        ("SELECT 1;", "column `t.state` is not expected (TEXT)"),
        ("DROP TABLE u;", "column `t.state` is not expected (TEXT)"),
        (
            "DROP INDEX by_n;\nALTER TABLE t DROP COLUMN n;\nDROP TABLE u;",
            "column `t.n` is missing",
        ),
        ("ALTER TABLE t DROP COLUMN state;\nDROP TABLE u;\nCREATE TABLE x (a);", "table `x`"),
    ] {
        let blocks = [BASELINE, up, ("user:1.1.0→1.0.0", reverse)];
        let fleet = Fleet::from_blocks(&blocks).user("ann", "");
        fleet.run(["upgrade", "--all-users"]).status(0);
        let fleet = fleet.user("ann", "INSERT INTO t (id, n, state) VALUES (1, 'a', 'done')");
        let before = fleet.database("ann").dump();
        let downgrade = ["downgrade", "--to", "1.0.0", "--all-users", "--no-backup"];
        fleet
            .run(downgrade)
            .status(1)
            .stderr_contains("error[reverse-differs]: `ann`")
            .stderr_contains("this reverse block does not restore the user schema of `1.0.0`")
            .stderr_contains(problem)
            .stderr_contains("-- [user:1.1.0→1.0.0:start]");
        fleet
            .run(["downgrade", "--to", "1.0.0", "--all-users", "--dry-run"])
            .status(1)
            .stdout("")
            .stderr_contains("error[reverse-differs]: `ann`");
        assert_eq!(fleet.database("ann").dump(), before, "{reverse}");
    }
    let blocks = [BASELINE, ("user:1.0.0→baseline", "SELECT 1;")];
    let fleet = Fleet::from_blocks(&blocks).user("ann", "");
    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet
        .run(["downgrade", "--to", "baseline", "--all-users", "--no-backup"])
        .status(1)
        .stderr_contains("table `t` is not expected");
}

#[test]
fn an_unknown_function_in_a_new_view_or_trigger_stops_every_command() {
    let baseline = ("user:baseline→1.0.0", "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);");
    for block in [
        "CREATE VIEW v AS SELECT lowr(n) AS n FROM t;",
        "CREATE VIEW v AS SELECT n FROM t ORDER BY n COLLATE nocse;",
        "CREATE TRIGGER v AFTER INSERT ON t BEGIN UPDATE t SET n = lowr(new.n) WHERE id = new.id; END;",
    ] {
        let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").upgrade_to("1.0.0");
        let fleet = fleet
            .user("ann", "INSERT INTO t VALUES (1, 'a')")
            .blocks(&[baseline, ("user:1.0.0→1.1.0", block)]);
        let before = fleet.database("ann").dump();
        for command in [&["upgrade", "--all-users"][..], &["test"], &["lint"]] {
            let output = fleet.run(command);
            output.status(1);
            assert!(output.describe().contains("dangling-reference"), "{block}");
        }
        assert_eq!(fleet.database("ann").dump(), before);
        // An application may create it all the same. Then `verify` finds it.
        let fleet = fleet.user("ann", block);
        fleet.run(["stamp", "1.1.0", "--user", "ann"]).status(0);
        fleet.run(["verify"]).status(1).stdout_contains("`v` cannot be used: no such ");
    }
    // What the document does not have may need a function of the application.
    let fleet = Fleet::from_blocks(&[baseline]).user("ann", "").upgrade_to("1.0.0");
    let fleet = fleet
        .user("ann", "CREATE TRIGGER own AFTER INSERT ON t BEGIN SELECT lowr(new.n); END")
        .blocks(&[baseline, ("user:1.0.0→1.1.0", "CREATE TABLE u (x);")]);
    fleet.run(["upgrade", "--all-users"]).status(0);
}
