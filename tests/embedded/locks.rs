//! A program that has a connection to a database and calls the fleet's functions keeps the locks of
//! its connection: POSIX drops them all when any descriptor of the file is closed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tatmig::backup::BackupDir;
use tatmig::database::{ConnectOptions, ConnectionSetup};
use tatmig::fleet::{
    DatabaseFile, Fleet, Location, OnFailure, RunOptions, SymlinkPolicy, TargetDatabase,
};
use tatmig::migrate::{Migrator, Replay};
use tatmig::rusqlite::Connection;
use tatmig::{Changelog, Scope};

use crate::{column, notes, upgrade};

const ADD_TITLE: &str = "ALTER TABLE notes ADD COLUMN title TEXT;";

/// A directory with a document, whose user `ann` is at 1.0.0 in a journal mode.
fn directory_with_ann(journal_mode: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let text = notes(ADD_TITLE);
    std::fs::write(directory.path().join("MIGRATIONS.md"), &text).unwrap();
    let mut connection = Connection::open(directory.path().join("ann_longterm.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA journal_mode = {journal_mode}")).unwrap();
    upgrade(&mut connection, text.split("\n\n").next().unwrap()).unwrap();
    connection.close().unwrap();
    directory
}

/// Calls everything of the fleet that reads `ann`, from this process.
fn read_the_fleet(directory: &Path) {
    let text = notes(ADD_TITLE);
    let changelog = Changelog::parse(&text).unwrap();
    let replay = Replay::run(&changelog, &ConnectionSetup::default()).unwrap();
    let migrator = Migrator::new(&changelog, &replay, changelog.head_index());
    let target = TargetDatabase {
        scope: Scope::User,
        name: "ann".into(),
        location: Location::File(DatabaseFile::new(
            directory.join("ann_longterm.db"),
            SymlinkPolicy::Refuse,
        )),
        skip_reason: None,
    };
    let fleet = Fleet { users: vec![target], ..Fleet::default() };
    let connect_options =
        ConnectOptions { busy_timeout: Duration::ZERO, setup: ConnectionSetup::default() };
    let on_failure = OnFailure::Continue;
    let options = RunOptions { jobs: 4, on_failure, canary: None, connect_options };
    let status = fleet.statuses(&migrator, &options, &mut || {}).remove(0).unwrap();
    assert_eq!(status.version.as_deref(), Some("1.0.0"), "{:?}", status.error);
    fleet.stats(&options, &mut || {}).remove(0).unwrap().unwrap();
    fleet.verify(&migrator, &options, &mut || {}).remove(0).unwrap().unwrap();
    let backups = BackupDir::new(directory.join("backups"));
    let targets: Vec<&TargetDatabase> = fleet.users.iter().collect();
    backups
        .create(&targets, "test", &options, &mut || {})
        .unwrap()
        .results
        .remove(0)
        .unwrap()
        .unwrap();
}

/// Whether some process holds a lock on `ann`.
fn is_locked(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let inode = std::fs::metadata(directory.join("ann_longterm.db")).unwrap().ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks.contains(&format!(":{inode} "))
}

/// Runs the program, which is another process. Returns its exit status and all of its output.
fn run_other_process(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tatmig"));
    let output = command.args(arguments).current_dir(directory).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_write_transaction_keeps_its_lock_while_the_fleet_is_read() {
    for journal_mode in ["DELETE", "WAL"] {
        let directory = directory_with_ann(journal_mode);
        let connection = Connection::open(directory.path().join("ann_longterm.db")).unwrap();
        connection
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO notes (body) VALUES ('mine')")
            .unwrap();
        read_the_fleet(directory.path());
        let upgrade = ["upgrade", "--all-users", "--busy-timeout", "0"];
        let (status, output) = run_other_process(directory.path(), &upgrade);
        assert_eq!(status, Some(1), "{journal_mode}: {output}");
        assert!(output.contains("busy"), "{journal_mode}: {output}");
        connection.execute_batch("COMMIT").unwrap();
        let (status, output) = run_other_process(directory.path(), &upgrade);
        assert_eq!(status, Some(0), "{journal_mode}: {output}");
        connection.execute_batch("INSERT INTO notes (body, title) VALUES ('more', 'x')").unwrap();
        assert_eq!(column(&connection, "SELECT body FROM notes"), "mine more");
        assert_eq!(column(&connection, "PRAGMA integrity_check"), "ok");
    }
}

/// The last process that closes a WAL database removes the WAL. Without its lock, a connection
/// does not count, and writes to a WAL that no other process reads.
#[test]
fn an_idle_connection_keeps_its_wal_while_the_fleet_is_read() {
    let directory = directory_with_ann("WAL");
    let connection = Connection::open(directory.path().join("ann_longterm.db")).unwrap();
    connection.execute_batch("INSERT INTO notes (body) VALUES ('first')").unwrap();
    assert!(is_locked(directory.path()));
    read_the_fleet(directory.path());
    assert!(is_locked(directory.path()));
    let (status, output) = run_other_process(directory.path(), &["upgrade", "--all-users"]);
    assert_eq!(status, Some(0), "{output}");
    for number in 0..500 {
        connection.execute("INSERT INTO notes (body) VALUES (?1)", [number]).unwrap();
    }
    assert!(directory.path().join("ann_longterm.db-wal").exists());
    let (_, output) = run_other_process(directory.path(), &["status", "--stats", "--json"]);
    assert!(output.contains("501"), "{output}");
    assert_eq!(column(&connection, "PRAGMA integrity_check"), "ok");
}

#[test]
fn reading_the_fleet_leaves_no_file_behind() {
    for journal_mode in ["DELETE", "WAL"] {
        let directory = directory_with_ann(journal_mode);
        let path = directory.path().join("ann_longterm.db");
        let before = std::fs::read(&path).unwrap();
        read_the_fleet(directory.path());
        assert_eq!(std::fs::read(&path).unwrap(), before, "{journal_mode}");
        let mut names: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["MIGRATIONS.md", "ann_longterm.db", "backups"], "{journal_mode}");
    }
}
