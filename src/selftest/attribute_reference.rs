//! Attributes a view, trigger or foreign key that cannot be used to a statement of the document.

use std::collections::BTreeSet;

use crate::document::changelog::StepId;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::schema::{Object, ObjectKind};
use crate::selftest::attribute::{Finding, add_help, last_step_with, names_in};
use crate::selftest::context::{SelfTestContext, TestDatabase};
use crate::selftest::fill::FillGap;
use crate::source::first_line_span;
use crate::sql::lexer;
use crate::sql::tokens::{Tokens, span_of_name};

/// Attributes a view, trigger or foreign key that cannot be used after a step to the statement that
/// creates it, or else to the last statement that names what it lacks.
pub(crate) fn attribute_dangling(
    context: &SelfTestContext<'_, '_>,
    step_id: StepId,
    object: &Object,
    problem: &str,
) -> Finding {
    let (kind, name) = (object.kind, &object.name);
    let missing = problem.rsplit([' ', '.']).next().unwrap_or("").to_lowercase();
    let statements = context
        .replay
        .script(context.scope, step_id)
        .map_or(&[][..], |script| script.statements.as_slice());
    let last_with = |is_wanted: &dyn Fn(&str) -> bool| {
        statements.iter().rev().find(|statement| is_wanted(statement.sql.text()))
    };
    let has_name = |text: &str, name: &str| names_in(text).any(|word| word == name);
    let creates = |text: &str| {
        has_name(text, "create") && has_name(text, &name.to_lowercase()) && {
            let tokens = Tokens::new(text);
            tokens.is(0, "CREATE")
        }
    };
    let names_missing = |text: &str| has_name(text, &missing);
    let mentions_any = |text: &str| {
        let mentioned: BTreeSet<String> = names_in(&object.sql).collect();
        let tokens = Tokens::new(text);
        (tokens.is(0, "DROP") || tokens.is(0, "ALTER"))
            && names_in(text).skip(2).any(|word| mentioned.contains(&word))
    };
    let statement = last_with(&creates)
        .or_else(|| last_with(&names_missing))
        .or_else(|| last_with(&mentions_any));
    let span = match (statement, context.changelog.step(step_id)) {
        (Some(statement), _) if names_missing(statement.sql.text()) => {
            span_of_name(&statement.sql, &missing)
        }
        (Some(statement), _) => first_line_span(&statement.sql),
        (None, Some(migration)) => migration
            .block(context.scope)
            .map_or(migration.tag_span.clone(), |block| block.tag_span.clone()),
        (None, None) => 0..0,
    };
    let message = match kind {
        ObjectKind::Table => {
            format!("a foreign key of table `{name}` cannot be used after this: {problem}")
        }
        _ => format!("{kind} `{name}` cannot be used after this: {problem}"),
    };
    let diagnostic = add_help(Diagnostic::new(Rule::DanglingReference, span, message));
    let table = object.table.to_lowercase();
    Finding { step_id: Some(step_id), table, subject: name.to_lowercase(), diagnostic }
}

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
