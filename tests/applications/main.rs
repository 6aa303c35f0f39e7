//! Tests four applications, each with its whole document in `fixtures/`, through the real program:
//! all that they do with their databases, from the first file to the last backup. The modules are
//! named after the applications.
#![allow(
    clippy::unwrap_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]

mod bluesky_pds;
mod edgesoul;
mod lifecycle;
mod reddit_agent;
#[allow(dead_code, reason = "each of the binaries uses its own part")]
#[path = "../support/mod.rs"]
mod support;
mod synth_mind;
mod tatlock;
mod tatlock_ages;

use std::path::Path;

use rusqlite::Connection;

use support::{Database, Fleet};

/// The files of each fixture.
const FIXTURE_FILES: [&str; 2] = ["MIGRATIONS.md", "tatmig.toml"];

/// Creates a fleet with an application's document and settings, and the directory of its databases.
fn application_fleet(name: &str, directory: &str) -> Fleet {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let copied = FIXTURE_FILES.into_iter().fold(Fleet::new(), |fleet, file| {
        fleet.file(file, std::fs::read(fixture.join(file)).unwrap())
    });
    copied.directory(directory)
}

/// A connection like the application's, with foreign keys enforced.
fn application_connection(database: &Database) -> &Connection {
    let connection = database.connection();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    connection
}

/// Asserts that the database rejects a statement with this message of SQLite.
#[track_caller]
fn assert_rejected(database: &Database, sql: &str, message: &str) {
    let error = application_connection(database).execute_batch(sql).unwrap_err().to_string();
    assert!(error.contains(message), "{sql}: {error}");
}

/// The version that `current` reports for the only database.
#[track_caller]
fn current_version(fleet: &Fleet) -> String {
    let json = fleet.run_without_changes(["current", "--json"]).status(0).json();
    assert_eq!(json["summary"]["total"], 1, "{json}");
    json["databases"][0]["version"].as_str().unwrap_or("none").to_owned()
}

/// The identity of the newest backup, as `backup list` names it.
#[track_caller]
fn newest_backup(fleet: &Fleet) -> String {
    let list = fleet.run_without_changes(["backup", "list"]).status(0).stdout_text();
    list.lines().last().unwrap().split_whitespace().next().unwrap().to_owned()
}

/// `lint` and `test` find nothing in the documents, except the warning that planned migrations are
/// not released.
#[test]
fn every_document_passes_lint_and_test() {
    for name in ["edgesoul", "synth-mind", "reddit-agent", "tatlock"] {
        let fleet = application_fleet(name, "data");
        let strict: &[&str] = if name == "tatlock" { &[] } else { &["--deny", "warnings"] };
        fleet.run_without_changes([&["lint"], strict].concat()).status(0);
        let run = fleet.run_without_changes(["test"]);
        run.status(0).stdout_contains("down to baseline and up again");
        run.stdout_contains("no data lost");
    }
}
