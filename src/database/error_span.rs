//! Finds the token of the document that an SQLite error is about. SQLite reports an offset for syntax
//! errors only. For other errors, the token is found by the name in the message.

use std::ops::Range;

use crate::database::error::sqlite_message;
use crate::source::{SourceSlice, first_line_span};
use crate::sql::lexer;

/// Words in SQLite's messages that are not names.
const MESSAGE_WORDS: &[&str] = &[
    "a",
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
    if let rusqlite::Error::SqlInputError { offset, .. } = error
        && let Ok(token_start) = usize::try_from(*offset)
        && token_start < text.len()
        && let Some(token) = lexer::tokens(text, token_start).next()
    {
        return statement.document_span(token.range);
    }
    let message = sqlite_message(error).to_lowercase();
    let column = ["duplicate column name: ", "has no column named "]
        .iter()
        .find_map(|prefix| message.split_once(prefix).map(|(_, name)| name));
    if let Some(column) = column {
        // The last token with the name: the table may have the same name, and of two columns with
        // the same name the second is the duplicate.
        let tokens: Vec<_> =
            lexer::tokens(text, 0).filter(|t| unquoted_lowercase(text, t) == column).collect();
        if let Some(token) = tokens.into_iter().next_back() {
            return statement.document_span(token.range);
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
    let found = lexer::tokens(text, 0).find(is_named);
    found.map_or_else(|| first_line_span(statement), |token| statement.document_span(token.range))
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
