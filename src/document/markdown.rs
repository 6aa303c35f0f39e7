//! Splits a Markdown document into headings, code blocks and prose, in document order, by the rules
//! of CommonMark. The content of HTML comments is left out.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use memchr::{memchr, memmem};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A part of a document, with byte ranges of the parsed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MarkdownElement<'t> {
    Heading {
        level: u8,
        text: Cow<'t, str>,
        range: Range<usize>,
    },
    CodeBlock {
        /// The first word of the fence's info string, in lower case; empty without one and for
        /// indented code.
        label: String,
        range: Range<usize>,
        /// The content in whole lines, without the indentation and the quote marks of the lists and
        /// block quotes around it.
        content: Vec<Range<usize>>,
    },
    /// An HTML comment without an end, to the end of the block that contains it.
    UnclosedComment {
        range: Range<usize>,
    },
    /// Everything else, whole lines.
    Prose {
        range: Range<usize>,
    },
}

impl MarkdownElement<'_> {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Heading { range, .. }
            | Self::CodeBlock { range, .. }
            | Self::UnclosedComment { range }
            | Self::Prose { range } => range,
        }
    }
}

/// The number of bytes that are first parsed at once: few enough that the parser's events stay in the
/// processor's cache.
const INITIAL_CHUNK_LEN: usize = 128 << 10;

/// Splits `text` and passes its parts to `emit`, in order. Linear in the length of `text`.
pub(crate) fn split<'t>(text: &'t str, emit: impl FnMut(MarkdownElement<'t>)) {
    // A link definition may follow the headings whose text it changes, at any distance.
    let is_single_chunk = memmem::find(text.as_bytes(), b"]:").is_some();
    split_in_chunks(if is_single_chunk { text.len() } else { INITIAL_CHUNK_LEN }, text, emit);
}

/// Splits `text` by parsing chunks of `chunk_len` bytes, or longer ones if a chunk holds no heading to
/// end at.
fn split_in_chunks<'t>(mut chunk_len: usize, text: &'t str, emit: impl FnMut(MarkdownElement<'t>)) {
    let mut emitter = ElementEmitter { position: 0, pending_comments: VecDeque::new(), emit };
    let mut items = Vec::new();
    let mut from = 0;
    while from < text.len() {
        let to = text.as_bytes().get(from + chunk_len..).and_then(|rest| memchr(b'\n', rest));
        let to = to.map_or(text.len(), |at| from + chunk_len + at + 1);
        parse_chunk(text, from..to, &mut items);
        if to < text.len() {
            // A heading that begins its line with `#` ends every open block, so the parts before
            // it are the same as in a parse of the whole text. Those behind it may differ, and
            // are parsed again with the next chunk.
            let last_heading = items.iter().rposition(|found| {
                matches!(found, ParsedItem::Element(MarkdownElement::Heading { range, .. })
                    if range.start > from && text.as_bytes()[range.start - 1..].starts_with(b"\n#"))
            });
            let Some(heading) = last_heading else {
                items.clear();
                // Relative to what was parsed, because a line may be far longer than a chunk.
                chunk_len = 2 * (to - from);
                continue;
            };
            from = items[heading].range().start;
            items.truncate(heading);
        } else {
            from = to;
        }
        for found in items.drain(..) {
            match found {
                ParsedItem::Element(element) => emitter.emit_element(element),
                ParsedItem::Comment(range) => emitter.pending_comments.push_back(range),
            }
        }
    }
    emitter.emit_prose_until(text.len());
}

/// One result of parsing a chunk.
enum ParsedItem<'t> {
    Element(MarkdownElement<'t>),
    Comment(Range<usize>),
}

impl ParsedItem<'_> {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Element(element) => element.range(),
            Self::Comment(range) => range,
        }
    }
}

/// Finds the headings, code blocks and comments of one chunk of `text`.
fn parse_chunk<'t>(text: &'t str, chunk: Range<usize>, items: &mut Vec<ParsedItem<'t>>) {
    let mut open_element: Option<MarkdownElement<'t>> = None;
    let mut html_start = 0;
    for (event, range) in Parser::new(&text[chunk.clone()]).into_offset_iter() {
        let range = chunk.start + range.start..chunk.start + range.end;
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open_element = Some(MarkdownElement::Heading {
                    level: level as u8,
                    text: Cow::Borrowed(""),
                    range,
                });
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let label = match kind {
                    CodeBlockKind::Fenced(info) => {
                        info.split_whitespace().next().unwrap_or("").to_lowercase()
                    }
                    CodeBlockKind::Indented => String::new(),
                };
                open_element =
                    Some(MarkdownElement::CodeBlock { label, range, content: Vec::new() });
            }
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock) => {
                items.extend(open_element.take().map(ParsedItem::Element));
            }
            Event::Text(piece) | Event::Code(piece) => match &mut open_element {
                Some(MarkdownElement::Heading { text, .. }) => *text += Cow::from(piece),
                Some(MarkdownElement::CodeBlock { content, range: whole, .. }) => {
                    add_lines(content, text, range, whole.end);
                }
                _ => {}
            },
            Event::SoftBreak | Event::HardBreak => {
                if let Some(MarkdownElement::Heading { text, .. }) = &mut open_element {
                    *text += " ";
                }
            }
            // The HTML block extends to the end of the comment's last line.
            Event::Start(Tag::HtmlBlock) => html_start = range.start,
            Event::End(TagEnd::HtmlBlock)
                if text[html_start..].trim_start().starts_with("<!--") =>
            {
                let block = html_start..range.end;
                items.push(match text[block.clone()].find("-->") {
                    Some(end) => ParsedItem::Comment(html_start..html_start + end + 3),
                    None => ParsedItem::Element(MarkdownElement::UnclosedComment { range: block }),
                });
            }
            Event::InlineHtml(html) if html.starts_with("<!--") => {
                items.push(ParsedItem::Comment(range));
            }
            _ => {}
        }
    }
}

/// Adds the whole lines of a text event to `content`; adjacent lines become one range.
fn add_lines(content: &mut Vec<Range<usize>>, text: &str, range: Range<usize>, block_end: usize) {
    let mut start = range.start;
    // For an empty line that ends in CRLF, the event covers the LF only.
    if start > 0 && text.as_bytes()[start - 1] == b'\r' {
        start -= 1;
    }
    if range.end <= start {
        return;
    }
    // The last event of a line may end before its line feed.
    let last = &text.as_bytes()[range.end - 1..block_end];
    let end = memchr(b'\n', last).map_or(block_end, |at| range.end + at);
    match content.last_mut() {
        Some(last) if last.end >= start => last.end = last.end.max(end),
        _ => content.push(start..end),
    }
}

/// Emits elements, and the text between them as prose.
struct ElementEmitter<T> {
    /// Everything before this offset is emitted.
    position: usize,
    /// The comments behind `position`, in order.
    pending_comments: VecDeque<Range<usize>>,
    emit: T,
}

impl<'t, T: FnMut(MarkdownElement<'t>)> ElementEmitter<T> {
    /// Emits an element and the prose before it.
    fn emit_element(&mut self, element: MarkdownElement<'t>) {
        let range = element.range().clone();
        self.emit_prose_until(range.start);
        self.position = self.position.max(range.end);
        (self.emit)(element);
    }

    /// Emits the text before `limit`, without the comments in it, as prose.
    fn emit_prose_until(&mut self, limit: usize) {
        if limit <= self.position {
            return;
        }
        let mut prose_start = self.position;
        while let Some(comment) =
            self.pending_comments.pop_front_if(|comment| comment.start < limit)
        {
            if comment.start > prose_start {
                (self.emit)(MarkdownElement::Prose { range: prose_start..comment.start });
            }
            prose_start = prose_start.max(comment.end);
        }
        if prose_start < limit {
            (self.emit)(MarkdownElement::Prose { range: prose_start..limit });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines that open, continue or close every kind of block.
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

    fn split_with_chunk_len(chunk_len: usize, text: &str) -> Vec<MarkdownElement<'_>> {
        let mut elements = Vec::new();
        split_in_chunks(chunk_len, text, |element| elements.push(element));
        elements
    }

    proptest! {
        #[test]
        fn chunked_and_whole_parses_agree(
            lines in prop::collection::vec((0..LINES.len(), prop::bool::weighted(0.1)), 0..24),
            size in 1..64_usize,
        ) {
            let text: String = lines
                .iter()
                .flat_map(|(at, crlf)| [LINES[*at], if *crlf { "\r\n" } else { "\n" }])
                .collect();
            let whole = split_with_chunk_len(text.len(), &text);
            if !text.contains("]:") {
                prop_assert_eq!(split_with_chunk_len(size, &text), whole, "{}", text);
            }
        }
    }

    #[test]
    fn a_link_definition_may_follow_its_heading_at_any_distance() {
        let filler = "a\n\n# B\n".repeat(2 * INITIAL_CHUNK_LEN / 7);
        for (end, expected) in [("", "[c]"), ("[c]: /d\n", "c")] {
            let text = format!("# [c]\n{filler}{end}");
            let is_expected_heading = |part: &MarkdownElement<'_>| matches!(part, MarkdownElement::Heading { text, .. } if text == expected);
            assert!(is_expected_heading(&elements(&text)[0]), "{expected}");
        }
    }

    fn elements(text: &str) -> Vec<MarkdownElement<'_>> {
        let mut parts = Vec::new();
        split(text, |part| parts.push(part));
        parts
    }

    fn code_blocks(text: &str) -> Vec<(String, String)> {
        elements(text)
            .into_iter()
            .filter_map(|part| match part {
                MarkdownElement::CodeBlock { label, content, .. } => {
                    Some((label, content.into_iter().map(|lines| &text[lines]).collect()))
                }
                _ => None,
            })
            .collect()
    }

    #[track_caller]
    fn assert_one_code_block(text: &str, label: &str, content: &str) {
        assert_eq!(code_blocks(text), [(label.to_owned(), content.to_owned())]);
    }

    #[test]
    fn every_kind_of_code_block_yields_its_lines() {
        assert_one_code_block("```sql\na\n\nb\n```\n", "sql", "a\n\nb\n");
        assert_one_code_block("~~~~ SQLite x\na\n```\n~~~~\n", "sqlite", "a\n```\n");
        assert_one_code_block("p\n\n    a\n      b\n", "", "a\n  b\n");
        assert_one_code_block("- x\n\n  ```sql\n  a\n    b\n  ```\n", "sql", "a\n  b\n");
        assert_one_code_block("> ```sql\n> a\n>\n> b\n> ```\n", "sql", "a\n\nb\n");
        assert_one_code_block("```\r\na\r\n\r\nb\r\n```\r\n", "", "a\r\n\r\nb\r\n");
        assert_one_code_block("```sql\na", "sql", "a");
    }

    #[test]
    fn a_comment_hides_the_fence_in_it() {
        assert_eq!(code_blocks("<!--\n```sql\na\n```\n-->\n"), []);
        assert_eq!(code_blocks("<!-- x -->\n\n```sql\na\n```\n").len(), 1);
        let open = elements("a\n\n<!-- x\n\n```sql\na\n```\n");
        assert!(
            matches!(open.last(), Some(MarkdownElement::UnclosedComment { range }) if *range == (3..24))
        );
    }

    #[test]
    fn prose_is_everything_else() {
        let text = "a\n<!-- b -->\n# H *x*\nc\n";
        let prose: Vec<_> = elements(text)
            .into_iter()
            .filter_map(|part| match part {
                MarkdownElement::Prose { range } => Some(&text[range]),
                _ => None,
            })
            .collect();
        assert_eq!(prose.concat(), "a\n\nc\n");
        assert!(
            elements(text)
                .iter()
                .any(|part| matches!(part, MarkdownElement::Heading { text, .. } if text == "H x"))
        );
    }
}
