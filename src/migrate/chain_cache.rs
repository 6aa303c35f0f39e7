//! Keeps the results of a run along the chain, and the state at a few of its steps, so that a run of an
//! edited document begins at the first step that changed.

use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::Rule;
use crate::document::migration::{Migration, ScopedSql};
use crate::document::tag::{Scope, VersionPoint};
use crate::source::SourceSlice;

/// How many states are kept. Those at the highest steps are worth most.
const MAX_CHECKPOINTS: usize = 4;

/// All that the results of a step depend on, besides the steps before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepInput {
    from: VersionPoint,
    to: VersionPoint,
    is_planned: bool,
    forward: Option<BlockInput>,
    reverse: Option<(std::ops::Range<usize>, Option<BlockInput>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct BlockInput {
    sql: SourceSlice<'static>,
    tag_span: std::ops::Range<usize>,
    allowed_rules: Vec<Rule>,
}

impl BlockInput {
    fn new(block: &ScopedSql<'_>) -> Self {
        Self {
            sql: block.sql.to_owned_text(),
            tag_span: block.tag_span.clone(),
            allowed_rules: block.allow_directives.iter().map(|allow| allow.rule).collect(),
        }
    }
}

impl StepInput {
    fn new(migration: &Migration<'_>, reverse: Option<&Migration<'_>>, scope: Scope) -> Self {
        let block = |migration: &Migration<'_>| migration.block(scope).map(BlockInput::new);
        Self {
            from: migration.from.clone(),
            to: migration.to.clone(),
            is_planned: migration.planned,
            forward: block(migration),
            reverse: reverse.map(|reverse| (reverse.tag_span.clone(), block(reverse))),
        }
    }

    /// The input of each step along the chain: the lowest baseline, then each migration with its
    /// reverse.
    pub(crate) fn from_chain(changelog: &Changelog<'_>, scope: Scope) -> Vec<Self> {
        let baseline = Self::new(&changelog.baselines()[0], None, scope);
        let migrations = changelog.chain().iter().enumerate().map(|(index, migration)| {
            Self::new(migration, changelog.step(StepId::Reverse(index)), scope)
        });
        std::iter::once(baseline).chain(migrations).collect()
    }
}

/// Whether a run will be followed by others, of an edited document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheUse {
    OneRun,
    ManyRuns,
}

/// The results of the steps of one scope, and states before some of them.
pub(crate) struct ChainCache<S, R> {
    cache_use: CacheUse,
    steps: Vec<(StepInput, R)>,
    /// States, each with the number of steps that lead to it, ascending.
    checkpoints: Vec<(usize, S)>,
    /// The first step that differed in the current run.
    first_changed: usize,
}

impl<S, R> ChainCache<S, R> {
    pub(crate) fn new(cache_use: CacheUse) -> Self {
        Self { cache_use, steps: Vec::new(), checkpoints: Vec::new(), first_changed: 0 }
    }

    /// Forgets the results of the first step that differs and of all later ones, and of those that
    /// no kept state leads to. The run continues with the step that `len` returns then.
    pub(crate) fn keep_common(&mut self, inputs: &[StepInput]) {
        let known = self.steps.iter().zip(inputs);
        self.first_changed = known.take_while(|((known, _), input)| known == *input).count();
        self.checkpoints.retain(|(step, _)| *step <= self.first_changed);
        self.steps.truncate(self.checkpoints.last().map_or(0, |(step, _)| *step));
    }

    /// How many steps have a result.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The state after the steps that have a result, if it was kept.
    pub(crate) fn state(&self) -> Option<&S> {
        self.checkpoints.last().filter(|(step, _)| *step == self.len()).map(|(_, state)| state)
    }

    /// Keeps the state before the next step if a later run probably begins there: the step differs
    /// from that of the last run, or is the last of `step_count`.
    pub(crate) fn keep_state<E>(
        &mut self,
        step_count: usize,
        copy: impl FnOnce() -> Result<S, E>,
    ) -> Result<(), E> {
        let next = self.len();
        let is_useful = self.cache_use == CacheUse::ManyRuns
            && (next == self.first_changed || next + 1 == step_count);
        if next > 0 && is_useful && self.checkpoints.iter().all(|(step, _)| *step != next) {
            self.checkpoints.push((next, copy()?));
            let excess = self.checkpoints.len().saturating_sub(MAX_CHECKPOINTS);
            self.checkpoints.drain(..excess);
        }
        Ok(())
    }

    /// Adds the result of the next step.
    pub(crate) fn push(&mut self, input: StepInput, result: R) {
        self.steps.push((input, result));
    }

    /// The results so far, in order.
    pub(crate) fn results(&self) -> impl Iterator<Item = &R> {
        self.steps.iter().map(|(_, result)| result)
    }
}
