//! Errors that stop a run on a fleet before any database is touched.

use std::path::PathBuf;

use crate::migrate::error::{Error, ErrorKind};
use crate::target::pattern::{PathTemplate, PathTemplateError};

/// A fleet that cannot be made out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No system database.
    #[error("there is no system database at `{}`; `tatmig init` makes one, `--system-db` names another", .0.display())]
    NoSystemDatabase(PathBuf),
    /// No users directory.
    #[error("there is no users directory `{}`; `--users-dir` names another", .0.display())]
    NoUsersDir(PathBuf),
    /// Users that have no file.
    #[error("no database of {} in `{}`: files named `{path_template}` were looked for{hint}", user_list(.users), .dir.display())]
    UnknownUsers {
        /// The users.
        users: Vec<String>,
        /// Where they were looked for.
        dir: PathBuf,
        /// How their files would be named.
        path_template: PathTemplate,
        /// A hint at who is there.
        hint: String,
    },
    /// A user's name that no file can have.
    #[error(transparent)]
    InvalidName(#[from] PathTemplateError),
    /// Users were named, and the document has nothing for them.
    #[error("the document has no user block, so there are no user databases to name")]
    NoUserBlocks,
    /// A fleet on servers that cannot be made out.
    #[cfg(feature = "server")]
    #[error(transparent)]
    ServerSet(#[from] crate::target::servers::ServerSetError),
    /// The users directory cannot be read.
    #[error("the users directory `{}` cannot be read: {source}", .dir.display())]
    UnreadableUsersDir {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

pub(crate) fn user_list(users: &[String]) -> String {
    let quoted: Vec<String> = users.iter().map(|user| format!("`{user}`")).collect();
    let noun = if users.len() == 1 { "user" } else { "users" };
    format!("{noun} {}", quoted.join(", "))
}

impl From<FleetError> for Error {
    fn from(error: FleetError) -> Self {
        let kind = match error {
            FleetError::NoSystemDatabase(_)
            | FleetError::NoUsersDir(_)
            | FleetError::UnknownUsers { .. } => ErrorKind::Missing,
            FleetError::InvalidName(_) | FleetError::NoUserBlocks => ErrorKind::Argument,
            #[cfg(feature = "server")]
            FleetError::ServerSet(_) => ErrorKind::Server,
            FleetError::UnreadableUsersDir { .. } => ErrorKind::Io,
        };
        Self::new(kind, error)
    }
}
