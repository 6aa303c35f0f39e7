//! Entries of a history: the rows that were read, the rows to be written, and what the last row
//! says about a database.

use crate::document::migration::Checksum;
use crate::document::tag::Scope;

/// What happened to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HistoryEvent {
    /// A migration ran.
    Upgrade,
    /// A reverse block ran.
    Downgrade,
    /// A version was written down without running anything.
    Stamp,
    /// A version was found from the schema and accepted.
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

/// One row of a database's history, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The row's number, ascending.
    pub id: i64,
    /// What happened.
    pub event: HistoryEvent,
    /// The version before; `baseline` for none.
    pub from: String,
    /// The version after.
    pub to: String,
    /// The checksum of what ran.
    pub checksum: Option<String>,
    /// The running checksum of the document at that version.
    pub chain: Option<String>,
    /// When its transaction wrote it, UTC, RFC 3339; in new databases, when the first of the run
    /// was made, of which the others are copies.
    pub applied_at: String,
    /// How long its statements took, in milliseconds.
    pub duration_ms: i64,
    /// The tatmig that did it.
    pub tool_version: String,
    /// Anything worth knowing.
    pub note: Option<String>,
}

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistoryState {
    /// No schema objects: nothing was ever done to it.
    Empty,
    /// Tables, but no record of tatmig's.
    Unversioned,
    /// The last row of its record.
    Versioned(HistoryEntry),
}

impl HistoryState {
    fn last_entry_id(&self) -> i64 {
        match self {
            Self::Versioned(entry) => entry.id,
            Self::Empty | Self::Unversioned => 0,
        }
    }

    /// Whether two looks saw the same last row.
    pub(crate) fn has_same_last_entry(&self, other: &Self) -> bool {
        self.last_entry_id() == other.last_entry_id()
            && matches!(self, Self::Unversioned) == matches!(other, Self::Unversioned)
    }
}

/// An event to be written down.
#[derive(Clone, Debug)]
pub(crate) struct NewHistoryEntry {
    pub(crate) event: HistoryEvent,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) chain: Option<Checksum>,
    /// Known before the event; what is noticed on the way comes behind it.
    pub(crate) note: Option<String>,
}

/// The SQL of a part, for the system database.
#[derive(Clone, Debug)]
pub(crate) struct AppliedSource {
    pub(crate) scope: Scope,
    pub(crate) checksum: Checksum,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) sql: String,
}
