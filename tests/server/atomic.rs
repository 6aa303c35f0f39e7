//! Tests that a namespace gets all of its pending migrations or none.

use std::time::{Duration, Instant};

use crate::fleet::ServerFleet;
use crate::support::wait_until;

pub(crate) fn a_failing_step_leaves_no_trace() {
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .document(4, &[])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('tea'), ('tea')"]);
    let before = server_fleet.dump("ann");
    let run = server_fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stdout_contains("1 upgraded to 1.2.0")
        .stderr_contains("UNIQUE constraint failed: notes.body")
        .stderr_contains("(body = 'tea', first rowid = 1, last rowid = 2, rows = 2)")
        .stderr_contains("MIGRATIONS.md:22");
    assert_eq!(server_fleet.dump("ann"), before);
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.2.0"));
    server_fleet.sqld.execute("ann_longterm", &["DELETE FROM notes WHERE id = 2"]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(server_fleet.history("ann"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    assert_eq!(server_fleet.rows("ann", "SELECT body, pinned FROM notes"), ["tea|0"]);
}

pub(crate) fn constraint_failures_name_the_offending_rows() {
    let not_null = "CREATE TABLE moods (id INTEGER PRIMARY KEY, mood TEXT NOT NULL);\n\
                    INSERT INTO moods (id, mood) SELECT id, nullif(body, 'tea') FROM notes;";
    let check = "CREATE TABLE moods (id INTEGER PRIMARY KEY, n INTEGER CONSTRAINT small CHECK (n < 4));\n\
                 INSERT INTO moods (id, n) SELECT id, length(body) FROM notes;";
    let update = "ALTER TABLE notes ADD COLUMN pinned INTEGER;\n\
                  UPDATE notes SET body = nullif(body, 'tea') WHERE id > 1;";
    for (sql, message, rows) in [
        (
            not_null,
            "NOT NULL constraint failed: moods.mood",
            "(id = 1, mood = NULL), (id = 2, mood = NULL)",
        ),
        (check, "CHECK constraint failed: small", "(id = 3, n = 4)"),
        (update, "NOT NULL constraint failed: notes.body", "(rowid = 2)"),
    ] {
        let server_fleet = ServerFleet::new(&["ann", "bob"])
            .execute("ann", &["INSERT INTO notes (body) VALUES ('tea'), ('tea'), ('milk')"])
            // Bob already has the column, so the statement before is already applied.
            .execute("bob", &["ALTER TABLE notes ADD COLUMN pinned INTEGER"])
            .document(2, &[("user:1.0.0→1.1.0", sql)]);
        let before = server_fleet.dump("ann");
        let run = server_fleet.run(["upgrade", "--all-users", "--jobs", "1"]);
        run.status(1).stderr_contains(message).stderr_contains(rows);
        assert_eq!(server_fleet.dump("ann"), before);
        assert_eq!(server_fleet.version("bob").as_deref(), Some("1.1.0"));
    }
}

pub(crate) fn a_hidden_commit_is_refused_before_anything_is_sent() {
    for hidden in [
        "COMMIT",
        "/* why */ END",
        "SAVEPOINT a; RELEASE a",
        "ROLLBACK",
        "PRAGMA writable_schema = ON",
    ] {
        let server_fleet = ServerFleet::new(&["ann"]);
        let before = server_fleet.dump("ann");
        let sql = format!("INSERT INTO notes (body) VALUES ('stray');\n{hidden};");
        let server_fleet = server_fleet.document(2, &[("user:1.0.0→1.1.0", &sql)]);
        server_fleet
            .run(["upgrade", "--all-users"])
            .status(2)
            .stderr_contains("not allowed inside a block");
        assert_eq!(server_fleet.dump("ann"), before, "{hidden}");
    }
}

pub(crate) fn a_statement_that_ends_the_transaction_leaves_no_trace() {
    let sql = "UPDATE notes SET body = 'x';\nINSERT OR ROLLBACK INTO notes (id, body) SELECT id, 'y' FROM notes;\nINSERT INTO notes (body) VALUES ('stray');";
    let server_fleet = ServerFleet::new(&["ann"])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('tea')"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    let before = server_fleet.dump("ann");
    let run = server_fleet.run(["upgrade", "--all-users"]);
    run.status(1).stderr_contains("ended the transaction").stderr_contains("MIGRATIONS.md:17");
    assert_eq!(server_fleet.dump("ann"), before);
}

pub(crate) fn a_row_of_an_assertion_leaves_no_trace() {
    let sql = "DELETE FROM notes WHERE id > 2;\n-- tatmig:assert no two notes have one body\nSELECT body, count(*) AS n FROM notes GROUP BY body HAVING count(*) > 1 ORDER BY body; -- twins\nALTER TABLE notes ADD COLUMN done INTEGER;";
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('tea'), ('tea'), ('ink')"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    let before = server_fleet.dump("ann");
    let run = server_fleet.run(["upgrade", "--all-users"]);
    run.status(1)
        .stderr_contains("error[assert]: `ann`")
        .stderr_contains("no two notes have one body")
        .stderr_contains("returns (body = 'tea', n = 2) (in")
        .stderr_contains("MIGRATIONS.md:18");
    assert_eq!(server_fleet.dump("ann"), before);
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.1.0"));
    server_fleet.sqld.execute("ann_longterm", &["UPDATE notes SET body = id"]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT body, done FROM notes"), ["1|NULL", "2|NULL"]);
}

/// A query that takes the server this long per tag, measured on this machine.
fn slow_query(server_fleet: &ServerFleet, duration: Duration) -> String {
    const CALIBRATION_ROWS: u32 = 2_000_000;
    let query = |rows: &str| {
        format!(
            "SELECT count(*) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {rows}) SELECT i FROM c)"
        )
    };
    let started = Instant::now();
    server_fleet.rows("ann", &query(&CALIBRATION_ROWS.to_string()));
    let rows =
        f64::from(CALIBRATION_ROWS) * duration.as_secs_f64() / started.elapsed().as_secs_f64();
    query(&format!("{rows:.0} * (SELECT count(*) FROM tags)"))
}

pub(crate) fn a_lock_that_is_stolen_leaves_no_stray_row() {
    // On the empty tables of the replay the statements end immediately.
    let server_fleet = ServerFleet::new(&["ann"])
        .execute("ann", &["PRAGMA foreign_keys = OFF", "INSERT INTO tags VALUES (1, NULL)"]);
    // The server checks its clock between statements, so several are needed.
    let slow_statement = format!("{};\n", slow_query(&server_fleet, Duration::from_secs(2)));
    let sql = format!(
        "INSERT INTO notes (body) VALUES ('first');\n{}INSERT INTO notes (body) VALUES ('stray');",
        slow_statement.repeat(6)
    );
    let server_fleet = server_fleet.document(2, &[("user:1.0.0→1.1.0", &sql)]);
    let child = server_fleet.fleet.start(["upgrade", "--all-users"]);
    // Another client requests the lock repeatedly. Once tatmig has it, the client waits for 5
    // seconds.
    wait_until("the lock is taken away", || {
        let sql = "INSERT INTO notes (body) VALUES ('theirs')";
        let started = Instant::now();
        server_fleet.sqld.execute("ann_longterm", &["BEGIN IMMEDIATE", sql, "COMMIT"]);
        started.elapsed() > Duration::from_secs(4)
    });
    let run = server_fleet.fleet.wait(child);
    run.status(1).stderr_contains("the server gave the lock to another program");
    assert_eq!(server_fleet.rows("ann", "SELECT DISTINCT body FROM notes"), ["theirs"]);
    assert_eq!(server_fleet.history("ann"), ["baseline→1.0.0"]);
}

pub(crate) fn two_runs_race_and_each_migration_is_applied_once() {
    let names: Vec<String> = (0..30).map(|index| format!("u{index:02}")).collect();
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    let server_fleet = ServerFleet::new(&users).document(4, &[]);
    let runs: Vec<_> = (0..3)
        .map(|_| server_fleet.fleet.start(["upgrade", "--all-users", "--jobs", "4"]))
        .collect();
    for run in runs {
        server_fleet.fleet.wait(run).status(0);
    }
    for user in users {
        assert_eq!(
            server_fleet.history(user),
            ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"],
            "{user}"
        );
    }
    assert_eq!(
        server_fleet.sqld.history("system"),
        ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]
    );
}

pub(crate) fn a_rehearsal_changes_nothing() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    let before = (server_fleet.dump("ann"), server_fleet.sqld.dump("system"));
    server_fleet
        .run(["upgrade", "--all-users", "--rehearse"])
        .status(0)
        .stdout_contains("rehearsed");
    assert_eq!((server_fleet.dump("ann"), server_fleet.sqld.dump("system")), before);
    server_fleet
        .run(["upgrade", "--all-users", "--dry-run"])
        .status(0)
        .stdout_contains("ALTER TABLE notes ADD COLUMN pinned");
    assert_eq!((server_fleet.dump("ann"), server_fleet.sqld.dump("system")), before);
}

pub(crate) fn all_or_nothing_commits_nothing_if_one_fails() {
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .document(4, &[])
        .execute("bob", &["INSERT INTO notes (body) VALUES ('tea'), ('tea')"]);
    let before = (server_fleet.dump("ann"), server_fleet.sqld.dump("system"));
    let run = server_fleet.run(["upgrade", "--all-users", "--all-or-nothing"]);
    run.status(1).stdout_contains("nothing was committed");
    assert_eq!((server_fleet.dump("ann"), server_fleet.sqld.dump("system")), before);
}

pub(crate) fn a_rebuild_that_loses_rows_fails() {
    let sql = "CREATE TABLE new_notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);\n\
               INSERT INTO new_notes SELECT id, body FROM notes WHERE body <> 'tea';\n\
               DROP TABLE notes;\n\
               ALTER TABLE new_notes RENAME TO notes;";
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", &["INSERT INTO notes (body) VALUES ('tea'), ('milk')"])
        .execute("bob", &["INSERT INTO notes (body) VALUES ('milk')"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    let before = server_fleet.dump("ann");
    server_fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains(
        "table `notes` had 2 rows before the migration 1.0.0 → 1.1.0 rebuilt it, and 1 after",
    );
    assert_eq!(server_fleet.dump("ann"), before);
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.1.0"));
    let tables = "SELECT name FROM sqlite_schema WHERE name LIKE '%rows' OR name LIKE '%orphans'";
    assert_eq!(server_fleet.rows("bob", tables), Vec::<String>::new());
}

pub(crate) fn a_rebuild_keeps_child_rows() {
    let sql = "CREATE TABLE new_notes (id INTEGER PRIMARY KEY, body TEXT);\n\
               INSERT INTO new_notes SELECT id, body FROM notes;\n\
               DROP TABLE notes;\n\
               ALTER TABLE new_notes RENAME TO notes;";
    let server_fleet = ServerFleet::new(&["ann"])
        .execute("ann", &["INSERT INTO notes VALUES (7, 'tea')", "INSERT INTO tags VALUES (1, 7)"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM tags"), ["1|7"]);
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM notes"), ["7|tea"]);
}

pub(crate) fn a_new_foreign_key_violation_fails_and_an_existing_one_is_allowed() {
    let foreign_keys_off = "PRAGMA foreign_keys = OFF";
    let server_fleet = ServerFleet::new(&["ann", "bob", "cid"])
        // Ann's database has an old violation; Bob's has none until the migration adds one.
        .execute("ann", &[foreign_keys_off, "INSERT INTO tags VALUES (1, 99), (2, 99)"])
        .execute("bob", &["INSERT INTO notes VALUES (7, 'tea')", "INSERT INTO tags VALUES (1, 7)"])
        .execute(
            "cid",
            &[
                foreign_keys_off,
                "INSERT INTO tags VALUES (1, 99)",
                "INSERT INTO notes VALUES (7, 'tea')",
                "INSERT INTO tags VALUES (2, 7)",
            ],
        )
        .document(2, &[("user:1.0.0→1.1.0", "DELETE FROM notes WHERE body = 'tea';")]);
    let before = (server_fleet.dump("bob"), server_fleet.dump("cid"));
    let run = server_fleet.run(["upgrade", "--all-users", "-v", "--jobs", "1"]);
    run.status(1)
        .stdout_contains("2 rows refer to parents that were missing before")
        .stderr_contains("these migrations leave 1 row without a parent")
        .stderr_contains("`tags` refers to `notes` by 7, which does not exist")
        .stderr_lacks("by 99");
    assert_eq!((server_fleet.dump("bob"), server_fleet.dump("cid")), before);
    assert_eq!(server_fleet.version("ann").as_deref(), Some("1.1.0"));
    let scratch = "SELECT count(*) FROM sqlite_schema WHERE name = '_tatmig_orphans'";
    assert_eq!(server_fleet.rows("ann", scratch), ["0"]);
}

pub(crate) fn an_if_not_exists_over_another_table_fails() {
    let sql = "CREATE TABLE IF NOT EXISTS moods (id INTEGER PRIMARY KEY, mood TEXT);";
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", &["CREATE TABLE moods (something_else TEXT)"])
        .document(2, &[("user:1.0.0→1.1.0", sql)]);
    let before = server_fleet.dump("ann");
    server_fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("column `moods.id` is missing");
    assert_eq!(server_fleet.dump("ann"), before);
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.1.0"));
}

pub(crate) fn an_existing_column_is_skipped_only_if_identical() {
    let server_fleet = ServerFleet::new(&["ann", "bob", "cid"])
        .execute("ann", &["ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0"])
        .execute("bob", &["ALTER TABLE notes ADD COLUMN pinned TEXT"])
        .document(3, &[]);
    let before = server_fleet.dump("bob");
    let run = server_fleet.run(["upgrade", "--all-users", "-v"]);
    run.status(1)
        .stdout_contains("column `notes.pinned` already existed")
        .stderr_contains("column `notes.pinned` already exists as `TEXT`; the migration 1.0.0 → 1.1.0 adds it as `INTEGER NOT NULL DEFAULT 0`");
    assert_eq!(server_fleet.dump("bob"), before);
    assert_eq!(
        server_fleet.rows("ann", "SELECT note FROM _tatmig_migrations WHERE to_version = '1.1.0'"),
        ["column `notes.pinned` already existed"]
    );
    assert_eq!(server_fleet.version("cid").as_deref(), Some("1.1.0"));
}
