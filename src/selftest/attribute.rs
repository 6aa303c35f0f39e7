//! Where in the document something went wrong: the statement that lost the rows, as far as its
//! words tell, and what to do about it.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::database::error::DatabaseError;
use crate::document::changelog::StepId;
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::migration::Migration;
use crate::plan::outcome::MigrateError;
use crate::selftest::context::SelfTestContext;
use crate::selftest::snapshot::Difference;
use crate::source::first_line_span;
use crate::sql::lexer;

/// What messages of the database call a migration.
pub(crate) fn migration_label(migration: &Migration<'_>) -> String {
    format!("the migration {migration}")
}

/// A transaction that failed with rows in the tables.
pub(crate) fn attribute_failure(
    context: &SelfTestContext<'_, '_>,
    step_ids: &[StepId],
    failure: &MigrateError,
) -> (Option<StepId>, Finding) {
    let step_with_label = |label: &str| {
        step_ids.iter().copied().find(|id| {
            context.changelog.step(*id).is_some_and(|migration| {
                crate::selftest::attribute::migration_label(migration) == label
            })
        })
    };
    let (id, subject, diagnostic) = match failure {
        MigrateError::Database(DatabaseError::Statement { migration, message, span }) => {
            let is_constraint =
                message.contains("constraint failed") || message.contains("cannot store");
            let diagnostic = if is_constraint {
                Diagnostic::new(Rule::Constraint, span.clone(), format!("rows that were allowed stop this migration: {message}"))
                    .severity(Severity::Error)
                    .help("take care of such rows in the block, with `COALESCE` or a `WHERE`; if no database can hold any, the block says `-- tatmig:allow constraint` and why")
            } else {
                Diagnostic::new(
                    Rule::Sql,
                    span.clone(),
                    format!("with rows in the tables this statement fails: {message}"),
                )
                .help("it ran where the tables were empty; make it fit for rows")
            };
            (step_with_label(migration), message.clone(), diagnostic)
        }
        MigrateError::Database(DatabaseError::RowLoss { migration, table, before, after }) => {
            let id = step_with_label(migration);
            let span =
                writing_statement_span(context, (id, step_ids), &BTreeSet::from([table.clone()]));
            let message =
                format!("table `{table}` is made anew and keeps {after} of its {before} rows");
            let diagnostic = Diagnostic::new(Rule::RowLoss, span, message);
            (id, format!("{table}."), add_help(diagnostic))
        }
        MigrateError::Database(DatabaseError::ForeignKeyViolations {
            violations: broken,
            rows,
        }) => {
            let table =
                broken.first().and_then(|description| description.split('`').nth(1)).unwrap_or("");
            let table_names = BTreeSet::from([table.to_lowercase()]);
            let id =
                step_ids.iter().copied().rev().find(|id| mentions_any(context, *id, &table_names));
            let id = id.or(step_ids.last().copied());
            let span = writing_statement_span(context, (id, step_ids), &table_names);
            let noun = if *rows == 1 { "row refers" } else { "rows refer" };
            let message = format!(
                "{rows} {noun} to parents that are not there after this: {}",
                broken.join("; ")
            );
            let diagnostic = Diagnostic::new(Rule::ForeignKeys, span, message).help(
                "keep or remove the rows on both sides of the key; if that is meant, the block says `-- tatmig:allow foreign-keys` and why",
            );
            (id, table.to_owned(), diagnostic)
        }
        failure => {
            let span = failure.span().unwrap_or_else(|| {
                writing_statement_span(context, (None, step_ids), &BTreeSet::new())
            });
            let message = failure.to_string();
            (step_ids.first().copied(), message.clone(), Diagnostic::new(Rule::Sql, span, message))
        }
    };
    (id, Finding { subject, diagnostic })
}

/// Something that was there before some steps, and is not after them.
pub(crate) fn attribute_difference(
    context: &SelfTestContext<'_, '_>,
    step_ids: &[StepId],
    (table_names, difference): (&BTreeSet<String>, Difference),
) -> (Option<StepId>, Finding) {
    let id = step_ids.iter().copied().rev().find(|id| mentions_any(context, *id, table_names));
    let span = if difference.rule == Rule::ObjectLoss {
        drop_statement_span(context, (id, step_ids), table_names)
    } else {
        writing_statement_span(context, (id, step_ids), table_names)
    };
    let subject = format!("{}.{}", difference.table, difference.subject);
    let diagnostic = add_help(Diagnostic::new(difference.rule, span, difference.message));
    (id.or(step_ids.first().copied()), Finding { subject, diagnostic })
}

fn add_help(diagnostic: Diagnostic) -> Diagnostic {
    let (remedy, rule) = match diagnostic.rule {
        Rule::ObjectLoss => ("make it again after the table", "object-loss"),
        Rule::RowChange => ("copy each column to its own place", "row-change"),
        _ => ("copy every row", "row-loss"),
    };
    diagnostic.help(format!(
        "{remedy}; if that is meant, the block says `-- tatmig:allow {rule}` and why"
    ))
}

/// The names in a statement, in lower case.
fn names_in(text: &str) -> impl Iterator<Item = String> + '_ {
    lexer::tokens(text, 0)
        .filter(|token| matches!(token.kind, lexer::TokenKind::Word | lexer::TokenKind::Quoted))
        .map(|token| lexer::unquote(&text[token.range]).to_lowercase())
}

fn mentions_any(context: &SelfTestContext<'_, '_>, id: StepId, names: &BTreeSet<String>) -> bool {
    context.replay.script(context.scope, id).is_some_and(|script| {
        script
            .statements
            .iter()
            .any(|statement| names_in(statement.sql.text()).any(|name| names.contains(&name)))
    })
}

/// The statement that changed the rows of a table: the last that writes rows and names it, else
/// the last that names it, else the block.
fn writing_statement_span(
    context: &SelfTestContext<'_, '_>,
    (id, step_ids): (Option<StepId>, &[StepId]),
    table_names: &BTreeSet<String>,
) -> Range<usize> {
    let writing_keywords = ["insert", "replace", "delete", "update", "with"];
    find_statement_span(context, (id, step_ids), table_names, &|keyword| {
        writing_keywords.contains(&keyword)
    })
}

/// The statement that dropped a table.
fn drop_statement_span(
    context: &SelfTestContext<'_, '_>,
    (id, step_ids): (Option<StepId>, &[StepId]),
    table_names: &BTreeSet<String>,
) -> Range<usize> {
    find_statement_span(context, (id, step_ids), table_names, &|keyword| keyword == "drop")
}

fn find_statement_span(
    context: &SelfTestContext<'_, '_>,
    (id, step_ids): (Option<StepId>, &[StepId]),
    names: &BTreeSet<String>,
    is_wanted_keyword: &dyn Fn(&str) -> bool,
) -> Range<usize> {
    let Some(id) = id.or(step_ids.first().copied()) else { return 0..0 };
    let Some(migration) = context.changelog.step(id) else { return 0..0 };
    let statements =
        context.replay.script(context.scope, id).map_or(&[][..], |script| &script.statements);
    // A table that is renamed on the way has its names in this script alone.
    let mut names = names.clone();
    if let Some(script) = context.replay.script(context.scope, id) {
        let mut intended_changes = crate::selftest::snapshot::IntendedChanges::default();
        intended_changes.add_script(script);
        names = names.iter().flat_map(|name| intended_changes.names_of_table(name)).collect();
    }
    let statements_with_names = || {
        statements.iter().rev().filter(|statement| {
            names_in(statement.sql.text()).any(|token_name| names.contains(&token_name))
        })
    };
    let wanted = statements_with_names().find(|statement| {
        names_in(statement.sql.text()).next().is_some_and(|keyword| is_wanted_keyword(&keyword))
    });
    match wanted.or_else(|| statements_with_names().next()) {
        Some(statement) => first_line_span(&statement.sql),
        None => migration
            .block(context.scope)
            .map_or(migration.tag_span.clone(), |part| part.tag_span.clone()),
    }
}

/// Something wrong, with what tells it from others.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) subject: String,
    pub(crate) diagnostic: Diagnostic,
}
