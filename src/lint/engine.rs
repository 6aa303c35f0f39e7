//! What runs the document: SQLite on files or a libSQL server, and its SQLite version.

use std::fmt;
use std::str::FromStr;

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
    /// That of sqld 0.24.32.
    pub(crate) fn libsql_server() -> Self {
        Self(3, 45, 1)
    }
}

/// A text that is no version of SQLite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version of SQLite, such as 3.35.0")]
pub struct SqliteVersionError(String);

impl FromStr for SqliteVersion {
    type Err = SqliteVersionError;

    fn from_str(text: &str) -> Result<Self, SqliteVersionError> {
        let numbers: Option<Vec<u32>> = text
            .split('.')
            .map(|part| {
                let digits = part.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| part.parse().ok()).flatten()
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

/// What keeps the databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// SQLite, in files.
    #[default]
    SqliteFiles,
    /// A libSQL server, whose SQLite is older and whose parser refuses more.
    LibsqlServer,
}
