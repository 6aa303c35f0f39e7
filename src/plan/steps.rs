//! Plans the steps that bring a database from its position on the chain to the target version.

use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::ScopedSql;
use crate::document::tag::Scope;
use crate::plan::error::PlanError;
use crate::plan::position::ChainPosition;
use crate::plan::target::Target;

/// The steps from a position to the target; empty if the database is at the target or beyond it.
///
/// # Errors
///
/// A step down has no reverse block; the error names all such steps.
pub(crate) fn plan_steps(
    changelog: &Changelog<'_>,
    scope: Scope,
    chain_position: ChainPosition,
    target: Target,
) -> Result<Vec<StepId>, PlanError> {
    match target {
        Target::Up(target) => Ok(plan_upgrade(changelog, scope, chain_position, target)),
        Target::Down(target) => plan_downgrade(changelog, scope, chain_position, target),
    }
}

/// The steps down. The error names every missing reverse block, not only the first.
fn plan_downgrade(
    changelog: &Changelog<'_>,
    scope: Scope,
    chain_position: ChainPosition,
    target: Option<usize>,
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
        if target.is_some_and(|target| position <= target) {
            break;
        }
        // The reverse block of a baseline undoes everything up to it in one step.
        if target.is_none()
            && let Some(step_id) = baseline_reverse_at(changelog, scope, position)
        {
            add_step(step_id);
            break;
        }
        position -= 1;
        add_step(StepId::Reverse(position));
    }
    if missing_tags.is_empty() { Ok(steps) } else { Err(PlanError::NoReverse { missing_tags }) }
}

/// The reverse of a baseline that leads from a position down to `baseline`: of a later baseline if
/// it has a reverse block for the scope; at the lowest version always that of the lowest baseline.
fn baseline_reverse_at(changelog: &Changelog<'_>, scope: Scope, position: usize) -> Option<StepId> {
    (1..changelog.baselines().len())
        .filter(|baseline| changelog.baseline_position(*baseline) == Some(position))
        .map(StepId::BaselineReverse)
        .find(|step_id| changelog.step(*step_id).is_some_and(|step| step.block(scope).is_some()))
        .or((position == 0).then_some(StepId::BaselineReverse(0)))
}

/// Whether a step down can run: its reverse block exists and is released, or the migration that it
/// undoes has no SQL for the scope.
fn has_reverse(changelog: &Changelog<'_>, scope: Scope, step_id: StepId) -> bool {
    let reverse = changelog.step(step_id).filter(|reverse| !reverse.planned);
    let forward = match step_id {
        StepId::Reverse(index) => changelog.chain().get(index),
        StepId::BaselineReverse(index) => changelog.baselines().get(index),
        StepId::Baseline(_) | StepId::Forward(_) | StepId::Seed(_) => None,
    };
    let is_noop =
        forward.is_some_and(|migration| migration.block(scope).is_none_or(ScopedSql::is_empty));
    is_noop || reverse.is_some_and(|reverse| reverse.block(scope).is_some())
}

/// The steps up from a position to a target; empty if the database is at the target or above it.
pub(crate) fn plan_upgrade(
    changelog: &Changelog<'_>,
    scope: Scope,
    chain_position: ChainPosition,
    target: usize,
) -> Vec<StepId> {
    let steps_from_baseline = |baseline: usize| {
        let start = changelog.baseline_position(baseline).unwrap_or(0);
        std::iter::once(StepId::Baseline(baseline))
            .chain((start..target).map(StepId::Forward))
            .collect()
    };
    match chain_position {
        ChainPosition::Empty => steps_from_baseline(changelog.baseline_for(scope, target)),
        ChainPosition::BelowBaseline => steps_from_baseline(0),
        ChainPosition::AtVersion(position) | ChainPosition::Detected(position) => {
            (position..target).map(StepId::Forward).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::position::locate;
    use crate::plan::position::tests::{document, versioned_state};

    #[test]
    fn an_empty_database_starts_at_the_highest_baseline_with_a_block_for_its_scope() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let head = changelog.head_position();
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, ChainPosition::Empty, head),
            [StepId::Baseline(1)]
        );
        assert_eq!(
            plan_upgrade(&changelog, Scope::System, ChainPosition::Empty, head),
            [StepId::Baseline(0), StepId::Forward(0), StepId::Forward(1), StepId::Forward(2)]
        );
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, ChainPosition::Empty, 1),
            [StepId::Baseline(0), StepId::Forward(0)]
        );
    }

    #[test]
    fn an_upgrade_continues_from_the_version_and_never_goes_down() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let unrelated = || Err(PlanError::UnrelatedSchema { scope: Scope::User });
        let locate_at = |to: &str| locate(&changelog, &versioned_state(to), unrelated).unwrap();
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, locate_at("2.0.0-rc.1"), 3),
            [StepId::Forward(2)]
        );
        assert_eq!(plan_upgrade(&changelog, Scope::User, locate_at("2.0.0"), 1), []);
        assert_eq!(locate_at("baseline"), ChainPosition::BelowBaseline);
        assert_eq!(
            plan_upgrade(&changelog, Scope::User, ChainPosition::BelowBaseline, 0),
            [StepId::Baseline(0)]
        );
    }
}
