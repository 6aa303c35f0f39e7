//! Tests that reading commands change no byte of any file, and create and remove no file, in
//! every state of the databases.

use std::fs;

use rusqlite::Connection;

use crate::support::{Fleet, NOTES};

const READING_COMMANDS: &[&[&str]] = &[
    &["status"],
    &["status", "-v", "--json"],
    &["status", "--exit-code"],
    &["status", "--stats"],
    &["history"],
    &["history", "--system"],
    &["history", "--user", "wal"],
    &["history", "--user", "new"],
    &["query", "SELECT count(*) FROM sqlite_schema"],
    &["query", "SELECT count(*) AS n FROM sqlite_schema", "--sum", "--jobs", "1"],
    &["query", "SELECT * FROM sqlite_schema", "--json"],
    &["query", "PRAGMA integrity_check", "--ndjson"],
    &["lint"],
    &["upgrade", "--all-users", "--dry-run"],
    &["upgrade", "--user", "wal", "--dry-run", "--json"],
    &["--help"],
    &["upgrade", "--help"],
    &["--version"],
];

#[test]
fn reading_commands_leave_no_trace() {
    let fleet = Fleet::from_blocks(NOTES)
        .database_file(
            "system.db",
            "PRAGMA journal_mode = WAL; CREATE TABLE accounts (name TEXT PRIMARY KEY)",
        )
        .user("wal", "PRAGMA journal_mode = WAL; CREATE TABLE own (x)")
        .user("plain", "CREATE TABLE own (x)")
        .user("truncate", "PRAGMA journal_mode = TRUNCATE; CREATE TABLE own (x)")
        .user("new", "");
    fleet.run(["stamp", "baseline", "--all-users"]).status(0);
    assert!(!fleet.path("wal_longterm.db-wal").exists(), "a WAL database without a WAL beside it");
    for arguments in READING_COMMANDS {
        let run = fleet.run_without_changes(arguments);
        run.status(if arguments.contains(&"--exit-code") { 3 } else { 0 });
    }
}

#[test]
fn dry_run_changes_no_byte() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(20, "").upgrade_to("1.0.0");
    let fleet =
        fleet.user("u003", "PRAGMA journal_mode = WAL; INSERT INTO notes (body) VALUES ('x')");
    let fleet = fleet.user("late", "");
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    run.status(0).stdout_contains("21 databases, late, u000,");
    fleet.run(["upgrade", "--all-users"]).status(0);
    let run = fleet.run_without_changes(["upgrade", "--all-users", "--dry-run"]);
    run.status(0).stdout("-- nothing is pending up to 1.2.0\n");
}

#[test]
fn uncheckpointed_wal_contents_are_read() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "PRAGMA journal_mode = WAL;");
    // While a connection is open, committed rows stay in the WAL.
    let open = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    open.execute_batch("CREATE TABLE own (x)").unwrap();
    fleet.run(["stamp", "baseline", "--all-users"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    let sizes = || {
        ["", "-wal"].map(|suffix| {
            fs::metadata(fleet.path(format!("ann_longterm.db{suffix}"))).unwrap().len()
        })
    };
    let before = sizes();
    assert!(before[1] > 0, "the news stand in the WAL");
    fleet.run(["status"]).status(0).stdout_contains("ann  1.2.0     current\n");
    fleet.run(["history", "--user", "ann"]).status(0).stdout_contains("1.1.0 → 1.2.0");
    assert_eq!(sizes(), before);
    drop(open);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_wal_database_under_an_odd_name_is_read_without_a_trace() {
    for name in ["50%41", "a?b#c", "file:x?mode=rwc", "two words", "日本"] {
        let fleet = Fleet::from_blocks(&NOTES[1..])
            .user(name, "PRAGMA journal_mode = WAL; CREATE TABLE own (x)");
        fleet.run_without_changes(["status"]).status(0).stdout_contains("unversioned, unrelated: ");
        fleet.run_without_changes(["history", "--user", name]).status(0);
    }
}

#[test]
fn a_hot_journal_is_reported_and_an_upgrade_rolls_it_back() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("tmp", "").upgrade_to("1.1.0");
    let path = fleet.path("tmp_longterm.db");
    let writer = Connection::open(&path).unwrap();
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) \
                INSERT INTO notes (body) SELECT i || hex(zeroblob(200)) FROM n";
    writer.execute_batch(rows).unwrap();
    let before = fleet.database("tmp").dump();
    // What a killed program leaves: pages that are already written, and the hot journal that undoes
    // them.
    writer
        .execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE notes SET body = 'torn' || id")
        .unwrap();
    fs::copy(&path, fleet.path("ann_longterm.db")).unwrap();
    fs::copy(fleet.path("tmp_longterm.db-journal"), fleet.path("ann_longterm.db-journal")).unwrap();
    writer.execute_batch("ROLLBACK").unwrap();
    drop(writer);
    fs::remove_file(&path).unwrap();

    for arguments in [&["status"] as &[&str], &["upgrade", "--all-users", "--dry-run"]] {
        fleet.run_without_changes(arguments).status(1);
    }
    fleet
        .run(["status"])
        .stdout_contains("error: a hot journal from an interrupted write of another program");
    let json = fleet.run(["status", "--json"]).json();
    assert_eq!(json["databases"][0]["state"], "error");

    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(0);
    assert_eq!(fleet.database("ann").dump(), before);
    fleet.run(["upgrade", "--all-users"]).status(0);
    fleet.run(["status"]).status(0).stdout_contains("ann  1.2.0     current\n");
}

#[cfg(unix)]
#[test]
fn side_files_of_a_link_target_are_read() {
    use std::os::unix::fs::symlink;

    let fleet =
        Fleet::from_blocks(&NOTES[1..]).directory("elsewhere").user("ann", "").upgrade_to("1.0.0");
    fs::rename(fleet.path("ann_longterm.db"), fleet.path("elsewhere/real.db")).unwrap();
    symlink("elsewhere/real.db", fleet.path("ann_longterm.db")).unwrap();
    let fleet = fleet.env("TATMIG_FOLLOW_SYMLINKS", "true");
    let assert_status = |message: &str| {
        fleet.run(["status"]).status(0).stdout_contains(message);
    };
    assert_status("ann  1.0.0     behind");

    // While a connection is open, committed rows stay in the WAL.
    let open = Connection::open(fleet.path("elsewhere/real.db")).unwrap();
    open.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE own (x)").unwrap();
    fleet.run(["upgrade", "--all-users", "--to", "1.1.0"]).status(0);
    assert!(fs::metadata(fleet.path("elsewhere/real.db-wal")).unwrap().len() > 0);
    assert_status("ann  1.1.0     behind");
    drop(open);

    // A hot journal next to the file, not next to the link.
    let open = Connection::open(fleet.path("elsewhere/real.db")).unwrap();
    let unfinished_write = "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN; \
                UPDATE _tatmig_migrations SET to_version = '1.2.0'; \
                CREATE TABLE t AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                WHERE i < 300) SELECT hex(zeroblob(500)) FROM n";
    open.execute_batch(unfinished_write).unwrap();
    for suffix in ["", "-journal"] {
        let from = fleet.path(format!("elsewhere/real.db{suffix}"));
        fs::copy(from, fleet.path(format!("elsewhere/torn.db{suffix}"))).unwrap();
    }
    open.execute_batch("ROLLBACK").unwrap();
    drop(open);
    fs::remove_file(fleet.path("ann_longterm.db")).unwrap();
    symlink("elsewhere/torn.db", fleet.path("ann_longterm.db")).unwrap();
    let run = fleet.run(["status"]);
    run.status(1)
        .stdout_contains("error: a hot journal from an interrupted write of another program");
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
    let steps = ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"];
    assert_eq!(fleet.database("ann").history(), steps);
}
