//! Tests `status`: the version of every database on one screen, and the exit status.

use snapbox::str;

use crate::support::{Fleet, NOTES};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES).system("").user("ann", "").upgrade_to("1.2.0").user("bob", "")
}

#[test]
fn it_shows_version_and_pending_of_each_database() {
    let fleet = fleet().user("old", "CREATE TABLE own (x)");
    let lines = str![[r#"
MIGRATIONS.md: head is 1.2.0
system  1.2.0     current
ann     1.2.0     current
bob     -         new, pending 1.0.0, 1.1.0, 1.2.0
old     -         unversioned, unrelated: the database has no history, and none of the document's tables exists in it; if it belongs to this fleet, run `tatmig adopt --user NAME --at baseline`

"#]];
    for name in ["status", "info", "current"] {
        fleet.run_without_changes([name]).status(0).stderr("").stdout(lines.clone());
    }
}

#[test]
fn exit_code_flag_returns_3_if_migrations_are_pending() {
    let fleet = fleet();
    fleet.run_without_changes(["status"]).status(0);
    fleet.run_without_changes(["status", "--exit-code"]).status(3);
    fleet.run_without_changes(["status", "--exit-code", "--json"]).status(3).json();
    let fleet = fleet.file("bad_longterm.db", "no database");
    // A database with an error is listed before a pending one.
    fleet.run_without_changes(["status", "--exit-code"]).status(1);
    std::fs::remove_file(fleet.path("bad_longterm.db")).unwrap();
    let fleet = fleet.upgrade_to("1.2.0");
    fleet.run_without_changes(["status", "--exit-code"]).status(0);
}

#[test]
fn a_large_fleet_is_summarized_and_exceptions_are_named() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).users(40, "").upgrade_to("1.2.0").user("zoe", "");
    fleet.run_without_changes(["status"]).status(0).stdout(str![[r#"
MIGRATIONS.md: head is 1.2.0
1 database: new, pending 1.0.0, 1.1.0, 1.2.0
40 databases: 1.2.0 current
zoe  -         new, pending 1.0.0, 1.1.0, 1.2.0

"#]]);
    let all = fleet.run_without_changes(["status", "-v"]).status(0).stdout_text();
    assert_eq!(all.lines().count(), 42);
}

#[test]
fn a_database_that_cannot_be_read_does_not_hide_the_others() {
    let fleet = fleet().file("bad_longterm.db", "no database");
    fleet
        .run_without_changes(["status"])
        .status(1)
        .stdout_contains("ann     1.2.0     current\n")
        .stdout_contains("bad     -         error: not a SQLite database");
}

#[test]
fn internal_sqlite_tables_are_ignored() {
    // ANALYZE creates a table of SQLite; for tatmig the database is still empty.
    let fleet =
        Fleet::from_blocks(&NOTES[1..]).user("ann", "CREATE TABLE t (x); ANALYZE; DROP TABLE t;");
    fleet.run_without_changes(["status"]).stdout_contains("ann  -         new, pending");
}

#[test]
fn every_command_has_help_with_an_example() {
    let fleet = Fleet::new();
    for command in ["upgrade", "status", "history", "lint", "init", "seed", "demo"] {
        let run = fleet.run_without_changes([command, "--help"]);
        run.status(0)
            .stdout_contains("Examples:\n")
            .stdout_contains(&format!("  tatmig {command}"));
    }
    fleet.run_without_changes(["--help"]).status(0).stdout_contains("Exit status: 0 done");
    fleet.run_without_changes(["--version"]).status(0).stdout_contains("tatmig ");
}

#[test]
fn quiet_prints_only_the_databases_with_a_problem() {
    let fleet = fleet();
    fleet.run_without_changes(["status", "-q"]).status(0).stdout("").stderr("");
    let fleet = fleet.file("bad_longterm.db", "no database");
    let finding = "bad  -         error: not a SQLite database: [..]\n";
    fleet.run_without_changes(["status", "-q"]).status(1).stdout("").stderr(finding);
    fleet.run_without_changes(["status", "--exit-code", "-q"]).status(1).stderr(finding);
    let fleet = fleet.users(40, "");
    fleet.run_without_changes(["status", "-q"]).status(1).stderr(finding);
}
