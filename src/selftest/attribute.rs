//! Attributes a failure or a loss to the statement that probably caused it, by the names that the
//! statement contains, and adds what to do about it.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::database::error::DatabaseError;
use crate::database::job::CompiledScript;
use crate::document::changelog::StepId;
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::migration::Migration;
use crate::plan::outcome::MigrateError;
use crate::schema::{ObjectKind, Schema};
use crate::selftest::context::SelfTestContext;
use crate::selftest::row_comparison::{Difference, counter_message};
use crate::selftest::snapshot::IntendedChanges;
use crate::source::first_line_span;
use crate::sql::lexer;
use crate::sql::tokens::Tokens;

/// A failure or a loss, with its place in the document.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The step that caused it, as far as that is known.
    pub(crate) step_id: Option<StepId>,
    /// The table that is affected, in lower case; empty if it is not known.
    pub(crate) table: String,
    /// What is affected. Findings of the same rule and place with the same subject are one.
    pub(crate) subject: String,
    pub(crate) diagnostic: Diagnostic,
}

/// What a database error calls a migration.
fn migration_label(migration: &Migration<'_>) -> String {
    format!("the migration {migration}")
}

/// Attributes a transaction that failed because the tables had rows.
pub(crate) fn attribute_failure(
    context: &SelfTestContext<'_, '_>,
    step_ids: &[StepId],
    failure: &MigrateError,
) -> Finding {
    let step_with_label = |label: &str| {
        step_ids.iter().copied().find(|id| {
            context.changelog.step(*id).is_some_and(|migration| migration_label(migration) == label)
        })
    };
    let step_or_first = |label: &str| step_with_label(label).or(step_ids.first().copied());
    match failure {
        MigrateError::Database(
            DatabaseError::Statement { migration, message, span, .. }
            | DatabaseError::ConstraintFailed { migration, message, span, .. },
        ) => Finding {
            step_id: step_with_label(migration),
            table: String::new(),
            subject: message.clone(),
            diagnostic: statement_diagnostic(message, span),
        },
        MigrateError::Database(DatabaseError::RowLoss {
            migration, table, before, after, ..
        }) => {
            let message = row_loss_message(table, *before, *after);
            table_finding(context, step_or_first(migration), table, Rule::RowLoss, message)
        }
        MigrateError::Database(DatabaseError::CounterReset {
            migration,
            table,
            before,
            after,
            ..
        }) => {
            let message = counter_message(table, *before, *after);
            table_finding(context, step_or_first(migration), table, Rule::CounterReset, message)
        }
        MigrateError::Database(DatabaseError::SafetyRule {
            rule,
            migration,
            message,
            span,
            ..
        }) => Finding {
            step_id: step_with_label(migration),
            table: String::new(),
            subject: message.clone(),
            diagnostic: add_help(Diagnostic::new(*rule, span.clone(), message.clone())),
        },
        MigrateError::Database(DatabaseError::ForeignKeyViolations {
            violations, rows, ..
        }) => foreign_key_finding(context, step_ids, violations, *rows),
        MigrateError::Database(DatabaseError::AssertionFailed {
            migration,
            reason,
            rows: _,
            span,
        }) => Finding {
            step_id: step_with_label(migration),
            table: table_after_from(context, span).unwrap_or_default(),
            subject: reason.clone(),
            diagnostic: Diagnostic::new(Rule::Assert, span.clone(), reason.clone()),
        },
        failure => other_finding(context, step_ids.first().copied(), failure),
    }
}

/// A failure that is not about rows.
fn other_finding(
    context: &SelfTestContext<'_, '_>,
    step_id: Option<StepId>,
    failure: &MigrateError,
) -> Finding {
    let span = failure
        .span()
        .unwrap_or_else(|| writing_statement_span(context, step_id, &BTreeSet::new()));
    let message = failure.to_string();
    let diagnostic = Diagnostic::new(Rule::Sql, span, message.clone());
    Finding { step_id, table: String::new(), subject: message, diagnostic }
}

/// What a step does to a table, at the statement that writes the rows of the table.
fn table_finding(
    context: &SelfTestContext<'_, '_>,
    step_id: Option<StepId>,
    table: &str,
    rule: Rule,
    message: String,
) -> Finding {
    let table = table.to_lowercase();
    let span = writing_statement_span(context, step_id, &BTreeSet::from([table.clone()]));
    let diagnostic = add_help(Diagnostic::new(rule, span, message));
    Finding { step_id, subject: format!("{table}."), table, diagnostic }
}

fn row_loss_message(table: &str, before: i64, after: i64) -> String {
    let lost = before.saturating_sub(after);
    format!("rebuilding table `{table}` loses {lost} of its {before} rows")
}

/// The first table of a SELECT in the document, in lower case.
fn table_after_from(context: &SelfTestContext<'_, '_>, span: &Range<usize>) -> Option<String> {
    let tokens = Tokens::new(context.changelog.source().text().get(span.start..)?);
    let from = tokens.find_top_level(0, "FROM")?;
    Some(tokens.name(tokens.skip_schema_qualifier(from + 1)).to_lowercase())
}

/// Describes a statement that ran on empty tables and fails on filled ones.
fn statement_diagnostic(message: &str, span: &Range<usize>) -> Diagnostic {
    let is_constraint = ["constraint failed", "cannot store", "datatype mismatch"]
        .iter()
        .any(|words| message.contains(words));
    if is_constraint {
        let message = format!("rows that were valid before make this migration fail: {message}");
        Diagnostic::new(Rule::Constraint, span.clone(), message)
            .severity(Severity::Error)
            .help("handle such rows in the block, with `COALESCE` or a `WHERE`; if no database can contain any, write `-- tatmig:assert` and the reason above a SELECT that returns them, before this statement")
    } else {
        let message = format!("this statement fails when the tables have rows: {message}");
        Diagnostic::new(Rule::Sql, span.clone(), message)
            .help("it ran on empty tables; change it so that it also runs on filled ones")
    }
}

/// Attributes foreign key violations to the last step that names the first violated table.
fn foreign_key_finding(
    context: &SelfTestContext<'_, '_>,
    step_ids: &[StepId],
    violations: &[String],
    row_count: usize,
) -> Finding {
    let names: Vec<&str> = violations
        .first()
        .map(|description| description.split('`').skip(1).step_by(2).collect())
        .unwrap_or_default();
    let table = names.first().copied().unwrap_or("");
    // The statement names the child, or else the parent.
    let found = names.iter().take(2).find_map(|name| {
        let table_names = BTreeSet::from([name.to_lowercase()]);
        let step_id = last_step_with(context, step_ids, &table_names)?;
        Some((step_id, table_names))
    });
    let step_id = found.as_ref().map(|(id, _)| *id).or(step_ids.last().copied());
    let table_names = found.map(|(_, names)| names).unwrap_or_default();
    let span = writing_statement_span(context, step_id, &table_names);
    let noun = if row_count == 1 { "row refers" } else { "rows refer" };
    let message =
        format!("{row_count} {noun} to missing parents after this: {}", violations.join("; "));
    let diagnostic = Diagnostic::new(Rule::ForeignKeys, span, message).help(
        "keep or delete the rows on both sides of the key; if this is intended, write `-- tatmig:allow foreign-keys` and the reason into the block",
    );
    Finding { step_id, table: String::new(), subject: table.to_owned(), diagnostic }
}

/// Attributes something that existed before some steps and does not exist after them.
/// `table_names` are the names that its table had meanwhile, in lower case.
pub(crate) fn attribute_difference(
    context: &SelfTestContext<'_, '_>,
    step_ids: &[StepId],
    table_names: &BTreeSet<String>,
    difference: Difference,
) -> Finding {
    let step_id = last_step_with(context, step_ids, table_names).or(step_ids.first().copied());
    let span = if difference.rule == Rule::ObjectLoss {
        drop_statement_span(context, step_id, table_names)
    } else {
        writing_statement_span(context, step_id, table_names)
    };
    let subject = format!("{}.{}", difference.table, difference.subject);
    let diagnostic = add_help(Diagnostic::new(difference.rule, span, difference.message));
    Finding { step_id, table: difference.table, subject, diagnostic }
}

/// The names of a table, and where no statement contains one of them, also the names of the tables
/// whose triggers do: a statement then changed the table through a trigger.
pub(crate) fn names_with_triggers(
    scripts: &[&CompiledScript<'_>],
    mut table_names: BTreeSet<String>,
    schema: &Schema,
) -> BTreeSet<String> {
    let contains_one = |text: &str| names_in(text).any(|name| table_names.contains(&name));
    let mut statements = scripts.iter().flat_map(|script| &script.statements);
    if statements.any(|statement| contains_one(statement.sql.text())) {
        return table_names;
    }
    let triggers = schema.values().filter(|object| object.kind == ObjectKind::Trigger);
    let tables: Vec<String> = triggers
        .filter(|trigger| contains_one(&trigger.sql))
        .map(|trigger| trigger.table.to_lowercase())
        .collect();
    table_names.extend(tables);
    table_names
}

fn add_help(diagnostic: Diagnostic) -> Diagnostic {
    let (remedy, rule) = match diagnostic.rule {
        Rule::ObjectLoss => ("create it again after the table", "object-loss"),
        Rule::RowChange => (
            "copy each value to the column of the same name, and convert only values that fit",
            "row-change",
        ),
        Rule::CounterReset => {
            ("update the row of the table in `sqlite_sequence` after the copy", "counter-reset")
        }
        Rule::FtsRowIds => {
            ("keep the row ids in the copy, or rebuild the full-text table after it", "fts-row-ids")
        }
        Rule::DanglingReference => (
            "change it, or create it again after the change that it does not fit",
            "dangling-reference",
        ),
        Rule::RowLoss => ("copy every row", "row-loss"),
        rule => ("change the statement", rule.name()),
    };
    diagnostic.help(format!(
        "{remedy}; if this is intended, write `-- tatmig:allow {rule}` and the reason into the block"
    ))
}

/// The names and keywords in a statement, in lower case.
pub(crate) fn names_in(text: &str) -> impl Iterator<Item = String> + '_ {
    lexer::tokens(text, 0)
        .filter(|token| matches!(token.kind, lexer::TokenKind::Word | lexer::TokenKind::Quoted))
        .map(|token| lexer::unquote(&text[token.range]).to_lowercase())
}

/// The last of some steps with a statement that contains one of the names.
pub(crate) fn last_step_with(
    context: &SelfTestContext<'_, '_>,
    step_ids: &[StepId],
    names: &BTreeSet<String>,
) -> Option<StepId> {
    step_ids.iter().copied().rev().find(|id| {
        context.replay.script(context.scope, *id).is_some_and(|script| {
            script
                .statements
                .iter()
                .any(|statement| names_in(statement.sql.text()).any(|name| names.contains(&name)))
        })
    })
}

/// The place of the statement that changed the rows of a table: the last statement that writes
/// rows and names the table, else the last that names it, else the block.
fn writing_statement_span(
    context: &SelfTestContext<'_, '_>,
    step_id: Option<StepId>,
    table_names: &BTreeSet<String>,
) -> Range<usize> {
    let writing_keywords = ["insert", "replace", "delete", "update", "with"];
    find_statement_span(context, step_id, table_names, &writing_keywords)
}

/// The place of the statement that dropped a table.
fn drop_statement_span(
    context: &SelfTestContext<'_, '_>,
    step_id: Option<StepId>,
    table_names: &BTreeSet<String>,
) -> Range<usize> {
    find_statement_span(context, step_id, table_names, &["drop"])
}

/// The place of the last statement of a step that contains one of the names. Statements that begin
/// with one of the keywords are preferred.
fn find_statement_span(
    context: &SelfTestContext<'_, '_>,
    step_id: Option<StepId>,
    names: &BTreeSet<String>,
    keywords: &[&str],
) -> Range<usize> {
    let Some(id) = step_id else { return 0..0 };
    let Some(migration) = context.changelog.step(id) else { return 0..0 };
    let mut names = names.clone();
    let mut statements = &[][..];
    if let Some(script) = context.replay.script(context.scope, id) {
        statements = &script.statements;
        // The script may rename the table, and then its statements use all of its names.
        let mut intended_changes = IntendedChanges::default();
        intended_changes.add_script(script);
        names = names.iter().flat_map(|name| intended_changes.names_of_table(name)).collect();
    }
    let statements_with_names = || {
        statements.iter().rev().filter(|statement| {
            names_in(statement.sql.text()).any(|token_name| names.contains(&token_name))
        })
    };
    let preferred = statements_with_names().find(|statement| {
        names_in(statement.sql.text())
            .next()
            .is_some_and(|first_word| keywords.contains(&first_word.as_str()))
    });
    match preferred.or_else(|| statements_with_names().next()) {
        Some(statement) => first_line_span(&statement.sql),
        None => migration
            .block(context.scope)
            .map_or(migration.tag_span.clone(), |part| part.tag_span.clone()),
    }
}
