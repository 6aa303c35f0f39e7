//! All of a namespace's migrations, or none of them.

use std::time::{Duration, Instant};

use crate::support::until;
use crate::town::Town;

pub(crate) fn a_failing_step_leaves_nothing() {
    let town = Town::of(&["ann", "bob"])
        .document(4, &[])
        .put("ann", &["INSERT INTO notes (body) VALUES ('tea'), ('tea')"]);
    let before = town.dump("ann");
    let run = town.run(["upgrade", "--all-users"]);
    run.status(1)
        .stdout_contains("1 upgraded to 1.2.0")
        .stderr_contains("UNIQUE constraint failed: notes.body")
        .stderr_contains("MIGRATIONS.md:22");
    assert_eq!(town.dump("ann"), before);
    assert_eq!(town.version("bob").as_deref(), Some("1.2.0"));
    town.sqld.run_in("ann_longterm", &["DELETE FROM notes WHERE id = 2"]);
    town.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(town.record("ann"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    assert_eq!(town.rows("ann", "SELECT body, pinned FROM notes"), ["tea|0"]);
}

pub(crate) fn a_hidden_commit_is_refused_before_anything_is_sent() {
    for hidden in [
        "COMMIT",
        "/* why */ END",
        "SAVEPOINT a; RELEASE a",
        "ROLLBACK",
        "PRAGMA writable_schema = ON",
    ] {
        let town = Town::of(&["ann"]);
        let before = town.dump("ann");
        let sql = format!("INSERT INTO notes (body) VALUES ('stray');\n{hidden};");
        let town = town.document(2, &[("user:1.0.0→1.1.0", &sql)]);
        town.run(["upgrade", "--all-users"])
            .status(2)
            .stderr_contains("not allowed inside a block");
        assert_eq!(town.dump("ann"), before, "{hidden}");
    }
}

pub(crate) fn a_statement_that_ends_the_transaction_leaves_nothing() {
    let sql = "UPDATE notes SET body = 'x';\nINSERT OR ROLLBACK INTO notes (id, body) SELECT id, 'y' FROM notes;\nINSERT INTO notes (body) VALUES ('stray');";
    let town = Town::of(&["ann"])
        .put("ann", &["INSERT INTO notes (body) VALUES ('tea')"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    let before = town.dump("ann");
    let run = town.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("ended the transaction").stderr_contains("MIGRATIONS.md:17");
    assert_eq!(town.dump("ann"), before);
}

/// A query that takes the server this long for each tag, measured on this machine.
fn slow(town: &Town, length: Duration) -> String {
    const TRIED: u32 = 2_000_000;
    let query = |rows: &str| {
        format!(
            "SELECT count(*) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {rows}) SELECT i FROM c)"
        )
    };
    let started = Instant::now();
    town.rows("ann", &query(&TRIED.to_string()));
    let rows = f64::from(TRIED) * length.as_secs_f64() / started.elapsed().as_secs_f64();
    query(&format!("{rows:.0} * (SELECT count(*) FROM tags)"))
}

pub(crate) fn a_lock_that_is_stolen_leaves_no_stray_row() {
    // In the replay's empty table the statements are over at once.
    let town = Town::of(&["ann"])
        .put("ann", &["PRAGMA foreign_keys = OFF", "INSERT INTO tags VALUES (1, NULL)"]);
    // The server looks at its clock between two statements, so there are several.
    let slow = format!("{};\n", slow(&town, Duration::from_secs(2)));
    let sql = format!(
        "INSERT INTO notes (body) VALUES ('first');\n{}INSERT INTO notes (body) VALUES ('stray');",
        slow.repeat(6)
    );
    let town = town.document(2, &[("user:1.0.0→1.1.0", &sql)]);
    let child = town.fleet.start(["upgrade", "--all-users"]);
    // Somebody else wants the lock again and again. Once tatmig has it, they wait for 5 seconds.
    until("the lock is taken away", || {
        let sql = "INSERT INTO notes (body) VALUES ('theirs')";
        let started = Instant::now();
        town.sqld.run_in("ann_longterm", &["BEGIN IMMEDIATE", sql, "COMMIT"]);
        started.elapsed() > Duration::from_secs(4)
    });
    let run = town.fleet.ended(child);
    run.status(1).stderr_contains("the server gave its lock to another program");
    assert_eq!(town.rows("ann", "SELECT DISTINCT body FROM notes"), ["theirs"]);
    assert_eq!(town.record("ann"), ["baseline→1.0.0"]);
}

pub(crate) fn two_runs_race_and_each_migration_is_applied_once() {
    let names: Vec<String> = (0..30).map(|at| format!("u{at:02}")).collect();
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    let town = Town::of(&users).document(4, &[]);
    let runs: Vec<_> =
        (0..3).map(|_| town.fleet.start(["upgrade", "--all-users", "--jobs", "4"])).collect();
    for run in runs {
        town.fleet.ended(run).status(0);
    }
    for user in users {
        assert_eq!(town.record(user), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"], "{user}");
    }
    assert_eq!(town.sqld.record("system"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
}

pub(crate) fn a_rehearsal_keeps_nothing() {
    let town = Town::of(&["ann"]).document(4, &[]);
    let before = (town.dump("ann"), town.sqld.dump("system"));
    town.run(["upgrade", "--all-users", "--rehearse"]).status(0).stdout_contains("rehearsed");
    assert_eq!((town.dump("ann"), town.sqld.dump("system")), before);
    town.run(["upgrade", "--all-users", "--dry-run"])
        .status(0)
        .stdout_contains("ALTER TABLE notes ADD COLUMN pinned");
    assert_eq!((town.dump("ann"), town.sqld.dump("system")), before);
}

pub(crate) fn all_or_nothing_commits_nothing_where_one_fails() {
    let town = Town::of(&["ann", "bob"])
        .document(4, &[])
        .put("bob", &["INSERT INTO notes (body) VALUES ('tea'), ('tea')"]);
    let before = (town.dump("ann"), town.sqld.dump("system"));
    let run = town.run(["upgrade", "--all-users", "--all-or-nothing"]);
    run.status(1).stdout_contains("nothing was committed");
    assert_eq!((town.dump("ann"), town.sqld.dump("system")), before);
}

pub(crate) fn rows_that_a_rebuild_loses_are_missed() {
    let sql = "CREATE TABLE new_notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);\n\
               INSERT INTO new_notes SELECT id, body FROM notes WHERE body <> 'tea';\n\
               DROP TABLE notes;\n\
               ALTER TABLE new_notes RENAME TO notes;";
    let town = Town::of(&["ann", "bob"])
        .put("ann", &["INSERT INTO notes (body) VALUES ('tea'), ('milk')"])
        .put("bob", &["INSERT INTO notes (body) VALUES ('milk')"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    let before = town.dump("ann");
    town.run(["upgrade", "--all-users"]).status(1).stderr_contains(
        "table `notes` held 2 rows before the migration 1.0.0 → 1.1.0 made it anew, and 1 after",
    );
    assert_eq!(town.dump("ann"), before);
    assert_eq!(town.version("bob").as_deref(), Some("1.1.0"));
    let tables = "SELECT name FROM sqlite_schema WHERE name LIKE '%rows' OR name LIKE '%orphans'";
    assert_eq!(town.rows("bob", tables), Vec::<String>::new());
}

pub(crate) fn a_rebuild_keeps_child_rows() {
    let sql = "CREATE TABLE new_notes (id INTEGER PRIMARY KEY, body TEXT);\n\
               INSERT INTO new_notes SELECT id, body FROM notes;\n\
               DROP TABLE notes;\n\
               ALTER TABLE new_notes RENAME TO notes;";
    let town = Town::of(&["ann"])
        .put("ann", &["INSERT INTO notes VALUES (7, 'tea')", "INSERT INTO tags VALUES (1, 7)"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    town.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(town.rows("ann", "SELECT * FROM tags"), ["1|7"]);
    assert_eq!(town.rows("ann", "SELECT * FROM notes"), ["7|tea"]);
}

pub(crate) fn a_foreign_key_that_a_migration_breaks_is_refused_and_an_old_one_is_not_blamed() {
    let broken = "PRAGMA foreign_keys = OFF";
    let town = Town::of(&["ann", "bob", "cid"])
        // Ann's is broken for years, Bob's is whole until the migration breaks it.
        .put("ann", &[broken, "INSERT INTO tags VALUES (1, 99), (2, 99)"])
        .put("bob", &["INSERT INTO notes VALUES (7, 'tea')", "INSERT INTO tags VALUES (1, 7)"])
        .put(
            "cid",
            &[
                broken,
                "INSERT INTO tags VALUES (1, 99)",
                "INSERT INTO notes VALUES (7, 'tea')",
                "INSERT INTO tags VALUES (2, 7)",
            ],
        )
        .document(2, &[("user:1.0.0→1.1.0", "DELETE FROM notes WHERE body = 'tea';")]);
    let before = (town.dump("bob"), town.dump("cid"));
    let run = town.run(["upgrade", "--all-users", "-v", "--jobs", "1"]);
    run.status(1)
        .stdout_contains("2 rows refer to parents that were missing before already")
        .stderr_contains("1 foreign key was broken by these migrations")
        .stderr_contains("`tags` refers to `notes` by 7, which is not there")
        .stderr_lacks("by 99");
    assert_eq!((town.dump("bob"), town.dump("cid")), before);
    assert_eq!(town.version("ann").as_deref(), Some("1.1.0"));
    let scratch = "SELECT count(*) FROM sqlite_schema WHERE name = '_tatmig_orphans'";
    assert_eq!(town.rows("ann", scratch), ["0"]);
}

pub(crate) fn a_guard_over_another_table_is_found_out() {
    let sql = "CREATE TABLE IF NOT EXISTS moods (id INTEGER PRIMARY KEY, mood TEXT);";
    let town = Town::of(&["ann", "bob"])
        .put("ann", &["CREATE TABLE moods (something_else TEXT)"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    let before = town.dump("ann");
    town.run(["upgrade", "--all-users"]).status(1).stderr_contains("column `moods.id` is missing");
    assert_eq!(town.dump("ann"), before);
    assert_eq!(town.version("bob").as_deref(), Some("1.1.0"));
}

pub(crate) fn a_column_that_was_there_is_satisfied_and_another_one_is_not() {
    let town = Town::of(&["ann", "bob", "cid"])
        .put("ann", &["ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0"])
        .put("bob", &["ALTER TABLE notes ADD COLUMN pinned TEXT"])
        .document(3, &[]);
    let before = town.dump("bob");
    let run = town.run(["upgrade", "--all-users", "-v"]);
    run.status(1)
        .stdout_contains("column `notes.pinned` was already there")
        .stderr_contains("column `notes.pinned` is already there as `TEXT`; the migration 1.0.0 → 1.1.0 adds it as `INTEGER NOT NULL DEFAULT 0`");
    assert_eq!(town.dump("bob"), before);
    assert_eq!(
        town.rows("ann", "SELECT note FROM _tatmig_migrations WHERE to_version = '1.1.0'"),
        ["column `notes.pinned` was already there"]
    );
    assert_eq!(town.version("cid").as_deref(), Some("1.1.0"));
}
