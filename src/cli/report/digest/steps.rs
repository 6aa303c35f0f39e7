//! Counts which steps ran on how many databases, and where the databases began.

use std::collections::BTreeMap;

use tatmig::{Scope, VersionPoint};

/// A step of one scope.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) scope: Scope,
    pub(crate) from: VersionPoint,
    pub(crate) to: VersionPoint,
}

/// Where databases of one scope begin, and the steps from there.
pub(crate) struct ScopePath {
    pub(crate) scope: Scope,
    pub(crate) from: VersionPoint,
    pub(crate) steps: Vec<(VersionPoint, VersionPoint)>,
}

/// Databases of one scope at the same version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Start {
    pub(crate) scope: Scope,
    pub(crate) from: VersionPoint,
}

/// The steps of a run, each with the number of its databases.
#[derive(Default)]
pub(crate) struct StepCounts {
    pub(crate) steps: BTreeMap<Step, usize>,
    pub(crate) starts: BTreeMap<Start, usize>,
    /// Whether the steps ran; else they are pending.
    pub(crate) have_run: bool,
}

impl StepCounts {
    /// Adds the steps of `count` databases that begin at the same version.
    pub(crate) fn add(&mut self, path: ScopePath, count: usize) {
        let ScopePath { scope, from, steps } = path;
        *self.starts.entry(Start { scope, from }).or_default() += count;
        for (from, to) in steps {
            *self.steps.entry(Step { scope, from, to }).or_default() += count;
        }
    }

    /// The steps in the order in which they run: up from the lowest, or down from the highest.
    pub(crate) fn in_order(&self) -> Vec<(&Step, usize)> {
        let is_down = self.steps.keys().any(|step| step.to < step.from);
        let steps = self.steps.iter().map(|(step, count)| (step, *count));
        if is_down { steps.rev().collect() } else { steps.collect() }
    }
}
