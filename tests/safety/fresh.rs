//! New databases: made from one image where they are alike, each as if its migrations had run there
//! alone, and each wholly there or still empty.

use std::collections::BTreeSet;

use crate::fire::{calls, injected, points, strace_is_here, sweep, tell};
use crate::support::{Database, Fleet, NOTES};

const UPGRADE: &[&str] = &["upgrade", "--all-users"];

/// The schema and the record of a database, but for the times; nothing of an empty one.
fn seen(database: &Database) -> Vec<String> {
    let mut seen = database.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema");
    if !seen.is_empty() {
        seen.extend(database.rows(
            "SELECT id, event, from_version, to_version, scope, checksum, chain, tool_version, note \
             FROM _tatmig_migrations",
        ));
    }
    seen
}

/// Each database, and whether it is a new one as it must be; it is empty otherwise.
fn stands(fleet: &Fleet, expected: &[String], what: &str) -> Vec<bool> {
    let users = (0..20).map(|at| format!("u{at:03}"));
    users
        .map(|user| {
            let database = fleet.database(&user);
            assert_eq!(database.rows("PRAGMA integrity_check"), ["ok"], "{user} {what}");
            let seen = seen(&database);
            assert!(seen.is_empty() || seen == expected, "{user} {what}: {seen:?}");
            !seen.is_empty()
        })
        .collect()
}

/// What a database looks like that was not empty, so that each migration ran in it.
fn expected() -> Vec<String> {
    // A first page, and nothing on it.
    let fleet = Fleet::of(NOTES).system("").user("ann", "CREATE TABLE t (x); DROP TABLE t;");
    fleet.run(UPGRADE).status(0);
    let expected = seen(&fleet.database("ann"));
    assert_eq!(expected.len(), 6, "a record, a table and an index, and three migrations");
    expected
}

#[test]
fn new_databases_are_as_if_each_had_been_migrated_alone() {
    let fleet = Fleet::of(NOTES).system("").users(20, "");
    let run = fleet.run(UPGRADE);
    run.status(0).stdout_contains("20 users: 20 upgraded to 1.2.0");
    assert_eq!(stands(&fleet, &expected(), "as a whole"), [true; 20]);
    fleet.run(["verify"]).status(0);
    // They are copies of one: to the millisecond, no twenty runs end at once.
    let times: BTreeSet<String> = (0..20)
        .flat_map(|at| {
            let user = fleet.database(&format!("u{at:03}"));
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
fn what_a_block_writes_is_another_in_each_new_database() {
    for sql in [
        "CREATE TABLE device (id TEXT); INSERT INTO device VALUES (hex(randomblob(16)));",
        "CREATE TABLE device AS SELECT hex(randomblob(16)) AS id;",
        "CREATE TABLE device (id TEXT);
         INSERT INTO device SELECT file FROM pragma_database_list WHERE file <> '';",
    ] {
        let fleet = Fleet::of(&[("user:baseline→1.0.0", sql)]).users(20, "");
        fleet.run(UPGRADE).status(0);
        let ids: BTreeSet<String> = (0..20)
            .flat_map(|at| fleet.database(&format!("u{at:03}")).rows("SELECT id FROM device"))
            .collect();
        assert_eq!(ids.len(), 20, "{sql}");
    }
}

#[test]
fn what_a_block_says_of_the_file_is_said_of_each_new_database() {
    let sql = "PRAGMA user_version = 7; PRAGMA application_id = 77; CREATE TABLE notes (body);";
    let fleet = Fleet::of(&[("user:baseline→1.0.0", sql)]).users(3, "");
    fleet.run(UPGRADE).status(0);
    for user in ["u000", "u001", "u002"] {
        let user = fleet.database(user);
        assert_eq!(user.rows("PRAGMA user_version"), ["7"]);
        assert_eq!(user.rows("PRAGMA application_id"), ["77"]);
    }
}

/// Ends or fails calls of a run, and finishes it by a second one.
fn under_fire(injection: &str, kinds: &[&str], some: usize) {
    if !strace_is_here() {
        return;
    }
    let expected = expected();
    let alone = [UPGRADE, &["--jobs", "1"]].concat();
    let fleet = Fleet::of(NOTES).system("").users(20, "");
    let mut tries = Vec::new();
    for kind in kinds {
        let count = calls(&fleet.twin(), kind, &alone);
        tries.extend(points(count, some).into_iter().map(|point| (*kind, point)));
    }
    assert!(!tries.is_empty(), "no call of {kinds:?}");
    sweep(&tries, |(kind, point)| {
        let fleet = fleet.twin();
        let what = format!("{injection} at {kind} {point}");
        let ended = injected(&fleet, &[format!("{kind}:{injection}:when={point}")], &alone);
        stands(&fleet, &expected, &what);
        // What is told is so: exit 0 is everything, whatever call failed.
        let whole = |fleet: &Fleet| stands(fleet, &expected, &what).into_iter().all(|whole| whole);
        assert!(!ended.status.success() || whole(&fleet), "{what}");
        fleet.run(UPGRADE).status(0);
        assert!(whole(&fleet), "{what}");
    });
    tell(tries.len(), &format!("times {injection} while databases were made"));
}

#[test]
fn killed_while_they_are_made_each_is_whole_or_empty() {
    under_fire("signal=KILL", &["pwrite64", "fsync", "fdatasync", "unlink", "ftruncate"], 6);
}

#[test]
fn where_the_disk_fails_each_is_whole_or_empty() {
    under_fire("error=EIO", &["pwrite64", "fsync", "fdatasync", "unlink"], 6);
    under_fire("error=ENOSPC", &["pwrite64"], 6);
}
