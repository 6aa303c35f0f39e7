//! The document as an editor sees it: its sections and how far they reach, its blocks and the code
//! blocks that they stand in, its line ends.

use std::ops::Range;

use crate::document::blocks::{Block, Blocks};
use crate::document::lines::line_end;
use crate::document::markdown::Part;
use crate::document::tag::{Edge, Point, Scope, Tag};
use crate::document::tag_parser::TagLine;
use crate::document::{markdown, reader, tag_parser};
use crate::source::Piece;
use crate::sql::lexer;

pub(crate) struct Page<'t> {
    pub(crate) text: &'t str,
    pub(crate) blocks: Blocks<'t>,
    /// The code blocks outside of stray fences' content, in document order.
    pub(crate) code: Vec<Range<usize>>,
    pub(crate) line_end: &'static str,
}

impl<'t> Page<'t> {
    pub(crate) fn read(text: &'t str) -> Self {
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mark = text.len() - body.len();
        let blocks = reader::read(&Piece::whole(body, mark));
        let mut code = Vec::new();
        markdown::split(body, |part| {
            if let Part::Code { range, .. } = part {
                code.push(range.start + mark..range.end + mark);
            }
        });
        Self { text, blocks, code, line_end: line_end_of(text) }
    }

    /// The blocks of a migration and of its reverse.
    pub(crate) fn of<'p>(
        &'p self,
        (from, to): (&'p Point, &'p Point),
    ) -> impl Iterator<Item = &'p Block<'t>> {
        self.blocks.list.iter().filter(move |block| match &block.tag {
            Tag::Migration { from: x, to: y, .. } => (x, y) == (from, to) || (x, y) == (to, from),
            _ => false,
        })
    }

    /// The block of a migration for one scope.
    pub(crate) fn part<'p>(
        &'p self,
        pair: (&'p Point, &'p Point),
        wanted: Scope,
    ) -> Option<&'p Block<'t>> {
        self.of(pair).find(|block| match &block.tag {
            Tag::Migration { scope, from, to } => *scope == wanted && (from, to) == pair,
            _ => false,
        })
    }

    /// The section whose heading binds what stands in another one.
    pub(crate) fn home(&self, section: Option<usize>) -> Option<usize> {
        self.chain(section).find(|at| self.blocks.sections[*at].binding.is_some())
    }

    /// A section and those that it stands in, innermost first.
    pub(crate) fn chain(&self, section: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(section, |at| self.blocks.sections[*at].parent)
    }

    /// From the heading of a section to the next one of its rank.
    pub(crate) fn extent(&self, section: usize) -> Range<usize> {
        let sections = &self.blocks.sections;
        let level = sections[section].level;
        let next = sections[section + 1..].iter().find(|other| other.level <= level);
        let end = next.map_or(self.text.len(), |next| self.line_start(next.span.start));
        self.line_start(sections[section].span.start)..end
    }

    /// The code block that a place stands in; else its line.
    pub(crate) fn fence(&self, at: usize) -> Range<usize> {
        let found = self.code.iter().find(|range| range.contains(&at)).cloned();
        let line = self.line_start(at)..line_end(self.text, at);
        let Some(found) = found else { return line };
        // The range ends with the closing fence, without its line end.
        let end = if self.text[..found.end].ends_with('\n') {
            found.end
        } else {
            line_end(self.text, found.end)
        };
        self.line_start(found.start)..end
    }

    pub(crate) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(
            // A mark at the very beginning stays there.
            self.text.len() - self.text.strip_prefix('\u{feff}').unwrap_or(self.text).len(),
            |end| end + 1,
        )
    }

    /// The line of the end tag that belongs to a block.
    pub(crate) fn end_tag(&self, block: &Block<'_>) -> Option<Range<usize>> {
        let mut at = line_end(self.text, block.span.end);
        while at < self.text.len() {
            let line = at..line_end(self.text, at);
            let bare = self.text[line.clone()].trim_start_matches([' ', '\t', '>']);
            if let Some(TagLine::Tag(tag, Edge::End)) = tag_parser::read(bare)
                && tag == block.tag
            {
                return Some(line);
            }
            at = line.end;
        }
        None
    }
}

/// The line end that most lines have.
fn line_end_of(text: &str) -> &'static str {
    let all = text.matches('\n').count();
    let with_return = text.matches("\r\n").count();
    if with_return * 2 > all { "\r\n" } else { "\n" }
}

/// A fence that no line of a text ends.
pub(crate) fn fence_around(text: &str) -> String {
    let ticks = |line: &str| line.trim_start().bytes().take_while(|byte| *byte == b'`').count();
    "`".repeat((text.lines().map(ticks).max().unwrap_or(0) + 1).max(3))
}

/// SQL with other line ends; what stands in quotes stays.
pub(crate) fn with_line_ends(text: &str, eol: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in lexer::tokens(text, 0) {
        let piece = &text[token.range];
        if token.kind == lexer::Kind::Quoted {
            out.push_str(piece);
        } else {
            out.push_str(&piece.replace("\r\n", "\n").replace('\n', eol));
        }
    }
    out
}
