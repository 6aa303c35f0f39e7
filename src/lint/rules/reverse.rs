//! Reports reverse blocks that do not restore the schema of the version that they lead to.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::migration::{Migration, ScopedSql};
use crate::document::tag::Scope;
use crate::schema::{Schema, compare};

/// Compares the schema after a reverse block with the schema that it has to restore.
pub(crate) fn check(
    migration: &Migration<'_>,
    scope: Scope,
    target_schema: &Schema,
    actual_schema: &Schema,
) -> Option<Diagnostic> {
    let differences = compare::significant_differences(target_schema, actual_schema);
    if differences.is_empty() {
        return None;
    }
    let block = migration.block(scope);
    let (span, help) = match block {
        Some(part) => (
            part.tag_span(),
            "a downgrade and a new upgrade would give the database another schema; complete the block"
                .to_owned(),
        ),
        None => (
            migration.tag_span.clone(),
            format!("add a block tagged `-- [{scope}:{}→{}:start]`", migration.from, migration.to),
        ),
    };
    let subject = match block.filter(|part| !ScopedSql::is_empty(part)) {
        Some(_) => "this reverse block",
        None => "a missing or empty reverse block",
    };
    let message = format!(
        "{subject} does not restore the {scope} schema of `{}`: {}",
        migration.to,
        differences.join("; ")
    );
    Some(Diagnostic::new(Rule::ReverseDiffers, span, message).help(help))
}
