//! Represents a history: entries that were read, entries to write, and the state of a database
//! that follows from its last entry.

use crate::document::migration::Checksum;
use crate::document::tag::{Scope, VersionPair};

/// What happened to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HistoryEvent {
    /// A migration ran.
    Upgrade,
    /// A reverse block ran.
    Downgrade,
    /// A version was recorded without running anything.
    Stamp,
    /// A version was detected from the schema and recorded.
    Adopt,
}

impl HistoryEvent {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Stamp => "stamp",
            Self::Adopt => "adopt",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Upgrade, Self::Downgrade, Self::Stamp, Self::Adopt]
            .into_iter()
            .find(|event| event.name() == text)
    }
}

/// One entry of a database's history.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The id of the row, ascending.
    pub id: i64,
    /// What happened.
    pub event: HistoryEvent,
    /// The version before; `baseline` if nothing was applied.
    pub from: String,
    /// The version after.
    pub to: String,
    /// The checksum of the SQL that ran.
    pub checksum: Option<String>,
    /// The checksum of all migrations of the document up to this version.
    pub chain: Option<String>,
    /// When the entry was written, in UTC as RFC 3339. New databases of one run are copies of the
    /// first, and have its time.
    pub applied_at: String,
    /// How long the statements took, in milliseconds.
    pub duration_ms: i64,
    /// The version of tatmig that wrote the entry.
    pub tool_version: String,
    /// Remarks about the run, such as an already applied column or accepted drift.
    pub note: Option<String>,
}

/// The state of a database according to its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistoryState {
    /// The database has no schema objects.
    Empty,
    /// The database has schema objects, but no history entry.
    Unversioned,
    /// The last entry of the history.
    Versioned(HistoryEntry),
}

impl HistoryState {
    fn last_entry_id(&self) -> i64 {
        match self {
            Self::Versioned(entry) => entry.id,
            Self::Empty | Self::Unversioned => 0,
        }
    }

    /// Whether two reads found the same last entry.
    pub(crate) fn has_same_last_entry(&self, other: &Self) -> bool {
        self.last_entry_id() == other.last_entry_id()
            && matches!(self, Self::Unversioned) == matches!(other, Self::Unversioned)
    }
}

/// An entry to write.
#[derive(Clone, Debug)]
pub(crate) struct NewHistoryEntry {
    pub(crate) event: HistoryEvent,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) chain: Option<Checksum>,
    /// A remark that is known before the run. It takes precedence over remarks of the run.
    pub(crate) note: Option<String>,
}

/// The SQL of an applied block, or of the reverse block that undoes it, which the system database
/// stores.
#[derive(Clone, Debug)]
pub(crate) struct AppliedSource {
    pub(crate) scope: Scope,
    /// The checksum of an applied block, or a [`reverse_key`].
    pub(crate) key: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) sql: String,
}

/// The key of the stored reverse block of a migration whose block has a checksum. The versions are
/// part of the key, since two migrations with the same SQL may have different reverse blocks.
pub(crate) fn reverse_key(applied_checksum: &str, scope: Scope, reverse: &VersionPair) -> String {
    format!("{applied_checksum} {scope} {reverse}")
}
