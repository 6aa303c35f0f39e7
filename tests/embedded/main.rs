//! Tests what the library promises to an application that upgrades its own connections: which
//! database it acts on, what it leaves as it was, and that it drops no lock of the process.
#![allow(
    clippy::unwrap_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]

mod connection;
mod extensions;
mod foreign_replay;
mod hostile;
mod interrupt;
#[cfg(target_os = "linux")]
mod locks;

use tatmig::rusqlite::Connection;
use tatmig::{Changelog, Error, Scope, UpgradeReport};

/// A document whose blocks have these tags and SQL.
fn document(blocks: &[(&str, &str)]) -> String {
    let fence = |(tag, sql): &(&str, &str)| {
        format!("```sql\n-- [user:{tag}:start]\n{sql}\n-- [user:{tag}:end]\n```\n\n")
    };
    blocks.iter().map(fence).collect()
}

/// Two versions of a table of notes; `sql` is the second block.
fn notes(sql: &str) -> String {
    document(&[
        ("baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);"),
        ("1.0.0→1.1.0", sql),
    ])
}

fn upgrade(connection: &mut Connection, text: &str) -> Result<UpgradeReport, Error> {
    Changelog::parse(text).unwrap().upgrade(connection, Scope::User)
}

/// A connection at version 1.0.0 of [`notes`], with one note.
fn connection_with_a_note() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    let text =
        document(&[("baseline→1.0.0", "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);")]);
    upgrade(&mut connection, &text).unwrap();
    connection.execute_batch("INSERT INTO notes VALUES (1, 'tea')").unwrap();
    connection
}

/// The values of the first column of a query, joined by spaces.
fn column(connection: &Connection, sql: &str) -> String {
    let mut query = connection.prepare(sql).unwrap();
    let values = query.query_map([], |row| {
        let value: tatmig::rusqlite::types::Value = row.get(0)?;
        Ok(match value {
            tatmig::rusqlite::types::Value::Null => "NULL".to_owned(),
            tatmig::rusqlite::types::Value::Integer(number) => number.to_string(),
            tatmig::rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
    });
    values.unwrap().map(Result::unwrap).collect::<Vec<_>>().join(" ")
}
