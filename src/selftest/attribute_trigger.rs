//! Attributes a trigger that fails for every row to the statement that creates it.

use std::collections::BTreeSet;

use crate::document::changelog::StepId;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::schema::ObjectKind;
use crate::selftest::attribute::{Finding, last_step_with, names_in};
use crate::selftest::context::{SelfTestContext, TestDatabase};
use crate::selftest::fill::FillGap;
use crate::source::first_line_span;
use crate::sql::lexer;
use crate::sql::tokens::span_of_name;

/// Attributes a trigger that cannot run to the statement that creates it, or to the statement of the
/// last migration that changed what the trigger refers to.
pub(crate) fn attribute_broken_trigger(
    context: &SelfTestContext<'_, '_>,
    position: usize,
    database: &TestDatabase,
    gap: &FillGap,
) -> Finding {
    let message_names: BTreeSet<String> = names_in(&gap.reason).collect();
    let names_shared_with_message =
        |sql: &str| names_in(sql).filter(|name| message_names.contains(name)).count();
    let trigger = database
        .schema
        .values()
        .filter(|object| {
            object.kind == ObjectKind::Trigger && object.table.eq_ignore_ascii_case(&gap.table)
        })
        .max_by_key(|trigger| names_shared_with_message(&trigger.sql));
    let name = trigger.map_or("", |trigger| trigger.name.as_str());
    let trigger_name = BTreeSet::from([name.to_lowercase()]);
    let step_ids: Vec<StepId> =
        std::iter::once(StepId::Baseline(0)).chain((0..position).map(StepId::Forward)).collect();
    let step_id = last_step_with(context, &step_ids, &trigger_name);
    let created = step_id.and_then(|id| {
        let statements = &context.replay.script(context.scope, id)?.statements;
        statements.iter().rev().find(|statement| {
            lexer::is_create_trigger(statement.sql.text())
                && names_in(statement.sql.text()).any(|word| trigger_name.contains(&word))
        })
    });
    let span = created.map_or(0..0, |statement| {
        let text = statement.sql.text();
        let missing = gap.reason.rsplit([' ', '.']).next().unwrap_or("");
        if names_in(text).any(|word| word == missing.to_lowercase()) {
            span_of_name(&statement.sql, missing)
        } else {
            first_line_span(&statement.sql)
        }
    });
    let message = format!(
        "trigger `{name}` cannot run, so no row can be inserted into `{}`: {}",
        gap.table, gap.reason
    );
    let diagnostic = Diagnostic::new(Rule::Sql, span, message)
        .help("change the trigger, or create it again after the change that it does not fit");
    Finding { step_id, table: gap.table.to_lowercase(), subject: name.to_owned(), diagnostic }
}
