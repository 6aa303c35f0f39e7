//! Where in the document something went wrong: the statement that lost the rows, as far as its
//! words tell, and what to do about it.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::database::error::DatabaseError;
use crate::document::changelog::StepId;
use crate::document::diagnostic::{Problem, Rule, Severity};
use crate::document::migration::Migration;
use crate::plan::outcome::Failure;
use crate::selftest::context::Document;
use crate::selftest::snapshot::Difference;
use crate::selftest::values::unquoted;
use crate::source::whole_span;
use crate::sql::lexer;

/// What messages of the database call a migration.
pub(crate) fn label(migration: &Migration<'_>) -> String {
    format!("the migration {migration}")
}

/// A transaction that failed with rows in the tables.
pub(crate) fn failure(
    document: &Document<'_, '_>,
    ids: &[StepId],
    failure: &Failure,
) -> (Option<StepId>, Trouble) {
    let labelled = |label: &str| {
        ids.iter().copied().find(|id| {
            document
                .changelog
                .step(*id)
                .is_some_and(|m| crate::selftest::attribute::label(m) == label)
        })
    };
    let (id, subject, problem) = match failure {
        Failure::Database(DatabaseError::Statement { migration, message, span }) => {
            let is_constraint =
                message.contains("constraint failed") || message.contains("cannot store");
            let problem = if is_constraint {
                Problem::new(Rule::Constraint, span.clone(), format!("rows that were allowed stop this migration: {message}"))
                    .severity(Severity::Error)
                    .help("take care of such rows in the block, with `COALESCE` or a `WHERE`; if no database can hold any, the block says `-- tatmig:allow constraint` and why")
            } else {
                Problem::new(
                    Rule::Sql,
                    span.clone(),
                    format!("with rows in the tables this statement fails: {message}"),
                )
                .help("it ran where the tables were empty; make it fit for rows")
            };
            (labelled(migration), message.clone(), problem)
        }
        Failure::Database(DatabaseError::RowLoss { migration, table, before, after }) => {
            let id = labelled(migration);
            let span = place(document, (id, ids), &BTreeSet::from([table.clone()]));
            let message =
                format!("table `{table}` is made anew and keeps {after} of its {before} rows");
            let problem = Problem::new(Rule::RowLoss, span, message);
            (id, format!("{table}."), with_help(problem))
        }
        Failure::Database(DatabaseError::ForeignKeys { broken, rows }) => {
            let table = broken.first().and_then(|words| words.split('`').nth(1)).unwrap_or("");
            let names = BTreeSet::from([table.to_lowercase()]);
            let id = ids.iter().copied().rev().find(|id| mentions(document, *id, &names));
            let id = id.or(ids.last().copied());
            let span = place(document, (id, ids), &names);
            let noun = if *rows == 1 { "row refers" } else { "rows refer" };
            let message = format!(
                "{rows} {noun} to parents that are not there after this: {}",
                broken.join("; ")
            );
            let problem = Problem::new(Rule::ForeignKeys, span, message).help(
                "keep or remove the rows on both sides of the key; if that is meant, the block says `-- tatmig:allow foreign-keys` and why",
            );
            (id, table.to_owned(), problem)
        }
        failure => {
            let span =
                failure.span().unwrap_or_else(|| place(document, (None, ids), &BTreeSet::new()));
            let message = failure.to_string();
            (ids.first().copied(), message.clone(), Problem::new(Rule::Sql, span, message))
        }
    };
    (id, Trouble { subject, problem })
}

/// Something that was there before some steps, and is not after them.
pub(crate) fn difference(
    document: &Document<'_, '_>,
    ids: &[StepId],
    (names, difference): (&BTreeSet<String>, Difference),
) -> (Option<StepId>, Trouble) {
    let id = ids.iter().copied().rev().find(|id| mentions(document, *id, names));
    let span = if difference.rule == Rule::ObjectLoss {
        dropping(document, (id, ids), names)
    } else {
        place(document, (id, ids), names)
    };
    let subject = format!("{}.{}", difference.table, difference.subject);
    let problem = with_help(Problem::new(difference.rule, span, difference.message));
    (id.or(ids.first().copied()), Trouble { subject, problem })
}

fn with_help(problem: Problem) -> Problem {
    let (what, rule) = match problem.rule {
        Rule::ObjectLoss => ("make it again after the table", "object-loss"),
        Rule::RowChange => ("copy each column to its own place", "row-change"),
        _ => ("copy every row", "row-loss"),
    };
    problem
        .help(format!("{what}; if that is meant, the block says `-- tatmig:allow {rule}` and why"))
}

/// The names in a statement, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    lexer::tokens(text, 0)
        .filter(|token| matches!(token.kind, lexer::Kind::Word | lexer::Kind::Quoted))
        .map(|token| unquoted(&text[token.range]).to_lowercase())
}

fn mentions(document: &Document<'_, '_>, id: StepId, names: &BTreeSet<String>) -> bool {
    document.replay.script(document.scope, id).is_some_and(|script| {
        script.statements.iter().any(|s| words(s.sql.text()).any(|word| names.contains(&word)))
    })
}

/// The statement that changed the rows of a table: the last that writes rows and names it, else
/// the last that names it, else the block.
fn place(
    document: &Document<'_, '_>,
    (id, ids): (Option<StepId>, &[StepId]),
    names: &BTreeSet<String>,
) -> Range<usize> {
    let writes = ["insert", "replace", "delete", "update", "with"];
    find(document, (id, ids), names, &|first| writes.contains(&first))
}

/// The statement that dropped a table.
fn dropping(
    document: &Document<'_, '_>,
    (id, ids): (Option<StepId>, &[StepId]),
    names: &BTreeSet<String>,
) -> Range<usize> {
    find(document, (id, ids), names, &|first| first == "drop")
}

fn find(
    document: &Document<'_, '_>,
    (id, ids): (Option<StepId>, &[StepId]),
    names: &BTreeSet<String>,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Range<usize> {
    let Some(id) = id.or(ids.first().copied()) else { return 0..0 };
    let Some(migration) = document.changelog.step(id) else { return 0..0 };
    let statements =
        document.replay.script(document.scope, id).map_or(&[][..], |script| &script.statements);
    // A table that is renamed on the way has its names in this script alone.
    let mut names = names.clone();
    if let Some(script) = document.replay.script(document.scope, id) {
        let mut intent = crate::selftest::snapshot::Intent::default();
        intent.add(script);
        names = names.iter().flat_map(|name| intent.names(name)).collect();
    }
    let naming = || {
        statements.iter().rev().filter(|s| words(s.sql.text()).any(|word| names.contains(&word)))
    };
    let wanted = naming().find(|statement| {
        words(statement.sql.text()).next().is_some_and(|first| is_wanted(&first))
    });
    match wanted.or_else(|| naming().next()) {
        Some(statement) => whole_span(&statement.sql),
        None => {
            migration.part(document.scope).map_or(migration.span.clone(), |part| part.span.clone())
        }
    }
}

/// Something wrong, with what tells it from others.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) subject: String,
    pub(crate) problem: Problem,
}
