//! Finds the token of the document that an SQLite error is about. SQLite reports an offset for syntax
//! errors only. For other errors, the token is found by the name in the message.

use std::ops::Range;

use crate::database::error::sqlite_message;
use crate::source::{SourceSlice, first_line_span};
use crate::sql::lexer;

/// Words in SQLite's messages that are not names.
const MESSAGE_WORDS: &[&str] = &[
    "a",
    "add",
    "after",
    "already",
    "another",
    "be",
    "cannot",
    "check",
    "column",
    "constraint",
    "create",
    "default",
    "drop",
    "duplicate",
    "error",
    "exists",
    "failed",
    "foreign",
    "has",
    "in",
    "index",
    "is",
    "key",
    "name",
    "no",
    "not",
    "null",
    "of",
    "on",
    "primary",
    "such",
    "table",
    "the",
    "there",
    "to",
    "transaction",
    "trigger",
    "unique",
    "use",
    "used",
    "view",
    "with",
];

/// Returns the bytes of the document that an error is about: the token at SQLite's offset, or else the
/// first token that the message names, or else the first line of the statement.
pub(crate) fn error_span(statement: &SourceSlice<'_>, error: &rusqlite::Error) -> Range<usize> {
    let text = statement.text();
    if let Some(token_start) = error_offset(error)
        && token_start < text.len()
        && let Some(token) = lexer::tokens(text, token_start).next()
    {
        return statement.document_span(token.range);
    }
    span_of_message(statement, 0, &sqlite_message(error))
        .unwrap_or_else(|| first_line_span(statement))
}

/// SQLite's offset of an error in the statement.
pub(crate) fn error_offset(error: &rusqlite::Error) -> Option<usize> {
    match error {
        rusqlite::Error::SqlInputError { offset, .. } => usize::try_from(*offset).ok(),
        _ => None,
    }
}

/// The bytes of the document of the first token, from an offset of the statement on, that a message
/// of SQLite names.
pub(crate) fn span_of_message(
    statement: &SourceSlice<'_>,
    from: usize,
    message: &str,
) -> Option<Range<usize>> {
    let text = statement.text();
    let message = message.to_lowercase();
    if let Some(range) = find_refused_part(text, from, &message) {
        return Some(statement.document_span(range));
    }
    let unresolved_name = ["no such column: ", "ambiguous column name: ", "no such table: "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix));
    if let Some(name) = unresolved_name
        && let Some(range) = find_dotted_name(text, from, name.trim_start_matches("main."))
    {
        return Some(statement.document_span(range));
    }
    let column = ["duplicate column name: ", "has no column named "]
        .iter()
        .find_map(|prefix| message.split_once(prefix).map(|(_, name)| name));
    if let Some(column) = column {
        // The last token with the name: the table may have the same name, and of two columns with
        // the same name the second is the duplicate.
        let tokens: Vec<_> =
            lexer::tokens(text, from).filter(|t| unquoted_lowercase(text, t) == column).collect();
        if let Some(token) = tokens.into_iter().next_back() {
            return Some(statement.document_span(token.range));
        }
    }
    let names_in_message: Vec<&str> = message
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .filter(|word| !MESSAGE_WORDS.contains(word) && word.len() > 1 || word.len() == 1)
        .collect();
    let is_named = |token: &lexer::Token| {
        let name = unquoted_lowercase(text, token);
        matches!(token.kind, lexer::TokenKind::Word | lexer::TokenKind::Quoted)
            && !MESSAGE_WORDS.contains(&name.as_str())
            && names_in_message.contains(&name.as_str())
    };
    let found = lexer::tokens(text, from).find(is_named);
    found.map(|token| statement.document_span(token.range))
}

/// The bytes of the constraint of a column that ALTER TABLE cannot add, or of the argument that names
/// a tokenizer which this SQLite does not have.
fn find_refused_part(text: &str, from: usize, message: &str) -> Option<Range<usize>> {
    let is_part = |token: &lexer::Token| {
        let token = text[token.range.clone()].to_lowercase();
        match message.strip_prefix("no such tokenizer: ") {
            Some(tokenizer) => token.starts_with('\'') && token.contains(tokenizer),
            None => ["unique", "primary", "stored"]
                .iter()
                .any(|part| token == *part && message.starts_with(&format!("cannot add a {part}"))),
        }
    };
    lexer::tokens(text, from).find(is_part).map(|token| token.range)
}

/// The bytes of the first name of this spelling, which may be qualified: `new.title`.
fn find_dotted_name(text: &str, from: usize, name: &str) -> Option<Range<usize>> {
    let parts: Vec<&str> = name.split('.').collect();
    let tokens: Vec<_> = lexer::tokens(text, from)
        .filter(|token| {
            !matches!(token.kind, lexer::TokenKind::Whitespace | lexer::TokenKind::Comment)
        })
        .collect();
    let found = tokens.windows(parts.len() * 2 - 1).find(|window| {
        window
            .iter()
            .step_by(2)
            .zip(&parts)
            .all(|(token, part)| unquoted_lowercase(text, token) == *part)
            && window.iter().skip(1).step_by(2).all(|token| &text[token.range.clone()] == ".")
    })?;
    Some(found.first()?.range.start..found.last()?.range.end)
}

/// A name without its quotes, in lower case. A string in single quotes keeps its quotes, so that
/// it never equals a name.
fn unquoted_lowercase(text: &str, token: &lexer::Token) -> String {
    let token_text = &text[token.range.clone()];
    if token_text.starts_with('\'') {
        return token_text.to_lowercase();
    }
    lexer::unquote(token_text).to_lowercase()
}
