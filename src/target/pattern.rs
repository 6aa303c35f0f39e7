//! Maps users to the paths of their databases and back: a relative path template such as
//! `{sha256:2}/{username}/store.sqlite`. A path and a name are the inverse of each other: a path
//! belongs to a name only if formatting the name results in this path.

use std::ffi::{OsStr, OsString};
use std::iter::repeat;
use std::path::{Component, Path, PathBuf};

use crate::target::path_component::PathComponent;
use crate::target::pattern_error::PathTemplateError;
use crate::target::pattern_parser::parse_components;
use crate::text::{escape_for_display, os_string_from_bytes};

/// The longest name of a file or directory, in bytes, on the usual file systems.
pub(crate) const MAX_FILE_NAME: usize = 255;

/// Where the databases of users are: a path relative to the users directory, with placeholders.
///
/// | placeholder | what it is replaced by |
/// | --- | --- |
/// | `{username}` | the name; required, and may be repeated |
/// | `{username:N}` | the first N bytes of the name |
/// | `{sha256:N}`, `{sha1:N}`, `{md5:N}` | the first N hexadecimal digits of the hash of the name |
/// | `*` | any one component |
///
/// ```
/// use std::path::Path;
/// use tatmig::fleet::{PathMatch, PathTemplate};
///
/// let template: PathTemplate = "{sha256:2}/{username}/store.sqlite".parse()?;
/// let path = template.path("ann".as_ref())?;
/// assert_eq!(path, Path::new("49/ann/store.sqlite"));
/// assert_eq!(template.match_path(&path), PathMatch::User("ann".into()));
/// assert_eq!(template.match_path(Path::new("49/ann")), PathMatch::NoMatch);
/// # Ok::<(), tatmig::fleet::PathTemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    components: Vec<PathComponent>,
}

/// Whose database a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// The database of a user.
    User(OsString),
    /// The path contains a user's name, but another part of it, such as the directory of a hash,
    /// does not belong to this user.
    Misplaced {
        /// The user.
        user: OsString,
        /// The path of this user's database; `None` if the user can have none.
        expected: Option<PathBuf>,
    },
    /// The path has the form of the template, and the name is empty.
    EmptyName,
    /// The path does not have the form of the template.
    NoMatch,
}

impl std::str::FromStr for PathTemplate {
    type Err = PathTemplateError;

    fn from_str(text: &str) -> Result<Self, PathTemplateError> {
        let components = parse_components(text).map_err(|reason| {
            let escape = |text: &str| escape_for_display(OsStr::new(text));
            PathTemplateError::InvalidPattern { pattern: escape(text), reason: escape(&reason) }
        })?;
        Ok(Self { text: text.to_owned(), components })
    }
}

impl std::fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&escape_for_display(OsStr::new(&self.text)))
    }
}

impl PathTemplate {
    /// The path of a user's database, relative to the users directory.
    ///
    /// # Errors
    ///
    /// A name whose path would leave the users directory or have a component that is too long; a
    /// template with `*`, for which a name does not determine a path.
    pub fn path(&self, user: &OsStr) -> Result<PathBuf, PathTemplateError> {
        if self.has_wildcard() {
            return Err(PathTemplateError::UndeterminedPath {
                pattern: self.to_string(),
                user: escape_for_display(user),
            });
        }
        self.path_with(user, repeat(OsStr::new("")))
    }

    /// Whose database is at a path, which is relative to the users directory.
    #[must_use]
    pub fn match_path(&self, path: &Path) -> PathMatch {
        let names: Option<Vec<&OsStr>> = path
            .components()
            .map(|component| match component {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        names.map_or(PathMatch::NoMatch, |names| self.match_names(names.iter().copied()))
    }

    /// The path, if it is that of the database of a user.
    ///
    /// # Errors
    ///
    /// `WrongPath`.
    pub(crate) fn require_path(
        &self,
        user: &OsStr,
        path: &Path,
    ) -> Result<PathBuf, PathTemplateError> {
        let shown = |name: &OsStr| escape_for_display(name);
        let reason = match self.match_path(path) {
            PathMatch::User(found) if found == user => return Ok(path.components().collect()),
            PathMatch::User(found) => format!("it belongs to user `{}`", shown(&found)),
            PathMatch::Misplaced { user: found, expected: Some(expected) } => {
                format!("the path of user `{}` is `{}`", shown(&found), shown(expected.as_os_str()))
            }
            PathMatch::Misplaced { user: found, expected: None } => {
                format!("user `{}` can have no path", shown(&found))
            }
            PathMatch::EmptyName => "its user name is empty".to_owned(),
            PathMatch::NoMatch if path.is_absolute() => {
                "the path must be relative to the users directory".to_owned()
            }
            PathMatch::NoMatch => "it does not match the user pattern".to_owned(),
        };
        Err(PathTemplateError::WrongPath {
            path: shown(path.as_os_str()),
            user: shown(user),
            reason,
            pattern: self.to_string(),
        })
    }

    /// Whether the last components of a path are the path of some user's database.
    #[must_use]
    pub fn matches_end_of(&self, path: &Path) -> bool {
        let count = path.components().count();
        let end: PathBuf =
            path.components().skip(count.saturating_sub(self.components.len())).collect();
        matches!(self.match_path(&end), PathMatch::User(_))
    }

    /// Whether the template contains `*`.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.components.contains(&PathComponent::Any)
    }

    /// Whether the template has one component, with `{username}` once and no other placeholder.
    #[must_use]
    pub fn is_plain_name(&self) -> bool {
        match self.components.as_slice() {
            [component] => component.is_plain_name(),
            _ => false,
        }
    }

    /// The components, at least one.
    pub(crate) fn components(&self) -> &[PathComponent] {
        &self.components
    }

    /// Whose database is at the path with these components.
    pub(crate) fn match_names<'n>(
        &self,
        names: impl Iterator<Item = &'n OsStr> + Clone,
    ) -> PathMatch {
        let found = || names.clone().map(OsStr::as_encoded_bytes);
        let mut pairs = self.components.iter().zip(found());
        if found().count() != self.components.len()
            || !pairs.all(|(component, bytes)| component.has_shape(bytes))
        {
            return PathMatch::NoMatch;
        }
        let mut pairs = self.components.iter().zip(found());
        let Some(name) = pairs.find_map(|(component, bytes)| component.name_in(bytes)) else {
            return PathMatch::NoMatch;
        };
        if name.is_empty() {
            return PathMatch::EmptyName;
        }
        let user = os_string_from_bytes(name);
        let mut pairs = self.components.iter().zip(found());
        if pairs.all(|(component, bytes)| component.is_of(bytes, name)) {
            return PathMatch::User(user);
        }
        let expected = self.path_with(&user, names).ok();
        PathMatch::Misplaced { user, expected }
    }

    /// Whose database the path with these components was meant to be, if only some of them have the
    /// form of the template: those with the whole name decide.
    pub(crate) fn match_loosely<'n>(
        &self,
        names: impl Iterator<Item = &'n OsStr> + Clone,
    ) -> PathMatch {
        let mut pairs = self.components.iter().zip(names.clone().map(OsStr::as_encoded_bytes));
        let name = pairs.find_map(|(component, bytes)| {
            let name = component.has_shape(bytes).then(|| component.name_in(bytes)).flatten();
            name.filter(|name| !name.is_empty())
        });
        let Some(name) = name else { return PathMatch::NoMatch };
        let user = os_string_from_bytes(name);
        let expected = self.path_with(&user, names).ok();
        PathMatch::Misplaced { user, expected }
    }

    /// The path of a user; the components of `*` are those of `found`.
    fn path_with<'n>(
        &self,
        user: &OsStr,
        found: impl Iterator<Item = &'n OsStr>,
    ) -> Result<PathBuf, PathTemplateError> {
        let mut path = Vec::new();
        let mut is_valid = !user.is_empty();
        let mut longest = 0;
        for (component, found) in self.components.iter().zip(found) {
            if !path.is_empty() {
                path.push(b'/');
            }
            let start = path.len();
            match component {
                PathComponent::Any => path.extend_from_slice(found.as_encoded_bytes()),
                PathComponent::Pieces(_) => {
                    component.append(user.as_encoded_bytes(), &mut path);
                }
            }
            is_valid &= is_file_name(&path[start..]);
            longest = longest.max(path.len() - start);
        }
        let path = os_string_from_bytes(&path);
        if !is_valid {
            let (user, path) = (escape_for_display(user), escape_for_display(&path));
            return Err(PathTemplateError::InvalidUserName(user, path));
        }
        if longest > MAX_FILE_NAME {
            let (user, max) = (escape_for_display(user), MAX_FILE_NAME);
            return Err(PathTemplateError::NameTooLong { user, length: longest, max });
        }
        Ok(path.into())
    }
}

/// Whether bytes can be one component of a path.
pub(crate) fn is_file_name(bytes: &[u8]) -> bool {
    let is_invalid =
        |byte: &u8| matches!(byte, 0 | b'/') || char::from(*byte) == std::path::MAIN_SEPARATOR;
    !matches!(bytes, b"" | b"." | b"..") && !bytes.iter().any(is_invalid)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[track_caller]
    fn template(text: &str) -> PathTemplate {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn assert_path(text: &str, user: &str, path: &str) {
        let template = template(text);
        assert_eq!(template.path(user.as_ref()).unwrap(), Path::new(path));
        assert_eq!(template.match_path(Path::new(path)), PathMatch::User(user.into()));
        assert_eq!(template.to_string(), text);
    }

    #[track_caller]
    fn assert_match(text: &str, path: &str, expected: &PathMatch) {
        assert_eq!(template(text).match_path(Path::new(path)), *expected, "{text} {path}");
    }

    #[test]
    fn a_template_formats_and_parses_paths() {
        assert_path("{username}_longterm.db", "ann", "ann_longterm.db");
        assert_path("{username}_longterm.db", "..", ".._longterm.db");
        assert_path("{username}/store.sqlite", "ann", "ann/store.sqlite");
        assert_path("{sha256:2}/{username}/store.sqlite", "did:plc:x", "38/did:plc:x/store.sqlite");
        assert_path("{sha256:2}/{md5:2}/{username}.db", "ann", "49/7e/ann.db");
        assert_path("data/{sha1:4}-{username}.db", "ann", "data/744c-ann.db");
        assert_path("{username}/{username}.db", "ann", "ann/ann.db");
        assert_path("{username:2}/{username}", "a", "a/a");
        assert_path("{username:2}/{username}", "ann", "an/ann");
        assert_path("{username}{username}", "aa", "aaaa");
        assert_path("{username}{username:2}.{username}", "aba", "abaab.aba");
        assert_path("}{username}", "ann", "}ann");
    }

    #[test]
    fn a_wildcard_is_any_one_component() {
        let user = |name: &str| PathMatch::User(name.into());
        assert_match("*/{username}.db", "x/ann.db", &user("ann"));
        assert_match("*/{username}.db", "ann.db", &PathMatch::NoMatch);
        assert_match("{username}/*", "ann/some file", &user("ann"));
        let error = template("*/{username}.db").path("ann".as_ref()).unwrap_err();
        assert!(error.to_string().contains("--path PATH"), "{error}");
    }

    #[test]
    fn a_path_with_a_wrong_placeholder_is_misplaced() {
        let misplaced = |user: &str, expected: &str| PathMatch::Misplaced {
            user: user.into(),
            expected: Some(expected.into()),
        };
        let pds = "{sha256:2}/{username}/store.sqlite";
        assert_match(pds, "aa/ann/store.sqlite", &misplaced("ann", "49/ann/store.sqlite"));
        assert_match("{md5:2}/{username}", "7E/ann", &misplaced("ann", "7e/ann"));
        assert_match("{username}/{username}.db", "ann/bob.db", &misplaced("ann", "ann/ann.db"));
        assert_match("*/{username:1}/{username}", "x/b/ann", &misplaced("ann", "x/a/ann"));
        let no_path = PathMatch::Misplaced { user: "..a".into(), expected: None };
        assert_match("{username:2}/{username}", "xx/..a", &no_path);
        assert_match(pds, "zz/ann/store.sqlite", &PathMatch::NoMatch);
        assert_match(pds, "49/ann/other.sqlite", &PathMatch::NoMatch);
        assert_match(pds, "49/ann", &PathMatch::NoMatch);
    }

    #[test]
    fn an_empty_name_belongs_to_no_user() {
        assert_match("{username}_longterm.db", "_longterm.db", &PathMatch::EmptyName);
        assert_match("x{username}/a.db", "x/a.db", &PathMatch::EmptyName);
        assert!(template("{username}.db").path(OsStr::new("")).is_err());
    }

    #[test]
    fn a_name_that_leaves_the_directory_has_no_path() {
        for (text, user) in [
            ("{username}.db", "a/b"),
            ("{username}.db", "a\0b"),
            ("{username}", "."),
            ("{username}", ".."),
            ("{username}/a.db", ".."),
            ("{username:2}/{username}.db", "..a"),
            ("{username:1}/{username}.db", ".a"),
        ] {
            let error = template(text).path(user.as_ref()).unwrap_err();
            assert!(matches!(error, PathTemplateError::InvalidUserName(..)), "{text} {error}");
        }
        let error = template("{username}.db").path("x".repeat(253).as_ref()).unwrap_err();
        assert!(error.to_string().contains("256 bytes"), "{error}");
    }

    #[test]
    fn invalid_templates_are_refused() {
        for (text, reason) in [
            ("", "empty component"),
            ("users.db", "must contain `{username}`"),
            ("{username:2}.db", "must contain `{username}`"),
            ("*", "must contain `{username}`"),
            ("/srv/{username}.db", "absolute path"),
            ("../{username}.db", "component `..`"),
            ("a/./{username}.db", "component `.`"),
            ("a//{username}.db", "empty component"),
            ("{username}/", "empty component"),
            ("{username", "`{username` has no closing brace"),
            ("a{/{username}", "`{` has no closing brace"),
            ("{user}.db", "unknown placeholder `{user}`; did you mean `{username}`?"),
            ("{Username}.db", "did you mean `{username}`?"),
            ("{usernmae}.db", "did you mean `{username}`?"),
            ("{sha265:2}/{username}", "did you mean `{sha256:2}`?"),
            ("{SHA-1:2}/{username}", "did you mean `{sha1:2}`?"),
            ("{}/{username}", "unknown placeholder `{}`; the placeholders are"),
            ("{blake3:2}/{username}", "unknown placeholder `{blake3:2}`; the placeholders are"),
            ("{sha256}/{username}", "from 1 to 64, as in `{sha256:2}`"),
            ("{sha256:0}/{username}", "`{sha256:0}` must be from 1 to 64"),
            ("{sha256:65}/{username}", "must be from 1 to 64"),
            ("{sha1:41}/{username}", "must be from 1 to 40"),
            ("{md5:33}/{username}", "must be from 1 to 32"),
            ("{md5:-1}/{username}", "must be from 1 to 32"),
            ("{md5:}/{username}", "must be from 1 to 32"),
            ("{username:+1}/{username}", "must be from 1 to 255"),
            ("{username:256}/{username}", "must be from 1 to 255"),
            ("a*/{username}", "whole component"),
            ("**/{username}", "whole component"),
            ("{username}*", "whole component"),
            ("{username}\0", "NUL"),
        ] {
            let error = text.parse::<PathTemplate>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
