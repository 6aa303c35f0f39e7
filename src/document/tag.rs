//! Represents the parts of a tag: the scope of a block, the two versions that it migrates between, and whether
//! the tag starts or ends the block.

use std::fmt;

use semver::Version;

/// The kind of database that a block runs on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The system database.
    System,
    /// Every user database.
    User,
}

impl Scope {
    /// Both scopes, in the order in which their databases are migrated.
    pub const BOTH: [Self; 2] = [Self::System, Self::User];

    /// The name in tags and in JSON: `system` or `user`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One end of a migration: a version, or `baseline` for the empty database before the first one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionPoint {
    /// The state before any baseline: nothing is applied.
    Baseline,
    /// A released or planned version.
    Version(Version),
}

impl VersionPoint {
    /// Parses `baseline` or a semantic version without build metadata; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "baseline" {
            return Some(Self::Baseline);
        }
        Version::parse(text).ok().filter(|version| version.build.is_empty()).map(Self::Version)
    }

    /// The version; `None` for [`Baseline`](Self::Baseline).
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

/// The two versions of a migration, as a tag or a version heading names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VersionPair {
    pub(crate) from: VersionPoint,
    pub(crate) to: VersionPoint,
}

impl VersionPair {
    pub(crate) fn new(from: VersionPoint, to: VersionPoint) -> Self {
        Self { from, to }
    }

    /// The pair of the reverse migration.
    pub(crate) fn reversed(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone() }
    }

    /// Whether a tag from `from` to `to` belongs to this migration or to its reverse.
    pub(crate) fn matches_either_way(&self, from: &VersionPoint, to: &VersionPoint) -> bool {
        (&self.from, &self.to) == (from, to) || (&self.from, &self.to) == (to, from)
    }
}

impl fmt::Display for VersionPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.from, self.to)
    }
}

/// The content of a tag, apart from `start` or `end`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tag {
    Migration {
        scope: Scope,
        from: VersionPoint,
        to: VersionPoint,
    },
    /// A tag of a template for readers, which is ignored: neither version holds a digit.
    Placeholder {
        scope: Scope,
        from: String,
        to: String,
    },
    /// `[user:seed:NAME:…]`, which only `tatmig seed NAME` runs and which has no version.
    Seed {
        scope: Scope,
        name: String,
    },
}

impl Tag {
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Migration { scope, .. }
            | Self::Placeholder { scope, .. }
            | Self::Seed { scope, .. } => *scope,
        }
    }

    /// Whether two tags have the same versions or the same seed name; their scopes may differ.
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

/// Whether a tag starts a block or ends one.
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
