//! Lists the steps of a changelog, and answers for one of them which SQL it has, whether it is the
//! last released one, and whether databases may have applied it.

use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::ScopedSql;
use crate::document::tag::Scope;

impl<'a> Changelog<'a> {
    /// Every step of the document in the order of the replay: the lowest baseline, each migration of
    /// the chain with its reverse, the other baselines with the reverses of all, then the seeds.
    pub(crate) fn step_ids(&self) -> impl Iterator<Item = StepId> {
        let chain = (0..self.chain().len())
            .flat_map(|index| [StepId::Forward(index), StepId::Reverse(index)]);
        let baselines = (0..self.baselines().len())
            .flat_map(|index| [StepId::Baseline(index), StepId::BaselineReverse(index)]);
        let migrations = [StepId::Baseline(0)].into_iter().chain(chain).chain(baselines.skip(1));
        migrations
            .filter(|id| self.step(*id).is_some())
            .chain((0..self.seeds().len()).map(StepId::Seed))
    }

    /// The SQL of a step for the databases of a scope.
    pub(crate) fn block(&self, id: StepId, scope: Scope) -> Option<&ScopedSql<'a>> {
        match id {
            StepId::Seed(index) => {
                let seed = self.seeds().get(index).filter(|seed| seed.scope == scope)?;
                Some(&seed.block)
            }
            id => self.step(id)?.block(scope),
        }
    }

    /// Whether a step is the migration to head, or its reverse: the migration that is being worked
    /// on, if one is.
    pub(crate) fn leads_to_head(&self, id: StepId) -> bool {
        match id {
            StepId::Seed(_) => false,
            StepId::Forward(index) | StepId::Reverse(index) => index + 1 == self.head_position(),
            StepId::Baseline(index) | StepId::BaselineReverse(index) => {
                self.head_position() == 0 && index == 0
            }
        }
    }

    /// Whether no history can hold a step: it is planned, or a seed.
    pub(crate) fn is_unapplied(&self, id: StepId) -> bool {
        let migration = match id {
            StepId::Seed(_) => return true,
            StepId::Forward(index) | StepId::Reverse(index) => self.chain().get(index),
            StepId::Baseline(index) | StepId::BaselineReverse(index) => self.baselines().get(index),
        };
        migration.is_some_and(|migration| migration.planned)
    }
}
