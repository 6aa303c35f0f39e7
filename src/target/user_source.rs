//! Parses where the names of a server's users come from, since a server cannot list its
//! namespaces.

use std::path::PathBuf;
use std::str::FromStr;

/// Where the names of users come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSource {
    /// A query on the system namespace that returns one name per row.
    Query(String),
    /// A file with one name per line.
    File(PathBuf),
}

/// The query that is used by default.
pub const DEFAULT_USERS_QUERY: &str = "SELECT username FROM users";

/// A text that is neither a query nor a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a source of user names; write `query:SELECT …` or `file:PATH`")]
pub struct UserSourceError(String);

impl FromStr for UserSource {
    type Err = UserSourceError;

    fn from_str(text: &str) -> Result<Self, UserSourceError> {
        let trimmed = text.trim();
        if let Some(path) = trimmed.strip_prefix("file:") {
            return Ok(Self::File(PathBuf::from(path)));
        }
        let query = trimmed.strip_prefix("query:").unwrap_or(trimmed).trim();
        let first_word = query.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if first_word == "SELECT" || first_word == "WITH" {
            return Ok(Self::Query(query.to_owned()));
        }
        Err(UserSourceError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_source_is_a_query_or_a_file() {
        let parse = |text: &str| text.parse::<UserSource>();
        assert_eq!(parse("file:a b.txt"), Ok(UserSource::File("a b.txt".into())));
        assert_eq!(parse("query: SELECT 1"), Ok(UserSource::Query("SELECT 1".into())));
        assert_eq!(parse("select name from u"), Ok(UserSource::Query("select name from u".into())));
        assert!(parse("users.txt").is_err());
        assert!(parse("DELETE FROM users").is_err());
    }
}
