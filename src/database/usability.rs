//! Whether SQLite can use a view, trigger, full-text table or foreign key, and why not.

use rusqlite::Connection;

use crate::database::error::{is_sql_error, sqlite_message};

/// What SQLite reports of an object that this SQLite cannot load. Such an object may be usable in
/// the application.
const UNLOADABLE_MESSAGES: [&str; 6] = [
    "no such module",
    "no such function",
    "no such collation",
    "no such tokenizer",
    "unknown tokenizer",
    "unsafe use of",
];

/// Whether a reference can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Usability {
    Usable,
    /// This SQLite lacks a module, function, collation or tokenizer, as its message says.
    Unloadable(String),
    /// A view or trigger that does not compile, with SQLite's message.
    NotCompiling(String),
    /// A foreign key whose parent table does not exist.
    MissingParent,
    /// A foreign key whose parent columns do not exist or are not unique.
    ParentKeyMismatch,
}

impl Usability {
    /// Whether the reference cannot be used in any SQLite.
    pub(crate) fn is_dangling(&self) -> bool {
        matches!(self, Self::NotCompiling(_) | Self::MissingParent | Self::ParentKeyMismatch)
    }

    /// SQLite's message if a view or trigger cannot be used that the document itself creates. The
    /// settings declare what the application adds to SQLite, so any other function or collation is a
    /// mistake.
    pub(crate) fn fault_of_document(&self) -> Option<&str> {
        match self {
            Self::NotCompiling(message) => Some(message),
            Self::Unloadable(message)
                if message.starts_with("no such function")
                    || message.starts_with("no such collation") =>
            {
                Some(message)
            }
            _ => None,
        }
    }
}

/// Compiles a statement without running it. An error that is not about the statement is returned.
pub(crate) fn prepare(connection: &Connection, sql: &str) -> rusqlite::Result<Usability> {
    let Err(error) = connection.prepare(sql) else { return Ok(Usability::Usable) };
    if !is_sql_error(&error) {
        return Err(error);
    }
    let message = sqlite_message(&error);
    Ok(if UNLOADABLE_MESSAGES.iter().any(|start| message.starts_with(start)) {
        Usability::Unloadable(message)
    } else {
        Usability::NotCompiling(message)
    })
}
