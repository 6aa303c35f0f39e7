//! Builds the job of a database: the scripts of its steps, the history entries to write, and the
//! changes to check before the commit.

use crate::database::history::ACCEPTED_DRIFT_PREFIX;
use crate::database::history_entry::{
    AppliedSource, HistoryEvent, HistoryState, NewHistoryEntry, reverse_key,
};
use crate::database::job::{EMPTY_SCRIPT, MigrationJob, Step, TableContents, TransactionEnd};
use crate::database::policy::ForeignKeyPolicy;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::Rule;
use crate::document::migration::Checksum;
use crate::document::tag::{Scope, VersionPair, VersionPoint};
use crate::migrate::replay::Replay;
use crate::migrate::reverse::reverse_differences;
use crate::plan::outcome::{MigrationPath, PathStart};
use crate::plan::position::ChainPosition;
use crate::schema::Schema;

/// What jobs are built from, and what they have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobBuilder<'c, 'a> {
    pub(crate) changelog: &'c Changelog<'a>,
    pub(crate) replay: &'c Replay<'a>,
    pub(crate) transaction_end: TransactionEnd,
    pub(crate) foreign_keys: ForeignKeyPolicy,
    pub(crate) contents: TableContents,
}

impl<'c> JobBuilder<'c, '_> {
    /// The versions of some steps of a database at a position.
    pub(crate) fn path(&self, chain_position: ChainPosition, step_ids: &[StepId]) -> MigrationPath {
        let from = self.version_point(chain_position);
        let steps: Vec<_> =
            step_ids.iter().filter_map(|id| self.changelog.endpoints(*id)).collect();
        let to = steps.last().map_or(from.clone(), |(_, to)| to.clone());
        let start = match chain_position {
            ChainPosition::Empty => PathStart::New,
            _ => PathStart::Existing,
        };
        MigrationPath { start, from, to, steps }
    }

    /// The version at a position of the chain; `baseline` without one.
    pub(crate) fn version_point_at(&self, position: Option<usize>) -> VersionPoint {
        position
            .and_then(|position| self.changelog.versions().get(position))
            .map_or(VersionPoint::Baseline, |version| VersionPoint::Version(version.clone()))
    }

    pub(crate) fn version_point(&self, chain_position: ChainPosition) -> VersionPoint {
        self.version_point_at(match chain_position {
            ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => {
                Some(position)
            }
            ChainPosition::Empty | ChainPosition::BelowBaseline => None,
        })
    }

    /// The job that runs some steps on a database at a position.
    pub(crate) fn job(
        &self,
        scope: Scope,
        chain_position: ChainPosition,
        step_ids: &[StepId],
    ) -> MigrationJob<'c> {
        let mut steps = Vec::with_capacity(step_ids.len() + 1);
        if let ChainPosition::Detected(position) = chain_position {
            steps.push(self.history_step(HistoryEvent::Adopt, scope, Some(position), None));
        }
        steps.extend(step_ids.iter().filter_map(|id| self.migration_step(scope, *id)));
        MigrationJob {
            expected_changes: self.replay.expected_changes(scope, chain_position, step_ids),
            schema_before: match chain_position {
                ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => {
                    self.replay.schema_at(scope, position)
                }
                ChainPosition::Empty | ChainPosition::BelowBaseline => Schema::new(),
            },
            transaction_end: self.transaction_end,
            foreign_keys: self.foreign_keys,
            contents: self.contents,
            ..MigrationJob::new(scope, steps)
        }
    }

    /// The script of a migration for one scope, with its history entry; `None` for a seed. A
    /// migration without a block for the scope has an empty script and still gets a history entry.
    pub(crate) fn migration_step(&self, scope: Scope, id: StepId) -> Option<Step<'c, 'c>> {
        let changelog = self.changelog;
        let (from, to) = changelog.endpoints(id)?;
        let migration = changelog.step(id);
        let position = to.version().and_then(|to| changelog.position(to));
        let event = match id {
            StepId::Reverse(_) | StepId::BaselineReverse(_) => HistoryEvent::Downgrade,
            StepId::Baseline(_) | StepId::Forward(_) | StepId::Seed(_) => HistoryEvent::Upgrade,
        };
        let checksum =
            migration.map_or_else(|| Checksum::from_text(""), |step| step.checksum(scope));
        Some(Step {
            script: self.replay.script(scope, id).unwrap_or(&EMPTY_SCRIPT),
            label: format!("the migration {from} → {to}"),
            history_entry: Some(NewHistoryEntry {
                event,
                from: from.to_string(),
                to: to.to_string(),
                checksum: Some(checksum),
                chain: position.map(|position| changelog.chain_checksum(scope, position)),
                note: self.reverse_drift(scope, id),
            }),
            // Only the system database keeps the SQL of the migrations, for both scopes.
            sources: match scope {
                Scope::System => applied_sources(changelog, id),
                Scope::User => Vec::new(),
            },
        })
    }

    /// The accepted drift to record for a reverse block that may end in another schema than its
    /// version's.
    fn reverse_drift(&self, scope: Scope, id: StepId) -> Option<String> {
        if !self.replay.script(scope, id)?.allows(Rule::ReverseDiffers) {
            return None;
        }
        let differences = reverse_differences(self.changelog, self.replay, scope, id).into_iter();
        let lines: Vec<String> =
            differences.map(|difference| format!("{ACCEPTED_DRIFT_PREFIX}{difference}")).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// A step that only stores the SQL of a migration in the system database, for both scopes.
    pub(crate) fn source_step(&self, id: StepId) -> Step<'c, 'c> {
        Step {
            script: &EMPTY_SCRIPT,
            label: "the SQL of the migration".to_owned(),
            history_entry: None,
            sources: applied_sources(self.changelog, id),
        }
    }

    /// A step that only records a version, at a position or below the lowest baseline.
    pub(crate) fn history_step(
        &self,
        event: HistoryEvent,
        scope: Scope,
        position: Option<usize>,
        note: Option<String>,
    ) -> Step<'c, 'c> {
        let chain = position.map(|position| self.changelog.chain_checksum(scope, position));
        Step {
            script: &EMPTY_SCRIPT,
            label: "the history entry".to_owned(),
            history_entry: Some(NewHistoryEntry {
                event,
                from: VersionPoint::Baseline.to_string(),
                to: self.version_point_at(position).to_string(),
                checksum: None,
                chain,
                note,
            }),
            sources: Vec::new(),
        }
    }

    /// The job that runs the seed blocks of a scope with the given names.
    #[cfg(feature = "fleet")]
    pub(crate) fn seed_job(
        &self,
        scope: Scope,
        names: &[String],
        state: &HistoryState,
        target: &VersionPoint,
    ) -> MigrationJob<'c> {
        // Part of the message of a seed that fails: at another version a table may be missing.
        let version_mismatch = match state {
            HistoryState::Versioned(entry) if entry.to == target.to_string() => String::new(),
            HistoryState::Versioned(entry) => format!(
                ", which is for version {target}; this database is at {}, so run `tatmig upgrade` first",
                entry.to
            ),
            HistoryState::Empty | HistoryState::Unversioned => {
                format!(", which is for version {target}; this database has no version")
            }
        };
        let seeds = self.changelog.seeds().iter().enumerate();
        let mut steps = Vec::new();
        for name in names {
            let matching_seeds =
                seeds.clone().filter(|(_, seed)| seed.scope == scope && seed.name == *name);
            for (index, _) in matching_seeds {
                if let Some(script) = self.replay.script(scope, StepId::Seed(index)) {
                    let label = format!("the seed `{name}`{version_mismatch}");
                    steps.push(Step { script, label, history_entry: None, sources: Vec::new() });
                }
            }
        }
        let target = target.version().and_then(|target| self.changelog.position(target));
        MigrationJob {
            schema_before: target
                .map_or_else(Schema::new, |position| self.replay.schema_at(scope, position)),
            foreign_keys: self.foreign_keys,
            ..MigrationJob::new(scope, steps)
        }
    }
}

/// The SQL of a migration's blocks and of the reverse blocks that undo it, of both scopes.
fn applied_sources(changelog: &Changelog<'_>, id: StepId) -> Vec<AppliedSource> {
    let (Some(migration), Some((from, to))) = (changelog.step(id), changelog.endpoints(id)) else {
        return Vec::new();
    };
    let reverse = match id {
        StepId::Forward(index) => changelog.step(StepId::Reverse(index)),
        StepId::Baseline(index) => changelog.step(StepId::BaselineReverse(index)),
        StepId::Reverse(_) | StepId::BaselineReverse(_) | StepId::Seed(_) => None,
    };
    let reverse_versions = VersionPair::new(to.clone(), from.clone());
    let mut sources = Vec::new();
    for scope in Scope::BOTH {
        let checksum = migration.checksum(scope).to_string();
        if let Some(block) = reverse.and_then(|reverse| reverse.block(scope)) {
            sources.push(AppliedSource {
                scope,
                key: reverse_key(&checksum, scope, &reverse_versions),
                from: to.to_string(),
                to: from.to_string(),
                sql: block.sql().text().to_owned(),
            });
        }
        if let Some(block) = migration.block(scope).filter(|block| !block.is_empty()) {
            sources.push(AppliedSource {
                scope,
                key: checksum,
                from: from.to_string(),
                to: to.to_string(),
                sql: block.sql().text().to_owned(),
            });
        }
    }
    sources
}
