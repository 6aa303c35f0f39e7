//! Answers what the schema is at a place of a document that was run: before a step, and before a
//! statement of it.

use std::ops::Range;
use std::sync::Arc;

use semver::Version;

use crate::database::job::Statement;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::lint::findings::StatementChanges;
use crate::lint::session::RunResult;
use crate::migrate::replay::Replay;
use crate::schema::{Schema, changes};

/// A block of the document.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: StepId,
    pub(crate) scope: Scope,
    /// `None` for a seed.
    pub(crate) versions: Option<(VersionPoint, VersionPoint)>,
    /// From the start tag to the end of the SQL.
    pub(crate) range: Range<usize>,
    pub(crate) tag_span: Range<usize>,
    pub(crate) is_planned: bool,
    /// Whether the migration leads to head.
    pub(crate) is_last_released: bool,
}

/// A document that was run.
pub(crate) struct Model {
    /// In the order of the run, the system database first.
    pub(crate) steps: Vec<Step>,
    pub(crate) versions: Vec<Version>,
    pub(crate) head_position: usize,
    pub(crate) replay: Arc<Replay<'static>>,
    /// What statements changed, by the order of their positions.
    changes: Vec<StatementChanges>,
    baseline_positions: Vec<usize>,
}

impl Model {
    pub(crate) fn new(changelog: &Changelog<'_>, result: RunResult) -> Self {
        let RunResult { replay, statements: mut changes } = result;
        changes.sort_by_key(|changed| changed.span.start);
        let baselines = 0..changelog.baselines().len();
        let baseline_positions =
            baselines.map(|index| changelog.baseline_position(index).unwrap_or(0)).collect();
        Self {
            steps: Scope::BOTH.iter().flat_map(|scope| steps_of(changelog, *scope)).collect(),
            versions: changelog.versions().to_vec(),
            head_position: changelog.head_position(),
            replay: Arc::new(replay),
            changes,
            baseline_positions,
        }
    }

    /// The block that contains a byte of the document.
    pub(crate) fn step_at(&self, offset: usize) -> Option<&Step> {
        self.steps.iter().find(|step| step.range.start <= offset && offset <= step.range.end)
    }

    /// The statements of a block, as SQLite split them.
    pub(crate) fn statements(&self, step: &Step) -> &[Statement<'static>] {
        self.replay.script(step.scope, step.id).map_or(&[], |script| &script.statements)
    }

    /// The schema before a block.
    pub(crate) fn schema_before(&self, step: &Step) -> Schema {
        let baseline_position =
            |index: usize| self.baseline_positions.get(index).copied().unwrap_or(0);
        match step.id {
            StepId::Baseline(_) => Schema::new(),
            StepId::Forward(index) => self.replay.schema_at(step.scope, index),
            StepId::Reverse(index) => self.replay.schema_at(step.scope, index + 1),
            StepId::BaselineReverse(index) => {
                self.replay.schema_at(step.scope, baseline_position(index))
            }
            StepId::Seed(_) => self.replay.schema_at(step.scope, self.versions.len()),
        }
    }

    /// The schema after the statements of a block that end at or before a byte.
    pub(crate) fn schema_at(&self, step: &Step, offset: usize) -> Schema {
        let mut schema = self.schema_before(step);
        for changed in self.changes_in(step).filter(|changed| changed.span.end <= offset) {
            changes::apply_changes(&mut schema, &changed.object_changes);
        }
        schema
    }

    /// The statements of a block that changed the schema.
    pub(crate) fn changes_in(&self, step: &Step) -> impl Iterator<Item = &StatementChanges> {
        let Range { start, end } = step.range;
        let first = self.changes.partition_point(|changed| changed.span.start < start);
        self.changes[first..].iter().take_while(move |changed| changed.span.start < end)
    }

    /// The blocks of a scope along the chain that lead up to a block, and the block itself.
    pub(crate) fn steps_up_to(&self, last: &Step) -> impl Iterator<Item = &Step> {
        let position = self.position_of(last);
        let scope = last.scope;
        let last_id = last.id;
        self.steps.iter().filter(move |step| {
            let is_on_chain = matches!(step.id, StepId::Baseline(0) | StepId::Forward(_));
            step.scope == scope
                && (step.id == last_id || is_on_chain && self.position_of(step) <= position)
        })
    }

    /// The position of the version that a block leads to or starts at, whichever is later.
    pub(crate) fn position_of(&self, step: &Step) -> usize {
        match step.id {
            StepId::Baseline(0) => 0,
            StepId::Forward(index) | StepId::Reverse(index) => index + 1,
            StepId::Baseline(index) | StepId::BaselineReverse(index) => {
                self.baseline_positions.get(index).copied().unwrap_or(0)
            }
            StepId::Seed(_) => self.versions.len(),
        }
    }
}

/// The blocks of a scope, in the order of the run.
fn steps_of(changelog: &Changelog<'_>, scope: Scope) -> Vec<Step> {
    let with_block = |id| Some((id, changelog.block(id, scope)?));
    let steps = changelog.step_ids().filter_map(with_block).map(|(id, block)| {
        let migration = changelog.step(id);
        Step {
            id,
            scope,
            versions: migration.map(|migration| (migration.from.clone(), migration.to.clone())),
            range: block.range(),
            tag_span: block.tag_span(),
            is_planned: migration.is_some_and(|migration| migration.planned),
            is_last_released: changelog.leads_to_head(id),
        }
    });
    steps.collect()
}
