//! Which steps a database needs, decided from the changelog and from what the database says of
//! itself; or why it is left alone, with the reason's name. Pure: no disk, no connection.

pub(crate) mod outcome;

use std::collections::BTreeMap;

use semver::Version;

use crate::database::history_entry::{HistoryEntry, HistoryEvent, HistoryState};
use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::ScopedSql;
use crate::document::tag::{Scope, VersionPoint};

/// Where a database stands on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChainPosition {
    /// It holds nothing: it takes the highest baseline that serves.
    Empty,
    /// It holds tables and no record, and its schema is that of the n-th version.
    Detected(usize),
    /// Its record says `baseline`: the lowest baseline runs, its guards in place.
    BelowBaseline,
    /// At the n-th version of the chain.
    AtVersion(usize),
}

/// Where a run is to bring databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Up to the n-th version of the chain.
    Up(usize),
    /// Down to the n-th version by reverse blocks; without one, to nothing.
    Down(Option<usize>),
}

/// Why a database is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Its version is none of the document's.
    #[error(
        "its version is `{version}`, which the document does not know (head is `{head}`); use the document that brought it there"
    )]
    UnknownVersion {
        /// The version in its record.
        version: String,
        /// The document's head.
        head: Version,
    },
    /// Its version is one that the document plans and has not released.
    #[error("its version is `{version}`, which is only planned in the document (head is `{head}`)")]
    AboveHead {
        /// The version in its record.
        version: String,
        /// The document's head.
        head: Version,
    },
    /// It has no record, and its schema fits no version of the document.
    #[error("it has tables and no record, and its schema fits no version: there is {}; but {}. `tatmig adopt` accepts it as it is", .found.join(", "), missing_or_out_of_order(.missing))]
    PartialMatch {
        /// What of the document's is there.
        found: Vec<String>,
        /// What is missing.
        missing: Vec<String>,
    },
    /// It has no record, and nothing of the document's.
    #[error(
        "it has tables and no record, and none of the tables are the document's; if it is this fleet's all the same, `tatmig adopt --at baseline` says so"
    )]
    UnrelatedSchema,
    /// An edited migration cannot be accepted: the schema does not have what it makes.
    #[error("it does not have what the edited migration makes: {}", .unmet.join("; "))]
    SchemaMismatch {
        /// What is missing.
        unmet: Vec<String>,
    },
    /// No reverse block leads down from where it stands.
    #[error("no reverse block leads down from where it stands: the document has no {}", quote_tags(.missing_tags))]
    NoReverse {
        /// The tags of the blocks that are missing, the first to be run first.
        missing_tags: Vec<String>,
    },
    /// It holds nothing yet.
    #[error("it holds nothing yet; `tatmig upgrade` makes its tables")]
    EmptyDatabase,
    /// A migration that it went through was changed in the document since.
    #[error("{} changed in the document after this database went through {}: {}", if .changed_migrations.len() == 1 { "a migration was" } else { "migrations were" }, if .changed_migrations.len() == 1 { "it" } else { "them" }, .changed_migrations.iter().map(|edit| format!("`{} → {}`", edit.from, edit.to)).collect::<Vec<_>>().join(", "))]
    ChecksumMismatch {
        /// Each of them.
        changed_migrations: Vec<ChangedMigration>,
    },
}

/// Tags as they stand in the document.
fn quote_tags(missing_tags: &[String]) -> String {
    let quoted_tags: Vec<String> = missing_tags.iter().map(|tag| format!("`-- {tag}`")).collect();
    quoted_tags.join(", ")
}

/// What is missing; where nothing is, too much is there.
fn missing_or_out_of_order(missing: &[String]) -> String {
    if missing.is_empty() { "in no order of the document's".to_owned() } else { missing.join(", ") }
}

/// A migration whose statements are not those that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedMigration {
    /// Where the migration starts.
    pub from: VersionPoint,
    /// Where it ends.
    pub to: VersionPoint,
    /// The checksum of what ran.
    pub applied_checksum: String,
    /// The bytes of the part's start tag in the document.
    pub span: std::ops::Range<usize>,
}

/// A `--to` that no run can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not a semantic version.
    #[error("`{text}` is not a version; versions read like `{head}`")]
    NotAVersion {
        /// What was given.
        text: String,
        /// The document's head.
        head: Version,
    },
    /// A version that no migration leads to.
    #[error("version `{version}` is not in {document}; it has {nearby_versions}")]
    UnknownVersion {
        /// What was given.
        version: Version,
        /// The document's name.
        document: String,
        /// The nearest versions that there are.
        nearby_versions: String,
    },
    /// A version that is not released.
    #[error("version `{version}` is only planned in {document}; head is `{head}`")]
    PlannedVersion {
        /// What was given.
        version: Version,
        /// The document's name.
        document: String,
        /// The document's head.
        head: Version,
    },
}

/// The position of a target among the changelog's versions; head without one, or by that name.
fn resolve_target(changelog: &Changelog<'_>, to: Option<&str>) -> Result<usize, TargetError> {
    let Some(text) = to.filter(|text| *text != "head") else {
        return Ok(changelog.head_position());
    };
    let head = changelog.head().clone();
    let document = changelog.source().name().to_owned();
    let Ok(version) = Version::parse(text) else {
        return Err(TargetError::NotAVersion { text: text.to_owned(), head });
    };
    match changelog.position(&version) {
        Some(position) if position <= changelog.head_position() => Ok(position),
        Some(_) => Err(TargetError::PlannedVersion { version, document, head }),
        None => {
            let nearby_versions = nearby_versions(changelog, &version);
            Err(TargetError::UnknownVersion { version, document, nearby_versions })
        }
    }
}

impl Changelog<'_> {
    /// The position of the version that a run is to reach; head where none is named, or `head` is.
    ///
    /// # Errors
    ///
    /// A text that is no version, or a version that is planned or not on the chain.
    pub fn target_position(&self, to: Option<&str>) -> Result<usize, TargetError> {
        resolve_target(self, to)
    }
}

/// The versions around a missing one, in words.
fn nearby_versions(changelog: &Changelog<'_>, version: &Version) -> String {
    const MAX_LISTED: usize = 6;
    let released = &changelog.versions()[..=changelog.head_position()];
    let insertion_index = released.partition_point(|known| known < version);
    let start = insertion_index
        .saturating_sub(MAX_LISTED / 2)
        .min(released.len().saturating_sub(MAX_LISTED));
    let end = (start + MAX_LISTED).min(released.len());
    let listed: Vec<String> =
        released[start..end].iter().map(|version| format!("`{version}`")).collect();
    let suffix = if listed.len() < released.len() { ", among others" } else { "" };
    format!("{}{suffix}", listed.join(", "))
}

/// Where a database stands.
pub(crate) fn locate(
    changelog: &Changelog<'_>,
    state: &HistoryState,
    detect: impl FnOnce() -> Result<usize, PlanError>,
) -> Result<ChainPosition, PlanError> {
    let entry = match state {
        HistoryState::Empty => return Ok(ChainPosition::Empty),
        HistoryState::Unversioned => return detect().map(ChainPosition::Detected),
        HistoryState::Versioned(record) => record,
    };
    let head = changelog.head().clone();
    let version = entry.to.clone();
    match VersionPoint::parse(&entry.to) {
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

/// Whether the last row alone tells that no migration of this database's was edited.
pub(crate) fn chain_matches(
    changelog: &Changelog<'_>,
    scope: Scope,
    (entry, position): (&HistoryEntry, usize),
) -> bool {
    entry.chain.as_deref() == Some(&changelog.chain_checksum(scope, position).to_string())
}

/// The migrations that ran with other statements than the document has now. Those that the
/// document no longer holds, because a baseline replaced them, are not looked at.
pub(crate) fn changed_migrations(
    changelog: &Changelog<'_>,
    scope: Scope,
    (entries, position): (&[HistoryEntry], usize),
) -> Vec<ChangedMigration> {
    let current_version = &changelog.versions()[position];
    let mut latest_entries: BTreeMap<(VersionPoint, VersionPoint), &HistoryEntry> = BTreeMap::new();
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
            // What was taken back is in effect no more.
            HistoryEvent::Downgrade => {
                latest_entries.remove(&(to, from));
            }
            // A human vouched for the schema as it is: what came before is settled.
            HistoryEvent::Stamp | HistoryEvent::Adopt => latest_entries.clear(),
        }
    }
    latest_entries
        .into_iter()
        .filter(|((_, to), _)| to.version().is_some_and(|to| to <= current_version))
        .filter_map(|((from, to), record)| {
            let migration = changelog.find(&from, &to)?;
            let applied_checksum = record.checksum.clone()?;
            let span =
                migration.block(scope).map_or(migration.tag_span.clone(), ScopedSql::tag_span);
            (applied_checksum != migration.checksum(scope).to_string())
                .then_some(ChangedMigration { from, to, applied_checksum, span })
        })
        .collect()
}

/// The steps from where a database stands to a goal; none if it is there or beyond.
pub(crate) fn plan_steps(
    changelog: &Changelog<'_>,
    scope: Scope,
    (chain_position, run_target): (ChainPosition, Target),
) -> Result<Vec<StepId>, PlanError> {
    match run_target {
        Target::Up(target) => Ok(plan_upgrade(changelog, scope, (chain_position, target))),
        Target::Down(target) => plan_downgrade(changelog, scope, (chain_position, target)),
    }
}

/// The steps down. All that are missing are named, not the first alone.
fn plan_downgrade(
    changelog: &Changelog<'_>,
    scope: Scope,
    (chain_position, target_position): (ChainPosition, Option<usize>),
) -> Result<Vec<StepId>, PlanError> {
    let (ChainPosition::AtVersion(mut position) | ChainPosition::Detected(mut position)) =
        chain_position
    else {
        return Ok(Vec::new());
    };
    let mut steps = Vec::new();
    let mut missing_tags = Vec::new();
    let mut add_step = |step_id: StepId| {
        if has_reverse(changelog, scope, step_id) {
            steps.push(step_id);
        } else if let Some((from, to)) = changelog.endpoints(step_id) {
            missing_tags.push(format!("[{scope}:{from}→{to}:start]"));
        }
    };
    loop {
        if target_position.is_some_and(|target_position| position <= target_position) {
            break;
        }
        // A baseline's own reverse is the whole way down, from wherever it stands.
        if target_position.is_none() {
            let baseline_reverse = (1..changelog.baselines().len())
                .filter(|baseline| changelog.baseline_position(*baseline) == Some(position))
                .map(StepId::BaselineReverse)
                .find(|step_id| {
                    changelog.step(*step_id).is_some_and(|step| step.block(scope).is_some())
                });
            if let Some(id) =
                baseline_reverse.or((position == 0).then_some(StepId::BaselineReverse(0)))
            {
                add_step(id);
                break;
            }
        }
        position -= 1;
        add_step(StepId::Reverse(position));
    }
    if missing_tags.is_empty() { Ok(steps) } else { Err(PlanError::NoReverse { missing_tags }) }
}

/// Whether a step down can be made: its block is there, or there is nothing to take back.
fn has_reverse(changelog: &Changelog<'_>, scope: Scope, step_id: StepId) -> bool {
    let reverse = changelog.step(step_id).filter(|reverse| !reverse.planned);
    let forward = match step_id {
        StepId::Reverse(index) => changelog.chain().get(index),
        StepId::BaselineReverse(at) => changelog.baselines().get(at),
        StepId::Baseline(_) | StepId::Forward(_) | StepId::Seed(_) => None,
    };
    let is_noop =
        forward.is_some_and(|migration| migration.block(scope).is_none_or(ScopedSql::is_empty));
    is_noop || reverse.is_some_and(|reverse| reverse.block(scope).is_some())
}

/// The steps from where a database stands up to a target; none if it is there or above.
pub(crate) fn plan_upgrade(
    changelog: &Changelog<'_>,
    scope: Scope,
    (chain_position, target_position): (ChainPosition, usize),
) -> Vec<StepId> {
    let steps_from_baseline = |baseline: usize| {
        let start = changelog.baselines()[baseline]
            .to
            .version()
            .and_then(|version| changelog.position(version))
            .unwrap_or(0);
        std::iter::once(StepId::Baseline(baseline))
            .chain((start..target_position).map(StepId::Forward))
            .collect()
    };
    match chain_position {
        ChainPosition::Empty => steps_from_baseline(changelog.baseline_for(scope, target_position)),
        ChainPosition::BelowBaseline => steps_from_baseline(0),
        ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => {
            (position..target_position).map(StepId::Forward).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> String {
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

    fn versioned_state(to: &str) -> HistoryState {
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
    fn an_empty_database_starts_at_the_highest_baseline_with_a_block_for_its_scope() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let head = changelog.head_position();
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, (ChainPosition::Empty, head)),
            [StepId::Baseline(1)]
        );
        assert_eq!(
            plan_upgrade(&changelog, Scope::System, (ChainPosition::Empty, head)),
            [StepId::Baseline(0), StepId::Forward(0), StepId::Forward(1), StepId::Forward(2)]
        );
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, (ChainPosition::Empty, 1)),
            [StepId::Baseline(0), StepId::Forward(0)]
        );
    }

    #[test]
    fn an_upgrade_continues_from_the_version_and_never_goes_down() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let unrelated = || Err(PlanError::UnrelatedSchema);
        let locate_at = |to: &str| locate(&changelog, &versioned_state(to), unrelated).unwrap();
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, (locate_at("2.0.0-rc.1"), 3)),
            [StepId::Forward(2)]
        );
        assert_eq!(plan_upgrade(&changelog, Scope::User, (locate_at("2.0.0"), 1)), []);
        assert_eq!(locate_at("baseline"), ChainPosition::BelowBaseline);
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, (ChainPosition::BelowBaseline, 0)),
            [StepId::Baseline(0)]
        );
    }

    #[test]
    fn planned_and_unknown_versions_are_rejected() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let unrelated = || Err(PlanError::UnrelatedSchema);
        assert!(matches!(
            locate(&changelog, &versioned_state("2.1.0"), unrelated),
            Err(PlanError::AboveHead { .. })
        ));
        assert!(matches!(
            locate(&changelog, &versioned_state("9.0.0"), unrelated),
            Err(PlanError::UnknownVersion { .. })
        ));
        assert!(matches!(
            locate(&changelog, &versioned_state("junk"), unrelated),
            Err(PlanError::UnknownVersion { .. })
        ));
        assert!(matches!(
            resolve_target(&changelog, Some("2.1.0")),
            Err(TargetError::PlannedVersion { .. })
        ));
        assert!(matches!(
            resolve_target(&changelog, Some("1.0.5")),
            Err(TargetError::UnknownVersion { .. })
        ));
        assert!(matches!(
            resolve_target(&changelog, Some("1")),
            Err(TargetError::NotAVersion { .. })
        ));
        assert_eq!(resolve_target(&changelog, None), Ok(3));
    }
}
