//! Maps byte offsets of the document to lines and columns, and slices its text so that each slice
//! still knows the document offset of every byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use memchr::memchr_iter;

/// A position in the document, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct LineColumn {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for LineColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The text of a document and the file name that messages show.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    name: String,
    text: &'a str,
    /// The byte offset at which each line starts, ascending; computed on first use, since only
    /// messages need it.
    line_starts: OnceLock<Vec<usize>>,
}

impl<'a> Source<'a> {
    /// A document with the file name that messages show.
    pub fn new(name: impl Into<String>, text: &'a str) -> Self {
        Self { name: name.into(), text, line_starts: OnceLock::new() }
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let ends = memchr_iter(b'\n', self.text.as_bytes());
            std::iter::once(0).chain(ends.map(|at| at + 1)).collect()
        })
    }

    /// The file name that messages show.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The line that contains a byte offset, counted from 1.
    #[must_use]
    pub fn line_number(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|start| *start <= offset)
    }

    /// The line and column of a byte offset. An offset inside a character or beyond the text has
    /// column 1.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let line = self.line_number(offset);
        let start = self.line_starts()[line - 1];
        let column = self.text.get(start..offset).map_or(1, |text| text.chars().count() + 1);
        LineColumn { line, column }
    }

    /// The position of a byte offset as `MIGRATIONS.md:224:5`, which editors and terminals can open.
    #[must_use]
    pub fn format_position(&self, offset: usize) -> String {
        format!("{}:{}", self.name, self.line_column(offset))
    }

    /// The byte range of a line that exists, with its line end. Lines are counted from 1.
    pub(crate) fn line_range(&self, line: usize) -> Range<usize> {
        let end = self.line_starts().get(line).copied().unwrap_or(self.text.len());
        self.line_starts()[line - 1]..end
    }
}

/// A part of the document's text that maps each of its bytes to its offset in the document.
///
/// Inside lists and block quotes, the indentation and the quote marks are left out of the text. Outside
/// of them the slice is contiguous and borrows from the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSlice<'a> {
    text: Cow<'a, str>,
    /// The document offset of the first byte.
    start: usize,
    /// The jumps in the text, ascending; empty if the text is contiguous in the document.
    jumps: Vec<Jump>,
}

/// A byte of a slice that does not follow the byte before it in the document. The bytes from here to
/// the next jump are contiguous in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jump {
    /// The offset of the byte in the slice's text.
    text_offset: usize,
    /// The offset of the same byte in the document.
    document_offset: usize,
}

impl<'a> SourceSlice<'a> {
    /// A contiguous slice that begins at the document offset `start`.
    pub(crate) fn new(text: &'a str, start: usize) -> Self {
        Self { text: Cow::Borrowed(text), start, jumps: Vec::new() }
    }

    /// Joins ranges of the text of `source`, which must be ascending and disjoint.
    pub(crate) fn join(source: &SourceSlice<'a>, ranges: &[Range<usize>]) -> Self {
        match ranges {
            [] => Self::new("", source.document_offset(0)),
            [single] => source.slice(single.clone()),
            [first, others @ ..] => {
                let mut text = source.text[first.clone()].to_owned();
                let start = source.document_offset(first.start);
                let mut jumps: Vec<_> = source.jumps_inside(first).collect();
                for range in others {
                    let range_start = text.len();
                    let document_offset = source.document_offset(range.start);
                    jumps.push(Jump { text_offset: range_start, document_offset });
                    jumps.extend(
                        source.jumps_inside(range).map(|jump| Jump {
                            text_offset: range_start + jump.text_offset,
                            ..jump
                        }),
                    );
                    text.push_str(&source.text[range.clone()]);
                }
                Self { text: Cow::Owned(text), start, jumps }
            }
        }
    }

    /// The slice of a range of the text.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let start = self.document_offset(range.start);
        let jumps = self.jumps_inside(&range).collect();
        let text = match &self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
            Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
        };
        Self { text, start, jumps }
    }

    /// Takes a part of [`text`](Self::text), whose lifetime is that of the slice, and returns it with
    /// the lifetime of the document if the slice borrows from it; otherwise an owned copy.
    ///
    /// The parts come from parsers, which return subslices without their offsets. The offset is
    /// computed from the addresses; a `part` from elsewhere is copied.
    pub(crate) fn to_cow(&self, part: &str) -> Cow<'a, str> {
        if let Cow::Borrowed(text) = self.text {
            let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
            let candidate = text.get(start..start.saturating_add(part.len()));
            if let Some(document_part) = candidate.filter(|text| std::ptr::eq(*text, part)) {
                return Cow::Borrowed(document_part);
            }
        }
        Cow::Owned(part.to_owned())
    }

    /// The jumps after the first byte of a range, with text offsets relative to the start of the
    /// range. A jump at the first byte is left out: the slice of the range starts there.
    fn jumps_inside(&self, range: &Range<usize>) -> impl Iterator<Item = Jump> + '_ {
        let Range { start, end } = *range;
        let first = self.jumps.partition_point(|jump| jump.text_offset <= start);
        let jumps = self.jumps[first..].iter().take_while(move |jump| jump.text_offset < end);
        jumps.map(move |jump| Jump { text_offset: jump.text_offset - start, ..*jump })
    }

    /// The same slice with a copy of its text.
    pub(crate) fn to_owned_text(&self) -> SourceSlice<'static> {
        let text = Cow::Owned(self.text.clone().into_owned());
        SourceSlice { text, start: self.start, jumps: self.jumps.clone() }
    }

    /// The text of the slice.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document offset of a byte of the text.
    #[must_use]
    pub fn document_offset(&self, text_offset: usize) -> usize {
        let jump_count = self.jumps.partition_point(|jump| jump.text_offset <= text_offset);
        match self.jumps[..jump_count].last() {
            Some(jump) => jump.document_offset.saturating_add(text_offset - jump.text_offset),
            None => self.start.saturating_add(text_offset),
        }
    }

    /// The document range of the whole slice.
    #[must_use]
    pub fn full_span(&self) -> Range<usize> {
        self.document_span(0..self.text.len())
    }

    /// The document range from the first to the last byte of a range of the text. At a jump, the
    /// document range also covers the indentation or quote marks that the text leaves out.
    #[must_use]
    pub fn document_span(&self, range: Range<usize>) -> Range<usize> {
        let start = self.document_offset(range.start);
        let end = if range.end > range.start {
            self.document_offset(range.end - 1).saturating_add(1)
        } else {
            start
        };
        start..end
    }
}

/// The document range of the first line of a statement, without white space at its end: the place
/// that messages mark if they know no better one. If the line is blank, its first byte, so that the
/// range is empty for an empty statement only.
pub(crate) fn first_line_span(statement: &SourceSlice<'_>) -> Range<usize> {
    let text = statement.text();
    let line_end = text.find('\n').unwrap_or(text.len());
    let visible_end = text[..line_end].trim_end().len();
    statement.document_span(0..visible_end.max(1).min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_from_one_and_columns_in_characters() {
        let source = Source::new("m.md", "ab\né→x\n");
        assert_eq!(source.format_position(0), "m.md:1:1");
        assert_eq!(source.format_position(3), "m.md:2:1");
        assert_eq!(source.format_position(8), "m.md:2:3");
        assert_eq!(source.format_position(10), "m.md:3:1");
    }

    #[test]
    fn a_joined_slice_maps_every_byte_to_the_document() {
        let text = "> ab\n> cd\n";
        let source = SourceSlice::new(text, 0);
        let joined = SourceSlice::join(&source, &[2..5, 7..10]);
        assert_eq!(joined.text(), "ab\ncd\n");
        for (at, byte) in joined.text().bytes().enumerate() {
            assert_eq!(text.as_bytes()[joined.document_offset(at)], byte);
        }
        let tail = joined.slice(1..5);
        assert_eq!(tail.text(), "b\ncd");
        for (at, byte) in tail.text().bytes().enumerate() {
            assert_eq!(text.as_bytes()[tail.document_offset(at)], byte);
        }
    }
}
