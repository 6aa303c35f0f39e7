//! Names the columns of a statement that uses tables by the order of their columns.

use crate::document::diagnostic::Diagnostic;
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::Fix;
use crate::sql::lexer::quote_if_needed;
use crate::sql::positional::{PositionalKind, positional_uses};

pub(crate) fn name_columns(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let found = context.statement_at(finding.span.start)?;
    let safety = context.sql_safety(found.step)?;
    let sql = &found.statement.sql;
    let uses = positional_uses(sql.text());
    let mut edits = Vec::new();
    for (index, positional_use) in uses.iter().enumerate() {
        // A `*` over several tables is one use of each.
        if uses
            .iter()
            .enumerate()
            .any(|(other, found)| other != index && found.range == positional_use.range)
        {
            return None;
        }
        let mut tables = found.statement.positional_tables.iter();
        let columns = &tables.find(|table| table.name == positional_use.table)?.columns;
        if columns.is_empty() {
            return None;
        }
        let range = sql.document_span(positional_use.range.clone());
        let text = &sql.text()[positional_use.range.clone()];
        let qualifier = text.strip_suffix('*').unwrap_or_default();
        let names: Vec<String> =
            columns.iter().map(|name| format!("{qualifier}{}", quote_if_needed(name))).collect();
        let names = names.join(", ");
        edits.push(match positional_use.kind {
            PositionalKind::Star => TextEdit::new(range, names),
            PositionalKind::Insert => TextEdit::new(range.end..range.end, format!(" ({names})")),
            PositionalKind::Membership => {
                TextEdit::new(range, format!("(SELECT {names} FROM {text})"))
            }
        });
    }
    (!edits.is_empty()).then(|| Fix::new(finding, safety, "name the columns", edits))
}
