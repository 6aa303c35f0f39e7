//! The pattern of user database files: a file name with `{username}` in it.

use std::ffi::{OsStr, OsString};

#[cfg(feature = "server")]
use crate::sqld::namespace_name::NamespaceNameError;
use crate::text::{escape_for_display, os_string_from_bytes};

const PLACEHOLDER: &str = "{username}";

/// How the files of user databases are named: a text around `{username}`.
///
/// ```
/// use tatmig::fleet::PathTemplate;
///
/// let template: PathTemplate = "{username}_longterm.db".parse()?;
/// assert_eq!(template.user_name("ann_longterm.db".as_ref()).unwrap(), "ann");
/// assert_eq!(template.file_name("ann".as_ref())?, "ann_longterm.db");
/// # Ok::<(), tatmig::fleet::PathTemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    prefix: String,
    suffix: String,
}

/// A pattern, or a name in one, that no file can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathTemplateError {
    /// Not exactly one `{username}`.
    #[error(
        "the user pattern `{0}` must hold `{{username}}` exactly once, as in `{{username}}_longterm.db`"
    )]
    InvalidPlaceholder(String),
    /// More than a file name.
    #[error(
        "the user pattern `{0}` must be a file name, without `/`; name the directory with `--users-dir`"
    )]
    NotAFileName(String),
    /// A user whose file would stand elsewhere.
    #[error("`{0}` cannot be a user's name: its file name would be `{1}`")]
    InvalidUserName(String, String),
    /// A user whose namespace may not be.
    #[cfg(feature = "server")]
    #[error(transparent)]
    InvalidNamespaceName(#[from] NamespaceNameError),
}

impl std::str::FromStr for PathTemplate {
    type Err = PathTemplateError;

    fn from_str(text: &str) -> Result<Self, PathTemplateError> {
        let (prefix, suffix) = text
            .split_once(PLACEHOLDER)
            .ok_or_else(|| PathTemplateError::InvalidPlaceholder(text.to_owned()))?;
        if suffix.contains(PLACEHOLDER) {
            return Err(PathTemplateError::InvalidPlaceholder(text.to_owned()));
        }
        if text.contains(['/', '\0']) || text.contains(std::path::MAIN_SEPARATOR) {
            return Err(PathTemplateError::NotAFileName(text.to_owned()));
        }
        Ok(Self { prefix: prefix.to_owned(), suffix: suffix.to_owned() })
    }
}

impl std::fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{PLACEHOLDER}{}", self.prefix, self.suffix)
    }
}

impl PathTemplate {
    /// The user whose database a file is; an empty name where nothing is left for it.
    #[must_use]
    pub fn user_name(&self, file_name: &OsStr) -> Option<OsString> {
        let bytes = file_name.as_encoded_bytes();
        let without_prefix = bytes.strip_prefix(self.prefix.as_bytes())?;
        let name = without_prefix.strip_suffix(self.suffix.as_bytes())?;
        Some(os_string_from_bytes(name))
    }

    /// The file of a user.
    ///
    /// # Errors
    ///
    /// A name whose file would not be one file in the users directory.
    pub fn file_name(&self, user: &OsStr) -> Result<OsString, PathTemplateError> {
        let mut name = OsString::from(&self.prefix);
        name.push(user);
        name.push(&self.suffix);
        let bytes = name.as_encoded_bytes();
        let is_separator =
            |byte: &u8| *byte == b'/' || char::from(*byte) == std::path::MAIN_SEPARATOR;
        if user.is_empty()
            || bytes == b"."
            || bytes == b".."
            || bytes.contains(&0)
            || bytes.iter().any(is_separator)
        {
            return Err(PathTemplateError::InvalidUserName(
                escape_for_display(user),
                escape_for_display(&name),
            ));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_formats_and_parses_file_names() {
        let template: PathTemplate = "{username}_longterm.db".parse().unwrap();
        assert_eq!(template.user_name(OsStr::new(".._longterm.db")).unwrap(), "..");
        assert_eq!(template.user_name(OsStr::new("_longterm.db")).unwrap(), "");
        assert_eq!(template.user_name(OsStr::new("ann.db")), None);
        assert!(template.file_name(OsStr::new("a/b")).is_err());
        assert!(template.file_name(OsStr::new("")).is_err());
        let placeholder_only: PathTemplate = "{username}".parse().unwrap();
        assert!(placeholder_only.file_name(OsStr::new("..")).is_err());
        for invalid in ["user.db", "{username}{username}", "a/{username}"] {
            assert!(invalid.parse::<PathTemplate>().is_err(), "{invalid}");
        }
    }
}
