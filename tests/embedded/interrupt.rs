//! An interrupted call is an error, in every phase.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tatmig::rusqlite::Connection;
use tatmig::{Changelog, ErrorKind, Scope};

use crate::{column, connection_with_a_note, document, notes, upgrade};

/// A statement that runs for minutes unless it is interrupted.
const LONG: &str = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 2000000000) \
                    SELECT count(*) FROM c";

/// Interrupts a connection again and again until the returned flag is set.
fn interrupt_until_done(connection: &Connection) -> Arc<AtomicBool> {
    let handle = connection.get_interrupt_handle();
    let done = Arc::new(AtomicBool::new(false));
    let is_done = done.clone();
    thread::spawn(move || {
        while !is_done.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
            handle.interrupt();
        }
    });
    done
}

#[test]
fn an_interrupt_during_the_replay_is_an_error() {
    let text = notes(&format!("CREATE TABLE late (x); INSERT INTO late {LONG};"));
    let changelog = Changelog::parse(&text).unwrap();
    let mut connection = connection_with_a_note();
    let done = interrupt_until_done(&connection);
    let error = changelog.upgrade(&mut connection, Scope::User).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    done.store(true, Ordering::Relaxed);
    assert_eq!(column(&connection, "SELECT to_version FROM _tatmig_migrations"), "1.0.0");
    assert_eq!(column(&connection, "SELECT body FROM notes"), "tea");
}

#[test]
fn an_interrupt_during_the_replay_of_status_is_an_error() {
    let text = notes(&format!("CREATE TABLE late (x); INSERT INTO late {LONG};"));
    let changelog = Changelog::parse(&text).unwrap();
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)").unwrap();
    let done = interrupt_until_done(&connection);
    let error = changelog.status(&connection, Scope::User).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    done.store(true, Ordering::Relaxed);
}

#[test]
fn an_interrupt_during_a_statement_is_an_error() {
    // Without rows, as in the replay, the statement ends at once.
    let text = notes(&format!(
        "CREATE TABLE late (x); INSERT INTO late SELECT n.id FROM notes n, ({LONG});"
    ));
    let mut connection = connection_with_a_note();
    let done = interrupt_until_done(&connection);
    let error = upgrade(&mut connection, &text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    done.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(100));
    assert!(connection.is_autocommit());
    assert_eq!(column(&connection, "SELECT to_version FROM _tatmig_migrations"), "1.0.0");
    assert_eq!(column(&connection, "SELECT name FROM sqlite_schema WHERE name = 'late'"), "");
    let text = notes("ALTER TABLE notes ADD COLUMN title TEXT;");
    upgrade(&mut connection, &text).unwrap();
}

#[test]
fn an_interrupt_of_the_last_statement_is_an_error() {
    let text = document(&[
        ("baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);"),
        ("1.0.0→1.1.0", "CREATE TABLE first (x);"),
        ("1.1.0→1.2.0", "CREATE TABLE second (x); INSERT INTO second VALUES (1);"),
    ]);
    let mut connection = connection_with_a_note();
    let handle = connection.get_interrupt_handle();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for () in receiver {
            handle.interrupt();
        }
    });
    let hook = move |_: tatmig::rusqlite::hooks::Action, _: &str, table: &str, _: i64| {
        if table == "second" {
            let _ = sender.send(());
            thread::sleep(Duration::from_millis(100));
        }
    };
    connection.update_hook(Some(hook)).unwrap();
    let error = upgrade(&mut connection, &text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    assert!(connection.is_autocommit());
    assert_eq!(column(&connection, "SELECT to_version FROM _tatmig_migrations"), "1.0.0");
    assert_eq!(column(&connection, "SELECT name FROM sqlite_schema WHERE name = 'first'"), "");
    assert_eq!(column(&connection, "SELECT body FROM notes"), "tea");
}

#[test]
fn an_interrupt_before_the_call_has_no_effect_on_it() {
    let mut connection = connection_with_a_note();
    connection.get_interrupt_handle().interrupt();
    upgrade(&mut connection, &notes("ALTER TABLE notes ADD COLUMN title TEXT;")).unwrap();
    assert_eq!(column(&connection, "SELECT body FROM notes WHERE title IS NULL"), "tea");
}
