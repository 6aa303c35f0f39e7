//! PRAGMAs that do nothing in a migration: those that SQLite ignores inside a transaction, and
//! those that only tell something, to nobody.

use crate::document::diagnostic::{Problem, Rule};
use crate::source::Piece;
use crate::sql::tokens::Words;

/// PRAGMAs that set something in a migration, if they have a value.
const SETTING: &[&str] = &["application_id", "legacy_alter_table", "user_version"];

pub(crate) fn judge(statement: &Piece<'_>, problems: &mut Vec<Problem>) {
    let words = Words::of(statement.text());
    if !words.is(0, "PRAGMA") {
        return;
    }
    let at = words.qualified(1);
    let name = words.name(at).to_ascii_lowercase();
    let has_value = words.is(at + 1, "=") || words.is(at + 1, "(");
    let (why, help) = match name.as_str() {
        "optimize" => return,
        "foreign_keys" if has_value => (
            "does nothing inside a transaction",
            "remove it: foreign keys are off while migrations run, and checked before the commit",
        ),
        "defer_foreign_keys" if has_value => (
            "has nothing to defer: foreign keys are off while migrations run",
            "remove it: foreign keys are checked once, before the commit",
        ),
        "page_size" if has_value => (
            "does nothing to a database that is there already",
            "remove it; a page size is changed by `VACUUM`, outside of migrations",
        ),
        "foreign_key_check" | "integrity_check" | "quick_check" => (
            "only tells, and nobody reads it in a migration",
            "remove it: foreign keys are checked before the commit",
        ),
        name if SETTING.contains(&name) && has_value => return,
        _ => ("only tells, and nobody reads it in a migration", "remove it"),
    };
    let last = words.len().saturating_sub(if words.is(words.len() - 1, ";") { 2 } else { 1 });
    problems.push(
        Problem::new(
            Rule::PragmaWithoutEffect,
            words.span(statement, 0, last),
            format!("`PRAGMA {name}` {why}"),
        )
        .help(help),
    );
}
