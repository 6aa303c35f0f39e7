//! Edits of the document's text: a new section, a plan that becomes a release, a schema between two
//! markers. Pure: a text in, another text out, which has been read again and found to say what it
//! was to say, and of everything else what it said before.

mod append;
mod marker;
mod page;
mod promote;
mod relink;
mod style;
mod unchanged;

use std::ops::Range;

use semver::{Prerelease, Version};

use crate::document::problem::DocumentError;
use crate::document::tag::Scope;

pub use append::append;
pub use marker::{Marker, MarkerError, SchemaFormat, markers, written};
pub use promote::promote;

/// A migration to be put into a document.
#[derive(Clone, Debug)]
pub struct NewMigration<'n> {
    /// The version that it leads to.
    pub to: Version,
    /// What it is for.
    pub description: &'n str,
    /// The day of its release, as `2026-01-31`.
    pub date: &'n str,
    /// What it runs; a scope at most once.
    pub parts: Vec<NewPart>,
}

/// What a new migration runs on the databases of one scope.
#[derive(Clone, Debug)]
pub struct NewPart {
    /// The databases.
    pub scope: Scope,
    /// The statements; empty for a place to write them.
    pub sql: String,
    /// Those that lead back, if there is to be a reverse block.
    pub reverse: Option<String>,
}

/// What becomes of planned migrations that are in the way of a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planned {
    /// Nothing; the edit is refused.
    #[default]
    Keep,
    /// They are linked to the new one: its version is where the first of them starts, and those
    /// that would not be above it get higher versions.
    Relink,
}

/// Which number of a version goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bump {
    /// `1.2.3` to `1.2.4`.
    Patch,
    /// `1.2.3` to `1.3.0`.
    Minor,
    /// `1.2.3` to `2.0.0`.
    Major,
}

impl Bump {
    /// The next version of this kind. A pre-release goes to its release first.
    ///
    /// ```
    /// use tatmig::edit::Bump;
    ///
    /// let next = |version: &str, bump: Bump| bump.after(&version.parse().unwrap()).to_string();
    /// assert_eq!(next("1.2.3", Bump::Minor), "1.3.0");
    /// assert_eq!(next("2.0.0-rc.1", Bump::Major), "2.0.0");
    /// ```
    #[must_use]
    pub fn after(self, version: &Version) -> Version {
        let mut next = Version { pre: Prerelease::EMPTY, ..version.clone() };
        let is_pre = !version.pre.is_empty();
        match self {
            Self::Patch if is_pre => {}
            Self::Patch => next.patch += 1,
            Self::Minor if is_pre && version.patch == 0 => {}
            Self::Minor => (next.minor, next.patch) = (version.minor + 1, 0),
            Self::Major if is_pre && version.minor == 0 && version.patch == 0 => {}
            Self::Major => (next.major, next.minor, next.patch) = (version.major + 1, 0, 0),
        }
        next
    }
}

/// Why a document is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The description says nothing.
    #[error("a migration needs a description: `-m \"what it is for\"`")]
    NoDescription,
    /// A version that the chain cannot go to.
    #[error("`{to}` is not above head, which is {head}; the next versions are {next}")]
    NotAboveHead {
        /// The version.
        to: Version,
        /// The document's head.
        head: Version,
        /// What could be meant.
        next: String,
    },
    /// Build metadata has no order.
    #[error("`{0}` has build metadata, which has no order; leave out what stands behind `+`")]
    BuildMetadata(Version),
    /// A planned migration starts at head or has the version.
    #[error("{what}; {help}")]
    InTheWay {
        /// What is in the way, and where.
        what: String,
        /// What to do.
        help: String,
    },
    /// No planned migration leads to the version.
    #[error("{0}")]
    NotPlanned(String),
    /// The edited document could not be used.
    #[error("the document would be unusable with this, so it is left as it is:\n{0}")]
    Unusable(DocumentError),
    /// The edited document would say something else than it should.
    #[error("the document would not say what it should with this, so it is left as it is: {0}")]
    Differs(String),
    /// SQLite's, where statements are told from comments.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// A place in a text, and what is to stand there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    range: Range<usize>,
    text: String,
}

impl Change {
    fn new(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }
}

/// The text with changes, which do not overlap.
fn changed(text: &str, mut changes: Vec<Change>) -> String {
    changes.sort_by_key(|change| (change.range.start, change.range.end));
    let mut out = text.to_owned();
    for change in changes.into_iter().rev() {
        out.replace_range(change.range, &change.text);
    }
    out
}
