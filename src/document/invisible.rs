//! Finds characters in SQL that only look like a space, a quote or a dash, as word processors and web
//! pages produce them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::pattern::constant_pattern;
use crate::source::SourceSlice;
use crate::sql::lexer;
use crate::sql::lexer::TokenKind;

/// How many other places of the same character a diagnostic shows.
const MAX_OTHER_PLACES: usize = 3;

/// The spaces and line ends of Unicode.
static UNUSUAL_SPACE: LazyLock<Regex> = LazyLock::new(|| constant_pattern(r"\p{Z}"));

/// The control characters, the format characters and the other characters of Unicode that are not
/// displayed.
static INVISIBLE: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u{2800}]"));

/// What a character was probably meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookalike {
    Space,
    Nothing,
    Quote,
    Dash,
}

impl Lookalike {
    fn from_char(character: char) -> Option<Self> {
        Some(match character {
            '\u{ab}'
            | '\u{b4}'
            | '\u{bb}'
            | '\u{2018}'..='\u{201f}'
            | '\u{2032}'..='\u{2037}'
            | '\u{2039}'
            | '\u{203a}'
            | '\u{ff02}'
            | '\u{ff07}' => Self::Quote,
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{ff0d}' => Self::Dash,
            _ if character.is_ascii() => return None,
            _ => {
                let mut buffer = [0; 4];
                let text = character.encode_utf8(&mut buffer);
                if UNUSUAL_SPACE.is_match(text) {
                    Self::Space
                } else if INVISIBLE.is_match(text) {
                    Self::Nothing
                } else {
                    return None;
                }
            }
        })
    }

    fn help(self) -> &'static str {
        match self {
            Self::Space => "replace it with an ordinary space",
            Self::Nothing => "remove it",
            Self::Quote => "write strings in plain single quotes: `'text'`",
            Self::Dash => "write a plain hyphen: `-`",
        }
    }
}

/// A character at a byte offset of the block.
struct Found {
    offset: usize,
    character: char,
    lookalike: Lookalike,
}

impl Found {
    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.character.len_utf8()
    }
}

/// Reports the characters of a block's SQL that SQLite does not take for what they look like, once
/// for each kind. In strings and comments they are text, except at the start of a string.
pub(crate) fn check_characters(block: &SourceSlice<'_>, mut report: impl FnMut(Diagnostic)) {
    let text = block.text();
    if text.is_ascii() {
        return;
    }
    let mut found: Vec<Found> = Vec::new();
    for token in lexer::tokens(text, 0) {
        let characters = match token.kind {
            TokenKind::Word => token.range.clone(),
            TokenKind::Quoted if text[token.range.clone()].starts_with(['\'', '"']) => {
                first_character(text, token.range.start + 1)
            }
            _ => continue,
        };
        let is_string = token.kind == TokenKind::Quoted;
        // A quoted word counts once.
        let mut last = None;
        for (at, character) in text[characters.clone()].char_indices() {
            let Some(lookalike) = Lookalike::from_char(character) else { continue };
            if is_string && lookalike != Lookalike::Quote || last == Some(lookalike) {
                continue;
            }
            last = Some(lookalike);
            found.push(Found { offset: characters.start + at, character, lookalike });
        }
    }
    while let Some(first) = found.first() {
        let lookalike = first.lookalike;
        let same: Vec<Found> = found.extract_if(.., |found| found.lookalike == lookalike).collect();
        report(diagnostic(block, &same));
    }
}

fn first_character(text: &str, start: usize) -> Range<usize> {
    let length = text[start..].chars().next().map_or(0, char::len_utf8);
    start..start + length
}

/// One diagnostic about characters of one kind; at least one.
fn diagnostic(block: &SourceSlice<'_>, found: &[Found]) -> Diagnostic {
    let first = &found[0];
    let more = match found.len() - 1 {
        0 => String::new(),
        1 => " (and at 1 other place)".to_owned(),
        count => format!(" (and at {count} other places)"),
    };
    let character = describe_character(first.character);
    let message =
        format!("{character} in the SQL{more}: SQLite takes it for part of a name or a value");
    let diagnostic =
        Diagnostic::new(Rule::InvisibleCharacter, block.document_span(first.range()), message)
            .help(first.lookalike.help());
    found[1..].iter().take(MAX_OTHER_PLACES).fold(diagnostic, |diagnostic, other| {
        let code = u32::from(other.character);
        diagnostic.related(block.document_span(other.range()), format!("U+{code:04X}"))
    })
}

/// A character as messages show it: ``U+200B (a zero-width space)``, ``U+0435 (`е`)``.
pub(crate) fn describe_character(character: char) -> String {
    let code = u32::from(character);
    match Lookalike::from_char(character) {
        Some(_) => format!("U+{code:04X} ({})", name(character)),
        None => format!("U+{code:04X} (`{character}`)"),
    }
}

/// The name of a character for readers.
fn name(character: char) -> &'static str {
    match character {
        '\u{a0}' | '\u{202f}' => "a no-break space",
        '\u{200b}' => "a zero-width space",
        '\u{200c}' | '\u{200d}' => "a zero-width joiner",
        '\u{ad}' => "a soft hyphen",
        '\u{feff}' => "a byte order mark",
        '\u{2018}'..='\u{201b}' => "a typographic single quote",
        '\u{201c}'..='\u{201f}' => "a typographic double quote",
        '\u{2013}' => "an en dash",
        '\u{2014}' => "an em dash",
        '\u{2212}' => "a minus sign",
        _ => match Lookalike::from_char(character) {
            Some(Lookalike::Space) => "an unusual space",
            Some(Lookalike::Quote) => "an unusual quote",
            Some(Lookalike::Dash) => "an unusual dash",
            Some(Lookalike::Nothing) | None => "an invisible character",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message and the marked text of each diagnostic.
    fn check(sql: &str) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        check_characters(&SourceSlice::new(sql, 0), |diagnostic| {
            let code = diagnostic.message.split(' ').next().unwrap_or("").to_owned();
            found.push((code, &sql[diagnostic.span]));
        });
        found
    }

    #[test]
    fn characters_of_word_processors_are_found_outside_strings_and_comments() {
        for (sql, expected) in [
            ("ADD COLUMN\u{a0}x", vec![("U+00A0", "\u{a0}")]),
            ("SELECT\u{200b} 1", vec![("U+200B", "\u{200b}")]),
            ("ADD COLUMN x\u{feff} TEXT", vec![("U+FEFF", "\u{feff}")]),
            ("ADD COLUMN x\u{180e} TEXT", vec![("U+180E", "\u{180e}")]),
            ("ADD COLUMN x\u{115f}\u{3164}\u{ffa0} TEXT", vec![("U+115F", "\u{115f}")]),
            ("ADD COLUMN x\u{e0020} TEXT", vec![("U+E0020", "\u{e0020}")]),
            ("ADD COLUMN x\u{fe0f} TEXT", vec![("U+FE0F", "\u{fe0f}")]),
            ("SELECT\u{85}1\u{2800}", vec![("U+0085", "\u{85}")]),
            ("DEFAULT ‘no’", vec![("U+2018", "‘")]),
            ("DEFAULT '‘no’'", vec![("U+2018", "‘")]),
            ("SELECT “a”, 1 – 2", vec![("U+201C", "“"), ("U+2013", "–")]),
            ("– a comment", vec![("U+2013", "–")]),
            (
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n\u{a0} SELECT 1; END",
                vec![("U+00A0", "\u{a0}")],
            ),
            ("SELECT 'a\u{a0}b', 'it’s', '' -- –\u{a0}\n/* ‘ */", vec![]),
            ("SELECT \"é\", größe, 日本, [a\u{a0}b]", vec![]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(code, text)| (code.to_owned(), text)).collect();
            assert_eq!(check(sql), expected, "{sql}");
        }
    }

    #[test]
    fn one_kind_of_character_is_reported_once() {
        let sql = "\u{a0}\u{a0}SELECT\u{a0}1;\n\u{a0}SELECT 2;\n".repeat(9);
        assert_eq!(check(&sql).len(), 1);
    }
}
