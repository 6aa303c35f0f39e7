//! What a tag says: the databases that a block is for, and the versions that it leads between.

use std::fmt;

use semver::Version;

/// Which databases a block runs on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The one system database.
    System,
    /// Every user database.
    User,
}

impl Scope {
    /// Both, in the order in which they are migrated.
    pub const BOTH: [Self; 2] = [Self::System, Self::User];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::User => "user",
        })
    }
}

/// An end of a migration: a version, or the nothing before the first one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionPoint {
    /// Before the lowest baseline.
    Baseline,
    /// A released or planned version.
    Version(Version),
}

impl VersionPoint {
    /// Reads `baseline` or a semantic version without build metadata.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "baseline" {
            return Some(Self::Baseline);
        }
        Version::parse(text).ok().filter(|version| version.build.is_empty()).map(Self::Version)
    }

    /// The version, if it is one.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Baseline => None,
            Self::Version(version) => Some(version),
        }
    }
}

impl fmt::Display for VersionPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.write_str("baseline"),
            Self::Version(version) => version.fmt(f),
        }
    }
}

impl serde::Serialize for VersionPoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a tag says, without its edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tag {
    Migration {
        scope: Scope,
        from: VersionPoint,
        to: VersionPoint,
    },
    /// A template for readers: neither version holds a digit.
    Placeholder {
        scope: Scope,
        from: String,
        to: String,
    },
    /// `[user:seed:NAME:…]`: run on demand, without a version.
    Seed {
        scope: Scope,
        name: String,
    },
}

impl Tag {
    /// Whether two tags differ in their scope at most.
    pub(crate) fn equals_ignoring_scope(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Migration { from, to, .. },
                Self::Migration { from: other, to: other_to, .. },
            ) => (from, to) == (other, other_to),
            (Self::Seed { name, .. }, Self::Seed { name: other, .. }) => name == other,
            _ => false,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Migration { scope, from, to } => write!(f, "{scope}:{from}→{to}"),
            Self::Placeholder { scope, from, to } => write!(f, "{scope}:{from}→{to}"),
            Self::Seed { scope, name } => write!(f, "{scope}:seed:{name}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockBoundary {
    Start,
    End,
}

impl fmt::Display for BlockBoundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::End => "end",
        })
    }
}
