//! Provides the view of a document that edits need: its blocks and sections with their extent, its
//! code blocks and its line ends.

use std::ops::Range;

use crate::document::blocks::{Block, Blocks};
use crate::document::lines::line_end;
use crate::document::markdown::MarkdownElement;
use crate::document::tag::{BlockBoundary, Scope, Tag, VersionPair};
use crate::document::tag_parser::TagLine;
use crate::document::{markdown, reader, tag_parser};
use crate::source::SourceSlice;
use crate::sql::lexer;

/// A parsed document. All offsets and ranges are bytes of `text`.
pub(crate) struct DocumentView<'t> {
    pub(crate) text: &'t str,
    pub(crate) blocks: Blocks<'t>,
    /// The code blocks in document order; the content of a stray fence is a single one.
    pub(crate) code_blocks: Vec<Range<usize>>,
    /// The line end of most lines.
    pub(crate) line_ending: &'static str,
}

impl<'t> DocumentView<'t> {
    pub(crate) fn parse(text: &'t str) -> Self {
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let bom_len = text.len() - body.len();
        let blocks = reader::read_blocks(&SourceSlice::new(body, bom_len));
        let mut code_blocks = Vec::new();
        markdown::split(body, |element| {
            if let MarkdownElement::CodeBlock { range, .. } = element {
                code_blocks.push(range.start + bom_len..range.end + bom_len);
            }
        });
        Self { text, blocks, code_blocks, line_ending: dominant_line_ending(text) }
    }

    /// The blocks of a migration and of its reverse.
    pub(crate) fn blocks_of<'p>(
        &'p self,
        versions: &'p VersionPair,
    ) -> impl Iterator<Item = &'p Block<'t>> {
        self.blocks.list.iter().filter(move |block| match &block.tag {
            Tag::Migration { from, to, .. } => versions.matches_either_way(from, to),
            _ => false,
        })
    }

    /// The block of a migration, not of its reverse, for one scope.
    pub(crate) fn block_for_scope<'p>(
        &'p self,
        versions: &'p VersionPair,
        wanted: Scope,
    ) -> Option<&'p Block<'t>> {
        self.blocks_of(versions).find(|block| match &block.tag {
            Tag::Migration { scope, from, to } => {
                *scope == wanted && (from, to) == (&versions.from, &versions.to)
            }
            _ => false,
        })
    }

    /// The innermost section with versions in its heading among `section` and those that contain it.
    pub(crate) fn owning_section(&self, section: Option<usize>) -> Option<usize> {
        self.section_ancestors(section)
            .find(|index| self.blocks.sections[*index].versions.is_some())
    }

    /// A section and those that contain it, innermost first.
    pub(crate) fn section_ancestors(
        &self,
        section: Option<usize>,
    ) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(section, |index| self.blocks.sections[*index].parent)
    }

    /// From the heading of a section to the next heading of its level or above.
    pub(crate) fn section_range(&self, section: usize) -> Range<usize> {
        let sections = &self.blocks.sections;
        let level = sections[section].level;
        let next = sections[section + 1..].iter().find(|other| other.level <= level);
        let end = next.map_or(self.text.len(), |next| self.line_start(next.span.start));
        self.line_start(sections[section].span.start)..end
    }

    /// The whole lines of the code block that contains `offset`; without one, the line.
    pub(crate) fn code_block_range(&self, offset: usize) -> Range<usize> {
        let found = self.code_blocks.iter().find(|range| range.contains(&offset)).cloned();
        let line = self.line_start(offset)..line_end(self.text, offset);
        let Some(found) = found else { return line };
        // The parser's range ends with the closing fence, without its line end.
        let end = if self.text[..found.end].ends_with('\n') {
            found.end
        } else {
            line_end(self.text, found.end)
        };
        self.line_start(found.start)..end
    }

    /// The start of the line that contains `offset`, behind a byte order mark.
    pub(crate) fn line_start(&self, offset: usize) -> usize {
        self.text[..offset].rfind('\n').map_or(
            self.text.len() - self.text.strip_prefix('\u{feff}').unwrap_or(self.text).len(),
            |end| end + 1,
        )
    }

    /// The line of the end tag of a block.
    pub(crate) fn end_tag_line(&self, block: &Block<'_>) -> Option<Range<usize>> {
        let mut at = line_end(self.text, block.tag_span.end);
        while at < self.text.len() {
            let line = at..line_end(self.text, at);
            let unquoted_line = self.text[line.clone()].trim_start_matches([' ', '\t', '>']);
            if let Some(TagLine::Tag(tag, BlockBoundary::End)) =
                tag_parser::parse_tag_line(unquoted_line)
                && tag == block.tag
            {
                return Some(line);
            }
            at = line.end;
        }
        None
    }
}

/// The line end of most lines.
fn dominant_line_ending(text: &str) -> &'static str {
    let line_count = text.matches('\n').count();
    let crlf_count = text.matches("\r\n").count();
    if crlf_count * 2 > line_count { "\r\n" } else { "\n" }
}

/// A fence of backticks that no line of `text` closes.
pub(crate) fn fence_around(text: &str) -> String {
    let backtick_count =
        |line: &str| line.trim_start().bytes().take_while(|byte| *byte == b'`').count();
    "`".repeat((text.lines().map(backtick_count).max().unwrap_or(0) + 1).max(3))
}

/// SQL with the line ends `eol`. Strings and quoted names keep theirs: they are data. A carriage
/// return alone, which no document can contain, becomes a line end, or a space in a comment that
/// would end with the line.
pub(crate) fn with_line_ends(text: &str, eol: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in lexer::tokens(text, 0) {
        let piece = &text[token.range.clone()];
        if token.kind == lexer::TokenKind::Quoted {
            out.push_str(piece);
        } else if piece.starts_with("--") {
            // The token ends before its line feed, and includes the carriage return.
            let is_before_line_feed = text[token.range.end..].starts_with('\n');
            let line = if is_before_line_feed { piece.trim_end_matches('\r') } else { piece };
            out.push_str(&line.replace('\r', " "));
        } else {
            out.push_str(&piece.replace("\r\n", "\n").replace('\r', "\n").replace('\n', eol));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_change_outside_of_quotes_only() {
        let text = "-- a\r\n/* b\r\nc */ SELECT 'd\r\ne';\r\n-- f\rg\r\nh\ri";
        let unix = "-- a\n/* b\nc */ SELECT 'd\r\ne';\n-- f g\nh\ni";
        assert_eq!(with_line_ends(text, "\n"), unix);
        let windows = "-- a\r\n/* b\r\nc */ SELECT 'd\r\ne';\r\n-- f g\r\nh\r\ni";
        assert_eq!(with_line_ends(text, "\r\n"), windows);
    }
}
