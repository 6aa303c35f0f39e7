//! Tests several programs on one fleet: a run waits for locks and migrates the other databases
//! meanwhile, and two concurrent runs apply each migration once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::fault_injection::{has_strace, run_under_strace};
use crate::support::{Fleet, NOTES, wait_until};

fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES).system("").user("ann", "").user("bob", "").upgrade_to("1.1.0")
}

/// A connection that holds a lock like another program. While it is open, nothing in this process
/// may open the file otherwise: closing that descriptor would drop the lock.
fn open_as_other_program(fleet: &Fleet, file: &str, sql: &str) -> Connection {
    let connection = Connection::open(fleet.path(file)).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

#[test]
fn two_concurrent_runs_apply_each_migration_once() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(200, "");
    let runs = [(); 2].map(|()| fleet.start(["upgrade", "--all-users"]));
    for run in runs {
        fleet.wait(run).status(0).stderr("");
    }
    let all = ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"];
    assert_eq!(fleet.database("system").history(), all);
    for index in 0..200 {
        let user = fleet.database(&format!("u{index:03}"));
        assert_eq!(user.history(), all, "u{index:03}");
        assert_eq!(user.columns("notes"), ["id", "body", "pinned"]);
    }
}

#[test]
fn concurrent_runs_may_have_different_targets() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(40, "");
    let runs =
        ["1.0.0", "1.2.0"].map(|target| fleet.start(["upgrade", "--all-users", "--to", target]));
    for run in runs {
        fleet.wait(run).status(0);
    }
    for index in 0..40 {
        let history = fleet.database(&format!("u{index:03}")).history();
        assert_eq!(history, ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"], "u{index:03}");
    }
}

#[test]
fn a_busy_database_is_reported_and_the_others_continue() {
    let fleet = fleet();
    let before = fleet.database("ann").dump();
    let lock = open_as_other_program(&fleet, "ann_longterm.db", "BEGIN IMMEDIATE");
    let run = fleet.run(["upgrade", "--all-users", "--busy-timeout", "0.1"]);
    run.status(1)
        .stdout_contains("2 users: 1 upgraded to 1.2.0, 1 busy\n")
        .stderr_contains("`ann` (ann_longterm.db): the database is busy: ");
    if cfg!(target_os = "linux") {
        run.stderr_contains(&format!("(process {}) holds a lock", std::process::id()));
    }
    let json = fleet.run(["upgrade", "--all-users", "--busy-timeout", "0", "--json"]);
    assert_eq!(json.status(1).json()["databases"][1]["outcome"], "busy");
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(fleet.database("bob").version().as_deref(), Some("1.2.0"));
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_busy_database_is_waited_for_while_the_others_continue() {
    let fleet = fleet();
    let lock = open_as_other_program(&fleet, "ann_longterm.db", "BEGIN IMMEDIATE");
    let run = fleet.start(["upgrade", "--all-users", "--busy-timeout", "3600"]);
    wait_until("bob is at head", || fleet.database("bob").version().as_deref() == Some("1.2.0"));
    lock.execute_batch("INSERT INTO notes (body) VALUES ('late'); COMMIT").unwrap();
    fleet.wait(run).status(0);
    drop(lock);
    assert_eq!(fleet.database("ann").rows("SELECT body, pinned FROM notes"), ["late|0"]);
    assert_eq!(fleet.database("ann").version().as_deref(), Some("1.2.0"));
}

#[test]
fn a_reader_that_blocks_the_commit_leaves_the_database_unchanged() {
    let fleet = fleet().user("ann", "INSERT INTO notes (body) VALUES ('kept')");
    let before = fleet.database("ann").dump();
    let reader = open_as_other_program(&fleet, "ann_longterm.db", "BEGIN");
    let count: i64 = reader.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    fleet
        .run(["upgrade", "--all-users", "--busy-timeout", "0.1"])
        .status(1)
        .stderr_contains("`ann` (ann_longterm.db): the database is busy");
    drop(reader);
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_reader_of_a_wal_database_blocks_no_upgrade() {
    let fleet = fleet().user("ann", "PRAGMA journal_mode = WAL");
    let reader = open_as_other_program(&fleet, "ann_longterm.db", "BEGIN");
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'one_body'";
    let count = || reader.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(), 0);
    fleet.run(["upgrade", "--all-users", "--busy-timeout", "0"]).status(0);
    assert_eq!(count(), 0, "the reader still sees what it saw");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(), 1);
}

#[test]
fn a_busy_system_database_leaves_every_user_unchanged() {
    let fleet = fleet();
    let before = fleet.database("ann").dump();
    let lock = open_as_other_program(&fleet, "system.db", "BEGIN EXCLUSIVE");
    fleet
        .run(["upgrade", "--all-users", "--busy-timeout", "0.1"])
        .status(1)
        .stderr_contains("`system` (system.db): the database is busy")
        .stdout_contains("2 users: 2 skipped\n");
    drop(lock);
    assert_eq!(fleet.database("ann").dump(), before);
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn status_reports_an_exclusively_locked_database() {
    let fleet = fleet().config("busy_timeout = 0.1\n");
    let lock = open_as_other_program(&fleet, "ann_longterm.db", "BEGIN EXCLUSIVE");
    fleet
        .run(["status"])
        .status(1)
        .stdout_contains("ann     -         error: the database is busy")
        .stdout_contains("bob     1.1.0     behind, pending 1.2.0\n");
    drop(lock);
    fleet.run(["status"]).status(0);
}

#[test]
fn a_growing_file_is_not_reported_as_truncated() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "").upgrade_to("1.2.0");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let busy = open_as_other_program(&fleet, "ann_longterm.db", "PRAGMA synchronous = OFF");
            busy.busy_timeout(Duration::from_mins(1)).unwrap();
            while !done.load(Ordering::Relaxed) {
                busy.execute("INSERT INTO notes (body) VALUES (hex(randomblob(4000)))", [])
                    .unwrap();
            }
        });
        let outs: Vec<String> = (0..60).map(|_| fleet.run(["status"]).stdout_text()).collect();
        done.store(true, Ordering::Relaxed);
        for out in outs {
            assert!(out.contains("ann  1.2.0     current\n"), "{out}");
        }
    });
}

#[test]
fn a_lock_held_for_two_seconds_is_waited_for() {
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let fleet = fleet().user("ann", "INSERT INTO notes (body) VALUES ('kept')");
        let held = open_as_other_program(&fleet, "ann_longterm.db", lock);
        held.execute_batch("INSERT INTO notes (body) VALUES ('late')").unwrap();
        let run = fleet.start(["upgrade", "--all-users"]);
        std::thread::sleep(Duration::from_secs(2));
        held.execute_batch("COMMIT").unwrap();
        fleet.wait(run).status(0).stderr("");
        drop(held);
        let ann = fleet.database("ann");
        assert_eq!(ann.version().as_deref(), Some("1.2.0"), "{lock}");
        assert_eq!(ann.rows("SELECT body, pinned FROM notes"), ["kept|0", "late|0"], "{lock}");
    }
}

#[test]
fn a_long_reader_only_delays_the_commit() {
    let fleet = fleet().user("ann", "INSERT INTO notes (body) VALUES ('kept')");
    let reader = open_as_other_program(&fleet, "ann_longterm.db", "BEGIN");
    let count = || reader.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0));
    assert_eq!(count().unwrap(), 1);
    let run = fleet.start(["upgrade", "--all-users"]);
    wait_until("bob is at head", || fleet.database("bob").version().as_deref() == Some("1.2.0"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count().unwrap(), 1, "the reader reads on");
    reader.execute_batch("COMMIT").unwrap();
    fleet.wait(run).status(0);
    drop(reader);
    assert_eq!(fleet.database("ann").rows("SELECT body, pinned FROM notes"), ["kept|0"]);
}

#[test]
fn eight_concurrent_runs_apply_each_migration_once() {
    const USERS: usize = 60;
    let fleet = (0..USERS).fold(Fleet::from_blocks(NOTES).system(""), |fleet, index| {
        fleet.user(
            &format!("u{index:03}"),
            if index % 2 == 0 { "" } else { "PRAGMA journal_mode = WAL" },
        )
    });
    let fleet = fleet.upgrade_to("1.0.0");
    let fleet = (0..USERS).fold(fleet, |fleet, at| {
        fleet.user(&format!("u{at:03}"), "INSERT INTO notes (body) VALUES ('tea'), ('rain')")
    });
    let runs = [(); 8].map(|()| fleet.start(["upgrade", "--all-users"]));
    for run in runs {
        fleet.wait(run).status(0).stderr("");
    }
    let all = ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"];
    for index in 0..USERS {
        let user = fleet.database(&format!("u{index:03}"));
        assert_eq!(user.history(), all, "u{index:03}");
        assert_eq!(user.rows("SELECT body, pinned FROM notes"), ["tea|0", "rain|0"], "u{index:03}");
    }
}

/// A program that inserts rows continuously. Returns the rows whose commit was confirmed.
fn add_rows_until_done(fleet: &Fleet, mode: &str, done: &AtomicBool) -> Vec<String> {
    let writer =
        open_as_other_program(fleet, "ann_longterm.db", &format!("PRAGMA journal_mode = {mode}"));
    writer.busy_timeout(Duration::from_mins(1)).unwrap();
    let mut added = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let body = format!("row {}", added.len());
        writer
            .prepare_cached("INSERT INTO notes (body) VALUES (?1)")
            .unwrap()
            .execute([&body])
            .unwrap();
        added.push(body);
        std::thread::sleep(Duration::from_micros(300));
    }
    added
}

#[test]
fn a_live_writer_loses_no_row_while_its_tables_are_rebuilt() {
    let mut blocks = NOTES[1..3].to_vec();
    let rebuild =
        "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT NOT NULL, pinned INTEGER, v);
INSERT INTO fresh SELECT *, VERSION FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;";
    let versions: Vec<_> = (2..10)
        .map(|minor| {
            let tag = format!("user:1.{}.0→1.{minor}.0", minor - 1);
            let columns = if minor == 2 { "*" } else { "id, body, pinned" };
            let sql = rebuild.replace("VERSION", &minor.to_string()).replace('*', columns);
            (tag, sql)
        })
        .collect();
    blocks.extend(versions.iter().map(|(tag, sql)| (&**tag, &**sql)));
    for mode in ["WAL", "DELETE"] {
        let fleet = Fleet::from_blocks(&blocks).user("ann", "").upgrade_to("1.0.0");
        let done = AtomicBool::new(false);
        let added = std::thread::scope(|scope| {
            let writer = scope.spawn(|| add_rows_until_done(&fleet, mode, &done));
            for minor in 1..10 {
                let target = format!("1.{minor}.0");
                let run =
                    fleet.run(["upgrade", "--all-users", "--to", &target, "--busy-timeout", "60"]);
                fleet.run(["status"]);
                if !run.is_success() {
                    done.store(true, Ordering::Relaxed);
                }
                run.status(0);
            }
            done.store(true, Ordering::Relaxed);
            writer.join().unwrap()
        });
        assert!(added.len() > 20, "{mode}: it added {} rows", added.len());
        let ann = fleet.database("ann");
        assert_eq!(ann.version().as_deref(), Some("1.9.0"), "{mode}");
        assert_eq!(ann.rows("SELECT body FROM notes ORDER BY id"), added, "{mode}");
        assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"], "{mode}");
    }
}

/// A program that changes a database between two versions and back continuously, each time in one
/// commit that moves the history to other pages. Returns how often.
fn rewrite_history_until_done(fleet: &Fleet, mode: &str, done: &AtomicBool) -> usize {
    let open = format!(
        "PRAGMA journal_mode = {mode}; PRAGMA synchronous = OFF; CREATE TABLE kept AS \
         SELECT * FROM _tatmig_migrations; CREATE TABLE ballast (x)"
    );
    let writer = open_as_other_program(fleet, "ann_longterm.db", &open);
    writer.busy_timeout(Duration::from_mins(1)).unwrap();
    let downgrade_sql = "BEGIN IMMEDIATE; INSERT INTO ballast SELECT zeroblob(3000) FROM kept, kept AS more; \
         DELETE FROM _tatmig_migrations WHERE to_version = '1.2.0'; COMMIT";
    let upgrade_sql = "BEGIN IMMEDIATE; DELETE FROM ballast; DELETE FROM _tatmig_migrations; \
         INSERT INTO _tatmig_migrations SELECT * FROM kept; COMMIT";
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        for change in [downgrade_sql, upgrade_sql] {
            writer.execute_batch(change).unwrap();
            writer.execute_batch("VACUUM").unwrap();
            std::thread::sleep(Duration::from_micros(200));
        }
        count += 1;
    }
    count
}

#[test]
fn a_concurrently_rewritten_history_is_never_read_torn() {
    let expected_states = ["\"1.1.0\" \"behind\"", "\"1.2.0\" \"current\""];
    let mut seen_counts = [0; 2];
    for mode in ["DELETE", "PERSIST", "MEMORY", "WAL"] {
        let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "").upgrade_to("1.2.0");
        let done = AtomicBool::new(false);
        let (seen, moves) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| rewrite_history_until_done(&fleet, mode, &done));
            let runs: Vec<_> =
                (0..60).map(|_| fleet.run(["status", "--json", "--busy-timeout", "60"])).collect();
            done.store(true, Ordering::Relaxed);
            let moves = writer.join().unwrap();
            let seen: Vec<String> = runs
                .iter()
                .map(|run| {
                    let user = &run.status(0).json()["databases"][0];
                    format!("{} {}", user["version"], user["state"])
                })
                .collect();
            (seen, moves)
        });
        assert!(moves > 20, "{mode}: it moved {moves} times");
        for seen in seen {
            let which = expected_states.iter().position(|one| *one == seen);
            seen_counts[which.unwrap_or_else(|| panic!("{mode}: {seen}"))] += 1;
        }
    }
    assert!(seen_counts.iter().all(|count| *count > 0), "{seen_counts:?}");
}

#[test]
fn a_commit_during_the_history_read_waits_or_is_seen() {
    if !has_strace() {
        return;
    }
    // Only SQLite reads databases that are not encoded in UTF-8.
    for (mode, encoding) in [("DELETE", "UTF-8"), ("WAL", "UTF-8"), ("WAL", "UTF-16")] {
        let sql = format!("PRAGMA encoding = '{encoding}'; CREATE TABLE own (x); DROP TABLE own");
        let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", &sql).upgrade_to("1.2.0");
        let file = "ann_longterm.db";
        drop(open_as_other_program(&fleet, file, &format!("PRAGMA journal_mode = {mode}")));
        // Each page is read so slowly that another program could commit in between.
        let options =
            ["-P", file, "-e", "trace=pread64", "-e", "inject=pread64:delay_enter=300000"];
        let log = fleet.path("trace");
        let output = std::thread::scope(|scope| {
            let run =
                scope.spawn(|| run_under_strace(&fleet, &options, (&log, &["status", "--json"])));
            wait_until("the first page is read", || {
                std::fs::read_to_string(&log).is_ok_and(|log| log.contains(") = 4096"))
            });
            let writer = open_as_other_program(&fleet, file, "BEGIN IMMEDIATE");
            writer.busy_timeout(Duration::from_mins(1)).unwrap();
            let create_history = "SELECT sql FROM sqlite_schema WHERE name = '_tatmig_migrations'";
            let own: String = writer.query_row(create_history, [], |row| row.get(0)).unwrap();
            // Another table with the same columns is then on the pages of the history.
            let change = format!(
                "ALTER TABLE _tatmig_migrations RENAME TO old; {own}; \
                 INSERT INTO _tatmig_migrations SELECT * FROM old; \
                 UPDATE old SET to_version = '1.1.0'; COMMIT; PRAGMA wal_checkpoint"
            );
            writer.execute_batch(&change).unwrap();
            let output = run.join().unwrap();
            drop(writer);
            output
        });
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["databases"][0]["version"], "1.2.0", "{mode}: {report}");
        assert_eq!(report["databases"][0]["state"], "current", "{mode}: {report}");
    }
}
