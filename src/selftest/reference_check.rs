//! Follows which views, triggers and foreign keys can be used, from step to step.

use rusqlite::Connection;

use crate::database::usable_references::{Reference, Usability, UsabilityChange, UsableReferences};
use crate::document::changelog::StepId;
use crate::document::diagnostic::Rule;
use crate::schema::changes::ObjectChange;
use crate::selftest::attribute::Finding;
use crate::selftest::attribute_reference::attribute_dangling;
use crate::selftest::context::SelfTestContext;

/// The references of a database.
#[derive(Default)]
pub(crate) struct ReferenceCheck {
    references: UsableReferences,
}

impl ReferenceCheck {
    /// Reports the views, triggers and foreign keys that cannot be used any more after a step, and
    /// the views and triggers that it creates and that cannot be used, unless the block allows that.
    pub(crate) fn check(
        &mut self,
        context: &SelfTestContext<'_, '_>,
        connection: &Connection,
        step_id: StepId,
        changes: &[ObjectChange],
    ) -> rusqlite::Result<Vec<Finding>> {
        let usability_changes = self.references.update(connection, changes)?;
        let script = context.replay.script(context.scope, step_id);
        if script.is_some_and(|script| script.allows(Rule::DanglingReference)) {
            return Ok(Vec::new());
        }
        let mut findings = Vec::new();
        for UsabilityChange { reference, before, after } in usability_changes {
            let is_new_key = before.is_none() && matches!(reference, Reference::ForeignKey { .. });
            let was_dangling = before.is_some_and(|before| before.is_dangling());
            let problem = match after {
                Some(Usability::NotCompiling(message)) => message,
                Some(Usability::MissingParent) => "its parent table does not exist".to_owned(),
                Some(Usability::ParentKeyMismatch) => {
                    "its parent columns are not unique".to_owned()
                }
                Some(Usability::Usable | Usability::Unloadable) | None => continue,
            };
            if is_new_key || was_dangling {
                continue;
            }
            if let Some(object) = self.references.object(&reference) {
                findings.push(attribute_dangling(context, step_id, object, &problem));
            }
        }
        Ok(findings)
    }

    /// Whether a trigger of a table cannot be used.
    pub(crate) fn has_dangling_trigger(&self, table: &str) -> bool {
        let dangling = self.references.dangling();
        let mut triggers = dangling
            .keys()
            .filter(|reference| matches!(reference, Reference::Trigger { .. }))
            .filter_map(|reference| self.references.object(reference));
        triggers.any(|trigger| trigger.table.eq_ignore_ascii_case(table))
    }
}
