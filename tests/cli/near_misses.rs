//! Tests a users directory without user databases: the message names the absolute directory, the
//! pattern and what was found instead, and the exit status shows whether users were meant.

use crate::support::{Fleet, NOTES};

/// A fleet whose user databases have other names than the pattern, and further files.
fn fleet() -> Fleet {
    let sql = "CREATE TABLE own (x)";
    Fleet::from_blocks(NOTES)
        .system("")
        .upgrade_to("1.0.0")
        .database_file("ann.db", sql)
        .database_file("bob_longterm.sqlite", sql)
        .directory("users")
        .database_file("users/cid_longterm.db", sql)
        .file("dora.txt", "a letter")
        .file("empty.db", "")
}

#[test]
fn other_databases_are_near_misses_and_make_a_run_on_users_fail() {
    let fleet = fleet();
    let before = fleet.database("system").dump();
    let dir = fleet.path("").canonicalize().unwrap();
    let message = format!(
        "no user database in `{}`, where files are named `{{username}}_longterm.db`; near misses: \
         `bob_longterm.sqlite`, `empty.db`, `ann.db`; check `--users-dir` and `--user-pattern`\n",
        dir.display()
    );
    for arguments in [
        &["status"] as &[&str],
        &["status", "--exit-code", "-q"],
        &["verify", "--json"],
        &["upgrade", "--all-users", "--dry-run"],
        &["adopt", "--all-users"],
        &["seed", "x", "--all-users"],
    ] {
        let fleet = if arguments[0] == "seed" {
            Fleet::from_blocks(&[NOTES[1], ("user:seed:x", "INSERT INTO notes (body) VALUES (1);")])
                .database_file("ann.db", "CREATE TABLE own (x)")
        } else {
            fleet.copy().directory("users").database_file("users/cid_longterm.db", "")
        };
        let run = fleet.run(arguments);
        run.status(1).stderr_contains("error: no user database in `/");
        run.stderr_contains("where files are named `{username}_longterm.db`; near misses: ");
    }
    fleet.run_without_changes(["status"]).status(1).stderr_contains(&message);
    // Without a selection only the system database is meant.
    fleet.run(["upgrade"]).status(0).stderr_contains(&message).stderr_lacks("error");
    assert_ne!(fleet.database("system").dump(), before);
}

#[test]
fn without_other_databases_nothing_fails() {
    let fleet = Fleet::from_blocks(NOTES).system("").directory("users").file("users/a.txt", "x");
    let fleet = fleet.database_file("users/side.db", "").upgrade_to("1.2.0");
    let users = fleet.path("users").canonicalize().unwrap();
    let run = fleet.run_without_changes(["status", "--users-dir", "users"]);
    run.status(0).stderr(format!(
        "no user database in `{}`, where files are named `{{username}}_longterm.db`; near misses: \
         `side.db`; check `--users-dir` and `--user-pattern`\n",
        users.display()
    ));
    // The system database is no user's, and neither is what the subdirectories hold.
    fleet
        .run_without_changes(["verify"])
        .status(0)
        .stderr_contains("; create one with `tatmig init --user NAME`");
    let fleet = fleet.database_file("users/cid_longterm.db", "CREATE TABLE own (x)");
    fleet
        .run_without_changes(["verify"])
        .status(0)
        .stderr_contains("; near misses: `users/cid_longterm.db`; check `--users-dir`");
}
