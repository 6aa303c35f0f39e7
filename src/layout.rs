//! Where a fleet is kept and what its databases are called: patterns, paths, and names as they
//! may be shown.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
#[cfg(feature = "server")]
use std::sync::Arc;

use crate::document::tag::Scope;
use crate::member::{Home, Member};
#[cfg(feature = "server")]
use crate::server::names::NameError;
#[cfg(feature = "server")]
use crate::servers::Servers;
use crate::shard::Shard;

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

const PLACE: &str = "{username}";

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

#[cfg(unix)]
pub(crate) fn from_bytes(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes).to_owned()
}

#[cfg(not(unix))]
pub(crate) fn from_bytes(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// A file or user name as it is shown: control characters, those that turn the direction of
/// text, and bytes that are not UTF-8 are escaped.
#[must_use]
pub fn shown(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            if c.is_control() || turns {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Where a fleet is kept.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The system database.
    pub system_db: PathBuf,
    /// The directory of the user databases.
    pub users_dir: PathBuf,
    /// How their files are named.
    pub pattern: Pattern,
    /// What to do with symbolic links among them.
    pub links: Links,
    /// The part of the users that is meant, if not all.
    pub shard: Option<Shard>,
    /// Servers that keep the fleet in place of the files.
    #[cfg(feature = "server")]
    pub servers: Option<Arc<Servers>>,
}

/// What to do with a user database that is a symbolic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Refuse it by name.
    #[default]
    Refuse,
    /// Open what it points at.
    Follow,
}

impl Layout {
    /// A fleet of files, all of it, whose links are refused.
    #[must_use]
    pub fn of_files(system_db: PathBuf, users_dir: PathBuf, pattern: Pattern) -> Self {
        Self {
            system_db,
            users_dir,
            pattern,
            links: Links::Refuse,
            shard: None,
            #[cfg(feature = "server")]
            servers: None,
        }
    }

    /// Whether a user belongs to the part that is meant.
    pub(crate) fn holds(&self, user: &OsStr) -> bool {
        self.shard.is_none_or(|shard| shard.holds(user))
    }

    /// The system database, whether it is there or not.
    #[must_use]
    pub fn system(&self) -> Member {
        #[cfg(feature = "server")]
        if let Some(servers) = &self.servers {
            return servers.system();
        }
        Member {
            scope: Scope::System,
            name: "system".into(),
            home: Home::File(self.system_db.clone()),
            refused: None,
        }
    }

    /// The server at an address, if it is one of those named.
    #[cfg(feature = "server")]
    pub(crate) fn host(
        &self,
        url: &str,
    ) -> Option<&std::sync::Arc<crate::database::namespace::Host>> {
        self.servers.as_ref()?.host(url)
    }

    /// A file in the users directory, by the shortest path.
    pub(crate) fn beside_users(&self, file: &OsStr) -> PathBuf {
        if self.users_dir == Path::new(".") {
            PathBuf::from(file)
        } else {
            self.users_dir.join(file)
        }
    }

    /// A user's database, whether it is there or not.
    ///
    /// # Errors
    ///
    /// A name that cannot be a file's.
    pub fn user(&self, name: &OsStr) -> Result<Member, PatternError> {
        #[cfg(feature = "server")]
        if let Some(servers) = &self.servers {
            return Ok(servers.user(name)?);
        }
        let home = Home::File(self.beside_users(&self.pattern.file_name(name)?));
        Ok(Member { scope: Scope::User, name: name.to_owned(), home, refused: None })
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

    #[test]
    fn names_are_shown_without_control_characters() {
        assert_eq!(shown(OsStr::new("a\nb\u{1b}[31m\u{202e}é")), "a\\nb\\u{1b}[31m\\u{202e}é");
        #[cfg(unix)]
        assert_eq!(shown(&from_bytes(b"a\xffb")), "a\\xffb");
    }
}
