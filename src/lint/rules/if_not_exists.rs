//! Reports `CREATE … IF NOT EXISTS` for an object that the document has already created with
//! another definition. SQLite then silently does nothing.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::Origins;
use crate::migrate::sandbox::Sandbox;
use crate::schema::compare::Extent;
use crate::schema::{ObjectKey, ObjectKind, compare};
use crate::source::SourceSlice;
use crate::sql::lexer;
use crate::sql::object_statement::{ObjectStatement, ObjectVerb};
use crate::sql::tokens::Tokens;

/// Checks a statement before it runs.
pub(crate) fn check(
    sandbox: &mut Sandbox,
    statement: &SourceSlice<'_>,
    origins: &Origins,
    diagnostics: &mut Vec<Diagnostic>,
) -> rusqlite::Result<()> {
    let tokens = Tokens::new(statement.text());
    let Some((kind, at)) = if_not_exists_target(&tokens) else { return Ok(()) };
    let key = ObjectKey::new(kind, &tokens.name(at));
    let Some(existing) = sandbox.schema().get(&key).cloned() else { return Ok(()) };
    let expected = sandbox.run_and_roll_back(|sandbox| {
        // What the statement creates if the object does not exist.
        let drop_statement =
            format!("DROP {} {}", existing.kind, lexer::quote_identifier(&existing.name));
        let is_dropped = sandbox.run_statement(&drop_statement)?.result.is_ok();
        let is_created = is_dropped && sandbox.run_statement(statement.text())?.result.is_ok();
        Ok(is_created.then(|| sandbox.schema().get(&key).cloned()).flatten())
    })?;
    let Some(expected) = expected else { return Ok(()) };
    let differences = compare::object_differences(&expected, &existing, Extent::Complete);
    let differences: Vec<String> = differences
        .iter()
        .filter(|difference| difference.is_significant())
        .map(ToString::to_string)
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    let name = &existing.name;
    let mut diagnostic = Diagnostic::new(
        Rule::HidingGuard,
        tokens.span(statement, 0, at),
        format!(
            "the {} `{name}` already exists with another definition, so this statement does nothing: {}",
            existing.kind,
            differences.join("; ")
        ),
    )
    .help(match existing.kind {
        ObjectKind::Table => format!("change it with `ALTER TABLE {name}`, or rebuild it"),
        kind => {
            format!("add `DROP {} IF EXISTS {name};` before it", kind.to_string().to_uppercase())
        }
    });
    if let Some(span) = origins.get(&key) {
        diagnostic = diagnostic.related(span.clone(), "created or last changed here");
    }
    diagnostics.push(diagnostic);
    Ok(())
}

/// The kind of the object in a `CREATE … IF NOT EXISTS`, and the index of its name. `None` for
/// other statements and for temporary objects.
fn if_not_exists_target(tokens: &Tokens<'_>) -> Option<(ObjectKind, usize)> {
    let found = ObjectStatement::parse(tokens).filter(|found| {
        found.verb == ObjectVerb::Create && found.has_guard && !found.is_outside_main(tokens)
    })?;
    let kind = ObjectKind::parse(&tokens.text(found.kind).to_ascii_lowercase())?;
    Some((kind, found.name))
}
