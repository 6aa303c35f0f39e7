//! Finds the position of a database on the chain of versions.

use crate::database::history_entry::HistoryState;
use crate::document::changelog::Changelog;
use crate::document::tag::VersionPoint;
use crate::plan::error::PlanError;

/// The position of a database on the chain of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChainPosition {
    /// The database has no history and no schema objects, ignored ones aside. An upgrade starts from the highest
    /// baseline that has a block for the database's scope.
    Empty,
    /// The database has objects and no history, and its schema is that of the version at this index
    /// of [`Changelog::versions`].
    Detected(usize),
    /// The last version in the history is `baseline`, the state before the first version: the
    /// database was adopted at `baseline`, or downgraded to it. It can have objects, so an upgrade
    /// runs the lowest baseline, whose `IF NOT EXISTS` clauses skip what exists.
    BelowBaseline,
    /// The last version in the history is the version at this index of [`Changelog::versions`].
    AtVersion(usize),
}

/// Finds the position of a database from its history. `detect` compares the schema with those of the
/// versions and returns the position of a database that has objects and no history; it is called for
/// no other.
///
/// # Errors
///
/// `AboveHead` if the last version in the history is only planned, `UnknownVersion` if it is not in
/// the document, and the error of `detect`.
pub(crate) fn locate(
    changelog: &Changelog<'_>,
    state: &HistoryState,
    detect: impl FnOnce() -> Result<ChainPosition, PlanError>,
) -> Result<ChainPosition, PlanError> {
    let last_entry = match state {
        HistoryState::Empty => return Ok(ChainPosition::Empty),
        HistoryState::Unversioned => return detect(),
        HistoryState::Versioned(last_entry) => last_entry,
    };
    let head = changelog.head().clone();
    let version = last_entry.to.clone();
    match VersionPoint::parse(&last_entry.to) {
        Some(VersionPoint::Baseline) => Ok(ChainPosition::BelowBaseline),
        Some(VersionPoint::Version(current_version)) => {
            match changelog.position(&current_version) {
                Some(position) if position <= changelog.head_position() => {
                    Ok(ChainPosition::AtVersion(position))
                }
                Some(_) => Err(PlanError::AboveHead { version, head }),
                None => Err(PlanError::UnknownVersion { version, head }),
            }
        }
        None => Err(PlanError::UnknownVersion { version, head }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::database::history_entry::{HistoryEntry, HistoryEvent};

    /// A document with two scopes, a second baseline, a pre-release and a planned version. Its
    /// versions are 1.0.0 (index 0), 1.1.0, 2.0.0-rc.1, 2.0.0 (head) and 2.1.0 (planned).
    pub(crate) fn document() -> String {
        let block =
            |tag: &str| format!("```sql\n-- [{tag}:start]\nSELECT 1;\n-- [{tag}:end]\n```\n\n");
        [
            block("system:baseline→1.0.0"),
            block("user:baseline→1.0.0"),
            block("user:1.0.0→1.1.0"),
            block("user:1.1.0→2.0.0-rc.1"),
            block("user:2.0.0-rc.1→2.0.0"),
            block("user:baseline→2.0.0"),
            "## 2.0.0 → 2.1.0 (Planned)\n".to_owned(),
            block("user:2.0.0→2.1.0"),
        ]
        .concat()
    }

    /// The state of a database whose last history entry ends at the version `to`.
    pub(crate) fn versioned_state(to: &str) -> HistoryState {
        HistoryState::Versioned(HistoryEntry {
            id: 1,
            event: HistoryEvent::Upgrade,
            from: "baseline".into(),
            to: to.into(),
            checksum: None,
            chain: None,
            applied_at: String::new(),
            duration_ms: 0,
            tool_version: String::new(),
            note: None,
        })
    }

    #[test]
    fn planned_and_unknown_versions_are_rejected() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let detect = || unreachable!("the database has a history");
        assert!(matches!(
            locate(&changelog, &versioned_state("2.1.0"), detect),
            Err(PlanError::AboveHead { .. })
        ));
        assert!(matches!(
            locate(&changelog, &versioned_state("9.0.0"), detect),
            Err(PlanError::UnknownVersion { .. })
        ));
        assert!(matches!(
            locate(&changelog, &versioned_state("junk"), detect),
            Err(PlanError::UnknownVersion { .. })
        ));
    }
}
