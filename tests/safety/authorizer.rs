//! Tests the authorizer: forbidden statements are found before any database is changed, each at its
//! place in the document.

use crate::support::Fleet;

const BASELINE: (&str, &str) = ("user:baseline→1.0.0", "CREATE TABLE notes (body TEXT);");

fn fleet() -> Fleet {
    Fleet::from_blocks(&[BASELINE])
        .user("ann", "")
        .upgrade_to("1.0.0")
        .user("ann", "INSERT INTO notes VALUES ('kept')")
        .user("new", "")
}

/// The statement is in line 10, between two statements that would change the database.
#[track_caller]
fn assert_refused(fleet: Fleet, statement: &str, reason: &str) -> Fleet {
    let sql = format!("CREATE TABLE before (x);\n{statement}\nCREATE TABLE after (x);");
    let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", &sql)]);
    for arguments in [
        &["upgrade", "--all-users"] as &[&str],
        &["upgrade", "--all-users", "--dry-run"],
        &["upgrade"],
        &["lint"],
    ] {
        fleet
            .run_without_changes(arguments)
            .status(2)
            .stderr_contains(reason)
            .stderr_contains("MIGRATIONS.md:10:");
    }
    assert_eq!(fleet.database("ann").rows("SELECT * FROM notes"), ["kept"]);
    assert_eq!(fleet.database("ann").tables(), ["notes"]);
    fleet
}

#[test]
fn commit_inside_a_block_cannot_escape() {
    let mut fleet = fleet();
    for statement in ["COMMIT;", "END;", "END TRANSACTION;", "/* */ coMMit -- now\n;"] {
        fleet = assert_refused(fleet, statement, "`COMMIT` is not allowed inside a block");
    }
}

#[test]
fn no_block_begins_or_ends_a_transaction() {
    let mut fleet = fleet();
    for (statement, word) in [
        ("BEGIN;", "`BEGIN`"),
        ("BEGIN IMMEDIATE;", "`BEGIN`"),
        ("BEGIN EXCLUSIVE TRANSACTION;", "`BEGIN`"),
        ("ROLLBACK;", "`ROLLBACK`"),
        ("SAVEPOINT s;", "`SAVEPOINT`"),
        ("RELEASE s;", "`RELEASE`"),
        ("RELEASE SAVEPOINT s;", "`RELEASE`"),
        ("ROLLBACK TO s;", "`ROLLBACK TO`"),
    ] {
        fleet = assert_refused(fleet, statement, &format!("{word} is not allowed inside a block"));
    }
}

#[test]
fn no_block_reaches_another_file() {
    let mut fleet = fleet();
    for (statement, reason) in [
        ("ATTACH 'other.db' AS other;", "`ATTACH`"),
        ("ATTACH ':memory:' AS other;", "`ATTACH`"),
        ("DETACH main;", "`DETACH`"),
        ("DETACH other;", "`DETACH`"),
        ("VACUUM;", "VACUUM"),
        ("VACUUM INTO 'other.db';", "VACUUM"),
        ("SELECT load_extension('other');", "load_extension"),
        ("SELECT LOAD_EXTENSION('other', 'init') FROM notes;", "load_extension"),
    ] {
        fleet = assert_refused(fleet, statement, reason);
    }
    assert!(!fleet.path("other.db").exists());
}

#[test]
fn no_block_changes_what_outlives_the_transaction() {
    let mut fleet = fleet();
    for name in [
        "writable_schema = ON",
        "writable_schema(RESET)",
        "main.writable_schema = 1",
        "journal_mode = WAL",
        "journal_mode(OFF)",
        "synchronous = OFF",
        "locking_mode = EXCLUSIVE",
        "wal_checkpoint(TRUNCATE)",
        "trusted_schema = ON",
        "schema_version = 7",
        "auto_vacuum = FULL",
        "incremental_vacuum",
        "temp_store_directory = '/'",
        "cell_size_check = OFF",
        "ignore_check_constraints = ON",
        "encoding = 'UTF-16'",
        "no_such_pragma = 1",
    ] {
        let pragma = name.trim_start_matches("main.");
        let end = pragma.find([' ', '(', '=']).unwrap_or(pragma.len());
        let reason = format!("`PRAGMA {}` is not allowed inside a block", &pragma[..end]);
        fleet = assert_refused(fleet, &format!("PRAGMA {name};"), &reason);
    }
}

#[test]
fn no_block_touches_the_history_table() {
    let mut fleet = fleet();
    for statement in [
        "DELETE FROM _tatmig_migrations;",
        "UPDATE _tatmig_migrations SET to_version = '9.9.9';",
        "INSERT INTO main._TATMIG_MIGRATIONS (event) VALUES ('x');",
        "SELECT * FROM _tatmig_migrations;",
        "INSERT INTO notes SELECT to_version FROM \"_tatmig_migrations\";",
        "CREATE TABLE copy AS SELECT * FROM _tatmig_migrations;",
        "DROP TABLE _tatmig_migrations;",
        "DROP TABLE IF EXISTS _tatmig_migrations;",
        "ALTER TABLE _tatmig_migrations ADD COLUMN own;",
        "ALTER TABLE _tatmig_migrations RENAME TO own;",
        "CREATE INDEX own ON _tatmig_migrations (event);",
        "CREATE TRIGGER own AFTER INSERT ON _tatmig_migrations BEGIN SELECT 1; END;",
        "CREATE TRIGGER own AFTER INSERT ON notes BEGIN DELETE FROM _tatmig_migrations; END;",
        "CREATE TRIGGER own AFTER DELETE ON notes BEGIN SELECT * FROM [_Tatmig_Migrations]; END;",
        "CREATE VIEW own AS SELECT * FROM \"_tatmig_migrations\";",
        "CREATE TEMP VIEW own AS SELECT * FROM _tatmig_migrations;",
        "CREATE TABLE own (x REFERENCES _tatmig_migrations (id));",
        "ALTER TABLE notes RENAME TO _tatmig_sources;",
        "CREATE TABLE _tatmig_other (x);",
        "CREATE VIEW _tatmig_view AS SELECT 1;",
    ] {
        fleet = assert_refused(
            fleet,
            statement,
            "belongs to tatmig: a block must not read or change it",
        );
    }
}

#[test]
fn no_block_writes_the_schema_by_hand() {
    let mut fleet = fleet();
    for statement in [
        "UPDATE sqlite_schema SET sql = 'x';",
        "DELETE FROM sqlite_master;",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x (y)');",
    ] {
        fleet = assert_refused(fleet, statement, "may not be modified");
    }
}

#[test]
fn statements_inside_triggers_are_checked() {
    let fleet = fleet();
    let statement = "CREATE TRIGGER own AFTER INSERT ON notes BEGIN DELETE FROM _tatmig_migrations; END; INSERT INTO notes VALUES ('x');";
    assert_refused(fleet, statement, "belongs to tatmig");
}

#[test]
fn an_unbound_parameter_is_refused() {
    let mut fleet = fleet();
    for statement in ["INSERT INTO notes VALUES (?);", "DELETE FROM notes WHERE body = :body;"] {
        fleet = assert_refused(fleet, statement, "a block cannot have parameters");
    }
}

#[test]
fn a_forbidden_statement_blocks_only_runs_that_reach_it() {
    let fleet = fleet().blocks(&[
        BASELINE,
        ("user:1.0.0→1.1.0", "CREATE TABLE more (x);"),
        ("user:1.1.0→1.2.0", "CREATE TABLE late (x);\nCOMMIT;"),
    ]);
    fleet.run_without_changes(["upgrade", "--all-users"]).status(2);
    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(0);
    assert_eq!(fleet.database("ann").tables(), ["more", "notes"]);
}

#[test]
fn harmless_pragmas_are_allowed() {
    let fleet = fleet().blocks(&[
        BASELINE,
        (
            "user:1.0.0→1.1.0",
            "PRAGMA foreign_keys = ON;\nPRAGMA defer_foreign_keys = 1;\nPRAGMA legacy_alter_table = ON;\n\
             PRAGMA foreign_key_check;\nPRAGMA optimize;\nPRAGMA user_version = 3;\nPRAGMA application_id = 4;\n\
             PRAGMA table_info(notes);\nPRAGMA integrity_check;\nPRAGMA journal_mode;\nPRAGMA index_list(notes);",
        ),
    ]);
    fleet.run(["upgrade", "--all-users"]).status(0).stderr("");
    assert_eq!(fleet.database("ann").rows("PRAGMA user_version"), ["3"]);
}

#[test]
fn a_database_trigger_cannot_touch_the_history_table() {
    let fleet = fleet().user(
        "ann",
        "CREATE TRIGGER own AFTER UPDATE ON notes BEGIN DELETE FROM _tatmig_migrations; END;",
    );
    let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", "UPDATE notes SET body = 'x';")]);
    let before = fleet.database("ann").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("`ann` (ann_longterm.db): `_tatmig_migrations` belongs to tatmig");
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("new").version().as_deref(), Some("1.1.0"));
}
