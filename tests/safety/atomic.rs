//! Tests that a database gets all of its pending migrations or none: at any failure the database
//! is unchanged, and the other databases are migrated.

use crate::fault_injection::{has_strace, run_under_strace};
use crate::support::{DUPLICATE_NOTES, Fleet, NOTES};

#[test]
fn a_failing_user_leaves_no_trace() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);"),
        (
            "user:1.0.0→1.1.0",
            "UPDATE notes SET body = upper(body);\nCREATE TABLE more (x);\nINSERT INTO more VALUES (1);\nPRAGMA user_version = 9;",
        ),
        ("user:1.1.0→1.2.0", "DELETE FROM notes WHERE id = 1;\nDROP TABLE more;"),
        ("user:1.2.0→1.3.0", "CREATE UNIQUE INDEX one_body ON notes (body);"),
    ]);
    let rows = "INSERT INTO notes VALUES (1, 'a'), (2, 'tea'), (3, 'tea')";
    let fleet = fleet.users(5, "").upgrade_to("1.0.0").user("u002", rows);
    let before = fleet.database("u002").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stdout_contains("5 users: 4 upgraded to 1.3.0, 1 failed\n")
        .stderr_contains("`u002` (u002_longterm.db): UNIQUE constraint failed: notes.body")
        .stderr_contains("MIGRATIONS.md:25:");
    let after = fleet.database("u002");
    assert_eq!(after.dump(), before);
    assert_eq!(after.rows("SELECT * FROM notes"), ["1|a", "2|tea", "3|tea"]);
    assert_eq!(after.rows("PRAGMA integrity_check"), ["ok"]);
    assert!(!fleet.path("u002_longterm.db-journal").exists());
    for user in ["u000", "u001", "u003", "u004"] {
        assert_eq!(fleet.database(user).version().as_deref(), Some("1.3.0"), "{user}");
    }
}

#[test]
fn one_failure_in_a_hundred_stops_no_other_and_a_second_run_finishes() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .users(100, "")
        .upgrade_to("1.0.0")
        .user("u042", DUPLICATE_NOTES);
    let before = fleet.database("u042").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stdout_contains("100 users: 99 upgraded to 1.2.0, 1 failed\n")
        .stderr_contains("`u042`")
        .stderr_contains("--> MIGRATIONS.md:21:33")
        .stderr_contains("21 | CREATE UNIQUE INDEX one_body ON notes (body);");
    assert_eq!(fleet.database("u042").dump(), before);
    let json = fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(json["summary"]["current"], 100, "the system database and 99 users");
    assert_eq!(json["summary"]["behind"], 1);

    let fleet = fleet.user("u042", "UPDATE notes SET body = body || id");
    fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("100 users: 1 upgraded to 1.2.0, 99 already at 1.2.0\n");
    let fixed = fleet.database("u042").rows("SELECT body, pinned FROM notes");
    assert_eq!(fixed, ["tea1|0", "tea2|0"]);
}

/// A fleet whose 1.1.0 ends the transaction in databases with a row, and then runs more statements.
fn fleet_with_rollback(statement: &str) -> Fleet {
    let sql = format!(
        "CREATE TABLE first (x);\n{statement}\nCREATE TABLE IF NOT EXISTS escaped (x);\nINSERT INTO escaped VALUES (1);"
    );
    let baseline = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);\n\
                    CREATE TRIGGER refuse BEFORE DELETE ON notes BEGIN SELECT RAISE(ROLLBACK, 'no'); END;";
    Fleet::from_blocks(&[("user:baseline→1.0.0", baseline), ("user:1.0.0→1.1.0", &sql)])
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.0.0")
        .user("ann", "INSERT INTO notes VALUES (1, 'kept'), (2, 'also')")
}

#[test]
fn insert_or_rollback_leaves_the_database_as_it_was() {
    for statement in [
        "INSERT OR ROLLBACK INTO notes VALUES (1, 'new');",
        "UPDATE OR ROLLBACK notes SET id = 7;",
        "DELETE FROM notes;",
    ] {
        let fleet = fleet_with_rollback(statement);
        let before = fleet.database("ann").dump();
        fleet
            .run(["upgrade", "--all-users"])
            .status(1)
            .stderr_contains("error[ended-transaction]: `ann` (ann_longterm.db): this statement ended the transaction")
            .stderr_contains("MIGRATIONS.md:11:");
        assert_eq!(fleet.database("ann").dump(), before, "{statement}");
        assert_eq!(fleet.database("ann").tables(), ["notes"], "{statement}");
        let bob = if statement.starts_with("INSERT") { "1" } else { "0" };
        assert_eq!(fleet.database("bob").rows("SELECT count(*) FROM notes"), [bob]);
        assert_eq!(fleet.database("bob").tables(), ["escaped", "first", "notes"]);
    }
}

#[test]
fn a_rollback_in_the_replay_changes_nothing() {
    let fleet = Fleet::from_blocks(&[(
        "user:baseline→1.0.0",
        "CREATE TABLE a (x PRIMARY KEY);\nINSERT INTO a VALUES (1);\nINSERT OR ROLLBACK INTO a VALUES (1);",
    )]);
    let fleet = fleet.user("ann", "");
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(2)
        .stderr_contains("ends the transaction of the whole run")
        .stderr_contains("MIGRATIONS.md:5:");
}

#[test]
fn a_row_dependent_constraint_is_a_warning_and_fails_per_database() {
    let fleet = Fleet::from_blocks(&[
        ("user:baseline→1.0.0", "CREATE TABLE a (x PRIMARY KEY);\nCREATE TABLE b (x NOT NULL);"),
        ("user:1.0.0→1.1.0", "INSERT INTO b SELECT max(x) FROM a;"),
    ]);
    let fleet = fleet
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.0.0")
        .user("ann", "INSERT INTO a VALUES (3)");
    let before = fleet.database("bob").dump();
    fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("1 warning in MIGRATIONS.md; run `tatmig lint`")
        .stderr_contains("`bob` (bob_longterm.db): NOT NULL constraint failed: b.x");
    assert_eq!(fleet.database("ann").rows("SELECT * FROM b"), ["3"]);
    assert_eq!(fleet.database("bob").dump(), before);
}

#[test]
fn database_settings_are_kept() {
    let settings =
        ["journal_mode", "page_size", "encoding", "auto_vacuum", "user_version", "application_id"];
    let setups = [
        ("ann", "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;"),
        ("bob", "PRAGMA encoding = 'UTF-16be'; PRAGMA auto_vacuum = FULL;"),
        ("cid", "PRAGMA journal_mode = WAL; PRAGMA encoding = 'UTF-16le'; PRAGMA page_size = 512;"),
    ];
    let fleet = Fleet::from_blocks(&NOTES[1..]);
    let fleet = setups.into_iter().fold(fleet, |fleet, (user, sql)| {
        let own_table = "CREATE TABLE own (x); INSERT INTO own VALUES ('é'); \
                    PRAGMA user_version = 5; PRAGMA application_id = 77;";
        fleet.user(user, &format!("{sql}{own_table}"))
    });
    fleet.run(["adopt", "--at", "baseline", "--all-users"]).status(0);
    let read_settings = |user: &str| {
        let database = fleet.database(user);
        settings.map(|name| database.rows(&format!("PRAGMA {name}")).concat())
    };
    let before = setups.map(|(user, _)| read_settings(user));
    fleet.run(["upgrade", "--all-users"]).status(0);
    for (index, (user, _)) in setups.iter().enumerate() {
        assert_eq!(read_settings(user), before[index], "{user}");
        assert_eq!(fleet.database(user).rows("SELECT * FROM own"), ["é"]);
        assert_eq!(fleet.database(user).columns("notes"), ["id", "body", "pinned"]);
    }
    assert_eq!(before[0][0], "wal");
    assert_eq!(before[2][2], "UTF-16le");
}

#[test]
fn an_upgrade_leaves_no_file_behind() {
    let fleet = Fleet::from_blocks(NOTES)
        .system("")
        .user("ann", "PRAGMA journal_mode = WAL;")
        .user("bob", "");
    let names = || {
        let entries = std::fs::read_dir(fleet.path("")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(names(), before);
}

#[test]
fn a_second_run_finishes_what_the_first_did_not() {
    let mut blocks = NOTES.to_vec();
    let fleet = Fleet::from_blocks(&blocks[..3]).system("").users(3, "");
    fleet.run(["upgrade", "--user", "u001"]).status(0);
    let fleet = fleet.user("u001", "INSERT INTO notes (body) VALUES ('kept')");
    blocks.truncate(4);
    let fleet = fleet.blocks(&blocks);
    fleet.run(["upgrade", "--all-users"]).status(0);
    for user in ["u000", "u001", "u002"] {
        assert_eq!(
            fleet.database(user).history(),
            ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"],
            "{user}"
        );
    }
    assert_eq!(fleet.database("u001").rows("SELECT body FROM notes"), ["kept"]);
}

#[test]
fn a_large_rehearsal_writes_nothing() {
    if !has_strace() {
        return;
    }
    let blocks = [
        ("user:baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);"),
        ("user:1.0.0→1.1.0", "UPDATE notes SET body = body || 'x';"),
    ];
    // More pages than SQLite's page cache holds by default.
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800) \
                INSERT INTO notes (body) SELECT hex(zeroblob(5000)) FROM n";
    for mode in ["DELETE", "WAL"] {
        let fleet =
            Fleet::from_blocks(&blocks).user("ann", "").upgrade_to("1.0.0").user("ann", rows);
        let fleet = fleet.user("ann", &format!("PRAGMA journal_mode = {mode}"));
        let files = ["-P", "ann_longterm.db", "-P", "ann_longterm.db-wal"];
        let options = [&files[..], &["-e", "trace=write,pwrite64,ftruncate"]].concat();
        let log = fleet.path("trace");
        let arguments: &[&str] = &["upgrade", "--rehearse", "--all-users", "--json"];
        let output = run_under_strace(&fleet, &options, (&log, arguments));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["summary"]["rehearsed"], 1, "{report}");
        let log = std::fs::read_to_string(&log).unwrap();
        assert_eq!(log.lines().next(), None, "{mode}");
        assert_eq!(fleet.database("ann").version().as_deref(), Some("1.0.0"));
    }
}
