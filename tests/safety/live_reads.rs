//! Tests reads beside programs that open, write and close the same database: no read is torn, none
//! reports damage that does not exist, none keeps the program out, and none leaves a trace.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::fault_injection::report_skipped;
use crate::support::{Database, Fleet, NOTES, SetOnDrop, wait_until};

/// Two tables that always have the same marks, each with an index.
const MARKS: &str = "CREATE TABLE left_marks (id INTEGER PRIMARY KEY, mark INTEGER, filler TEXT); \
     CREATE TABLE right_marks (id INTEGER PRIMARY KEY, mark INTEGER, filler TEXT); \
     CREATE INDEX left_by_mark ON left_marks (mark); \
     CREATE INDEX right_by_mark ON right_marks (mark);";

fn fleet_with_marks() -> Fleet {
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", MARKS)]).user("ann", "");
    let fleet = fleet.upgrade_to("1.0.0");
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) \
                INSERT INTO left_marks SELECT i, 0, hex(zeroblob(400)) FROM n; \
                INSERT INTO right_marks SELECT * FROM left_marks; PRAGMA journal_mode = WAL;";
    fleet.user("ann", rows)
}

/// Opens the database, writes and closes it, which checkpoints and removes the WAL. Each write
/// changes rows all over both tables and their indexes.
fn write_mark(path: &Path, mark: usize) {
    let writer = Connection::open(path).unwrap();
    writer.busy_timeout(Duration::from_mins(1)).unwrap();
    let rows = format!("SET mark = {mark} * 1000 + id WHERE id % 40 = {}", mark % 40);
    let write = format!(
        "PRAGMA synchronous = OFF; BEGIN IMMEDIATE; \
         UPDATE left_marks {rows}; UPDATE right_marks {rows}; COMMIT"
    );
    writer.execute_batch(&write).unwrap();
}

/// Runs `work` beside a program that opens, writes and closes the database. Returns the number of
/// writes.
fn beside_a_writer(fleet: &Fleet, work: impl FnOnce()) -> usize {
    let (is_done, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                let mark = writes.fetch_add(1, Ordering::SeqCst) + 1;
                write_mark(&fleet.path("ann_longterm.db"), mark);
            }
        });
        let _done = SetOnDrop(&is_done);
        work();
    });
    writes.load(Ordering::SeqCst)
}

#[test]
fn verify_beside_a_program_that_opens_and_closes_reports_no_damage() {
    let fleet = fleet_with_marks();
    let writes = beside_a_writer(&fleet, || {
        for _ in 0..30 {
            fleet.run(["verify"]).status(0).stderr("");
            fleet.run(["status", "--stats"]).status(0).stderr("");
        }
    });
    assert!(writes > 30, "{writes}");
    assert_eq!(fleet.database("ann").rows("PRAGMA integrity_check"), ["ok"]);
}

/// Runs the program as a user who may read the databases and not write them. `None` if this
/// process is not root, or cannot start it as another user.
fn run_without_write_permission(fleet: &Fleet, arguments: &[&str]) -> Option<Output> {
    let plain = fleet.command(arguments);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .stdin(Stdio::null());
    let output = command.output().ok()?;
    (!output.stderr.starts_with(b"setpriv:")).then_some(output)
}

#[test]
fn a_backup_by_a_user_who_may_not_write_is_not_torn() {
    let fleet = fleet_with_marks().directory("backups");
    for (path, mode) in [("", 0o755), ("backups", 0o777), ("ann_longterm.db", 0o644)] {
        fs::set_permissions(fleet.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    if run_without_write_permission(&fleet, &["--version"]).is_none() {
        report_skipped("the program cannot be started as another user");
        return;
    }
    beside_a_writer(&fleet, || {
        for _ in 0..20 {
            let output = run_without_write_permission(&fleet, &["backup", "--all-users"]).unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{error}");
        }
    });
    let backups: Vec<_> = fs::read_dir(fleet.path("backups")).unwrap().flatten().collect();
    assert_eq!(backups.len(), 20);
    for backup in backups {
        let copy = Database::open(&backup.path().join("ann_longterm.db"));
        assert_eq!(copy.rows("PRAGMA integrity_check"), ["ok"]);
        let differences = "SELECT count(*) FROM left_marks JOIN right_marks USING (id) \
                           WHERE left_marks.mark <> right_marks.mark";
        assert_eq!(copy.rows(differences), ["0"]);
    }
}

#[test]
fn a_leftover_wal_is_read_without_keeping_its_program_out() {
    let fleet = fleet_with_marks();
    let path = fleet.path("ann_longterm.db");
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) \
                INSERT INTO left_marks SELECT 5000 + i, 0, hex(zeroblob(400)) FROM n";
    Connection::open(&path).unwrap().execute_batch(rows).unwrap();
    // What a killed program leaves: a WAL, and no program that has the database open.
    let program = Connection::open(&path).unwrap();
    program.execute_batch("UPDATE right_marks SET mark = 7").unwrap();
    let [main, wal] = ["", "-wal"]
        .map(|suffix| fs::read(fleet.path(format!("ann_longterm.db{suffix}"))).unwrap());
    drop(program);
    for _ in 0..3 {
        fs::write(&path, &main).unwrap();
        fs::write(fleet.path("ann_longterm.db-wal"), &wal).unwrap();
        let mut run = fleet.start(["verify"]);
        let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
        wait_until("the run holds its lock", || {
            fs::read_to_string("/proc/locks").unwrap().contains(&inode)
        });
        let mut opened = 0;
        while run.try_wait().unwrap().is_none() {
            let program = Connection::open(&path).unwrap();
            program.busy_timeout(Duration::from_millis(20)).unwrap();
            program.execute_batch("UPDATE right_marks SET mark = mark + 1 WHERE id = 1").unwrap();
            opened += 1;
        }
        fleet.wait(run).status(0).stderr("");
        assert!(opened > 0, "the program opened the database during the run");
    }
    assert_eq!(fleet.database("ann").rows("SELECT mark FROM right_marks WHERE id = 2"), ["7"]);
}

const READING_COMMANDS: &[&[&str]] = &[
    &["status"],
    &["status", "--stats"],
    &["history", "--user", "ann"],
    &["verify"],
    &["query", "SELECT * FROM sqlite_schema"],
    &["query", "SELECT name FROM own", "--csv"],
    &["query", "INSERT INTO own VALUES (1)"],
    &["query", "WITH a AS (SELECT 1) INSERT INTO own SELECT * FROM a"],
    &["query", "PRAGMA wal_checkpoint(TRUNCATE)"],
    &["query", "PRAGMA journal_mode = DELETE"],
    &["query", "VACUUM"],
    &["upgrade", "--all-users", "--dry-run"],
    &["new", "-m", "x", "--from-db", "ann_longterm.db", "--dry-run"],
];

#[test]
fn a_reading_command_leaves_no_trace_whatever_the_database_is_like() {
    let wal = "PRAGMA journal_mode = WAL;";
    let foreign = "CREATE TABLE _tatmig_migrations (version INTEGER); \
                   INSERT INTO _tatmig_migrations VALUES (1);";
    let empty: &[u8] = &[];
    for (sql, side_files) in [
        (format!("{wal} {foreign}"), &[] as &[(&str, &[u8])]),
        (format!("{wal} CREATE TABLE own (x)"), &[]),
        (format!("{wal} CREATE TABLE own (x)"), &[("-wal", empty)]),
        (format!("{wal} CREATE TABLE own (x)"), &[("-journal", empty)]),
        (format!("{wal} CREATE TABLE own (x)"), &[("-journal", &[0; 600])]),
        (format!("{wal} {foreign}"), &[("-wal", &[7; 600])]),
        (format!("{wal} PRAGMA encoding = 'UTF-16le'; {foreign}"), &[]),
        ("CREATE TABLE own (x)".to_owned(), &[("-wal", empty)]),
        ("CREATE TABLE own (x)".to_owned(), &[("-journal", empty)]),
        (String::new(), &[("-wal", empty)]),
        (String::new(), &[("-journal", empty)]),
        (format!("{foreign} CREATE VIEW v AS SELECT nope FROM nowhere"), &[]),
    ] {
        let fleet = Fleet::from_blocks(&NOTES[1..]).user("ann", &sql);
        for (suffix, bytes) in side_files {
            fs::write(fleet.path(format!("ann_longterm.db{suffix}")), bytes).unwrap();
        }
        for arguments in READING_COMMANDS {
            let run = fleet.run_without_changes(arguments);
            assert!(run.has_status(&[0, 1, 2]), "{sql} {}", run.describe());
        }
    }
}

#[test]
fn a_damaged_wal_database_is_read_without_a_trace() {
    let fleet = fleet_with_marks();
    let path = fleet.path("ann_longterm.db");
    let whole = fs::read(&path).unwrap();
    for range in [100..4000, 4096..8192, 40_960..90_000, 18..20] {
        let mut bytes = whole.clone();
        bytes[range].fill(0x55);
        fs::write(&path, &bytes).unwrap();
        for arguments in READING_COMMANDS {
            fleet.run_without_changes(arguments);
        }
    }
}
