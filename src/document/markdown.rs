//! The one place that knows CommonMark: splits a text into headings, code blocks and prose, in
//! document order. What stands in an HTML comment is left out.

use std::collections::VecDeque;
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

/// Splits `text` and tells its parts in their order. Linear in its length.
pub(crate) fn split(text: &str, tell: impl FnMut(Part)) {
    let mut split = Split { at: 0, comments: VecDeque::new(), tell };
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
                open = Some(Part::Code { label, range, content: Vec::new() });
            }
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock) => {
                if let Some(part) = open.take() {
                    split.part(part);
                }
            }
            Event::Text(piece) | Event::Code(piece) => match &mut open {
                Some(Part::Heading { text, .. }) => text.push_str(&piece),
                Some(Part::Code { content, range: whole, .. }) => {
                    add_lines(content, text, range, whole.end);
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
                    Some(end) => split.comments.push_back(html_start..html_start + end + 3),
                    None => split.part(Part::OpenComment { range: block }),
                }
            }
            Event::InlineHtml(html) if html.starts_with("<!--") => split.comments.push_back(range),
            _ => {}
        }
    }
    split.prose(text.len());
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

impl<T: FnMut(Part)> Split<T> {
    /// Tells a part and the prose before it.
    fn part(&mut self, part: Part) {
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
    use super::*;

    fn parts(text: &str) -> Vec<Part> {
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
