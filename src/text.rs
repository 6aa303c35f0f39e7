//! Escapes names for display.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

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

/// Escapes a file or user name for display: control characters, characters that change the direction
/// of text, and bytes that are not UTF-8.
#[must_use]
pub fn escape_for_display(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            let changes_direction = matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            if character.is_control() || changes_direction {
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
    fn control_characters_in_names_are_escaped() {
        assert_eq!(
            escape_for_display(OsStr::new("a\nb\u{1b}[31m\u{202e}é")),
            "a\\nb\\u{1b}[31m\\u{202e}é"
        );
        #[cfg(unix)]
        assert_eq!(escape_for_display(&os_string_from_bytes(b"a\xffb")), "a\\xffb");
    }
}
