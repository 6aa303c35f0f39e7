//! Tests backups and restores under concurrent writers, kills, interrupts and a full disk. Every
//! directory with a backup's name is a complete backup, and every database is in its old or its new
//! state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::fault_injection::{
    count_syscalls, has_strace, run_under_strace, run_with_injections, sample_points,
};
use crate::support::{Fleet, NOTES, sha256, wait_until};

/// Rows of about ten thousand bytes each.
fn insert_rows_sql(count: usize) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO notes (body) SELECT i || hex(zeroblob(5000)) FROM n"
    )
}

fn fleet_with_large_database() -> Fleet {
    Fleet::from_blocks(&NOTES[1..])
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.1.0")
        .user("ann", &insert_rows_sql(1500))
}

/// The names in the backups directory: those of complete backups, and those of unfinished ones.
fn backup_entries(fleet: &Fleet) -> (Vec<String>, Vec<PathBuf>) {
    let entries = fs::read_dir(fleet.path("backups")).into_iter().flatten().flatten();
    let (mut complete, mut partial) = (Vec::new(), Vec::new());
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with('.') { partial.push(entry.path()) } else { complete.push(name) }
    }
    complete.sort();
    (complete, partial)
}

/// Asserts that every backup matches its manifest.
#[track_caller]
fn assert_backups_intact(fleet: &Fleet) -> usize {
    let complete = backup_entries(fleet).0;
    for name in &complete {
        let dir = fleet.path("backups").join(name);
        let manifest = fs::read(dir.join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        for copy in manifest["databases"].as_array().unwrap() {
            let bytes = fs::read(dir.join(copy["file"].as_str().unwrap())).unwrap();
            assert_eq!(copy["sha256"], sha256(&bytes));
        }
    }
    complete.len()
}

fn wait_until_copying(fleet: &Fleet) {
    wait_until("a copy is being written", || {
        backup_entries(fleet).1.iter().any(|partial| {
            let copy = partial.join("ann_longterm.db");
            fs::metadata(copy).is_ok_and(|metadata| metadata.len() > 1 << 20)
        })
    });
}

#[test]
fn a_backup_under_a_writer_holds_a_consistent_prefix() {
    for mode in ["WAL", "DELETE"] {
        let fleet = Fleet::from_blocks(&NOTES[1..])
            .user("ann", "")
            .upgrade_to("1.1.0")
            .user("ann", &insert_rows_sql(500));
        let fleet = fleet.user("ann", &format!("PRAGMA journal_mode = {mode}"));
        let done = AtomicBool::new(false);
        let last = AtomicI64::new(500);
        let backups = std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = Connection::open(fleet.path("ann_longterm.db")).unwrap();
                writer.busy_timeout(Duration::from_mins(1)).unwrap();
                while !done.load(Ordering::SeqCst) {
                    let next = last.load(Ordering::SeqCst) + 1;
                    let body = format!("{next}{}", "0".repeat(10_000));
                    let insert = "INSERT INTO notes (id, body) VALUES (?1, ?2)";
                    writer.execute(insert, rusqlite::params![next, body]).unwrap();
                    last.store(next, Ordering::SeqCst);
                    // Two hundred rows a second.
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let backups: Vec<(String, i64, i64)> = (0..4)
                .map(|_| {
                    let before = last.load(Ordering::SeqCst);
                    let json = fleet.run(["backup", "--all-users", "--json"]).status(0).json();
                    // A row is committed before the writer counts it.
                    let after = last.load(Ordering::SeqCst) + 1;
                    (json["backup"]["id"].as_str().unwrap().to_owned(), before, after)
                })
                .collect();
            done.store(true, Ordering::SeqCst);
            backups
        });
        assert!(last.load(Ordering::SeqCst) > 500, "the writer wrote meanwhile");
        for (id, before, after) in backups {
            fleet.run(["restore", &id, "--no-backup"]).status(0).stderr("");
            let ann = fleet.database("ann");
            assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"]);
            let count = ann.rows("SELECT count(*) FROM notes")[0].parse::<i64>().unwrap();
            assert!((before..=after).contains(&count), "{mode}: {before} ≤ {count} ≤ {after}");
            let prefix = ann.rows("SELECT min(id), max(id), count(DISTINCT id) FROM notes");
            assert_eq!(prefix, [format!("1|{count}|{count}")]);
            let wrong =
                "SELECT count(*) FROM notes WHERE body NOT LIKE id || '0%' OR length(body) < 10000";
            assert_eq!(ann.rows(wrong), ["0"]);
        }
    }
}

#[test]
fn a_copy_completes_while_a_writer_never_pauses() {
    let fleet = fleet_with_large_database()
        .user("ann", "PRAGMA journal_mode = WAL; CREATE TABLE ticks (x)");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let writer = Connection::open(fleet.path("ann_longterm.db")).unwrap();
            writer.busy_timeout(Duration::from_mins(1)).unwrap();
            writer.execute_batch("PRAGMA synchronous = OFF").unwrap();
            // The writer ends at some time, so that a run that waits for a pause ends as well.
            let started = Instant::now();
            while !done.load(Ordering::SeqCst) && started.elapsed() < Duration::from_secs(20) {
                writer.execute("INSERT INTO ticks VALUES (1)", []).unwrap();
                std::thread::sleep(Duration::from_micros(50));
            }
            done.load(Ordering::SeqCst)
        });
        let run = fleet.run(["backup", "--all-users", "--json"]);
        done.store(true, Ordering::SeqCst);
        run.status(0);
        assert!(writer.join().unwrap(), "the copy waited until the writer was done");
    });
    assert_eq!(assert_backups_intact(&fleet), 1);
}

#[test]
fn rows_that_only_the_wal_holds_are_copied() {
    let fleet = Fleet::from_blocks(&NOTES[1..])
        .user("ann", "PRAGMA journal_mode = WAL")
        .upgrade_to("1.1.0");
    let writer = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    writer
        .execute_batch(
            "PRAGMA wal_autocheckpoint = 0; INSERT INTO notes (body) VALUES ('in the WAL')",
        )
        .unwrap();
    let json = fleet.run(["backup", "--all-users", "--json"]).status(0).json();
    let id = json["backup"]["id"].as_str().unwrap();
    writer.execute_batch("DELETE FROM notes").unwrap();
    drop(writer);
    fleet.run(["restore", id]).status(0);
    assert_eq!(fleet.database("ann").rows("SELECT body FROM notes"), ["in the WAL"]);
}

#[test]
fn a_leftover_wal_is_copied_and_kept() {
    let fleet = Fleet::from_blocks(&NOTES[1..])
        .user("ann", "PRAGMA journal_mode = WAL")
        .upgrade_to("1.1.0");
    let writer = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    let pragma = "PRAGMA wal_autocheckpoint = 0; INSERT INTO notes (body) VALUES ('in the WAL')";
    writer.execute_batch(pragma).unwrap();
    let leftover_fleet = fleet.copy();
    drop(writer);
    let checksums = || {
        let names = ["ann_longterm.db", "ann_longterm.db-wal"];
        names.map(|name| sha256(&fs::read(leftover_fleet.path(name)).unwrap()))
    };
    let before = checksums();
    let json = leftover_fleet.run(["backup", "--all-users", "--json"]).status(0).json();
    assert_eq!(checksums(), before, "the database and its WAL");
    let id = json["backup"]["id"].as_str().unwrap();
    fs::remove_file(leftover_fleet.path("ann_longterm.db-wal")).unwrap();
    leftover_fleet.run(["restore", id, "--no-backup"]).status(0);
    assert_eq!(leftover_fleet.database("ann").rows("SELECT body FROM notes"), ["in the WAL"]);
}

#[test]
fn a_killed_backup_leaves_no_partial_backup_and_the_next_removes_leftovers() {
    let fleet = fleet_with_large_database();
    let before = fleet.database("ann").dump();
    let mut killed = 0;
    for delay in [0, 3, 30, 100, 200] {
        let run = fleet.start(["backup", "--all-users"]);
        if delay == 0 {
            wait_until_copying(&fleet);
        } else {
            std::thread::sleep(Duration::from_millis(delay));
        }
        kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
        let output = { run }.wait_with_output().unwrap();
        killed += usize::from(!output.status.success());
        assert_backups_intact(&fleet);
    }
    assert!(killed > 0, "the first was killed while it copied");
    let (complete, _) = backup_entries(&fleet);
    fleet.run(["backup", "--all-users"]).status(0);
    let (after, partial) = backup_entries(&fleet);
    assert_eq!(after.len(), complete.len() + 1);
    assert!(partial.is_empty(), "what the killed ones left is gone");
    assert_eq!(assert_backups_intact(&fleet), after.len());
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn an_interrupted_backup_leaves_no_files() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let fleet = fleet_with_large_database().user("ann", &insert_rows_sql(2500));
        let run = fleet.start(["backup", "--all-users"]);
        wait_until_copying(&fleet);
        kill_process(Pid::from_child(&run), signal).unwrap();
        fleet.wait(run).status(status).stdout_contains("no backup was created\n");
        assert_eq!(backup_entries(&fleet), (Vec::new(), Vec::new()));

        let run = fleet.start(["upgrade", "--all-users", "--backup"]);
        wait_until_copying(&fleet);
        kill_process(Pid::from_child(&run), signal).unwrap();
        fleet.wait(run).status(status).stdout_contains("2 users: 2 skipped\n");
        assert_eq!(backup_entries(&fleet), (Vec::new(), Vec::new()));
        assert_eq!(fleet.database("bob").version().as_deref(), Some("1.1.0"));
    }
}

#[test]
fn concurrent_backups_do_not_remove_each_other() {
    let fleet = fleet_with_large_database();
    let runs = [(); 3].map(|()| fleet.start(["backup", "--all-users"]));
    for run in runs {
        fleet.wait(run).status(0).stderr("");
    }
    assert_eq!(assert_backups_intact(&fleet), 3);
    assert!(backup_entries(&fleet).1.is_empty());
}

#[test]
fn a_killed_restore_leaves_the_database_before_or_after() {
    for (mode, page_size) in [("DELETE", 4096), ("WAL", 4096), ("DELETE", 1024), ("WAL", 1024)] {
        let fleet = fleet_with_large_database();
        let json = fleet.run(["backup", "--user", "ann", "--json"]).status(0).json();
        let id = json["backup"]["id"].as_str().unwrap();
        let after = fleet.database("ann").rows("SELECT count(*), total(length(body)) FROM notes");
        let reshape_sql = format!(
            "DELETE FROM notes; {}; PRAGMA page_size = {page_size}; VACUUM; PRAGMA journal_mode = {mode}",
            insert_rows_sql(1000)
        );
        let fleet = fleet.user("ann", &reshape_sql);
        let before = fleet.database("ann").rows("SELECT count(*), total(length(body)) FROM notes");
        assert_ne!(before, after);
        let (mut before_count, mut after_count) = (0, 0);
        for delay in [0, 0, 40, 120] {
            let run = fleet.start(["restore", id, "--no-backup"]);
            if delay == 0 {
                wait_until("it writes, or is done", || {
                    let side_files = ["ann_longterm.db-journal", "ann_longterm.db-wal"];
                    let mut lengths = side_files.iter().map(|name| fs::metadata(fleet.path(name)));
                    lengths.any(|found| found.is_ok_and(|found| found.len() > 1 << 20))
                        || after_count > 0
                });
            } else {
                std::thread::sleep(Duration::from_millis(delay));
            }
            kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
            let _ = { run }.wait_with_output().unwrap();
            let ann = fleet.database("ann");
            assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"], "{mode} {page_size}");
            let found = ann.rows("SELECT count(*), total(length(body)) FROM notes");
            before_count += usize::from(found == before);
            after_count += usize::from(found == after);
            assert!(found == before || found == after, "{mode} {page_size}: {found:?}");
        }
        assert!(before_count > 0, "the first was killed in the middle");
        fleet.run(["restore", id, "--no-backup"]).status(0).stderr("");
        let found = fleet.database("ann").rows("SELECT count(*), total(length(body)) FROM notes");
        assert_eq!(found, after);
        // To change the page size SQLite must leave WAL mode first, and a kill may happen in
        // between.
        let journal = fleet.database("ann").rows("PRAGMA journal_mode");
        assert!(page_size != 4096 || journal == [mode.to_lowercase()], "it stays as it was");
    }
}

#[test]
fn a_killed_restore_of_a_missing_database_leaves_no_partial_file() {
    let fleet = fleet_with_large_database();
    let json = fleet.run(["backup", "--all-users", "--json"]).status(0).json();
    let id = json["backup"]["id"].as_str().unwrap();
    let good = fleet.database("ann").rows("SELECT count(*), total(length(body)) FROM notes");
    let path = fleet.path("ann_longterm.db");
    let temp_files = || {
        let entries = fs::read_dir(fleet.path("")).unwrap().flatten();
        let hidden = entries.filter(|e| e.file_name().to_string_lossy().starts_with(".tatmig-"));
        hidden.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    fs::remove_file(&path).unwrap();
    let run = fleet.start(["restore", id, "--user", "ann"]);
    wait_until("the part is being written", || {
        let copies = temp_files().into_iter().map(|directory| directory.join("copy.db"));
        copies.into_iter().any(|copy| fs::metadata(copy).is_ok_and(|found| found.len() > 1 << 20))
    });
    kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
    { run }.wait_with_output().unwrap();
    assert!(!path.exists(), "no half file has the database's name");
    let status = fleet.run(["status"]);
    status.status(0).stdout_lacks("tatmig-").stderr("");
    fleet.run(["restore", id, "--user", "ann"]).status(0);
    assert!(temp_files().is_empty(), "what the killed one left is gone");
    assert_eq!(fleet.database("ann").rows("SELECT count(*), total(length(body)) FROM notes"), good);
}

#[test]
fn a_database_that_appears_while_it_is_restored_is_not_replaced() {
    if !has_strace() {
        return;
    }
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "").upgrade_to("1.1.0");
    let json = fleet.run(["backup", "--all-users", "--json"]).status(0).json();
    let id = json["backup"]["id"].as_str().unwrap();
    let path = fleet.path("ann_longterm.db");
    fs::remove_file(&path).unwrap();
    let count_temp_files = || {
        let entries = fs::read_dir(fleet.path("")).unwrap().flatten();
        entries.filter(|e| e.file_name().to_string_lossy().starts_with(".tatmig-")).count()
    };
    let arguments: &[&str] = &["restore", id, "--user", "ann"];
    let strace_options = ["-e", "trace=renameat2", "-e", "inject=renameat2:delay_enter=2000000"];
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            run_under_strace(&fleet, &strace_options, (Path::new("/dev/null"), arguments))
        });
        wait_until("the part is there", || count_temp_files() == 1);
        let own = Connection::open(&path).unwrap();
        own.execute_batch("CREATE TABLE own (x); INSERT INTO own VALUES (7)").unwrap();
        drop(own);
        run.join().unwrap()
    });
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fleet.database("ann").rows("SELECT x FROM own"), ["7"]);
    assert_eq!(count_temp_files(), 0, "nothing is left beside it");
}

#[test]
fn a_failed_restore_keeps_the_journal_mode() {
    if !has_strace() {
        return;
    }
    let fleet = Fleet::from_blocks(&NOTES[1..])
        .user("ann", "")
        .upgrade_to("1.1.0")
        .user("ann", &insert_rows_sql(20));
    let json = fleet.run(["backup", "--user", "ann", "--json"]).status(0).json();
    let id = json["backup"]["id"].as_str().unwrap();
    // To change the page size SQLite must leave WAL mode first.
    let reshape_sql =
        "DELETE FROM notes; PRAGMA page_size = 1024; VACUUM; PRAGMA journal_mode = WAL";
    let fleet = fleet.user("ann", reshape_sql);
    let backups = fleet.path("backups").into_os_string().into_string().unwrap();
    let restore: &[&str] = &["restore", id, "--no-backup", "--backups-dir", &backups];
    let count = count_syscalls(&fleet.copy(), "pwrite64", restore);
    assert!(count > 10, "{count}");
    let mut unchanged_count = 0;
    for point in sample_points(count, 12) {
        let copy = fleet.copy();
        run_with_injections(&copy, &[format!("pwrite64:error=EIO:when={point}")], restore);
        let ann = copy.database("ann");
        assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"], "{point}");
        let rows = ann.rows("SELECT count(*) FROM notes");
        if rows == ["0"] {
            unchanged_count += 1;
            assert_eq!(ann.rows("PRAGMA journal_mode"), ["wal"], "{point}");
        } else {
            assert_eq!(rows, ["20"], "{point}");
        }
        drop(ann);
        copy.run(restore).status(0);
        assert_eq!(copy.database("ann").rows("SELECT count(*) FROM notes"), ["20"], "{point}");
    }
    assert!(unchanged_count > 0, "none failed in the middle");
}

#[test]
fn a_killed_reset_leaves_the_database_before_or_after() {
    let fleet = fleet_with_large_database();
    let before = fleet.database("ann").dump().len();
    for delay in [5, 15, 30, 60, 120] {
        let run = fleet.start(["reset", "--user", "ann", "--yes", "--no-backup"]);
        std::thread::sleep(Duration::from_millis(delay));
        kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
        { run }.wait_with_output().unwrap();
        let ann = fleet.database("ann");
        assert_eq!(ann.rows("PRAGMA integrity_check"), ["ok"]);
        let count = ann.rows("SELECT count(*) FROM notes").concat();
        let head = (count == "0").then_some("1.2.0").or(Some("1.1.0"));
        assert!(count == "0" || ann.dump().len() == before);
        assert_eq!(ann.version().as_deref(), head);
    }
}

/// Runs the program with a file size limit of some hundred kilobytes.
fn run_with_file_size_limit(fleet: &Fleet, arguments: &[&str]) -> (Option<i32>, String, String) {
    let plain = fleet.command(arguments);
    let output = Command::new("sh")
        .arg("-c")
        .arg("ulimit -f 500; exec \"$0\" \"$@\"")
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_full_disk_leaves_uncopied_databases_unchanged() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", "").user("bob", "").upgrade_to("1.1.0");
    let fleet = fleet.user("ann", &insert_rows_sql(100));
    let before = fleet.database("ann").dump();
    let (status, out, err) =
        run_with_file_size_limit(&fleet, &["upgrade", "--all-users", "--backup"]);
    assert_eq!(status, Some(1), "{err}");
    assert!(out.contains("1 database copied to "), "{out}");
    assert!(out.contains("2 users: 1 upgraded to 1.2.0, 1 failed\n"), "{out}");
    assert!(err.contains("`ann` (ann_longterm.db): skipped, because its backup failed"), "{err}");
    assert_eq!(fleet.database("ann").dump(), before);
    assert_eq!(assert_backups_intact(&fleet), 1);
    let (complete, partial) = backup_entries(&fleet);
    assert!(partial.is_empty());
    assert!(!fleet.path("backups").join(&complete[0]).join("ann_longterm.db").exists());

    let arguments = ["upgrade", "--all-users", "--all-or-nothing", "--backup"];
    let (status, out, _) = run_with_file_size_limit(&fleet, &arguments);
    assert_eq!(status, Some(1));
    assert!(out.contains("nothing was committed: not every database "), "{out}");
    assert_eq!(fleet.database("ann").dump(), before);
}

#[test]
fn a_full_disk_during_a_restore_leaves_the_database_unchanged() {
    for mode in ["DELETE", "WAL"] {
        let fleet = Fleet::from_blocks(&NOTES[1..])
            .user("ann", "")
            .upgrade_to("1.1.0")
            .user("ann", &insert_rows_sql(100));
        let json = fleet.run(["backup", "--all-users", "--json"]).status(0).json();
        let id = json["backup"]["id"].as_str().unwrap();
        let reshape_sql =
            format!("DELETE FROM notes WHERE id > 3; VACUUM; PRAGMA journal_mode = {mode}");
        let fleet = fleet.user("ann", &reshape_sql);
        let before = fleet.database("ann").dump();
        let (status, out, err) = run_with_file_size_limit(&fleet, &["restore", id]);
        assert_eq!(status, Some(1), "{out}{err}");
        assert_eq!(fleet.database("ann").dump(), before, "{mode}");
        fleet.run(["restore", id]).status(0);
        assert_eq!(fleet.database("ann").rows("SELECT count(*) FROM notes"), ["100"]);
    }
}
