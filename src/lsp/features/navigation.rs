//! Finds the definition of a name and the statements that use it.

use std::ops::Range;

use gen_lsp_types as lsp;

use crate::database::job::Statement;
use crate::lsp::history::{History, history_of};
use crate::lsp::model::{Model, Step};
use crate::lsp::snapshot::Snapshot;
use crate::lsp::target::{
    FoundName, Resolver, Target, find_name, schemas_around, tokens_named, used_tables,
};
use crate::schema::ObjectKey;
use crate::source::first_line_span;
use crate::sql::tokens::Tokens;

/// The statement that changed something last, and the one that created it.
pub(crate) fn definition(
    snapshot: &Snapshot,
    position: lsp::Position,
) -> Option<lsp::DefinitionResponse> {
    let model = snapshot.model()?;
    let FoundName { step, target, .. } = find_name(model, snapshot.offset(position))?;
    let History { created, changed } = history_of(model, step, &target);
    let spans = changed.into_iter().chain(created).map(|origin| {
        let statement = statement_at(model, origin.span.start);
        statement.map_or(origin.span, |statement| name_in(statement, target.name()))
    });
    let locations: Vec<_> = spans.map(|span| snapshot.location(span)).collect();
    (!locations.is_empty())
        .then_some(lsp::DefinitionResponse::Definition(lsp::Definition::LocationList(locations)))
}

/// Every statement of the scope that reads or writes something, in document order. SQLite's
/// authorizer knows, through views and triggers too.
pub(crate) fn references(
    snapshot: &Snapshot,
    position: lsp::Position,
) -> Option<Vec<lsp::Location>> {
    let model = snapshot.model()?;
    let FoundName { step, target, .. } = find_name(model, snapshot.offset(position))?;
    let mut spans = uses(model, step, &target);
    spans.sort_by_key(|span| span.start);
    Some(spans.into_iter().map(|span| snapshot.location(span)).collect())
}

/// The places where statements name something, and the first line of each that uses it through a view
/// or trigger.
fn uses(model: &Model, step: &Step, target: &Target) -> Vec<Range<usize>> {
    let key = target.object().key();
    let mut spans = Vec::new();
    for other in model.steps.iter().filter(|other| other.scope == step.scope) {
        for statement in model.statements(other) {
            if uses_target(model, other, statement, &key, target) {
                spans.extend(places_in(model, other, statement, target));
            }
        }
    }
    spans
}

/// The places of a statement that mean something. The column of another table with the same name is
/// left out.
fn places_in(
    model: &Model,
    step: &Step,
    statement: &Statement<'_>,
    target: &Target,
) -> Vec<Range<usize>> {
    let tokens = Tokens::new(statement.sql.text());
    let schemas = schemas_around(model, step, statement);
    let resolver = Resolver { tokens: &tokens, schemas: &schemas };
    let places: Vec<Range<usize>> = resolver
        .tokens_meaning(target)
        .into_iter()
        .map(|index| tokens.span(&statement.sql, index, index))
        .collect();
    let effects = &statement.effects;
    let is_used_unnamed = match target {
        Target::Object(_) => true,
        Target::Column { table, column } => {
            let pair = (table.name.to_ascii_lowercase(), column.to_ascii_lowercase());
            effects.read_columns.contains(&pair) || effects.updated_columns.contains(&pair)
        }
    };
    match (places.is_empty(), is_used_unnamed) {
        (true, true) => vec![first_line_span(&statement.sql)],
        _ => places,
    }
}

/// Whether a statement reads or changes something.
pub(crate) fn uses_target(
    model: &Model,
    step: &Step,
    statement: &Statement<'_>,
    key: &ObjectKey,
    target: &Target,
) -> bool {
    let span = statement.sql.full_span();
    let changes_object = || {
        let mut changes = model.changes_in(step).filter(|changed| changed.span == span);
        changes.any(|changed| changed.object_changes.iter().any(|(changed, _)| changed == key))
    };
    let tokens = Tokens::new(statement.sql.text());
    let names = |name: &str| tokens_named(&tokens, name).next().is_some();
    let effects = &statement.effects;
    match target {
        Target::Object(object) => {
            let table = object.name.to_ascii_lowercase();
            used_tables(statement).contains(&table)
                || effects.dropped_objects.contains(&table)
                || effects.created_objects.contains(&table)
                || changes_object()
                || creates_dependent(&tokens) && names(&object.name)
        }
        Target::Column { table, column } => {
            let pair = (table.name.to_ascii_lowercase(), column.to_ascii_lowercase());
            effects.read_columns.contains(&pair)
                || effects.updated_columns.contains(&pair)
                || (changes_object()
                    || used_tables(statement).contains(&pair.0)
                    || creates_dependent(&tokens) && names(&table.name))
                    && names(column)
        }
    }
}

/// Whether a statement creates an index, a view or a trigger, whose body SQLite does not check until
/// it is used, or a table, whose foreign keys name other tables.
fn creates_dependent(tokens: &Tokens<'_>) -> bool {
    tokens.is(0, "CREATE")
}

/// The first place of a name in a statement; the first line without one.
fn name_in(statement: &Statement<'_>, name: &str) -> Range<usize> {
    let tokens = Tokens::new(statement.sql.text());
    match tokens_named(&tokens, name).next() {
        Some(index) => tokens.span(&statement.sql, index, index),
        None => first_line_span(&statement.sql),
    }
}

fn statement_at(model: &Model, offset: usize) -> Option<&Statement<'static>> {
    let step = model.step_at(offset)?;
    model.statements(step).iter().find(|statement| statement.sql.full_span().start == offset)
}
