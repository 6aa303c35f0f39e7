//! Reverse blocks that do not lead back: the schema behind them is held against the schema of the
//! version that they name.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::migration::{Migration, ScopedSql};
use crate::document::tag::Scope;
use crate::schema::{Schema, compare};

pub(crate) fn check(
    (migration, scope): (&Migration<'_>, Scope),
    (expected_schema, actual_schema): (&Schema, &Schema),
) -> Option<Diagnostic> {
    let differences = compare::differences(expected_schema, actual_schema);
    if differences.is_empty() {
        return None;
    }
    let (span, help) = match migration.block(scope) {
        Some(part) => (
            part.tag_span(),
            "a database that goes down and up again would not be what it was; mend the block"
                .to_owned(),
        ),
        None => (
            migration.tag_span.clone(),
            format!("add a block tagged `-- [{scope}:{}→{}:start]`", migration.from, migration.to),
        ),
    };
    let subject = match migration.block(scope).filter(|part| !ScopedSql::is_empty(part)) {
        Some(_) => "this reverse block",
        None => "an absent or empty reverse block",
    };
    Some(
        Diagnostic::new(
            Rule::ReverseDiffers,
            span,
            format!(
                "{subject} does not bring back the {scope} schema of `{}`: {}",
                migration.to,
                differences.join("; ")
            ),
        )
        .help(help),
    )
}
