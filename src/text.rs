//! Escapes names for display and formats sizes.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

#[cfg(unix)]
pub(crate) fn from_bytes(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes).to_owned()
}

#[cfg(not(unix))]
pub(crate) fn from_bytes(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// A file or user name as it is shown: control characters, those that turn the direction of
/// text, and bytes that are not UTF-8 are escaped.
#[must_use]
pub fn shown(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            if c.is_control() || turns {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A number of bytes in words: `1.5 MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let (mut whole, mut rest, mut unit) = (count, 0, "bytes");
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if whole < 1000 {
            break;
        }
        (whole, rest, unit) = (whole / 1000, whole % 1000 / 100, next);
    }
    if unit == "bytes" { format!("{whole} bytes") } else { format!("{whole}.{rest} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_without_control_characters() {
        assert_eq!(shown(OsStr::new("a\nb\u{1b}[31m\u{202e}é")), "a\\nb\\u{1b}[31m\\u{202e}é");
        #[cfg(unix)]
        assert_eq!(shown(&from_bytes(b"a\xffb")), "a\\xffb");
    }
}
