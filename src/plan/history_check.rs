//! Compares the checksums in a database's history with the migrations of the document.

use std::collections::BTreeMap;

use crate::database::history_entry::{HistoryEntry, HistoryEvent};
use crate::document::changelog::Changelog;
use crate::document::migration::ScopedSql;
use crate::document::tag::{Scope, VersionPoint};
use crate::plan::error::ChangedMigration;

/// Whether the last history entry alone proves that no migration of a database was edited: its
/// running checksum is that of the document at the same position.
pub(crate) fn chain_matches(
    changelog: &Changelog<'_>,
    scope: Scope,
    last_entry: &HistoryEntry,
    position: usize,
) -> bool {
    last_entry.chain.as_deref() == Some(&changelog.chain_checksum(scope, position).to_string())
}

/// The migrations that ran with other statements than the document has now. Migrations that a
/// later baseline replaced in the document are not compared.
pub(crate) fn changed_migrations(
    changelog: &Changelog<'_>,
    scope: Scope,
    entries: &[HistoryEntry],
    position: usize,
) -> Vec<ChangedMigration> {
    let current_version = &changelog.versions()[position];
    latest_entries(entries)
        .into_iter()
        .filter(|((_, to), _)| to.version().is_some_and(|to| to <= current_version))
        .filter_map(|((from, to), entry)| {
            let migration = changelog.find(&from, &to)?;
            let applied_checksum = entry.checksum.clone()?;
            let span =
                migration.block(scope).map_or(migration.tag_span.clone(), ScopedSql::tag_span);
            (applied_checksum != migration.checksum(scope).to_string())
                .then_some(ChangedMigration { from, to, applied_checksum, span })
        })
        .collect()
}

/// The entries of the migrations that are in effect: applied, and neither undone nor replaced by a
/// version that a person recorded.
#[must_use]
pub fn applied_entries(entries: &[HistoryEntry]) -> Vec<&HistoryEntry> {
    latest_entries(entries).into_values().collect()
}

/// For each migration that is in effect, the entry of its last run.
fn latest_entries(
    entries: &[HistoryEntry],
) -> BTreeMap<(VersionPoint, VersionPoint), &HistoryEntry> {
    let mut latest_entries = BTreeMap::new();
    for entry in entries {
        let (Some(from), Some(to)) =
            (VersionPoint::parse(&entry.from), VersionPoint::parse(&entry.to))
        else {
            continue;
        };
        match entry.event {
            HistoryEvent::Upgrade => {
                latest_entries.insert((from, to), entry);
            }
            HistoryEvent::Downgrade if to == VersionPoint::Baseline => latest_entries.clear(),
            // A migration that was undone is no longer in effect.
            HistoryEvent::Downgrade => {
                latest_entries.remove(&(to, from));
            }
            // A person accepted the schema as it is, so what ran before no longer matters.
            HistoryEvent::Stamp | HistoryEvent::Adopt => latest_entries.clear(),
        }
    }
    latest_entries
}
