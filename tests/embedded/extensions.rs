//! Functions and collations of an application, which its connection has and the replay needs.

use tatmig::rusqlite::Connection;
use tatmig::rusqlite::functions::FunctionFlags;
use tatmig::{Changelog, DatabaseState, Error, ErrorKind, Extensions, Scope};

use crate::{column, document};

const BLOCKS: &[(&str, &str)] = &[
    ("baseline→1.0.0", "CREATE TABLE notes (title TEXT COLLATE UNICODE_CI);"),
    (
        "1.0.0→1.1.0",
        "CREATE INDEX by_slug ON notes (slug(title));\nUPDATE notes SET title = slug(title);\nCREATE INDEX by_title ON notes (title);",
    ),
];

/// What the application does with every connection.
fn prepare(connection: &Connection) -> tatmig::rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("slug", 1, flags, |arguments| {
        arguments.get::<String>(0).map(|text| text.to_lowercase().replace(' ', "-"))
    })?;
    connection.create_collation("UNICODE_CI", |left: &str, right: &str| {
        left.to_lowercase().cmp(&right.to_lowercase())
    })
}

fn application() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    prepare(&connection).unwrap();
    connection
}

fn declared() -> Extensions {
    Extensions::new().with_function("slug", 1).with_collation("UNICODE_CI")
}

fn upgrade(connection: &mut Connection, extensions: Extensions) -> Result<(), Error> {
    let text = document(BLOCKS);
    let baseline = document(&BLOCKS[..1]);
    let changelog = Changelog::parse(&baseline)?.with_extensions(extensions.clone());
    changelog.upgrade(connection, Scope::User)?;
    connection.execute_batch("INSERT INTO notes VALUES ('Two Words'), ('b'), ('A')").unwrap();
    let changelog = Changelog::parse(&text)?.with_extensions(extensions);
    changelog.upgrade(connection, Scope::User).map(drop)
}

#[test]
fn the_application_executes_what_is_only_declared_to_the_replay() {
    let mut connection = application();
    upgrade(&mut connection, declared()).unwrap();
    assert_eq!(column(&connection, "SELECT title FROM notes ORDER BY title LIMIT 1"), "a");
    assert_eq!(column(&connection, "PRAGMA integrity_check"), "ok");
    let found = "SELECT title FROM notes INDEXED BY by_slug WHERE slug(title) = 'two-words'";
    assert_eq!(column(&connection, found), "two-words");
}

#[test]
fn a_connection_hook_prepares_the_connections_of_the_replay() {
    let mut connection = application();
    upgrade(&mut connection, Extensions::new().with_connection_hook(prepare)).unwrap();
    assert_eq!(column(&connection, "PRAGMA integrity_check"), "ok");
    // A hook replaces what is declared too.
    let both = declared().with_connection_hook(prepare);
    let seeded =
        document(&[("baseline→1.0.0", "CREATE TABLE t (a);\nINSERT INTO t VALUES (slug('A b'));")]);
    let changelog = Changelog::parse(&seeded).unwrap().with_extensions(both);
    let mut connection = application();
    changelog.upgrade(&mut connection, Scope::User).unwrap();
    assert_eq!(column(&connection, "SELECT a FROM t"), "a-b");
}

#[test]
fn without_extensions_the_document_is_refused_and_the_database_unchanged() {
    let mut connection = application();
    let error = upgrade(&mut connection, Extensions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Document, "{error}");
    assert!(error.to_string().contains("no such collation sequence: UNICODE_CI"), "{error}");
    assert_eq!(column(&connection, "SELECT count(*) FROM sqlite_schema"), "0");
}

#[test]
fn an_invalid_declaration_and_a_hook_that_fails_are_errors() {
    let text = document(&BLOCKS[..1]);
    let failing =
        Extensions::new().with_connection_hook(|_| Err(tatmig::rusqlite::Error::InvalidQuery));
    for extensions in [
        failing,
        Extensions::new().with_function("", 1),
        Extensions::new().with_function("a\0b", 1),
        Extensions::new().with_function("slug", -2),
        Extensions::new().with_function("slug", i32::MAX),
        Extensions::new().with_function("abs", 1),
        Extensions::new().with_collation(""),
        Extensions::new().with_collation("BINARY"),
        Extensions::new().with_collation("a\0b"),
    ] {
        let changelog = Changelog::parse(&text).unwrap().with_extensions(extensions);
        let mut connection = application();
        let error = changelog.upgrade(&mut connection, Scope::User).unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_eq!(column(&connection, "SELECT count(*) FROM sqlite_schema"), "0");
    }
}

#[test]
fn the_status_of_a_database_without_a_history_needs_no_execution() {
    let changelog_text = document(&BLOCKS[..1]);
    let changelog = Changelog::parse(&changelog_text).unwrap().with_extensions(declared());
    let connection = application();
    connection.execute_batch("CREATE TABLE notes (title TEXT COLLATE UNICODE_CI)").unwrap();
    let status = changelog.status(&connection, Scope::User).unwrap();
    assert_eq!(status.state, DatabaseState::Unversioned);
    assert_eq!(status.detected.unwrap().to_string(), "1.0.0");
}
