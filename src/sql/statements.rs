//! Splits SQL into statements, each with the comments and blank lines above it. Nothing is lost: the
//! parts joined are the text.

use std::ops::Range;

use crate::sql::lexer;
use crate::sql::lexer::{Token, TokenKind};

/// A statement and what precedes it. At the end of a text the statement may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatementRange {
    /// White space, comments and superfluous semicolons.
    pub(crate) leading: Range<usize>,
    /// From the first token to the semicolon.
    pub(crate) statement: Range<usize>,
    /// False if a string or a comment in it does not end.
    pub(crate) is_terminated: bool,
}

/// The words with which a statement begins, as far as they decide where it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Nothing yet, or `EXPLAIN`.
    Start,
    /// `CREATE`, `TEMP` or `TEMPORARY`.
    Create,
    Ordinary,
    /// The statement is a trigger: it ends with `; END ;`.
    Trigger,
}

/// Splits a text as SQLite's `sqlite3_complete` does: at each semicolon, and after `; END ;` of a
/// trigger. A line of the SQLite shell, such as `.read file`, is a statement of its own.
pub(crate) fn split(text: &str) -> Vec<StatementRange> {
    let mut parts = Vec::new();
    let mut leading_start = 0;
    let mut at = lexer::skip_trivia(text, 0);
    while at < text.len() {
        let statement = statement_at(text, at);
        let end = statement.range.end;
        parts.push(StatementRange {
            leading: leading_start..at,
            statement: statement.range,
            is_terminated: statement.is_terminated,
        });
        leading_start = end;
        at = lexer::skip_trivia(text, end);
    }
    if leading_start < text.len() || parts.is_empty() {
        let end = text.len();
        parts.push(StatementRange {
            leading: leading_start..end,
            statement: end..end,
            is_terminated: true,
        });
    }
    parts
}

/// The byte ranges of the statements of a text, each with its semicolon.
pub(crate) fn statement_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    split(text).into_iter().map(|part| part.statement).filter(|statement| !statement.is_empty())
}

/// The statement that begins at an offset, up to its semicolon or the end of the text.
fn statement_at(text: &str, start: usize) -> Token {
    if text[start..].starts_with('.') {
        let end = text[start..].find('\n').map_or(text.len(), |end| start + end);
        let range = start..end;
        return Token { kind: TokenKind::Symbol, range, is_terminated: true };
    }
    let mut opening = Opening::Start;
    let mut is_terminated = true;
    // Of a trigger: whether the last tokens were `;`, or `;` and `END`.
    let mut is_after_semicolon = false;
    let mut is_after_end = false;
    let mut last_end = start;
    for token in lexer::tokens(text, start) {
        is_terminated &= token.is_terminated;
        if matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment) {
            continue;
        }
        let word = &text[token.range.clone()];
        last_end = token.range.end;
        if token.kind == TokenKind::Semicolon {
            if opening != Opening::Trigger || is_after_end {
                return Token { range: start..token.range.end, is_terminated, ..token };
            }
            (is_after_semicolon, is_after_end) = (true, false);
            continue;
        }
        is_after_end = is_after_semicolon && word.eq_ignore_ascii_case("END");
        is_after_semicolon = false;
        opening = opening.after_word(word);
    }
    let end = if is_terminated { last_end } else { text.len() };
    Token { kind: TokenKind::Symbol, range: start..end, is_terminated }
}

impl Opening {
    fn after_word(self, word: &str) -> Self {
        let is = |expected: &str| word.eq_ignore_ascii_case(expected);
        match self {
            Self::Start if is("EXPLAIN") => Self::Start,
            Self::Start if is("CREATE") => Self::Create,
            Self::Create if is("TEMP") || is("TEMPORARY") => Self::Create,
            Self::Create if is("TRIGGER") => Self::Trigger,
            Self::Trigger => Self::Trigger,
            _ => Self::Ordinary,
        }
    }
}

/// The text with a semicolon behind its last statement, if that has none.
pub(crate) fn with_final_semicolon(text: &str) -> String {
    let significant = lexer::tokens(text, 0)
        .filter(|token| !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment))
        .last();
    match significant {
        Some(token) if token.kind != TokenKind::Semicolon => {
            let end = token.range.end;
            format!("{};{}", &text[..end], &text[end..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let parts = split(text);
        let joined: String = parts
            .iter()
            .flat_map(|part| [&text[part.leading.clone()], &text[part.statement.clone()]])
            .collect();
        assert_eq!(joined, text, "the parts joined are the text");
        let statements: Vec<_> = statement_ranges(text).map(|range| &text[range]).collect();
        assert_eq!(statements, expected, "{text}");
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_strings_and_comments() {
        check("", &[]);
        check("-- a;\n", &[]);
        check("SELECT 1", &["SELECT 1"]);
        check("SELECT ';' ; /* ; */ SELECT 2;\n-- end", &["SELECT ';' ;", "SELECT 2;"]);
        check(";;SELECT 1;;", &["SELECT 1;"]);
        check("SELECT \"a;b\", [c;d], `e;f`;x", &["SELECT \"a;b\", [c;d], `e;f`;", "x"]);
    }

    #[test]
    fn a_trigger_ends_after_its_end() {
        let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; UPDATE a SET b = 'END;'; END;";
        check(&format!("{trigger}SELECT 1;"), &[trigger, "SELECT 1;"]);
        let temporary = "create temp trigger t begin select 1; end;";
        check(&format!("{temporary}\nSELECT 1;"), &[temporary, "SELECT 1;"]);
        check("CREATE TABLE trigger_t (x); END;", &["CREATE TABLE trigger_t (x);", "END;"]);
        check("CREATE TRIGGER t BEGIN SELECT 1;\nEND", &["CREATE TRIGGER t BEGIN SELECT 1;\nEND"]);
    }

    #[test]
    fn a_command_of_the_shell_ends_with_its_line() {
        check(".read a.sql\nSELECT 1;", &[".read a.sql", "SELECT 1;"]);
    }

    #[test]
    fn a_string_without_an_end_takes_the_rest() {
        let parts = split("SELECT 1; SELECT 'a;\nSELECT 2;");
        assert!(parts[0].is_terminated);
        assert!(!parts[1].is_terminated);
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn a_missing_semicolon_is_added_before_comments() {
        assert_eq!(with_final_semicolon("SELECT 1 -- x\n"), "SELECT 1; -- x\n");
        assert_eq!(with_final_semicolon("SELECT 1;\n"), "SELECT 1;\n");
        assert_eq!(with_final_semicolon("-- x\n"), "-- x\n");
    }
}
