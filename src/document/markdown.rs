//! The one place that knows CommonMark: splits a text into headings, code blocks and prose, in
//! document order. What stands in an HTML comment is left out.

use std::ops::Range;

use memchr::memchr;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A part of the document, with byte ranges into the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Heading {
        level: u8,
        text: String,
        range: Range<usize>,
    },
    Code {
        /// First word of a fence's info, lower case; empty for none and for indented code.
        label: String,
        range: Range<usize>,
        /// The content, line by line, line ends included, without the indentation and the quote
        /// marks of what the block stands in.
        lines: Vec<Range<usize>>,
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

impl Part {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Heading { range, .. }
            | Self::Code { range, .. }
            | Self::OpenComment { range }
            | Self::Prose { range } => range,
        }
    }
}

/// Splits `text`. Linear in its length.
pub(crate) fn parts(text: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut comments: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Part> = None;
    let mut html_start = 0;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open = Some(Part::Heading { level: level as u8, text: String::new(), range });
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let label = match kind {
                    CodeBlockKind::Fenced(info) => {
                        info.split_whitespace().next().unwrap_or("").to_lowercase()
                    }
                    CodeBlockKind::Indented => String::new(),
                };
                open = Some(Part::Code { label, range, lines: Vec::new() });
            }
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock) => found.extend(open.take()),
            Event::Text(piece) | Event::Code(piece) => match &mut open {
                Some(Part::Heading { text, .. }) => text.push_str(&piece),
                Some(Part::Code { lines, range: whole, .. }) => {
                    add_lines(lines, text, range, whole.end);
                }
                _ => {}
            },
            Event::SoftBreak | Event::HardBreak => {
                if let Some(Part::Heading { text, .. }) = &mut open {
                    text.push(' ');
                }
            }
            // The block runs on to the end of the comment's last line.
            Event::Start(Tag::HtmlBlock) => html_start = range.start,
            Event::End(TagEnd::HtmlBlock)
                if text[html_start..].trim_start().starts_with("<!--") =>
            {
                let block = html_start..range.end;
                match text[block.clone()].find("-->") {
                    Some(end) => comments.push(html_start..html_start + end + 3),
                    None => found.push(Part::OpenComment { range: block }),
                }
            }
            Event::InlineHtml(html) if html.starts_with("<!--") => comments.push(range),
            _ => {}
        }
    }
    with_prose(text, found, comments)
}

/// Adds the whole lines that a text event covers; the events of one line make one entry.
fn add_lines(lines: &mut Vec<Range<usize>>, text: &str, range: Range<usize>, limit: usize) {
    let mut start = range.start;
    // Of an empty line that ends in CRLF only the LF is told.
    if start > 0 && text.as_bytes()[start - 1] == b'\r' {
        start -= 1;
    }
    while start < range.end {
        let end = memchr(b'\n', &text.as_bytes()[start..limit]).map_or(limit, |at| start + at + 1);
        match lines.last_mut() {
            Some(last) if last.end >= end => {}
            Some(last) if last.end > start => last.end = end,
            _ => lines.push(start..end),
        }
        start = end;
    }
}

/// Puts prose into the gaps between code, headings and comments.
fn with_prose(text: &str, found: Vec<Part>, mut comments: Vec<Range<usize>>) -> Vec<Part> {
    comments.sort_by_key(|range| range.start);
    let mut comments = comments.into_iter().peekable();
    let mut parts = Vec::with_capacity(found.len() * 2 + 1);
    let mut at = 0;
    let mut prose = |parts: &mut Vec<Part>, mut from: usize, to: usize| {
        while let Some(comment) = comments.next_if(|comment| comment.start < to) {
            if comment.start > from {
                parts.push(Part::Prose { range: from..comment.start });
            }
            from = from.max(comment.end);
        }
        if from < to {
            parts.push(Part::Prose { range: from..to });
        }
    };
    for part in found {
        let range = part.range().clone();
        if range.start > at {
            prose(&mut parts, at, range.start);
        }
        at = at.max(range.end);
        parts.push(part);
    }
    prose(&mut parts, at, text.len());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<(String, String)> {
        parts(text)
            .into_iter()
            .filter_map(|part| match part {
                Part::Code { label, lines, .. } => {
                    Some((label, lines.into_iter().map(|line| &text[line]).collect()))
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
