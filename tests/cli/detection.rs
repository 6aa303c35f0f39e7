//! Tests how the version of a database without a history is found: by proof, never by absence.

use serde_json::json;

use crate::support::{Database, Fleet};

fn two_versions(first: &str, second: &str, database: &str) -> Fleet {
    Fleet::from_blocks(&[("user:baseline→1.0.0", first), ("user:1.0.0→1.1.0", second)])
        .user("a", database)
}

#[track_caller]
fn table_sql(database: &Database, name: &str) -> String {
    database.rows(&format!("SELECT sql FROM sqlite_schema WHERE name = '{name}'")).remove(0)
}

#[test]
fn a_rebuild_that_only_adds_a_constraint_is_not_taken_for_applied() {
    for (before, after) in [
        ("n TEXT", "n TEXT CHECK (n <> 'old')"),
        ("n TEXT", "n TEXT UNIQUE"),
        ("n TEXT", "n TEXT COLLATE NOCASE"),
        ("n TEXT REFERENCES t (id)", "n TEXT REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED"),
        ("n TEXT, m AS (1)", "n TEXT, m AS (2)"),
    ] {
        let rebuild = format!(
            "CREATE TABLE t_new (id INTEGER PRIMARY KEY, {after});\nINSERT INTO t_new (id, n) SELECT id, n FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;"
        );
        let first = format!("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, {before});");
        let database = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, {before}); INSERT INTO t (id) VALUES (7)"
        );
        let fleet = two_versions(&first, &rebuild, &database);
        fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: 1.0.0 → 1.1.0");
        let a = fleet.database("a");
        assert!(table_sql(&a, "t").contains(after), "{after}");
        assert_eq!(a.rows("SELECT id FROM t"), ["7"]);
        fleet.run_without_changes(["verify"]).status(0);
    }
    for (before, after) in [
        ("CREATE TABLE IF NOT EXISTS t (id INT);", "CREATE TABLE t_new (id INT) STRICT;"),
        (
            "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY);",
            "CREATE TABLE t_new (id INTEGER PRIMARY KEY AUTOINCREMENT);",
        ),
    ] {
        let rebuild = format!(
            "{after}\nINSERT INTO t_new (id) SELECT id FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;"
        );
        let fleet = two_versions(before, &rebuild, before);
        fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: 1.0.0 → 1.1.0");
    }
    let first = "CREATE VIRTUAL TABLE f USING fts5(a);";
    let second = "DROP TABLE f;\nCREATE VIRTUAL TABLE f USING fts5(a, prefix = '2');";
    let fleet = two_versions(first, second, first);
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: 1.0.0 → 1.1.0");
}

#[test]
fn versions_that_differ_only_by_rows_are_ambiguous() {
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS p (id INTEGER PRIMARY KEY, amount REAL);",
        "UPDATE p SET amount = amount * 100;",
        "CREATE TABLE p (id INTEGER PRIMARY KEY, amount REAL); INSERT INTO p VALUES (1, 2.5)",
    );
    let line = std::fs::read_to_string(fleet.path("MIGRATIONS.md"))
        .unwrap()
        .lines()
        .position(|line| line.starts_with("UPDATE"))
        .unwrap()
        + 1;
    let statement = format!("`UPDATE p SET amount = amount * 100` (MIGRATIONS.md:{line})");
    fleet.run_without_changes(["status"]).status(0).stdout_contains(&statement).stdout_contains(
        "`tatmig adopt --user NAME --at 1.0.0` or `tatmig adopt --user NAME --at 1.1.0`",
    );
    let status = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(
        status["databases"][0]["detected"],
        json!({ "match": "ambiguous", "version": null, "candidates": ["1.0.0", "1.1.0"],
                "there": [], "missing": [], "sources": [] })
    );
    for command in [["upgrade", "--all-users"], ["adopt", "--all-users"]] {
        fleet.run_without_changes(command).status(1).stderr_contains("1.0.0 and 1.1.0");
    }
    fleet.run_without_changes(["upgrade", "--all-users"]).status(1).stderr_contains(&statement);

    let done = fleet.copy();
    done.run(["adopt", "--at", "1.1.0", "--all-users"]).status(0);
    done.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(done.database("a").rows("SELECT amount FROM p"), ["2.5"]);
    fleet.run(["adopt", "--at", "1.0.0", "--user", "a"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: 1.0.0 → 1.1.0");
    assert_eq!(fleet.database("a").rows("SELECT amount FROM p"), ["250"]);
}

#[test]
fn versions_that_differ_by_no_statement_of_the_scope_are_not_ambiguous() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE t (a);"),
        ("user:1.0.0→1.1.0", "-- nothing for users"),
    ])
    .user("a", "CREATE TABLE t (a)");
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: at 1.1.0 (adopted");
}

#[test]
fn the_absence_of_what_later_versions_drop_is_no_evidence() {
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE IF NOT EXISTS a (x);\nCREATE TABLE IF NOT EXISTS b (x);\nCREATE TABLE IF NOT EXISTS c (x, y);",
        ),
        ("user:1.0.0→1.1.0", "CREATE TABLE IF NOT EXISTS d (x);"),
        ("user:1.1.0→1.2.0", "DROP TABLE IF EXISTS b;\nALTER TABLE c DROP COLUMN y;"),
    ])
    // `b` was never created: that looks like 1.2.0, but `d` is missing, and `c` has `y`.
    .user("a", "CREATE TABLE a (x); CREATE TABLE c (x, y); INSERT INTO c VALUES (1, 2)");
    let status = fleet.run_without_changes(["status", "--json"]).status(0).json();
    assert_eq!(status["databases"][0]["detected"]["match"], "partial");
    assert_eq!(status["databases"][0]["detected"]["version"], "baseline");
    fleet
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("1 user (`a`): recorded at baseline\n");
    fleet
        .run(["status"])
        .status(0)
        .stdout_contains("baseline  behind, pending 1.0.0, 1.1.0, 1.2.0");
    fleet.run_without_changes(["verify"]).status(0);
    // The database has rows, so it is not new.
    fleet.run(["upgrade", "--all-users"]).status(0).stdout("a: baseline → 1.2.0\n");
    let a = fleet.database("a");
    assert_eq!(a.tables(), ["a", "c", "d"]);
    assert_eq!(a.rows("SELECT * FROM c"), ["1"]);
    fleet.run_without_changes(["verify"]).status(0).stdout_contains("1 user (`a`): OK");
}

#[test]
fn an_accepted_column_of_another_definition_counts_as_already_applied() {
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS c (id INTEGER PRIMARY KEY);",
        "ALTER TABLE c ADD COLUMN schema_version INTEGER DEFAULT 1;\nALTER TABLE c ADD COLUMN summary TEXT;",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, schema_version INTEGER DEFAULT 2); INSERT INTO c VALUES (1, 5)",
    )
    .user("b", "CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1)");
    fleet.run(["upgrade", "--user", "b"]).status(0);
    fleet.run_without_changes(["upgrade", "--user", "a"]).status(1);
    fleet
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("  column `c.schema_version` is not expected (INTEGER DEFAULT 2)\n")
        .stdout_contains(
            "  after the upgrade to 1.1.0, 1 difference:\n    column `c.schema_version` is `INTEGER DEFAULT 2`, not `INTEGER DEFAULT 1`\n",
        );
    fleet.run(["upgrade", "--user", "a"]).status(0).stdout_contains(
        "(column `c.schema_version` already existed as `INTEGER DEFAULT 2`, not `INTEGER DEFAULT 1` (accepted drift))",
    );
    let a = fleet.database("a");
    assert_eq!(a.columns("c"), ["id", "schema_version", "summary"]);
    assert_eq!(a.rows("SELECT * FROM c"), ["1|5|NULL"]);
    fleet.run_without_changes(["verify"]).status(0).stdout_contains(
        "note: column `c.schema_version` is `INTEGER DEFAULT 2`, not `INTEGER DEFAULT 1` (accepted drift)\n",
    );
    fleet.run(["upgrade", "--all-users"]).status(0);
    // Another definition than the one that was accepted is still refused, and both are shown.
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS c (id INTEGER PRIMARY KEY);",
        "ALTER TABLE c ADD COLUMN v INTEGER DEFAULT 1;",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, v INTEGER DEFAULT 2)",
    );
    fleet.run(["adopt", "--all-users"]).status(0);
    let fleet = fleet.user("a", "ALTER TABLE c DROP COLUMN v; ALTER TABLE c ADD COLUMN v TEXT");
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("INTEGER DEFAULT 1")
        .stderr_contains("TEXT");
}

#[test]
fn the_spelling_of_an_orm_is_no_difference() {
    let fleet = two_versions(
        "CREATE TABLE actor (id INTEGER PRIMARY KEY, handle TEXT);\nCREATE UNIQUE INDEX i ON actor (lower(handle));\nCREATE VIEW v AS SELECT id FROM actor;",
        "ALTER TABLE actor ADD COLUMN bio TEXT;",
        "create table \"actor\" (\"id\" integer primary key, \"handle\" text);
         create unique index \"i\" on \"actor\" (lower(\"handle\"));
         create view \"v\" as select \"id\" from \"actor\"",
    );
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: 1.0.0 → 1.1.0");
    fleet.run_without_changes(["verify"]).status(0);
}

#[test]
fn a_column_that_differs_in_the_only_table_is_a_partial_match() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);",
    )])
    .user("a", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body VARCHAR(200))");
    let difference = "column `notes.body` is `VARCHAR(200)`, not `TEXT NOT NULL`";
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("it has table `notes`")
        .stderr_contains(difference)
        .stderr_contains("`tatmig adopt --user NAME`");
    let status = fleet.run(["status", "--json"]).status(0).json();
    let detected = &status["databases"][0]["detected"];
    assert_eq!(detected["match"], "partial");
    assert_eq!(detected["there"], json!(["table `notes`"]));
    assert_eq!(detected["missing"], json!([difference]));
}

#[test]
fn bookkeeping_tables_of_other_tools_are_ignored_everywhere() {
    let document = "CREATE TABLE notes (id INTEGER PRIMARY KEY);";
    let tools = "CREATE TABLE _litestream_seq (id INTEGER); CREATE TABLE _litestream_lock (id);
        CREATE TABLE kysely_migration (name TEXT); CREATE INDEX kysely_by_name ON kysely_migration (name);
        CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('x');";
    let fleet = two_versions(
        document,
        "ALTER TABLE notes ADD COLUMN body TEXT;",
        &format!("{document} {tools} CREATE TABLE tmp_import (x)"),
    )
    .user("only-tools", tools)
    .config("ignore = [\"tmp_*\"]\n");
    fleet
        .run_without_changes(["status"])
        .stdout_contains("only-tools  -         new, pending 1.0.0, 1.1.0\n");
    // A new database is usually a copy of a template; nothing of this one may be lost.
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("2 users: 2 upgraded to 1.1.0");
    for name in ["a", "only-tools"] {
        let database = fleet.database(name);
        assert_eq!(database.rows("SELECT version_num FROM alembic_version"), ["x"], "{name}");
        assert_eq!(database.columns("notes"), ["id", "body"], "{name}");
    }
    fleet.run_without_changes(["verify"]).status(0).stdout_lacks("not expected");
    let before = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
    fleet
        .run(["new", "1.2.0", "-m", "more", "--from-db", "a_longterm.db", "--scope", "user"])
        .status(0)
        .stdout_contains("already has the schema of 1.1.0");
    assert_eq!(std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap(), before);
}

#[test]
fn an_object_that_the_document_creates_is_never_ignored() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE IF NOT EXISTS schema_migrations (id INTEGER PRIMARY KEY, name TEXT);",
    )])
    .user("a", "CREATE TABLE schema_migrations (version TEXT)")
    .user("b", "");
    fleet.run(["status"]).status(0).stdout_contains("a  -         unversioned, partial match");
    fleet.run(["upgrade", "--user", "b"]).status(0);
    let fleet = fleet.user("b", "DROP TABLE schema_migrations");
    fleet.run(["verify"]).status(1).stdout_contains("table `schema_migrations` is missing");
}

#[test]
fn a_new_database_is_adopted_only_at_the_baseline() {
    let fleet = two_versions("CREATE TABLE t (a);", "ALTER TABLE t ADD COLUMN b;", "");
    fleet
        .run_without_changes(["adopt", "--at", "1.0.0", "--all-users"])
        .status(1)
        .stderr_contains("the database is new");
    fleet.run(["adopt", "--at", "baseline", "--all-users"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("a").columns("t"), ["a", "b"]);
    fleet.run_without_changes(["verify"]).status(0);
}

#[test]
fn a_guarded_create_over_a_table_without_its_unique_fails() {
    let fleet = two_versions(
        "CREATE TABLE t (a);",
        "CREATE TABLE IF NOT EXISTS tags (id INTEGER PRIMARY KEY, n TEXT UNIQUE);",
        "",
    )
    .upgrade_to("1.0.0")
    .user(
        "a",
        "CREATE TABLE tags (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO tags VALUES (1, 'x')",
    );
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("column `tags.n` is `TEXT`, not `TEXT UNIQUE`");
    assert_eq!(fleet.database("a").rows("SELECT n FROM tags"), ["x"]);
}

#[test]
fn verify_shows_a_constraint_that_was_lost_by_hand() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT UNIQUE, m INT CHECK (m > 0));",
    )])
    .user("a", "")
    .user("b", "")
    .upgrade_to("1.0.0")
    .user("a", "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, m INT CHECK (m > 0))")
    .user("b", "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT UNIQUE, m INT)");
    fleet
        .run_without_changes(["verify"])
        .status(1)
        .stdout_contains("column `t.n` is `TEXT`, not `TEXT UNIQUE`")
        .stdout_contains("column `t.m` is `INT`, not `INT CHECK (m > 0)`");
    // Both can be accepted afterwards.
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains("already at 1.0.0");
    fleet.run_without_changes(["verify"]).status(1);
    fleet
        .run(["adopt", "--all-users", "--accept-drift"])
        .status(0)
        .stdout_contains("recorded at 1.0.0, with 1 difference\n");
    fleet.run_without_changes(["verify"]).status(0).stdout_contains("(accepted drift)");
    // Without drift, nothing is recorded.
    let fleet = fleet.user("c", "");
    fleet.run(["upgrade", "--user", "c"]).status(0);
    let dump = fleet.database("c").dump();
    fleet
        .run(["adopt", "--user", "c", "--accept-drift"])
        .status(0)
        .stdout("1 user (`c`): already at 1.0.0\n");
    assert_eq!(fleet.database("c").dump(), dump);
}

#[test]
fn a_baseline_without_a_constraint_of_the_chain_is_found() {
    for (chain, baseline) in [
        ("n TEXT UNIQUE", "n TEXT"),
        ("n TEXT CHECK (n <> '')", "n TEXT"),
        ("n TEXT COLLATE NOCASE", "n TEXT"),
    ] {
        let fleet = Fleet::from_blocks(&[
            ("user:baseline→1.0.0", &format!("CREATE TABLE t ({chain});")),
            ("user:1.0.0→1.1.0", "CREATE TABLE u (a);"),
            ("user:baseline→1.1.0", &format!("CREATE TABLE t ({baseline});\nCREATE TABLE u (a);")),
        ]);
        fleet.run(["lint"]).stderr_contains("baselines-differ");
    }
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE t (n TEXT) STRICT;"),
        ("user:1.0.0→1.1.0", "CREATE TABLE u (a);"),
        ("user:baseline→1.1.0", "CREATE TABLE t (n TEXT);\nCREATE TABLE u (a);"),
    ]);
    fleet.run(["lint"]).stderr_contains("baselines-differ");
}

#[test]
fn a_column_with_another_collation_check_or_expression_is_not_already_there() {
    for (expected, found) in [
        ("TEXT COLLATE NOCASE", "TEXT"),
        ("INT CHECK (b > 0)", "INT CHECK (b > 1)"),
        ("INT AS (a + 1)", "INT AS (a + 2)"),
    ] {
        let fleet = two_versions(
            "CREATE TABLE t (a INT);",
            &format!("ALTER TABLE t ADD COLUMN b {expected};"),
            "",
        )
        .upgrade_to("1.0.0")
        .user("a", &format!("ALTER TABLE t ADD COLUMN b {found}; INSERT INTO t (a) VALUES (7)"));
        fleet
            .run_without_changes(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains(expected)
            .stderr_contains(found);
        assert_eq!(fleet.database("a").rows("SELECT a FROM t"), ["7"]);
    }
}

#[test]
fn a_version_from_which_a_statement_fails_is_not_proposed() {
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS t (a, b);",
        "CREATE INDEX i ON t (b);",
        "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    );
    // Without `b`, the index cannot be created from 1.0.0 or from the baseline.
    let status = fleet.run_without_changes(["status", "--json"]).status(0).json();
    let detected = &status["databases"][0]["detected"];
    assert_eq!(detected["candidates"], json!(["1.1.0"]));
    fleet
        .run(["adopt", "--all-users", "--at", "1.0.0"])
        .status(0)
        .stdout_contains("the upgrade to 1.1.0 will fail: MIGRATIONS.md:")
        .stdout_contains("no such column: b");
    fleet.run_without_changes(["upgrade", "--all-users"]).status(1);
    assert_eq!(fleet.database("a").rows("SELECT a FROM t"), ["1"]);
}

#[test]
fn missing_rows_fail_no_trial() {
    // On a copy without rows the INSERT violates NOT NULL, and the assertion finds a row.
    let fleet = Fleet::from_blocks(&[
        (
            "user:baseline→1.0.0",
            "CREATE TABLE IF NOT EXISTS roles (id INTEGER PRIMARY KEY, name TEXT UNIQUE);\nINSERT OR IGNORE INTO roles (name) VALUES ('admin');",
        ),
        (
            "user:1.0.0→1.1.0",
            "CREATE TABLE grants (role INTEGER NOT NULL, what TEXT);\n-- tatmig:assert the admin exists\nSELECT 1 WHERE NOT EXISTS (SELECT 1 FROM roles);\nINSERT INTO grants VALUES ((SELECT id FROM roles), 'all');",
        ),
    ])
    .user("a", "CREATE TABLE roles (id INTEGER PRIMARY KEY, name TEXT UNIQUE, x); INSERT INTO roles VALUES (3, 'root', 1)");
    fleet.run(["adopt", "--at", "1.0.0", "--all-users"]).status(0).stdout_lacks("will fail");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("a").rows("SELECT role FROM grants"), ["3"]);
}

#[test]
fn adopting_at_a_version_leaves_databases_with_a_history_alone() {
    let fleet = two_versions("CREATE TABLE t (a);", "ALTER TABLE t ADD COLUMN b;", "")
        .upgrade_to("1.1.0")
        .user("b", "CREATE TABLE t (a)");
    fleet
        .run(["adopt", "--at", "1.0.0", "--all-users"])
        .status(0)
        .stdout_contains("1 user (`a`): already at 1.1.0\n")
        .stdout_contains("1 user (`b`): recorded at 1.0.0\n");
    fleet
        .run(["adopt", "--at", "1.0.0", "--user", "a"])
        .status(0)
        .stdout_contains("1 user (`a`): recorded at 1.0.0, with 1 difference\n");
    assert_eq!(fleet.database("a").version().as_deref(), Some("1.0.0"));
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn statements_that_change_rows_are_named_before_they_run_again() {
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS p (id INTEGER PRIMARY KEY, amount REAL);",
        "UPDATE p SET amount = amount * 100;",
        "CREATE TABLE p (id INTEGER PRIMARY KEY, amount REAL, own TEXT); INSERT INTO p VALUES (1, 250, 'x')",
    );
    fleet.run(["adopt", "--all-users"]).status(0).stdout_contains(
        "  note: 1.1.0 fits equally well, and the next upgrade runs `UPDATE p SET amount = amount * 100` (MIGRATIONS.md:",
    );
    fleet.run(["adopt", "--user", "a", "--at", "1.1.0"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("a").rows("SELECT amount FROM p"), ["250"]);
}

#[test]
fn a_lower_version_from_which_the_document_fails_is_named() {
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY);",
        "ALTER TABLE t ADD COLUMN n;",
        "CREATE TABLE own (id INTEGER PRIMARY KEY); CREATE VIEW t AS SELECT id FROM own",
    );
    fleet
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("recorded at 1.1.0")
        .stdout_contains("  note: the rest of the document fails from baseline: MIGRATIONS.md:");
}

#[test]
fn a_version_whose_upgrade_a_safety_rule_refuses_is_proposed_all_the_same() {
    // The rebuild would lose `colour`. To record 1.1.0 instead would pass the rebuild over.
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n TEXT);",
        "CREATE TABLE t_new (id INTEGER PRIMARY KEY, n TEXT CHECK (n <> ''));\nINSERT INTO t_new (id, n) SELECT id, n FROM t;\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, colour TEXT); INSERT INTO t VALUES (1, 'a', 'red')",
    );
    fleet
        .run(["adopt", "--all-users"])
        .status(0)
        .stdout_contains("recorded at baseline")
        .stdout_contains("  the upgrade to 1.1.0 will fail: MIGRATIONS.md:")
        .stdout_contains("column `colour`");
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("error[undocumented-loss]");
    assert_eq!(fleet.database("a").rows("SELECT colour FROM t"), ["red"]);
}

#[test]
fn an_object_of_an_unknown_module_is_named_and_stops_nothing() {
    let fleet = two_versions(
        "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n TEXT);",
        "ALTER TABLE t ADD COLUMN z;",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t VALUES (1, 'x');
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES ('table', 'emb', 'emb', 0, 'CREATE VIRTUAL TABLE emb USING vec0(v float[4])')",
    );
    fleet.run(["adopt", "--all-users"]).status(0).stdout(
        "1 user (`a`): recorded at 1.0.0, with 1 difference\n  \
         table `emb` is not expected\n  after the upgrade to 1.1.0, the same differs\n",
    );
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: 1.0.0 → 1.1.0");
    fleet.run_without_changes(["verify"]).status(0);
    assert_eq!(fleet.database("a").rows("SELECT n FROM t"), ["x"]);
}

#[test]
fn an_index_that_names_another_collation_than_its_column_is_not_taken_for_applied() {
    let table = "CREATE TABLE IF NOT EXISTS u (id INTEGER PRIMARY KEY, h TEXT COLLATE NOCASE);\nCREATE UNIQUE INDEX uh ON u (h);";
    let fleet = two_versions(
        table,
        "DROP INDEX uh;\nCREATE UNIQUE INDEX uh ON u (h COLLATE BINARY);",
        table,
    );
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("a: 1.0.0 → 1.1.0");
    assert!(table_sql(&fleet.database("a"), "uh").contains("BINARY"));
    // A guard that hides the other collation fails the check after the last step.
    let fleet = two_versions(
        "CREATE TABLE u (id INTEGER PRIMARY KEY, h TEXT COLLATE NOCASE);",
        "CREATE UNIQUE INDEX IF NOT EXISTS uh ON u (h COLLATE BINARY);",
        table,
    );
    fleet.run(["stamp", "1.0.0", "--user", "a"]).status(0);
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("index `uh` is `CREATE UNIQUE INDEX uh ON u (h)`");
    assert_eq!(fleet.database("a").version().as_deref(), Some("1.0.0"));
    // For a column without a collation of its own, BINARY says nothing new.
    let plain =
        "CREATE TABLE p (id INTEGER PRIMARY KEY, h TEXT, UNIQUE (h));\nCREATE INDEX ph ON p (h);";
    let spelled = plain.replace("(h)", "(h COLLATE BINARY)");
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", plain)]).user("a", &spelled);
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("1.0.0");
    fleet.run_without_changes(["verify"]).status(0);
}

#[test]
fn the_spelling_of_a_default_and_of_full_text_options_does_not_count() {
    let document = "CREATE TABLE t (id INTEGER PRIMARY KEY, x INT DEFAULT (1+1));\nCREATE VIRTUAL TABLE f USING fts5 (n, tokenize = 'porter', content = 't');";
    let database = "CREATE TABLE t (id INTEGER PRIMARY KEY, x INT DEFAULT (1 + 1)); CREATE VIRTUAL TABLE f USING fts5 (n, tokenize=\"porter\", content=t);";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", document)]).user("a", database);
    fleet.run(["upgrade", "--all-users"]).status(0).stdout_contains("1.0.0");
}
