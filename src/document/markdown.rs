//! The one place that knows CommonMark: splits a text into headings, code blocks and prose, in
//! document order. What stands in an HTML comment is left out.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use memchr::{memchr, memmem};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A part of the document, with byte ranges into the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Heading {
        level: u8,
        text: Cow<'t, str>,
        range: Range<usize>,
    },
    Code {
        /// First word of a fence's info, lower case; empty for none and for indented code.
        label: String,
        range: Range<usize>,
        /// The content, whole lines, without the indentation and the quote marks of what the
        /// block stands in.
        content: Vec<Range<usize>>,
    },
    /// An HTML comment without an end, to the end of what it stands in.
    OpenComment {
        range: Range<usize>,
    },
    /// Everything else, whole lines.
    Prose {
        range: Range<usize>,
    },
}

impl Part<'_> {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Heading { range, .. }
            | Self::Code { range, .. }
            | Self::OpenComment { range }
            | Self::Prose { range } => range,
        }
    }
}

/// How many bytes are parsed at once, at first: what a parse builds stays in the processor's cache.
const PIECE: usize = 128 << 10;

/// Splits `text` and tells its parts in their order. Linear in its length.
pub(crate) fn split<'t>(text: &'t str, tell: impl FnMut(Part<'t>)) {
    // What defines a link may stand behind the headings that it changes.
    let whole = memmem::find(text.as_bytes(), b"]:").is_some();
    split_by(if whole { text.len() } else { PIECE }, text, tell);
}

/// Splits `text` in pieces of `size` bytes, or more where no heading ends one.
fn split_by<'t>(mut size: usize, text: &'t str, tell: impl FnMut(Part<'t>)) {
    let mut split = Split { at: 0, comments: VecDeque::new(), tell };
    let mut found = Vec::new();
    let mut from = 0;
    while from < text.len() {
        let to = text.as_bytes().get(from + size..).and_then(|rest| memchr(b'\n', rest));
        let to = to.map_or(text.len(), |at| from + size + at + 1);
        find(text, from..to, &mut found);
        if to < text.len() {
            // What starts its line with `#` and is a heading ends whatever was open, so what
            // stands before it is as if the text were parsed whole; what stands behind it need
            // not be.
            let settled = found.iter().rposition(|found| {
                matches!(found, Found::Part(Part::Heading { range, .. })
                    if range.start > from && text.as_bytes()[range.start - 1..].starts_with(b"\n#"))
            });
            let Some(settled) = settled else {
                found.clear();
                // A line may be far longer than a piece.
                size = 2 * (to - from);
                continue;
            };
            from = found[settled].range().start;
            found.truncate(settled);
        } else {
            from = to;
        }
        for found in found.drain(..) {
            match found {
                Found::Part(part) => split.part(part),
                Found::Comment(range) => split.comments.push_back(range),
            }
        }
    }
    split.prose(text.len());
}

/// What a parse finds.
enum Found<'t> {
    Part(Part<'t>),
    Comment(Range<usize>),
}

impl Found<'_> {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Part(part) => part.range(),
            Self::Comment(range) => range,
        }
    }
}

/// Finds the headings, code blocks and comments of one piece of `text`.
fn find<'t>(text: &'t str, piece: Range<usize>, found: &mut Vec<Found<'t>>) {
    let mut open: Option<Part<'t>> = None;
    let mut html_start = 0;
    for (event, range) in Parser::new(&text[piece.clone()]).into_offset_iter() {
        let range = piece.start + range.start..piece.start + range.end;
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open = Some(Part::Heading { level: level as u8, text: Cow::Borrowed(""), range });
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let label = match kind {
                    CodeBlockKind::Fenced(info) => {
                        info.split_whitespace().next().unwrap_or("").to_lowercase()
                    }
                    CodeBlockKind::Indented => String::new(),
                };
                open = Some(Part::Code { label, range, content: Vec::new() });
            }
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock) => {
                found.extend(open.take().map(Found::Part));
            }
            Event::Text(piece) | Event::Code(piece) => match &mut open {
                Some(Part::Heading { text, .. }) => *text += Cow::from(piece),
                Some(Part::Code { content, range: whole, .. }) => {
                    add_lines(content, text, range, whole.end);
                }
                _ => {}
            },
            Event::SoftBreak | Event::HardBreak => {
                if let Some(Part::Heading { text, .. }) = &mut open {
                    *text += " ";
                }
            }
            // The block runs on to the end of the comment's last line.
            Event::Start(Tag::HtmlBlock) => html_start = range.start,
            Event::End(TagEnd::HtmlBlock)
                if text[html_start..].trim_start().starts_with("<!--") =>
            {
                let block = html_start..range.end;
                found.push(match text[block.clone()].find("-->") {
                    Some(end) => Found::Comment(html_start..html_start + end + 3),
                    None => Found::Part(Part::OpenComment { range: block }),
                });
            }
            Event::InlineHtml(html) if html.starts_with("<!--") => {
                found.push(Found::Comment(range));
            }
            _ => {}
        }
    }
}

/// Adds the whole lines that a text event covers; lines that touch make one range.
fn add_lines(content: &mut Vec<Range<usize>>, text: &str, range: Range<usize>, limit: usize) {
    let mut start = range.start;
    // Of an empty line that ends in CRLF only the LF is told.
    if start > 0 && text.as_bytes()[start - 1] == b'\r' {
        start -= 1;
    }
    if range.end <= start {
        return;
    }
    // The events of one line end where the line does.
    let last = &text.as_bytes()[range.end - 1..limit];
    let end = memchr(b'\n', last).map_or(limit, |at| range.end + at);
    match content.last_mut() {
        Some(last) if last.end >= start => last.end = last.end.max(end),
        _ => content.push(start..end),
    }
}

/// Where the splitting is.
struct Split<T> {
    /// All before it has been told.
    at: usize,
    /// Those behind it, in their order.
    comments: VecDeque<Range<usize>>,
    tell: T,
}

impl<'t, T: FnMut(Part<'t>)> Split<T> {
    /// Tells a part and the prose before it.
    fn part(&mut self, part: Part<'t>) {
        let range = part.range().clone();
        self.prose(range.start);
        self.at = self.at.max(range.end);
        (self.tell)(part);
    }

    /// Tells what stands before `to`, without the comments, as prose.
    fn prose(&mut self, to: usize) {
        if to <= self.at {
            return;
        }
        let mut from = self.at;
        while let Some(comment) = self.comments.pop_front_if(|comment| comment.start < to) {
            if comment.start > from {
                (self.tell)(Part::Prose { range: from..comment.start });
            }
            from = from.max(comment.end);
        }
        if from < to {
            (self.tell)(Part::Prose { range: from..to });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines that open, close or go on with every kind of block, or end one.
    const LINES: [&str; 44] = [
        "",
        "",
        "a",
        "# A",
        "## B `c` <!-- d -->",
        "### [c] and [d][c]",
        "#",
        "#not",
        "   # D",
        "    # code",
        "\t# code",
        "\\# not",
        "> # E",
        "- # F",
        "===",
        "---",
        "```",
        "````sql",
        "~~~",
        "   ```",
        "> ```",
        "- ```",
        "  ```",
        "    code",
        "> quote",
        ">",
        "- item",
        "  item",
        "1. one",
        "   one",
        "<!-- a",
        "a --> b",
        "<!-- a --> b",
        "a <!-- b",
        "<div>",
        "</div>",
        "<pre>",
        "</pre>",
        "<?php",
        "<![CDATA[",
        "`code",
        "*a _b",
        "[c]: /d",
        "[c]:",
    ];

    fn split_in(size: usize, text: &str) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        split_by(size, text, |part| parts.push(part));
        parts
    }

    proptest! {
        #[test]
        fn pieces_make_what_the_whole_makes(
            lines in prop::collection::vec((0..LINES.len(), prop::bool::weighted(0.1)), 0..24),
            size in 1..64_usize,
        ) {
            let text: String = lines
                .iter()
                .flat_map(|(at, crlf)| [LINES[*at], if *crlf { "\r\n" } else { "\n" }])
                .collect();
            let whole = split_in(text.len(), &text);
            if !text.contains("]:") {
                prop_assert_eq!(split_in(size, &text), whole, "{}", text);
            }
        }
    }

    #[test]
    fn a_link_may_be_defined_far_behind_the_heading_that_it_changes() {
        let far = "a\n\n# B\n".repeat(2 * PIECE / 7);
        for (end, expected) in [("", "[c]"), ("[c]: /d\n", "c")] {
            let text = format!("# [c]\n{far}{end}");
            let is_told =
                |part: &Part<'_>| matches!(part, Part::Heading { text, .. } if text == expected);
            assert!(is_told(&parts(&text)[0]), "{expected}");
        }
    }

    fn parts(text: &str) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        split(text, |part| parts.push(part));
        parts
    }

    fn code(text: &str) -> Vec<(String, String)> {
        parts(text)
            .into_iter()
            .filter_map(|part| match part {
                Part::Code { label, content, .. } => {
                    Some((label, content.into_iter().map(|lines| &text[lines]).collect()))
                }
                _ => None,
            })
            .collect()
    }

    #[track_caller]
    fn one_block(text: &str, label: &str, content: &str) {
        assert_eq!(code(text), [(label.to_owned(), content.to_owned())]);
    }

    #[test]
    fn every_kind_of_code_block_gives_its_lines() {
        one_block("```sql\na\n\nb\n```\n", "sql", "a\n\nb\n");
        one_block("~~~~ SQLite x\na\n```\n~~~~\n", "sqlite", "a\n```\n");
        one_block("p\n\n    a\n      b\n", "", "a\n  b\n");
        one_block("- x\n\n  ```sql\n  a\n    b\n  ```\n", "sql", "a\n  b\n");
        one_block("> ```sql\n> a\n>\n> b\n> ```\n", "sql", "a\n\nb\n");
        one_block("```\r\na\r\n\r\nb\r\n```\r\n", "", "a\r\n\r\nb\r\n");
        one_block("```sql\na", "sql", "a");
    }

    #[test]
    fn a_comment_hides_the_fence_in_it() {
        assert_eq!(code("<!--\n```sql\na\n```\n-->\n"), []);
        assert_eq!(code("<!-- x -->\n\n```sql\na\n```\n").len(), 1);
        let open = parts("a\n\n<!-- x\n\n```sql\na\n```\n");
        assert!(matches!(open.last(), Some(Part::OpenComment { range }) if *range == (3..24)));
    }

    #[test]
    fn prose_is_what_is_left() {
        let text = "a\n<!-- b -->\n# H *x*\nc\n";
        let prose: Vec<_> = parts(text)
            .into_iter()
            .filter_map(|part| match part {
                Part::Prose { range } => Some(&text[range]),
                _ => None,
            })
            .collect();
        assert_eq!(prose.concat(), "a\n\nc\n");
        assert!(
            parts(text)
                .iter()
                .any(|part| matches!(part, Part::Heading { text, .. } if text == "H x"))
        );
    }
}
