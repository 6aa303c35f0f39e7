//! Reports why the databases of a fleet on servers cannot be found. No database was changed.

use std::path::PathBuf;

use crate::database::error::DatabaseError;
use crate::sqld::namespace_name::NamespaceNameError;

/// A fleet on servers whose databases cannot be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerSetError {
    /// The configuration names no server.
    #[error("no server is configured; pass `--server URL`")]
    NoServers,
    /// The name of the system namespace is invalid.
    #[error("the system namespace: {0}")]
    InvalidSystemName(#[source] NamespaceNameError),
    /// The system namespace is missing.
    #[error(
        "the system namespace `{name}` does not exist on {url}; create it with `tatmig init`, or pass `--system-namespace NAME`"
    )]
    NoSystemNamespace {
        /// The name of the namespace.
        name: String,
        /// The URL of the server.
        url: String,
    },
    /// A server that cannot be used.
    #[error("{}{source}", url_prefix(.url, .source))]
    Unusable {
        /// The URL of the server.
        url: String,
        /// Why.
        source: DatabaseError,
    },
    /// The query for the user names failed.
    #[error(
        "cannot list the users with `{query}` in the namespace `{system_namespace}`: {reason}; pass another query or a file with `--users-from`"
    )]
    UsersQueryFailed {
        /// The query.
        query: String,
        /// The system namespace.
        system_namespace: String,
        /// Why the query failed.
        reason: String,
    },
    /// A file of users cannot be read.
    #[error("cannot read the file `{}`: {source}", .path.display())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// An invalid line in the file that assigns users to servers.
    #[error("`{}`, line {line}: {reason}", .path.display())]
    InvalidLine {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with the line.
        reason: String,
    },
    /// The source of user names is empty.
    #[error(
        "{user_source} names no users, which is an error because an empty list would make an unmigrated fleet look finished; pass another query or a file with `--users-from`"
    )]
    NoUsers {
        /// The query or file.
        user_source: String,
    },
    /// Users that have no namespace.
    #[error("no namespace for {}: {}; create it with `tatmig init --user NAME`", user_list(.0), namespace_list(.0))]
    UnknownUsers(Vec<MissingNamespace>),
    /// A named user whose server the file of placements does not name.
    #[error("the file of `--users-on` does not list the user `{user}`; add the line `{user} URL`")]
    UnplacedUser {
        /// The user, escaped for display.
        user: String,
    },
    /// A user's name that no namespace can have.
    #[error(transparent)]
    InvalidName(#[from] NamespaceNameError),
}

/// A user without a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingNamespace {
    /// The user, escaped for display.
    pub user: String,
    /// The namespace that the user would have.
    pub namespace: String,
}

/// The URL of the server, unless the error contains it.
fn url_prefix(url: &str, error: &DatabaseError) -> String {
    if error.to_string().contains(url) { String::new() } else { format!("{url}: ") }
}

fn user_list(missing: &[MissingNamespace]) -> String {
    let noun = if missing.len() == 1 { "user" } else { "users" };
    let names: Vec<String> = missing.iter().map(|missing| format!("`{}`", missing.user)).collect();
    format!("{noun} {}", names.join(", "))
}

fn namespace_list(missing: &[MissingNamespace]) -> String {
    let names: Vec<String> =
        missing.iter().map(|missing| format!("`{}`", missing.namespace)).collect();
    names.join(", ")
}
