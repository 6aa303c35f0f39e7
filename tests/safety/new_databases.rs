//! Tests the creation of databases: equal ones are copied from one template, each has the same
//! contents as if its migrations had run there, and each is complete or still empty.

use std::collections::BTreeSet;

use crate::fault_injection::{
    count_syscalls, has_strace, report_count, run_in_parallel, run_with_injections, sample_points,
};
use crate::support::{Database, Fleet, NOTES};

const UPGRADE: &[&str] = &["upgrade", "--all-users"];

/// The schema and the history of a database, without times; empty for an empty database.
fn schema_and_history(database: &Database) -> Vec<String> {
    let mut lines = database.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema");
    if !lines.is_empty() {
        lines.extend(database.rows(
            "SELECT id, event, from_version, to_version, scope, checksum, chain, tool_version, note \
             FROM _tatmig_migrations",
        ));
    }
    lines
}

/// Returns for each database whether it is created as expected; otherwise it must be empty.
fn assert_new_or_empty(fleet: &Fleet, expected: &[String], context: &str) -> Vec<bool> {
    let users = (0..20).map(|index| format!("u{index:03}"));
    users
        .map(|user| {
            let database = fleet.database(&user);
            assert_eq!(database.rows("PRAGMA integrity_check"), ["ok"], "{user} {context}");
            let contents = schema_and_history(&database);
            assert!(contents.is_empty() || contents == expected, "{user} {context}: {contents:?}");
            !contents.is_empty()
        })
        .collect()
}

/// The contents of a database that was not empty, so that each migration ran in it.
fn expected_contents() -> Vec<String> {
    // A first page without tables.
    let fleet =
        Fleet::from_blocks(NOTES).system("").user("ann", "CREATE TABLE t (x); DROP TABLE t;");
    fleet.run(UPGRADE).status(0);
    let expected = schema_and_history(&fleet.database("ann"));
    assert_eq!(expected.len(), 6, "a record, a table and an index, and three migrations");
    expected
}

#[test]
fn new_databases_equal_individually_migrated_ones() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(20, "");
    let run = fleet.run(UPGRADE);
    run.status(0).stdout_contains("20 users: 20 upgraded to 1.2.0");
    assert_eq!(assert_new_or_empty(&fleet, &expected_contents(), "as a whole"), [true; 20]);
    fleet.run(["verify"]).status(0);
    // They are copies of one template: twenty separate runs would not end in the same millisecond.
    let times: BTreeSet<String> = (0..20)
        .flat_map(|index| {
            let user = fleet.database(&format!("u{index:03}"));
            user.rows("SELECT applied_at FROM _tatmig_migrations WHERE id = 3")
        })
        .collect();
    assert_eq!(times.len(), 1);
    for user in ["u000", "u019"] {
        let user = fleet.database(user);
        user.connection().execute_batch("INSERT INTO notes (body) VALUES ('tea')").unwrap();
        assert_eq!(user.rows("SELECT * FROM notes"), ["1|tea|0"]);
    }
}

#[test]
fn random_values_differ_in_each_new_database() {
    for sql in [
        "CREATE TABLE device (id TEXT); INSERT INTO device VALUES (hex(randomblob(16)));",
        "CREATE TABLE device AS SELECT hex(randomblob(16)) AS id;",
        "CREATE TABLE device (id TEXT);
         INSERT INTO device SELECT file FROM pragma_database_list WHERE file <> '';",
    ] {
        let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", sql)]).users(20, "");
        fleet.run(UPGRADE).status(0);
        let ids: BTreeSet<String> = (0..20)
            .flat_map(|index| fleet.database(&format!("u{index:03}")).rows("SELECT id FROM device"))
            .collect();
        assert_eq!(ids.len(), 20, "{sql}");
    }
}

#[test]
fn file_header_pragmas_apply_to_each_new_database() {
    let sql = "PRAGMA user_version = 7; PRAGMA application_id = 77; CREATE TABLE notes (body);";
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", sql)]).users(3, "");
    fleet.run(UPGRADE).status(0);
    for user in ["u000", "u001", "u002"] {
        let user = fleet.database(user);
        assert_eq!(user.rows("PRAGMA user_version"), ["7"]);
        assert_eq!(user.rows("PRAGMA application_id"), ["77"]);
    }
}

/// Kills or fails calls of a run, and completes it by a second run.
fn check_injected_faults(injection: &str, syscalls: &[&str], max_points: usize) {
    if !has_strace() {
        return;
    }
    let expected = expected_contents();
    let single_job_upgrade = [UPGRADE, &["--jobs", "1"]].concat();
    let fleet = Fleet::from_blocks(NOTES).system("").users(20, "");
    let mut cases = Vec::new();
    for syscall in syscalls {
        let count = count_syscalls(&fleet.copy(), syscall, &single_job_upgrade);
        cases.extend(sample_points(count, max_points).into_iter().map(|point| (*syscall, point)));
    }
    assert!(!cases.is_empty(), "no call of {syscalls:?}");
    run_in_parallel(&cases, |(syscall, point)| {
        let fleet = fleet.copy();
        let context = format!("{injection} at {syscall} {point}");
        let output = run_with_injections(
            &fleet,
            &[format!("{syscall}:{injection}:when={point}")],
            &single_job_upgrade,
        );
        assert_new_or_empty(&fleet, &expected, &context);
        // The report is true: with exit status 0 every database is complete, even if a call failed.
        let is_complete = |fleet: &Fleet| {
            assert_new_or_empty(fleet, &expected, &context)
                .into_iter()
                .all(|is_complete| is_complete)
        };
        assert!(!output.status.success() || is_complete(&fleet), "{context}");
        fleet.run(UPGRADE).status(0);
        assert!(is_complete(&fleet), "{context}");
    });
    report_count(cases.len(), &format!("times {injection} while databases were made"));
}

#[test]
fn killed_during_creation_each_is_complete_or_empty() {
    check_injected_faults(
        "signal=KILL",
        &["pwrite64", "fsync", "fdatasync", "unlink", "ftruncate"],
        6,
    );
}

#[test]
fn a_disk_error_leaves_each_complete_or_empty() {
    check_injected_faults("error=EIO", &["pwrite64", "fsync", "fdatasync", "unlink"], 6);
    check_injected_faults("error=ENOSPC", &["pwrite64"], 6);
}
