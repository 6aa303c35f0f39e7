//! Reverse blocks that do not lead back: the schema behind them is held against the schema of the
//! version that they name.

use crate::document::diagnostic::{Problem, Rule};
use crate::document::migration::{Migration, Part};
use crate::document::tag::Scope;
use crate::schema::{Schema, compare};

pub(crate) fn judge(
    (migration, scope): (&Migration<'_>, Scope),
    (should, is): (&Schema, &Schema),
) -> Option<Problem> {
    let differences = compare::differences(should, is);
    if differences.is_empty() {
        return None;
    }
    let (span, help) = match migration.part(scope) {
        Some(part) => (
            part.span(),
            "a database that goes down and up again would not be what it was; mend the block"
                .to_owned(),
        ),
        None => (
            migration.span.clone(),
            format!("add a block tagged `-- [{scope}:{}→{}:start]`", migration.from, migration.to),
        ),
    };
    let what = match migration.part(scope).filter(|part| !Part::is_empty(part)) {
        Some(_) => "this reverse block",
        None => "an absent or empty reverse block",
    };
    Some(
        Problem::new(
            Rule::ReverseDiffers,
            span,
            format!(
                "{what} does not bring back the {scope} schema of `{}`: {}",
                migration.to,
                differences.join("; ")
            ),
        )
        .help(help),
    )
}
