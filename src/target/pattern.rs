//! The pattern of user database files: a file name with `{username}` in it.

use std::ffi::{OsStr, OsString};

#[cfg(feature = "server")]
use crate::sqld::namespace_name::NameError;
use crate::text::{from_bytes, shown};

const PLACE: &str = "{username}";

/// How the files of user databases are named: a text around `{username}`.
///
/// ```
/// use tatmig::Pattern;
///
/// let pattern: Pattern = "{username}_longterm.db".parse()?;
/// assert_eq!(pattern.user("ann_longterm.db".as_ref()).unwrap(), "ann");
/// assert_eq!(pattern.file_name("ann".as_ref())?, "ann_longterm.db");
/// # Ok::<(), tatmig::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    prefix: String,
    suffix: String,
}

/// A pattern, or a name in one, that no file can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Not exactly one `{username}`.
    #[error(
        "the user pattern `{0}` must hold `{{username}}` exactly once, as in `{{username}}_longterm.db`"
    )]
    NoPlace(String),
    /// More than a file name.
    #[error(
        "the user pattern `{0}` must be a file name, without `/`; name the directory with `--users-dir`"
    )]
    NotAFileName(String),
    /// A user whose file would stand elsewhere.
    #[error("`{0}` cannot be a user's name: its file name would be `{1}`")]
    Name(String, String),
    /// A user whose namespace may not be.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Namespace(#[from] NameError),
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (prefix, suffix) =
            text.split_once(PLACE).ok_or_else(|| PatternError::NoPlace(text.to_owned()))?;
        if suffix.contains(PLACE) {
            return Err(PatternError::NoPlace(text.to_owned()));
        }
        if text.contains(['/', '\0']) || text.contains(std::path::MAIN_SEPARATOR) {
            return Err(PatternError::NotAFileName(text.to_owned()));
        }
        Ok(Self { prefix: prefix.to_owned(), suffix: suffix.to_owned() })
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{PLACE}{}", self.prefix, self.suffix)
    }
}

impl Pattern {
    /// The user whose database a file is; an empty name where nothing is left for it.
    #[must_use]
    pub fn user(&self, file_name: &OsStr) -> Option<OsString> {
        let bytes = file_name.as_encoded_bytes();
        let rest = bytes.strip_prefix(self.prefix.as_bytes())?;
        let name = rest.strip_suffix(self.suffix.as_bytes())?;
        Some(from_bytes(name))
    }

    /// The file of a user.
    ///
    /// # Errors
    ///
    /// A name whose file would not be one file in the users directory.
    pub fn file_name(&self, user: &OsStr) -> Result<OsString, PatternError> {
        let mut name = OsString::from(&self.prefix);
        name.push(user);
        name.push(&self.suffix);
        let bytes = name.as_encoded_bytes();
        let separator = |byte: &u8| *byte == b'/' || char::from(*byte) == std::path::MAIN_SEPARATOR;
        if user.is_empty()
            || bytes == b"."
            || bytes == b".."
            || bytes.contains(&0)
            || bytes.iter().any(separator)
        {
            return Err(PatternError::Name(shown(user), shown(&name)));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_gives_and_takes_names() {
        let pattern: Pattern = "{username}_longterm.db".parse().unwrap();
        assert_eq!(pattern.user(OsStr::new(".._longterm.db")).unwrap(), "..");
        assert_eq!(pattern.user(OsStr::new("_longterm.db")).unwrap(), "");
        assert_eq!(pattern.user(OsStr::new("ann.db")), None);
        assert!(pattern.file_name(OsStr::new("a/b")).is_err());
        assert!(pattern.file_name(OsStr::new("")).is_err());
        let bare: Pattern = "{username}".parse().unwrap();
        assert!(bare.file_name(OsStr::new("..")).is_err());
        for wrong in ["user.db", "{username}{username}", "a/{username}"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
