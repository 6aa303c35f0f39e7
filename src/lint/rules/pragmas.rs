//! Reports PRAGMAs without effect in a migration: those that SQLite ignores inside a transaction,
//! and those that only return rows.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::source::SourceSlice;
use crate::sql::tokens::Tokens;

/// PRAGMAs that have an effect in a migration if a value is given.
const PRAGMAS_WITH_EFFECT: &[&str] = &["application_id", "legacy_alter_table", "user_version"];

pub(crate) fn check(statement: &SourceSlice<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let tokens = Tokens::new(statement.text());
    if !tokens.is(0, "PRAGMA") {
        return;
    }
    let index = tokens.skip_schema_qualifier(1);
    let name = tokens.name(index).to_ascii_lowercase();
    let has_value = tokens.is(index + 1, "=") || tokens.is(index + 1, "(");
    let (reason, help) = match name.as_str() {
        "optimize" => return,
        "foreign_keys" if has_value => (
            "does nothing inside a transaction",
            "remove it: foreign keys are off during migrations and checked before the commit",
        ),
        "defer_foreign_keys" if has_value => (
            "has no effect: foreign keys are off during migrations",
            "remove it: foreign keys are checked once, before the commit",
        ),
        "page_size" if has_value => (
            "does nothing to an existing database",
            "remove it; to change the page size, run `VACUUM` outside of migrations",
        ),
        "foreign_key_check" | "integrity_check" | "quick_check" => (
            "only returns rows, which a migration discards",
            "remove it: foreign keys are checked before the commit",
        ),
        name if PRAGMAS_WITH_EFFECT.contains(&name) && has_value => return,
        _ => ("only returns rows, which a migration discards", "remove it"),
    };
    let last = tokens.len().saturating_sub(if tokens.is(tokens.len() - 1, ";") { 2 } else { 1 });
    diagnostics.push(
        Diagnostic::new(
            Rule::PragmaWithoutEffect,
            tokens.span(statement, 0, last),
            format!("`PRAGMA {name}` {reason}"),
        )
        .help(help),
    );
}
