//! The migration that `append` adds to a document.

use semver::{Prerelease, Version};

use crate::document::tag::Scope;

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
    pub blocks: Vec<NewBlock>,
}

/// What a new migration runs on the databases of one scope.
#[derive(Clone, Debug)]
pub struct NewBlock {
    /// The databases.
    pub scope: Scope,
    /// The statements; empty for a place to write them.
    pub sql: String,
    /// Those that lead back, if there is to be a reverse block.
    pub reverse: Option<String>,
}

/// What becomes of planned migrations that are in the way of a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlannedPolicy {
    /// Nothing; the edit is refused.
    #[default]
    Refuse,
    /// They are linked to the new one: its version is where the first of them starts, and those
    /// that would not be above it get higher versions.
    Renumber,
}

/// Which number of a version goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// let next = |version: &str, bump: Bump| bump.apply(&version.parse().unwrap()).to_string();
    /// assert_eq!(next("1.2.3", Bump::Minor), "1.3.0");
    /// assert_eq!(next("2.0.0-rc.1", Bump::Major), "2.0.0");
    /// ```
    #[must_use]
    pub fn apply(self, version: &Version) -> Version {
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
