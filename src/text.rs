//! Escapes names for display, lists them in messages, and finds the name that a misspelled one was
//! probably meant to be.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

use strsim::osa_distance;

/// An `OsString` from the bytes of a file name; on Unix any bytes are valid.
#[cfg(unix)]
pub(crate) fn os_string_from_bytes(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes).to_owned()
}

/// An `OsString` from the bytes of a file name; invalid UTF-8 is replaced.
#[cfg(not(unix))]
pub(crate) fn os_string_from_bytes(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// Escapes what could drive a terminal in a text of several lines: control characters, and characters
/// that change the direction of text. Line ends and tabs stay.
pub(crate) fn escape_controls(text: &str) -> Cow<'_, str> {
    let must_escape = |(at, character): (usize, char)| match character {
        // A byte order mark changes nothing on a terminal.
        '\n' | '\t' | '\u{feff}' => false,
        '\r' => !text[at + 1..].starts_with('\n'),
        character => character.is_control() || changes_direction(character),
    };
    if !text.char_indices().any(must_escape) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        if must_escape((at, character)) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Replaces each character that could drive a terminal, and that the renderer of source lines leaves
/// as it is, by U+FFFD: C1 control characters, and characters that change the direction of text.
pub(crate) fn replace_controls(text: &str) -> Cow<'_, str> {
    let must_replace = |character: char| {
        character != '\u{feff}'
            && !character.is_ascii()
            && (character.is_control() || changes_direction(character))
    };
    if text.contains(must_replace) {
        Cow::Owned(text.replace(must_replace, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// How many names a message lists before it only counts them.
pub const MAX_LISTED: usize = 5;

/// The first few names in backticks, and how many more there are.
#[must_use]
pub fn list_names<N: AsRef<str>>(names: &[N]) -> String {
    let listed: Vec<String> =
        names.iter().take(MAX_LISTED).map(|name| format!("`{}`", name.as_ref())).collect();
    match names.len().saturating_sub(MAX_LISTED) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// The known name that is most similar to another one, if one is similar: a third of the letters may
/// differ, but none of a very short name, except their case.
pub fn nearest_name<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = name.to_lowercase();
    let max_distance = wanted.chars().count() / 3;
    let distances =
        known.into_iter().map(|known| (osa_distance(&known.to_lowercase(), &wanted), known));
    let similar = distances.filter(|(distance, _)| *distance <= max_distance);
    similar.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

fn changes_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Escapes a file or user name for display: control characters, characters that change the direction
/// of text, and bytes that are not UTF-8.
#[must_use]
pub fn escape_for_display(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || changes_direction(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_lines_are_escaped() {
        let text = "a\tb\r\nc\rd\u{9b}31m\u{1b}[0m\u{7f}\u{202e}é\n";
        let escaped = "a\tb\r\nc\\rd\\u{9b}31m\\u{1b}[0m\\u{7f}\\u{202e}é\n";
        assert_eq!(escape_controls(text), escaped);
        assert!(matches!(escape_controls("a\tb\r\n"), Cow::Borrowed(_)));
        assert_eq!(replace_controls("é\u{9b}\u{202e}x"), "é\u{fffd}\u{fffd}x");
    }

    #[test]
    fn control_characters_in_names_are_escaped() {
        assert_eq!(
            escape_for_display(OsStr::new("a\nb\u{1b}[31m\u{202e}é")),
            "a\\nb\\u{1b}[31m\\u{202e}é"
        );
        #[cfg(unix)]
        assert_eq!(escape_for_display(&os_string_from_bytes(b"a\xffb")), "a\\xffb");
    }

    #[test]
    fn names_are_listed_up_to_a_limit() {
        let names: Vec<String> = (1..=7).map(|number| format!("u{number}")).collect();
        for (count, expected) in [
            (0, ""),
            (1, "`u1`"),
            (5, "`u1`, `u2`, `u3`, `u4`, `u5`"),
            (7, "`u1`, `u2`, `u3`, `u4`, `u5` and 2 more"),
        ] {
            assert_eq!(list_names(&names[..count]), expected);
        }
    }
}
