//! Implements SQLite's lexical rules as far as needed to separate comments, strings, words and
//! semicolons. They decide where a tag line can be, what a checksum ignores, and where the next
//! statement may end. Whether a statement is complete, only SQLite decides.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memmem};

use crate::sql::keywords::is_reserved;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Whitespace,
    Comment,
    /// A string or a quoted name, with its quotes.
    Quoted,
    Word,
    Semicolon,
    Symbol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) range: Range<usize>,
    /// False for a string or a block comment whose end is missing.
    pub(crate) is_terminated: bool,
}

/// The tokens of `text` from a byte offset on. The offset must be the start of a token.
pub(crate) fn tokens(text: &str, offset: usize) -> impl Iterator<Item = Token> + '_ {
    let mut at = offset;
    std::iter::from_fn(move || {
        let token = token_at(text.as_bytes(), at)?;
        at = token.range.end;
        Some(token)
    })
}

fn token_at(bytes: &[u8], offset: usize) -> Option<Token> {
    let rest = bytes.get(offset..).filter(|rest| !rest.is_empty())?;
    let mut is_terminated = true;
    let (kind, len) = match rest {
        [b'-', b'-', ..] => (TokenKind::Comment, memchr(b'\n', rest).unwrap_or(rest.len())),
        [b'/', b'*', _, ..] => match memmem::find(&rest[2..], b"*/") {
            Some(end) => (TokenKind::Comment, end + 4),
            None => {
                is_terminated = false;
                (TokenKind::Comment, rest.len())
            }
        },
        [b';', ..] => (TokenKind::Semicolon, 1),
        [b'[', ..] => match memchr(b']', rest) {
            Some(end) => (TokenKind::Quoted, end + 1),
            None => {
                is_terminated = false;
                (TokenKind::Quoted, rest.len())
            }
        },
        [quote @ (b'\'' | b'"' | b'`'), ..] => {
            let len;
            (len, is_terminated) = scan_quoted(rest, *quote);
            (TokenKind::Quoted, len)
        }
        // SQLite treats a byte order mark as white space.
        [0xEF, 0xBB, 0xBF, ..] => (TokenKind::Whitespace, 3),
        // A white space token ends with its line, so that reading line by line stays linear.
        [byte, ..] if is_whitespace(*byte) => {
            let whitespace_len = count_while(rest, |byte| is_whitespace(byte) && byte != b'\n');
            (
                TokenKind::Whitespace,
                whitespace_len + usize::from(rest.get(whitespace_len) == Some(&b'\n')),
            )
        }
        [byte, ..] if is_word_byte(*byte) => (TokenKind::Word, count_while(rest, is_word_byte)),
        _ => (TokenKind::Symbol, 1),
    };
    Some(Token { kind, range: offset..offset + len, is_terminated })
}

/// The length of a quoted token, in which two quotes mean one, and whether its end was found.
fn scan_quoted(rest: &[u8], quote: u8) -> (usize, bool) {
    let mut offset = 1;
    while let Some(found) = rest.get(offset..).and_then(|rest| memchr(quote, rest)) {
        offset += found + 1;
        if rest.get(offset) != Some(&quote) {
            return (offset, true);
        }
        offset += 1;
    }
    (rest.len(), false)
}

fn count_while(bytes: &[u8], predicate: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| predicate(**byte)).count()
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// The end of the line at `offset`. If a string or a comment on it continues on later lines, the
/// end of the line on which it ends. `Err` is the offset of a string or comment without an end.
pub(crate) fn end_of_logical_line(text: &str, offset: usize) -> Result<usize, usize> {
    for token in tokens(text, offset) {
        if !token.is_terminated {
            return Err(token.range.start);
        }
        // A white space token never spans two lines.
        if token.kind == TokenKind::Whitespace && text.as_bytes()[token.range.end - 1] == b'\n' {
            return Ok(token.range.end);
        }
    }
    Ok(text.len())
}

/// Whether `text` has only white space, comments and semicolons.
pub(crate) fn is_empty(text: &str) -> bool {
    skip_trivia(text, 0) == text.len()
}

/// The offset of the first token from `offset` on that is not white space, comment or semicolon.
pub(crate) fn skip_trivia(text: &str, offset: usize) -> usize {
    tokens(text, offset)
        .find(|token| {
            !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment | TokenKind::Semicolon)
        })
        .map_or(text.len(), |token| token.range.start)
}

/// Whether `text` begins a trigger and does not end with its `END`. SQLite may report another error
/// before it reports that the text is incomplete.
pub(crate) fn is_unfinished_trigger(text: &str) -> bool {
    is_create_trigger(text)
        && !words(text).last().is_some_and(|word| word.eq_ignore_ascii_case("end"))
}

/// Whether `text` begins a trigger.
pub(crate) fn is_create_trigger(text: &str) -> bool {
    let mut words = words(text).take(3);
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("create"))
        && words.any(|word| word.eq_ignore_ascii_case("trigger"))
}

pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    tokens(text, 0).filter(|token| token.kind == TokenKind::Word).map(|token| &text[token.range])
}

/// The statements of `text` for checksums and comparisons: without comments, and with one space
/// between tokens. Line ends inside strings become `\n`, so that a checkout with other line ends is
/// the same document.
pub(crate) fn normalize(text: &str) -> String {
    let mut normalized = String::with_capacity(text.len());
    let mut previous: Option<Token> = None;
    let mut is_separator_due = false;
    for token in tokens(text, 0) {
        if matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment) {
            continue;
        }
        if token.kind == TokenKind::Semicolon {
            is_separator_due = !normalized.is_empty();
            previous = None;
            continue;
        }
        if std::mem::take(&mut is_separator_due) {
            normalized.push_str(" ; ");
        }
        if let Some(previous) = previous {
            // `x'00'` is a blob, but `x '00'` is a name and its alias.
            let is_adjacent = token.kind == TokenKind::Quoted
                && previous.kind == TokenKind::Word
                && previous.range.end == token.range.start;
            if !is_adjacent {
                normalized.push(' ');
            }
        }
        let token_text = &text[token.range.clone()];
        if token.kind == TokenKind::Quoted && token_text.contains('\r') {
            normalized.push_str(&token_text.replace("\r\n", "\n"));
        } else {
            normalized.push_str(token_text);
        }
        previous = Some(token);
    }
    normalized
}

/// The normalized text with words in lower case, so that two spellings of one definition are
/// equal. Quoted names and strings keep their case.
pub(crate) fn normalize_case(text: &str) -> String {
    let normalized = normalize(text);
    let mut out = String::with_capacity(normalized.len());
    for token in tokens(&normalized, 0) {
        let token_text = &normalized[token.range];
        if token.kind == TokenKind::Quoted {
            out.push_str(token_text);
        } else {
            out.push_str(&token_text.to_ascii_lowercase());
        }
    }
    out
}

/// Puts a name in double quotes, so that SQLite accepts any characters in it.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The quoted name of a table of the main database. Without `main`, a temporary table of the same
/// name would be meant.
pub(crate) fn quote_main_table(name: &str) -> String {
    format!("main.{}", quote_identifier(name))
}

/// Removes the quotes from a quoted name or a string: `"a""b"` becomes `a"b`. A text that is not
/// one complete quoted token is returned unchanged.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let quote = match bytes.first() {
        Some(quote @ (b'\'' | b'"' | b'`')) => *quote,
        Some(b'[') if memchr(b']', bytes) == Some(bytes.len() - 1) => {
            return Cow::Borrowed(&text[1..text.len() - 1]);
        }
        _ => return Cow::Borrowed(text),
    };
    if scan_quoted(bytes, quote) != (bytes.len(), true) {
        return Cow::Borrowed(text);
    }
    let inner = &text[1..text.len() - 1];
    if memchr(quote, inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let quote = char::from(quote);
    Cow::Owned(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
}

/// A name as it can be written in a statement: in quotes if it is a reserved word or no word.
pub(crate) fn quote_if_needed(name: &str) -> String {
    let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit());
    if is_word && !is_reserved(name) { name.to_owned() } else { quote_identifier(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_same_normalized(left: &str, right: &str) {
        assert_eq!(normalize(left), normalize(right));
    }

    #[track_caller]
    fn assert_different_normalized(left: &str, right: &str) {
        assert_ne!(normalize(left), normalize(right));
    }

    #[test]
    fn normalizing_ignores_the_layout_of_statements() {
        assert_same_normalized(
            "CREATE TABLE t(a,b);",
            "-- why\nCREATE TABLE t (\r\n  a, /* c */ b\r\n)",
        );
        assert_same_normalized("SELECT 1; ; SELECT 2", ";SELECT 1;\nSELECT 2;;");
        assert_same_normalized("SELECT 'a\r\nb'", "SELECT 'a\nb'");
        assert_same_normalized("", "-- nothing\n/* here */ ;");
    }

    #[test]
    fn normalizing_keeps_the_content_of_strings() {
        assert_different_normalized("SELECT 'a  b'", "SELECT 'a b'");
        assert_different_normalized("SELECT '--a'", "SELECT '--b'");
        assert_different_normalized("SELECT x'00'", "SELECT x '00'");
        assert_different_normalized("SELECT a b", "SELECT ab");
        assert_different_normalized("SELECT 'it''s; x'", "SELECT 'it''s' ; x");
    }

    #[test]
    fn unquoting_undoes_doubled_quotes() {
        for (text, expected) in [
            (r#""a""b""#, r#"a"b"#),
            (r#""""""#, r#"""#),
            (r#""""a""#, r#""a"#),
            (r#""a""""#, r#"a""#),
            ("'it''s'", "it's"),
            ("`a``b`", "a`b"),
            ("[a\"b]", "a\"b"),
            ("\"'a'\"", "'a'"),
            ("\"[a]\"", "[a]"),
            ("\"\"", ""),
            ("[]", ""),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(unquote(text), expected, "{text}");
        }
    }

    #[test]
    fn unquoting_leaves_incomplete_tokens_and_expressions_alone() {
        for text in ["\"", "'", "[", "\"a", "'a''", "[a", "\"a\" > \"b\"", "[a] + [b]", "a\""] {
            assert_eq!(unquote(text), text);
        }
    }

    #[test]
    fn quoting_and_unquoting_return_the_same_name() {
        for name in ["a", "a\"b", "\"", "\"\"", "a b", "日本"] {
            assert_eq!(unquote(&quote_identifier(name)), name);
        }
    }

    #[test]
    fn a_line_ends_where_its_last_string_ends() {
        assert_eq!(end_of_logical_line("a\nb", 0), Ok(2));
        assert_eq!(end_of_logical_line("'x\n-- y\n' z\nb", 0), Ok(12));
        assert_eq!(end_of_logical_line("a 'x\ny", 0), Err(2));
        assert_eq!(end_of_logical_line("/* a\nb */\nc", 0), Ok(10));
        assert_eq!(end_of_logical_line("a -- it's\nb", 0), Ok(10));
    }

    #[test]
    fn a_semicolon_in_a_string_or_comment_separates_nothing() {
        let text = "a';'--;\n;[;]/*;*/";
        let found: Vec<_> = tokens(text, 0)
            .filter(|t| t.kind == TokenKind::Semicolon)
            .map(|t| t.range.start)
            .collect();
        assert_eq!(found, [8]);
    }
}
