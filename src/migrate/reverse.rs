//! Compares the schema that a reverse block leads to with the schema of its version.

use std::ops::Range;

use crate::database::error::DatabaseError;
use crate::database::job::EMPTY_SCRIPT;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::Rule;
use crate::document::tag::Scope;
use crate::migrate::replay::Replay;
use crate::schema::Schema;
use crate::schema::changes::apply_changes;
use crate::schema::compare::differences;
use crate::schema::difference::Difference;

/// What the schema after a reverse block has otherwise than its version, the order of columns
/// included. Empty for a step up.
pub(crate) fn reverse_differences(
    changelog: &Changelog<'_>,
    replay: &Replay<'_>,
    scope: Scope,
    id: StepId,
) -> Vec<Difference> {
    let (from, target_schema) = match id {
        StepId::Reverse(index) => (Some(index + 1), replay.schema_at(scope, index)),
        StepId::BaselineReverse(index) => (changelog.baseline_position(index), Schema::new()),
        StepId::Baseline(_) | StepId::Forward(_) | StepId::Seed(_) => return Vec::new(),
    };
    let Some(from) = from else { return Vec::new() };
    let script = replay.script(scope, id).unwrap_or(&EMPTY_SCRIPT);
    let mut schema = replay.schema_at(scope, from);
    apply_changes(&mut schema, &script.object_changes);
    differences(&target_schema, &schema)
}

/// What a reverse block does not restore of the schema of its version. Empty if the block allows
/// that, or if only the order of columns differs.
pub(crate) fn unrestored(
    changelog: &Changelog<'_>,
    replay: &Replay<'_>,
    scope: Scope,
    id: StepId,
) -> Vec<String> {
    if replay.script(scope, id).is_some_and(|script| script.allows(Rule::ReverseDiffers)) {
        return Vec::new();
    }
    let differences = reverse_differences(changelog, replay, scope, id).into_iter();
    differences
        .filter(Difference::is_significant)
        .map(|difference| difference.to_string())
        .collect()
}

/// A reverse block after which a database would not have the schema of the version that is recorded.
#[derive(Clone, Debug)]
pub(crate) struct IncompleteReverse {
    migration: String,
    message: String,
    span: Range<usize>,
}

impl IncompleteReverse {
    /// The first of some steps whose reverse block does not restore the schema of its version.
    pub(crate) fn find(
        changelog: &Changelog<'_>,
        replay: &Replay<'_>,
        scope: Scope,
        steps: &[StepId],
    ) -> Option<Self> {
        steps.iter().find_map(|id| {
            let unrestored = unrestored(changelog, replay, scope, *id);
            if unrestored.is_empty() {
                return None;
            }
            let (from, to) = changelog.endpoints(*id)?;
            let span = changelog.step(*id)?.block(scope)?.tag_span();
            let message = format!(
                "this reverse block does not restore the {scope} schema of `{to}`: {}",
                unrestored.join("; ")
            );
            Some(Self { migration: format!("the migration {from} → {to}"), message, span })
        })
    }

    pub(crate) fn error(&self) -> DatabaseError {
        DatabaseError::SafetyRule {
            rule: Rule::ReverseDiffers,
            migration: self.migration.clone(),
            message: self.message.clone(),
            advice: "complete the block; if the database may keep another schema".to_owned(),
            span: self.span.clone(),
        }
    }
}
