//! The text of the document and the places in it: offsets to lines and columns, and pieces of
//! text that remember where they came from.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use memchr::memchr_iter;

/// A place in the document, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The document's text under the name by which messages call it.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    name: String,
    text: &'a str,
    /// Known once a place is asked for.
    line_starts: OnceLock<Vec<usize>>,
}

impl<'a> Source<'a> {
    /// A text under the name that messages show.
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

    /// The line of a byte offset, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|start| *start <= offset)
    }

    /// The line and column of a byte offset.
    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let line = self.line(offset);
        let start = self.line_starts()[line - 1];
        let column = self.text.get(start..offset).map_or(1, |text| text.chars().count() + 1);
        Place { line, column }
    }

    /// `MIGRATIONS.md:224:5`, as editors and terminals understand it.
    #[must_use]
    pub fn locate(&self, offset: usize) -> String {
        format!("{}:{}", self.name, self.place(offset))
    }

    /// The byte range of a line (from 1), its line end included.
    pub(crate) fn line_range(&self, line: usize) -> Range<usize> {
        let end = self.line_starts().get(line).copied().unwrap_or(self.text.len());
        self.line_starts()[line - 1]..end
    }
}

/// A piece of the document's text that knows where each byte of it stands in the document. It
/// borrows wherever the piece is one slice, which it is outside lists and block quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    text: Cow<'a, str>,
    /// Where it begins in the document.
    start: usize,
    /// Where it goes on elsewhere: offset in `text` and in the document, ascending.
    runs: Vec<(usize, usize)>,
}

impl<'a> Piece<'a> {
    pub(crate) fn whole(text: &'a str, at: usize) -> Self {
        Self { text: Cow::Borrowed(text), start: at, runs: Vec::new() }
    }

    /// Joins ranges of `source`, ascending and apart.
    pub(crate) fn join(source: &Piece<'a>, ranges: &[Range<usize>]) -> Self {
        match ranges {
            [] => Self::whole("", source.offset(0)),
            [one] => source.slice(one.clone()),
            [first, others @ ..] => {
                let mut text = source.text[first.clone()].to_owned();
                let start = source.offset(first.start);
                let mut runs: Vec<_> = source.runs_behind(first).collect();
                for range in others {
                    let at = text.len();
                    runs.push((at, source.offset(range.start)));
                    runs.extend(
                        source.runs_behind(range).map(|(more, offset)| (at + more, offset)),
                    );
                    text.push_str(&source.text[range.clone()]);
                }
                Self { text: Cow::Owned(text), start, runs }
            }
        }
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let (start, runs) = (self.offset(range.start), self.runs_behind(&range).collect());
        let text = match &self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
            Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
        };
        Self { text, start, runs }
    }

    /// A part of the piece's own text, from the document itself where the piece borrows.
    pub(crate) fn keep(&self, part: &str) -> Cow<'a, str> {
        if let Cow::Borrowed(text) = self.text {
            let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
            let same = text.get(start..start.saturating_add(part.len()));
            if let Some(same) = same.filter(|same| std::ptr::eq(*same, part)) {
                return Cow::Borrowed(same);
            }
        }
        Cow::Owned(part.to_owned())
    }

    /// Where a range goes on elsewhere, behind its start.
    fn runs_behind(&self, range: &Range<usize>) -> impl Iterator<Item = (usize, usize)> + '_ {
        let (start, end) = (range.start, range.end);
        let first = self.runs.partition_point(|(at, _)| *at <= start);
        let runs = self.runs[first..].iter().take_while(move |(at, _)| *at < end);
        runs.map(move |(at, offset)| (at - start, *offset))
    }

    /// The text itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a byte of the piece stands in the document.
    #[must_use]
    pub fn offset(&self, at: usize) -> usize {
        let behind = self.runs.partition_point(|(start, _)| *start <= at);
        match behind.checked_sub(1).and_then(|run| self.runs.get(run)) {
            Some((start, offset)) => offset + (at - start),
            None => self.start + at,
        }
    }

    /// The document's range behind a range of the piece.
    #[must_use]
    pub fn span(&self, range: Range<usize>) -> Range<usize> {
        let start = self.offset(range.start);
        let end = if range.end > range.start { self.offset(range.end - 1) + 1 } else { start };
        start..end
    }
}

/// A statement's first line.
pub(crate) fn whole_span(statement: &Piece<'_>) -> Range<usize> {
    let text = statement.text();
    let end = text.find('\n').unwrap_or(text.len());
    statement.span(0..text[..end].trim_end().len().max(1).min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_from_one_and_columns_in_characters() {
        let source = Source::new("m.md", "ab\né→x\n");
        assert_eq!(source.locate(0), "m.md:1:1");
        assert_eq!(source.locate(3), "m.md:2:1");
        assert_eq!(source.locate(8), "m.md:2:3");
        assert_eq!(source.locate(10), "m.md:3:1");
    }

    #[test]
    fn a_joined_piece_maps_every_byte_back() {
        let text = "> ab\n> cd\n";
        let source = Piece::whole(text, 0);
        let piece = Piece::join(&source, &[2..5, 7..10]);
        assert_eq!(piece.text(), "ab\ncd\n");
        for (at, byte) in piece.text().bytes().enumerate() {
            assert_eq!(text.as_bytes()[piece.offset(at)], byte);
        }
        let tail = piece.slice(1..5);
        assert_eq!(tail.text(), "b\ncd");
        for (at, byte) in tail.text().bytes().enumerate() {
            assert_eq!(text.as_bytes()[tail.offset(at)], byte);
        }
    }
}
