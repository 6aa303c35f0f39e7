//! Just enough of SQLite's lexical rules to tell comments, strings and separators apart: where a
//! tag line may stand, what a checksum folds, and where the next statement may end. It never
//! decides that a statement is complete; SQLite does.

use std::ops::Range;

use memchr::{memchr, memmem};

/// What a token is, as far as tatmig needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Blank,
    Comment,
    /// A string or a quoted name, quotes included.
    Quoted,
    Word,
    Semicolon,
    Symbol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    /// False for a string or a block comment that the text ends inside of.
    pub(crate) closed: bool,
}

/// The tokens of `text` from byte `at` on.
pub(crate) fn tokens(text: &str, at: usize) -> impl Iterator<Item = Token> + '_ {
    let mut at = at;
    std::iter::from_fn(move || {
        let token = token(text.as_bytes(), at)?;
        at = token.range.end;
        Some(token)
    })
}

fn token(bytes: &[u8], at: usize) -> Option<Token> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    let mut closed = true;
    let (kind, len) = match rest {
        [b'-', b'-', ..] => (Kind::Comment, memchr(b'\n', rest).unwrap_or(rest.len())),
        [b'/', b'*', _, ..] => match memmem::find(&rest[2..], b"*/") {
            Some(end) => (Kind::Comment, end + 4),
            None => {
                closed = false;
                (Kind::Comment, rest.len())
            }
        },
        [b';', ..] => (Kind::Semicolon, 1),
        [b'[', ..] => match memchr(b']', rest) {
            Some(end) => (Kind::Quoted, end + 1),
            None => {
                closed = false;
                (Kind::Quoted, rest.len())
            }
        },
        [quote @ (b'\'' | b'"' | b'`'), ..] => {
            let len;
            (len, closed) = quoted(rest, *quote);
            (Kind::Quoted, len)
        }
        // A byte order mark is white space to SQLite.
        [0xEF, 0xBB, 0xBF, ..] => (Kind::Blank, 3),
        // To the end of the line at most: who asks line by line shall not read on each time.
        [byte, ..] if is_blank(*byte) => {
            let blanks = count(rest, |byte| is_blank(byte) && byte != b'\n');
            (Kind::Blank, blanks + usize::from(rest.get(blanks) == Some(&b'\n')))
        }
        [byte, ..] if is_word(*byte) => (Kind::Word, count(rest, is_word)),
        _ => (Kind::Symbol, 1),
    };
    Some(Token { kind, range: at..at + len, closed })
}

/// The length of a quoted token, in which a doubled quote stands for one, and whether it ends.
fn quoted(rest: &[u8], quote: u8) -> (usize, bool) {
    let mut at = 1;
    while let Some(found) = rest.get(at..).and_then(|rest| memchr(quote, rest)) {
        at += found + 1;
        if rest.get(at) != Some(&quote) {
            return (at, true);
        }
        at += 1;
    }
    (rest.len(), false)
}

fn count(bytes: &[u8], test: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| test(**byte)).count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// The end of the line at `at`, or of the last line into which a string or a comment that stands
/// on it runs on. `Err` is where a string or comment begins that the text ends inside of.
pub(crate) fn end_of_line(text: &str, at: usize) -> Result<usize, usize> {
    for token in tokens(text, at) {
        if !token.closed {
            return Err(token.range.start);
        }
        // Blanks go to the end of the line at most.
        if token.kind == Kind::Blank && text.as_bytes()[token.range.end - 1] == b'\n' {
            return Ok(token.range.end);
        }
    }
    Ok(text.len())
}

/// Whether nothing but blanks, comments and semicolons stands in `text`.
pub(crate) fn is_empty(text: &str) -> bool {
    skip_empty(text, 0) == text.len()
}

/// The first byte from `at` on that is neither blank, comment nor a lone semicolon.
pub(crate) fn skip_empty(text: &str, at: usize) -> usize {
    tokens(text, at)
        .find(|token| !matches!(token.kind, Kind::Blank | Kind::Comment | Kind::Semicolon))
        .map_or(text.len(), |token| token.range.start)
}

/// Whether `text` begins a trigger and does not end with its `END`. SQLite may complain about
/// something else before it notices that the text is incomplete.
pub(crate) fn is_open_trigger(text: &str) -> bool {
    is_trigger(text) && !words(text).last().is_some_and(|word| word.eq_ignore_ascii_case("end"))
}

/// Whether `text` begins a trigger.
pub(crate) fn is_trigger(text: &str) -> bool {
    let mut words = words(text).take(3);
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("create"))
        && words.any(|word| word.eq_ignore_ascii_case("trigger"))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    tokens(text, 0).filter(|token| token.kind == Kind::Word).map(|token| &text[token.range])
}

/// The statements of `text` with comments and white space folded, for checksums and comparisons:
/// tokens with one blank between them. Line ends inside strings become `\n`, so that a checkout
/// with other line ends is the same document.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut previous: Option<Token> = None;
    let mut separator_due = false;
    for token in tokens(text, 0) {
        if matches!(token.kind, Kind::Blank | Kind::Comment) {
            continue;
        }
        if token.kind == Kind::Semicolon {
            separator_due = !folded.is_empty();
            previous = None;
            continue;
        }
        if std::mem::take(&mut separator_due) {
            folded.push_str(" ; ");
        }
        if let Some(previous) = previous {
            // `x'00'` is a blob, `x '00'` is a name and its alias.
            let glued = token.kind == Kind::Quoted
                && previous.kind == Kind::Word
                && previous.range.end == token.range.start;
            if !glued {
                folded.push(' ');
            }
        }
        let piece = &text[token.range.clone()];
        if token.kind == Kind::Quoted && piece.contains('\r') {
            folded.push_str(&piece.replace("\r\n", "\n"));
        } else {
            folded.push_str(piece);
        }
        previous = Some(token);
    }
    folded
}

/// The same with names and keywords in one case: what two spellings of one definition share.
pub(crate) fn canonical(text: &str) -> String {
    let folded = fold(text);
    let mut out = String::with_capacity(folded.len());
    for token in tokens(&folded, 0) {
        let piece = &folded[token.range];
        if token.kind == Kind::Quoted {
            out.push_str(piece);
        } else {
            out.push_str(&piece.to_ascii_lowercase());
        }
    }
    out
}

/// `name` as SQLite reads it whatever it holds.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(left: &str, right: &str) {
        assert_eq!(fold(left), fold(right));
    }

    #[track_caller]
    fn different(left: &str, right: &str) {
        assert_ne!(fold(left), fold(right));
    }

    #[test]
    fn folding_sees_statements_and_not_their_layout() {
        same("CREATE TABLE t(a,b);", "-- why\nCREATE TABLE t (\r\n  a, /* c */ b\r\n)");
        same("SELECT 1; ; SELECT 2", ";SELECT 1;\nSELECT 2;;");
        same("SELECT 'a\r\nb'", "SELECT 'a\nb'");
        same("", "-- nothing\n/* here */ ;");
    }

    #[test]
    fn folding_keeps_what_strings_hold() {
        different("SELECT 'a  b'", "SELECT 'a b'");
        different("SELECT '--a'", "SELECT '--b'");
        different("SELECT x'00'", "SELECT x '00'");
        different("SELECT a b", "SELECT ab");
        different("SELECT 'it''s; x'", "SELECT 'it''s' ; x");
    }

    #[test]
    fn a_line_ends_where_its_last_string_ends() {
        assert_eq!(end_of_line("a\nb", 0), Ok(2));
        assert_eq!(end_of_line("'x\n-- y\n' z\nb", 0), Ok(12));
        assert_eq!(end_of_line("a 'x\ny", 0), Err(2));
        assert_eq!(end_of_line("/* a\nb */\nc", 0), Ok(10));
        assert_eq!(end_of_line("a -- it's\nb", 0), Ok(10));
    }

    #[test]
    fn a_semicolon_in_a_string_or_comment_separates_nothing() {
        let text = "a';'--;\n;[;]/*;*/";
        let found: Vec<_> =
            tokens(text, 0).filter(|t| t.kind == Kind::Semicolon).map(|t| t.range.start).collect();
        assert_eq!(found, [8]);
    }
}
