//! Reports why the databases of a fleet cannot be found. No database was changed.

use std::path::{Path, PathBuf};

use crate::migrate::error::{Error, ErrorKind};
use crate::target::pattern::PathTemplate;
use crate::target::pattern_error::PathTemplateError;
use crate::text::escape_for_display;

/// A fleet whose databases cannot be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The system database is missing.
    #[error("the system database `{}` does not exist; create it with `tatmig init`, or restore it with `tatmig restore`; `--system-db PATH` names another file, and `--no-system` leaves it out", .0.display())]
    NoSystemDatabase(PathBuf),
    /// The users directory is missing.
    #[error("the users directory `{}` does not exist; pass `--users-dir PATH`", absolute(.0))]
    NoUsersDir(PathBuf),
    /// Users that have no database.
    #[error("no database of {} in `{}`, where files are named `{path_template}`{hint}", user_list(.users), absolute(.dir))]
    UnknownUsers {
        /// The users.
        users: Vec<String>,
        /// The users directory.
        dir: PathBuf,
        /// How the files of users are named.
        path_template: PathTemplate,
        /// Which users exist, as the end of the message.
        hint: String,
    },
    /// A user's name that no file can have.
    #[error(transparent)]
    InvalidName(#[from] PathTemplateError),
    /// Users were named, and the document has no user block.
    #[error("the document has no user block, so it has no user databases to select")]
    NoUserBlocks,
    /// The system database was selected, and the document has no system block.
    #[error("the document has no system block, so it has no system database to select")]
    NoSystemBlocks,
    /// A fleet on servers whose databases cannot be found.
    #[cfg(feature = "server")]
    #[error(transparent)]
    ServerSet(#[from] crate::target::server_error::ServerSetError),
    /// The users directory cannot be read.
    #[error("cannot read the users directory `{}`: {source}", absolute(.dir))]
    UnreadableUsersDir {
        /// The directory.
        dir: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
}

/// The absolute path, which also shows a wrong current directory, escaped for display.
fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    escape_for_display(absolute.as_os_str())
}

fn user_list(users: &[String]) -> String {
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
            FleetError::InvalidName(_) | FleetError::NoSystemBlocks | FleetError::NoUserBlocks => {
                ErrorKind::Argument
            }
            #[cfg(feature = "server")]
            FleetError::ServerSet(_) => ErrorKind::Server,
            FleetError::UnreadableUsersDir { .. } => ErrorKind::Io,
        };
        Self::new(kind, error)
    }
}
