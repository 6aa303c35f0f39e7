//! Reports an invalid path template, and names and paths that a template cannot have.

#[cfg(feature = "server")]
use crate::sqld::namespace_name::NamespaceNameError;

/// An invalid pattern, or a user's name that does not result in a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathTemplateError {
    /// The pattern cannot be read.
    #[error("the user pattern `{pattern}` cannot be used: {reason}")]
    InvalidPattern {
        /// The pattern, escaped for display.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of a user would not be in the users directory.
    #[error("`{0}` is not a valid user name: its path would be `{1}`")]
    InvalidUserName(String, String),
    /// A component of a user's path would be too long for a file system.
    #[error(
        "the user name `{user}` is too long: its path would have a component of {length} bytes, and a file name has at most {max}"
    )]
    NameTooLong {
        /// The user, escaped for display.
        user: String,
        /// The length of the component, in bytes.
        length: usize,
        /// The longest possible component, in bytes.
        max: usize,
    },
    /// The pattern contains `*`, so a name does not determine a path.
    #[error(
        "the user pattern `{pattern}` contains `*`, so it does not determine the path of user `{user}`; create the database with `tatmig init --user NAME --path PATH`"
    )]
    UndeterminedPath {
        /// The pattern, escaped for display.
        pattern: String,
        /// The user, escaped for display.
        user: String,
    },
    /// A path that is not that of a user's database.
    #[error(
        "`{path}` cannot be the database of user `{user}`: {reason}; the user pattern is `{pattern}`"
    )]
    WrongPath {
        /// The path, escaped for display.
        path: String,
        /// The user, escaped for display.
        user: String,
        /// Why the path is not possible.
        reason: String,
        /// The pattern, escaped for display.
        pattern: String,
    },
    /// A user's name that no namespace can have.
    #[cfg(feature = "server")]
    #[error(transparent)]
    InvalidNamespaceName(#[from] NamespaceNameError),
}
