//! Names what lint checks a document for: the oldest SQLite version that reads the databases, and
//! the backend that stores them.

use std::fmt;
use std::str::FromStr;

use crate::migrate::error::{Error, ErrorKind};

/// A version of SQLite, such as 3.35.0.
///
/// ```
/// let version: tatmig::lint::SqliteVersion = "3.35".parse()?;
/// assert_eq!(version.to_string(), "3.35.0");
/// # Ok::<(), tatmig::lint::SqliteVersionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqliteVersion(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl SqliteVersion {
    /// The version in sqld 0.24.32.
    pub(crate) fn libsql_server() -> Self {
        Self(3, 45, 1)
    }
}

/// A text that is not a version of SQLite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an SQLite version; write it like 3.35.0")]
pub struct SqliteVersionError(String);

impl From<SqliteVersionError> for Error {
    fn from(error: SqliteVersionError) -> Self {
        Self::new(ErrorKind::Argument, error)
    }
}

impl FromStr for SqliteVersion {
    type Err = SqliteVersionError;

    fn from_str(text: &str) -> Result<Self, SqliteVersionError> {
        let numbers: Option<Vec<u32>> = text
            .split('.')
            .map(|part| {
                let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then(|| part.parse().ok()).flatten()
            })
            .collect();
        match numbers.as_deref() {
            Some([3, minor]) => Ok(Self(3, *minor, 0)),
            Some([3, minor, patch]) => Ok(Self(3, *minor, *patch)),
            _ => Err(SqliteVersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for SqliteVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The kind of storage that holds the databases of a fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// SQLite files.
    #[default]
    SqliteFiles,
    /// Namespaces of a libSQL server, whose SQLite is older and whose parser accepts less.
    LibsqlServer,
}

/// What [`lint_with`](crate::lint::lint_with) checks a document for. The default is SQLite files and no
/// oldest version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LintOptions {
    /// The oldest SQLite version with which an application opens the databases.
    pub min_sqlite: Option<SqliteVersion>,
    /// The kind of storage that holds the databases.
    pub backend: Backend,
}

impl LintOptions {
    /// The oldest SQLite version that reads the databases, that of the server included.
    pub(crate) fn oldest_sqlite(&self) -> Option<SqliteVersion> {
        match self.backend {
            Backend::SqliteFiles => self.min_sqlite,
            Backend::LibsqlServer => {
                let server_version = SqliteVersion::libsql_server();
                Some(self.min_sqlite.map_or(server_version, |version| version.min(server_version)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers() {
        assert!("3.9.2".parse::<SqliteVersion>().unwrap() < "3.35".parse().unwrap());
        for invalid in ["", "3", "4.0", "3.x", "3.35.0.1", "3.+5"] {
            assert!(invalid.parse::<SqliteVersion>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_server_is_never_newer_than_its_own_sqlite() {
        let oldest = |min_sqlite, backend| LintOptions { min_sqlite, backend }.oldest_sqlite();
        let (old, new) = (Some(SqliteVersion(3, 31, 0)), Some(SqliteVersion(3, 50, 0)));
        assert_eq!(oldest(None, Backend::SqliteFiles), None);
        assert_eq!(oldest(new, Backend::SqliteFiles), new);
        assert_eq!(oldest(old, Backend::LibsqlServer), old);
        assert_eq!(oldest(new, Backend::LibsqlServer), Some(SqliteVersion::libsql_server()));
    }
}
