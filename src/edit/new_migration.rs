//! Describes the migration that `append` adds to a document.

use semver::{Prerelease, Version};

use crate::document::tag::Scope;

/// A migration to add to a document.
#[derive(Clone, Debug)]
pub struct NewMigration<'n> {
    /// The version that it leads to.
    pub to: Version,
    /// The text of its `**Description**`.
    pub description: &'n str,
    /// The text of its `**Date**`, such as `2026-01-31`.
    pub date: &'n str,
    /// Its blocks, at most one for each scope.
    pub blocks: Vec<NewBlock>,
}

/// The block of a new migration for one scope.
#[derive(Clone, Debug)]
pub struct NewBlock {
    /// The kind of database that the block is for.
    pub scope: Scope,
    /// The statements; if empty, a `-- tatmig:todo` marks where to write them.
    pub sql: String,
    /// The statements of the reverse block; `None` for no reverse block.
    pub reverse: Option<String>,
}

/// How to treat planned migrations that are in the way of a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlannedPolicy {
    /// Refuse the edit.
    #[default]
    Refuse,
    /// Renumber them: the first one starts at the new version, and those that would not be above it
    /// get higher versions.
    Renumber,
}

/// The number of a version to increase.
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
    /// The next version of this kind. The next version of a pre-release is its release, if the
    /// lower numbers are zero.
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
