//! Maps byte offsets of the document to lines and columns, and slices its text so that each slice
//! still knows the document offset of every byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use memchr::memchr_iter;

/// A position in the document.
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
    /// The offset of each line; computed on first use.
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

    /// The byte range of a line, counted from 1, with its line end.
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
    /// The points at which the text is not contiguous in the document, as an offset in `text` and
    /// the document offset of the same byte, ascending.
    segments: Vec<(usize, usize)>,
}

impl<'a> SourceSlice<'a> {
    /// A contiguous slice that begins at the document offset `start`.
    pub(crate) fn new(text: &'a str, start: usize) -> Self {
        Self { text: Cow::Borrowed(text), start, segments: Vec::new() }
    }

    /// Joins ranges of `source`, which must be ascending and disjoint.
    pub(crate) fn join(source: &SourceSlice<'a>, ranges: &[Range<usize>]) -> Self {
        match ranges {
            [] => Self::new("", source.document_offset(0)),
            [single] => source.slice(single.clone()),
            [first, others @ ..] => {
                let mut text = source.text[first.clone()].to_owned();
                let start = source.document_offset(first.start);
                let mut segments: Vec<_> = source.segments_in(first).collect();
                for range in others {
                    let text_offset = text.len();
                    segments.push((text_offset, source.document_offset(range.start)));
                    segments.extend(
                        source
                            .segments_in(range)
                            .map(|(segment_start, offset)| (text_offset + segment_start, offset)),
                    );
                    text.push_str(&source.text[range.clone()]);
                }
                Self { text: Cow::Owned(text), start, segments }
            }
        }
    }

    /// The slice of a range of the text.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let (start, segments) =
            (self.document_offset(range.start), self.segments_in(&range).collect());
        let text = match &self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
            Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
        };
        Self { text, start, segments }
    }

    /// A part of [`text`](Self::text) with the lifetime of the document if the slice borrows from it;
    /// otherwise an owned copy.
    pub(crate) fn to_cow(&self, part: &str) -> Cow<'a, str> {
        if let Cow::Borrowed(text) = self.text {
            let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
            let document_text = text.get(start..start.saturating_add(part.len()));
            if let Some(same) = document_text.filter(|same| std::ptr::eq(*same, part)) {
                return Cow::Borrowed(same);
            }
        }
        Cow::Owned(part.to_owned())
    }

    /// The points inside a range at which the text is not contiguous in the document, relative to
    /// the start of the range.
    fn segments_in(&self, range: &Range<usize>) -> impl Iterator<Item = (usize, usize)> + '_ {
        let (start, end) = (range.start, range.end);
        let first = self.segments.partition_point(|(at, _)| *at <= start);
        let segments = self.segments[first..].iter().take_while(move |(at, _)| *at < end);
        segments.map(move |(at, offset)| (at - start, *offset))
    }

    /// The text of the slice.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document offset of a byte of the text.
    #[must_use]
    pub fn document_offset(&self, text_offset: usize) -> usize {
        let next_segment = self.segments.partition_point(|(start, _)| *start <= text_offset);
        match next_segment.checked_sub(1).and_then(|run| self.segments.get(run)) {
            Some((start, offset)) => offset.saturating_add(text_offset - start),
            None => self.start.saturating_add(text_offset),
        }
    }

    /// The document range from the first to the last byte of a range of the text.
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

/// The document range of the first line of a statement.
pub(crate) fn first_line_span(statement: &SourceSlice<'_>) -> Range<usize> {
    let text = statement.text();
    let end = text.find('\n').unwrap_or(text.len());
    statement.document_span(0..text[..end].trim_end().len().max(1).min(text.len()))
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
        let piece = SourceSlice::join(&source, &[2..5, 7..10]);
        assert_eq!(piece.text(), "ab\ncd\n");
        for (at, byte) in piece.text().bytes().enumerate() {
            assert_eq!(text.as_bytes()[piece.document_offset(at)], byte);
        }
        let tail = piece.slice(1..5);
        assert_eq!(tail.text(), "b\ncd");
        for (at, byte) in tail.text().bytes().enumerate() {
            assert_eq!(text.as_bytes()[tail.document_offset(at)], byte);
        }
    }
}
