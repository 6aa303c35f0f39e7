//! Unusual states of an application's connection.

use std::sync::Arc;
use std::thread;

use tatmig::rusqlite::{Connection, OpenFlags};
use tatmig::{Changelog, ErrorKind, Scope};

use crate::{column, connection_with_a_note, document, notes, upgrade};

const ADD_TITLE: &str = "ALTER TABLE notes ADD COLUMN title TEXT;";

#[test]
fn a_temporary_database_that_was_only_touched_is_accepted() {
    let mut connection = connection_with_a_note();
    connection.execute_batch("CREATE TEMP TABLE t (x); DROP TABLE t").unwrap();
    upgrade(&mut connection, &notes(ADD_TITLE)).unwrap();
}

#[test]
fn an_attached_database_without_tables_is_refused() {
    let mut connection = connection_with_a_note();
    connection.execute_batch("ATTACH '' AS \"a b\"").unwrap();
    let error = upgrade(&mut connection, &notes(ADD_TITLE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("`a b`"), "{error}");
}

/// The refusal does not depend on whether anything is pending.
#[test]
fn a_database_at_head_is_refused_too() {
    let mut connection = connection_with_a_note();
    upgrade(&mut connection, &notes(ADD_TITLE)).unwrap();
    connection.execute_batch("CREATE TEMP TABLE notes (x)").unwrap();
    let error = upgrade(&mut connection, &notes(ADD_TITLE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
}

#[test]
fn a_shadow_table_of_a_temporary_virtual_table_is_refused() {
    let mut connection = connection_with_a_note();
    connection.execute_batch("CREATE VIRTUAL TABLE temp.n USING fts5(body)").unwrap();
    let error = upgrade(&mut connection, &notes("DROP TABLE IF EXISTS n_data;")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(column(&connection, "SELECT count(*) FROM temp.n_config"), "1");
}

#[test]
fn a_temporary_view_of_a_changed_table_survives() {
    let mut connection = connection_with_a_note();
    connection.execute_batch("CREATE TEMP VIEW bodies AS SELECT body FROM main.notes").unwrap();
    upgrade(&mut connection, &notes("PRAGMA user_version = 3; UPDATE notes SET body = 'mate';"))
        .unwrap();
    assert_eq!(column(&connection, "SELECT body FROM bodies"), "mate");
    assert_eq!(column(&connection, "PRAGMA user_version"), "3");
}

#[test]
fn a_read_only_connection_is_an_error_and_keeps_its_settings() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let mut connection = Connection::open(&path).unwrap();
    upgrade(&mut connection, notes(ADD_TITLE).split("\n\n").next().unwrap()).unwrap();
    connection.close().unwrap();
    let mut connection =
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON; CREATE TEMP TABLE own (x)").unwrap();
    let error = upgrade(&mut connection, &notes(ADD_TITLE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert_eq!(column(&connection, "PRAGMA foreign_keys"), "1");
    assert_eq!(column(&connection, "SELECT name FROM sqlite_temp_schema"), "own");
}

/// Many log-ins at once share one changelog and its replay.
#[test]
fn threads_share_a_changelog() {
    let text = notes(ADD_TITLE);
    let changelog = Changelog::parse(&text).unwrap();
    let changelog = Arc::new(&changelog);
    thread::scope(|scope| {
        for _ in 0..8 {
            let changelog = changelog.clone();
            scope.spawn(move || {
                for _ in 0..5 {
                    let mut connection = Connection::open_in_memory().unwrap();
                    let report = changelog.upgrade(&mut connection, Scope::User).unwrap();
                    assert_eq!(report.applied.len(), 2);
                }
            });
        }
    });
}

/// A replay that fails is not kept as a success, and fails again the same way.
#[test]
fn a_document_that_fails_fails_at_every_call() {
    let text = notes("DROP TABLE missing;");
    let changelog = Changelog::parse(&text).unwrap();
    for _ in 0..2 {
        let mut connection = Connection::open_in_memory().unwrap();
        let error = changelog.upgrade(&mut connection, Scope::User).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Document);
        assert_eq!(column(&connection, "SELECT count(*) FROM sqlite_schema"), "0");
    }
}

/// After an interrupted replay, the next call replays again.
#[test]
fn an_interrupt_is_not_kept() {
    let long = "CREATE TABLE late AS WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c \
                LIMIT 3000000) SELECT count(*) AS n FROM c;";
    let text = notes(long);
    let changelog = Changelog::parse(&text).unwrap();
    let mut connection = connection_with_a_note();
    let handle = connection.get_interrupt_handle();
    let interrupter = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(30));
        handle.interrupt();
    });
    let first = changelog.upgrade(&mut connection, Scope::User);
    interrupter.join().unwrap();
    if let Err(error) = first {
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        changelog.upgrade(&mut connection, Scope::User).unwrap();
    }
    assert_eq!(column(&connection, "SELECT n FROM late"), "3000000");
}

#[test]
fn blocks_that_qualify_their_names_with_main_work() {
    let mut connection = connection_with_a_note();
    let text = document(&[
        ("baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);"),
        (
            "1.0.0→1.1.0",
            "CREATE TABLE main.tags (x TEXT REFERENCES notes (id)); CREATE INDEX main.t ON tags (x);
             CREATE VIEW main.v AS SELECT * FROM notes;
             CREATE TRIGGER main.g AFTER INSERT ON tags BEGIN UPDATE notes SET body = new.x; END;
             INSERT INTO main.tags VALUES (1); PRAGMA main.user_version = 4; ANALYZE main; REINDEX main.t;
             ALTER TABLE main.tags RENAME COLUMN x TO y; DROP VIEW main.v;",
        ),
    ]);
    upgrade(&mut connection, &text).unwrap();
    assert_eq!(column(&connection, "SELECT body FROM notes"), "1");
}
