//! Maps between byte offsets of a text and the lines and characters of the protocol, which count UTF-8
//! or UTF-16 units. A position that does not exist counts as the nearest one before it.

use std::ops::Range;

use gen_lsp_types as lsp;
use memchr::memchr2_iter;

/// What a position's `character` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16,
}

/// The lines of a text.
#[derive(Clone, Debug)]
pub(crate) struct LineIndex {
    encoding: Encoding,
    /// The byte offset at which each line starts.
    starts: Vec<usize>,
}

impl LineIndex {
    pub(crate) fn new(text: &str, encoding: Encoding) -> Self {
        // A carriage return alone ends a line of the protocol, though not one of SQL.
        let bytes = text.as_bytes();
        let ends = memchr2_iter(b'\n', b'\r', bytes)
            .filter(|at| bytes[*at] == b'\n' || bytes.get(at + 1) != Some(&b'\n'));
        let starts = std::iter::once(0).chain(ends.map(|at| at + 1)).collect();
        Self { encoding, starts }
    }

    /// The byte offset of a position. Beyond the end of a line, it is the end of the line; inside a
    /// character, the start of the character.
    pub(crate) fn offset(&self, text: &str, position: lsp::Position) -> usize {
        let line = usize::try_from(position.line).unwrap_or(usize::MAX);
        let Some(start) = self.starts.get(line).copied() else { return text.len() };
        let next = self.starts.get(line + 1).copied().unwrap_or(text.len());
        let line_text = text[start..next].trim_end_matches(['\n', '\r']);
        let character = usize::try_from(position.character).unwrap_or(usize::MAX);
        match self.encoding {
            Encoding::Utf8 => start + line_text.floor_char_boundary(character),
            Encoding::Utf16 if line_text.is_ascii() => start + character.min(line_text.len()),
            Encoding::Utf16 => {
                let mut units = 0;
                for (at, c) in line_text.char_indices() {
                    units += c.len_utf16();
                    if units > character {
                        return start + at;
                    }
                }
                start + line_text.len()
            }
        }
    }

    /// The position of a byte offset.
    pub(crate) fn position(&self, text: &str, offset: usize) -> lsp::Position {
        let offset = text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let before = &text[self.starts[line]..offset];
        let character = match self.encoding {
            Encoding::Utf8 => before.len(),
            Encoding::Utf16 => before.chars().map(char::len_utf16).sum(),
        };
        lsp::Position { line: to_u32(line), character: to_u32(character) }
    }

    pub(crate) fn range(&self, text: &str, range: Range<usize>) -> lsp::Range {
        lsp::Range {
            start: self.position(text, range.start),
            end: self.position(text, range.end.max(range.start)),
        }
    }

    /// The length of a text in the units of the encoding.
    pub(crate) fn len_of(&self, text: &str) -> u32 {
        to_u32(match self.encoding {
            Encoding::Utf8 => text.len(),
            Encoding::Utf16 => text.chars().map(char::len_utf16).sum(),
        })
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(encoding: Encoding, line: u32, character: u32) -> usize {
        let text = "a😀é\r\nb\n";
        LineIndex::new(text, encoding).offset(text, lsp::Position { line, character })
    }

    #[test]
    fn positions_are_mapped_in_both_encodings() {
        let text = "a😀é\r\nb\n";
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            let index = LineIndex::new(text, encoding);
            for (at, c) in text.char_indices().filter(|(_, c)| !c.is_control()) {
                assert_eq!(index.offset(text, index.position(text, at)), at, "{encoding:?} {c}");
            }
        }
        assert_eq!(offset(Encoding::Utf16, 0, 3), 5);
        assert_eq!(offset(Encoding::Utf8, 0, 5), 5);
    }

    #[test]
    fn positions_that_do_not_exist_are_the_nearest_before() {
        // Inside the surrogate pair and inside the bytes of a character.
        assert_eq!(offset(Encoding::Utf16, 0, 2), 1);
        assert_eq!(offset(Encoding::Utf8, 0, 3), 1);
        // Beyond the line, and beyond the text.
        assert_eq!(offset(Encoding::Utf16, 0, 99), 7);
        assert_eq!(offset(Encoding::Utf16, 1, 99), 10);
        assert_eq!(offset(Encoding::Utf16, 2, 0), 11);
        assert_eq!(offset(Encoding::Utf16, 3, 0), 11);
        assert_eq!(offset(Encoding::Utf8, u32::MAX, u32::MAX), 11);
    }

    #[test]
    fn a_carriage_return_ends_a_line() {
        let text = "a\rb\r\nc\n";
        let index = LineIndex::new(text, Encoding::Utf16);
        assert_eq!(index.starts, [0, 2, 5, 7]);
        assert_eq!(index.offset(text, lsp::Position { line: 1, character: 9 }), 3);
    }
}
