//! Errors that stop a run on a fleet before any database is touched.

use std::path::PathBuf;

use crate::target::pattern::{Pattern, PatternError};

/// A fleet that cannot be made out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No system database.
    #[error("there is no system database at `{}`; `tatmig init` makes one, `--system-db` names another", .0.display())]
    NoSystem(PathBuf),
    /// No users directory.
    #[error("there is no users directory `{}`; `--users-dir` names another", .0.display())]
    NoUsersDir(PathBuf),
    /// Users that have no file.
    #[error("no database of {} in `{}`: files named `{pattern}` were looked for{near}", names(.users), .dir.display())]
    UnknownUsers {
        /// The users.
        users: Vec<String>,
        /// Where they were looked for.
        dir: PathBuf,
        /// How their files would be named.
        pattern: Pattern,
        /// A hint at who is there.
        near: String,
    },
    /// A user's name that no file can have.
    #[error(transparent)]
    Name(#[from] PatternError),
    /// Users were named, and the document has nothing for them.
    #[error("the document has no user block, so there are no user databases to name")]
    NoUserBlocks,
    /// A fleet on servers that cannot be made out.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Servers(#[from] crate::target::servers::ServersError),
    /// The users directory cannot be read.
    #[error("the users directory `{}` cannot be read: {source}", .dir.display())]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

pub(crate) fn names(users: &[String]) -> String {
    let quoted: Vec<String> = users.iter().map(|user| format!("`{user}`")).collect();
    let noun = if users.len() == 1 { "user" } else { "users" };
    format!("{noun} {}", quoted.join(", "))
}
