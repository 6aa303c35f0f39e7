//! Checks from its text alone that SQL is exactly one statement that reads. SQLite checks it again
//! when it is prepared; these checks find wrong SQL before any database is opened.

use std::ops::Range;

use crate::sql::lexer;
use crate::sql::lexer::TokenKind;
use crate::sql::pragmas::is_reading_pragma;
use crate::sql::tokens::Tokens;

/// The keywords with which a statement that reads can begin.
const READING_KEYWORDS: [&str; 5] = ["SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"];

/// Why a text is not one statement that reads, and the bytes of the text that the reason is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadStatementError {
    pub(crate) reason: String,
    pub(crate) span: Range<usize>,
}

/// Returns the statement without what follows its semicolon, which is empty or a comment.
///
/// # Errors
///
/// The text is empty, holds several statements, a NUL or an unterminated string, or begins with a
/// keyword of a statement that writes.
pub(crate) fn single_read_statement(text: &str) -> Result<&str, ReadStatementError> {
    let error = |reason: String, span| Err(ReadStatementError { reason, span });
    if let Some(offset) = text.find('\0') {
        return error("the statement contains a NUL character".to_owned(), offset..offset + 1);
    }
    if let Some(token) =
        lexer::tokens(text, 0).find(|token| token.kind == TokenKind::Quoted && !token.is_terminated)
    {
        let start = token.range.start;
        return error("the string or quoted name has no end".to_owned(), start..start + 1);
    }
    let end = lexer::tokens(text, 0)
        .find(|token| token.kind == TokenKind::Semicolon)
        .map_or(text.len(), |token| token.range.start);
    let next_statement = lexer::tokens(text, end).find(|token| {
        !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment | TokenKind::Semicolon)
    });
    let statement = &text[..end];
    let tokens = Tokens::new(statement);
    if tokens.len() == 0 {
        return error("the statement is empty; write a SELECT".to_owned(), 0..0);
    }
    if let Some(token) = next_statement {
        return error(
            "a second statement begins here; `query` runs exactly one".to_owned(),
            token.range,
        );
    }
    let writing = writing_keyword(&tokens);
    if let Some(index) = writing {
        let keyword = tokens.text(index).to_ascii_uppercase();
        return error(
            format!("`query` only reads databases, and `{keyword}` is not a statement that reads"),
            tokens.byte_range(index),
        );
    }
    if let Some(index) = (0..tokens.len()).find(|index| is_parameter(&tokens, *index)) {
        let reason = "the statement has a parameter; write the value in its place".to_owned();
        return error(reason, tokens.byte_range(index));
    }
    match writing_pragma(&tokens) {
        Some(index) => error(
            format!(
                "`query` only reads databases, and `PRAGMA {}` may change something here",
                tokens.text(index).to_ascii_lowercase()
            ),
            tokens.byte_range(index),
        ),
        None => Ok(statement),
    }
}

/// Whether a token begins a parameter: `?`, `:name`, `@name` or `$name`.
fn is_parameter(tokens: &Tokens<'_>, index: usize) -> bool {
    match tokens.kind(index) {
        Some(TokenKind::Symbol) => matches!(tokens.text(index), "?" | ":" | "@"),
        Some(TokenKind::Word) => tokens.text(index).starts_with('$'),
        _ => false,
    }
}

/// The index of the keyword that makes a statement one that does not read.
fn writing_keyword(tokens: &Tokens<'_>) -> Option<usize> {
    if !READING_KEYWORDS.iter().any(|keyword| tokens.is(0, keyword)) {
        return Some(0).filter(|_| tokens.kind(0) == Some(TokenKind::Word));
    }
    if tokens.is(0, "EXPLAIN") || tokens.is(0, "WITH") {
        // `REPLACE` is a function as well.
        return (1..tokens.len()).find(|index| {
            tokens.depth(*index) == 0
                && (["INSERT", "UPDATE", "DELETE"].iter().any(|word| tokens.is(*index, word))
                    || (tokens.is(*index, "REPLACE") && tokens.is(*index + 1, "INTO")))
        });
    }
    None
}

/// The index of the name of a PRAGMA that may change something.
fn writing_pragma(tokens: &Tokens<'_>) -> Option<usize> {
    if !tokens.is(0, "PRAGMA") {
        return None;
    }
    let name_index = if tokens.is(2, ".") { 3 } else { 1 };
    let argument = Some("").filter(|_| tokens.len() > name_index + 1);
    let name = lexer::unquote(tokens.text(name_index));
    (!is_reading_pragma(&name, argument)).then_some(name_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_that_reads_is_accepted() {
        for text in [
            "SELECT 1",
            " select 1 ; -- the end\n",
            "-- first\nSELECT ';' /* ; */ FROM t;;",
            "VALUES (1), (2)",
            "WITH a AS (SELECT 1) SELECT replace(x, 'a', 'b'), \"delete\" FROM a",
            "EXPLAIN QUERY PLAN SELECT 1",
            "PRAGMA user_version",
            "PRAGMA main.table_info(notes)",
            "SELECT 'INSERT INTO t'",
        ] {
            let statement = single_read_statement(text).unwrap();
            assert!(text.starts_with(statement), "{text}");
            assert!(!statement.ends_with(';'), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_at_its_place() {
        for (text, place, reason) in [
            ("", "", "empty"),
            (" ; -- x", "", "empty"),
            ("SELECT 1; SELECT 2", "SELECT", "second statement"),
            ("SELECT 1; DROP TABLE t", "DROP", "second statement"),
            ("INSERT INTO t VALUES (1)", "INSERT", "only reads"),
            ("with a as (select 1) insert into t select * from a", "insert", "only reads"),
            ("EXPLAIN DELETE FROM t", "DELETE", "only reads"),
            ("ATTACH 'x' AS y", "ATTACH", "only reads"),
            ("BEGIN", "BEGIN", "only reads"),
            ("PRAGMA user_version = 4", "user_version", "may change"),
            ("PRAGMA user_version(4)", "user_version", "may change"),
            ("PRAGMA wal_checkpoint", "wal_checkpoint", "may change"),
            ("PRAGMA journal_mode = WAL", "journal_mode", "may change"),
            ("SELECT ?1", "?", "parameter"),
            ("SELECT :a, @b", ":", "parameter"),
            ("SELECT $a", "$a", "parameter"),
            ("SELECT 'a", "'", "no end"),
            ("SELECT 1\0; DROP TABLE t", "\0", "NUL"),
        ] {
            let error = single_read_statement(text).unwrap_err();
            assert_eq!(&text[error.span.clone()], place, "{text}");
            assert!(error.reason.contains(reason), "{text}: {}", error.reason);
        }
    }
}
