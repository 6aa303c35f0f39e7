//! Describes what `renumber` moves, and what the databases of the fleet recorded.

use semver::Version;

use crate::document::tag::{Scope, VersionPair, VersionPoint};

/// A migration or a version that a database's history records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordedMigration {
    /// The kind of the database.
    pub scope: Scope,
    /// The version before the migration; `None` if only a version is recorded.
    pub from: Option<String>,
    /// The version after the migration.
    pub to: String,
    /// The checksum of the SQL that ran; `None` if only a version is recorded.
    pub checksum: Option<String>,
    /// The name of the database, for messages.
    pub database: String,
}

impl RecordedMigration {
    pub(crate) fn is_for(&self, versions: &VersionPair) -> bool {
        let is_at = |text: &str, version| VersionPoint::parse(text).as_ref() == Some(version);
        is_at(&self.to, &versions.to)
            && self.from.as_deref().is_none_or(|from| is_at(from, &versions.from))
    }
}

/// What to renumber.
#[derive(Clone, Copy, Debug)]
pub struct RenumberRequest<'r> {
    /// The version that the migration leads to.
    pub version: &'r Version,
    /// The version behind which it moves; `None` for the last one that databases recorded, or the
    /// end of the migration that it conflicts with.
    pub after: Option<&'r Version>,
    /// What the databases of the fleet recorded.
    pub recorded: &'r [RecordedMigration],
}
