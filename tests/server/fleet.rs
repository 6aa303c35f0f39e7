//! Builds a fleet whose databases are on a server, with the document in a directory.

use std::ffi::OsStr;

use crate::sqld::Sqld;
use crate::support::{Fleet, RunOutput, document};

/// A system database whose table of users lists the fleet, and users with notes and tags. The SQL
/// is in lines 3, 9, 16, and 22.
pub(crate) const USERS_AND_NOTES: &[(&str, &str)] = &[
    ("system:baseline→1.0.0", "CREATE TABLE users (username TEXT PRIMARY KEY);"),
    (
        "user:baseline→1.0.0",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);\n\
         CREATE TABLE tags (id INTEGER PRIMARY KEY, note INTEGER REFERENCES notes (id) ON DELETE CASCADE);",
    ),
    ("user:1.0.0→1.1.0", "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"),
    ("user:1.1.0→1.2.0", "CREATE UNIQUE INDEX one_body ON notes (body);"),
];

/// The first blocks of [`TOWN`], and further ones.
pub(crate) fn document_with(count: usize, extra_blocks: &[(&str, &str)]) -> String {
    let blocks: Vec<(&str, &str)> =
        USERS_AND_NOTES[..count].iter().chain(extra_blocks).copied().collect();
    document(&blocks)
}

pub(crate) struct ServerFleet {
    pub(crate) fleet: Fleet,
    pub(crate) sqld: Sqld,
}

impl ServerFleet {
    /// Creates the fleet of [`TOWN`] with these users, at 1.0.0.
    pub(crate) fn new(users: &[&str]) -> Self {
        Self::from_server(Sqld::start(), users)
    }

    pub(crate) fn from_server(sqld: Sqld, users: &[&str]) -> Self {
        let fleet = Fleet::new()
            .env("TATMIG_SERVER", sqld.url())
            .env("TATMIG_ADMIN", sqld.admin_url())
            .document(document_with(2, &[]));
        let server_fleet = Self { fleet, sqld };
        let mut arguments = vec!["init"];
        arguments.extend(users.iter().flat_map(|user| ["--user", user]));
        server_fleet.run(arguments).status(0);
        for user in users {
            server_fleet.sqld.execute("system", &[&format!("INSERT INTO users VALUES ('{user}')")]);
        }
        server_fleet
    }

    /// Overwrites the document with the first blocks of [`TOWN`] and further ones.
    pub(crate) fn document(mut self, count: usize, extra_blocks: &[(&str, &str)]) -> Self {
        self.fleet = self.fleet.document(document_with(count, extra_blocks));
        self
    }

    /// Runs SQL in a user's namespace.
    pub(crate) fn execute(self, user: &str, statements: &[&str]) -> Self {
        self.sqld.execute(&Self::namespace(user), statements);
        self
    }

    pub(crate) fn namespace(user: &str) -> String {
        format!("{user}_longterm")
    }

    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl AsRef<[A]>) -> RunOutput<'_> {
        self.fleet.run(arguments)
    }

    #[track_caller]
    pub(crate) fn rows(&self, user: &str, sql: &str) -> Vec<String> {
        self.sqld.rows(&Self::namespace(user), sql)
    }

    #[track_caller]
    pub(crate) fn version(&self, user: &str) -> Option<String> {
        self.sqld.version(&Self::namespace(user))
    }

    #[track_caller]
    pub(crate) fn history(&self, user: &str) -> Vec<String> {
        self.sqld.history(&Self::namespace(user))
    }

    #[track_caller]
    pub(crate) fn dump(&self, user: &str) -> Vec<String> {
        self.sqld.dump(&Self::namespace(user))
    }
}
