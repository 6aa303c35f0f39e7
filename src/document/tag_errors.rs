//! A start tag that waits for its end, and the words for what may come instead.

use std::ops::Range;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::lines::{line_ranges, trim_range};
use crate::document::tag::{BlockBoundary, Scope, Tag};
use crate::document::tag_parser;
use crate::document::tag_parser::TagLine;
use crate::source::SourceSlice;

/// A block whose end tag has not come yet.
pub(crate) struct OpenBlock {
    pub(crate) tag: Tag,
    /// The start tag's line.
    pub(crate) tag_span: Range<usize>,
    pub(crate) sql_start: usize,
}

impl OpenBlock {
    /// The code block ends first.
    pub(crate) fn unclosed_error(&self, content: &SourceSlice<'_>) -> Diagnostic {
        let diagnostic = Diagnostic::new(
            Rule::UnclosedBlock,
            content.document_span(self.tag_span.clone()),
            format!("the block `{}` has no end tag in this code block", self.tag),
        )
        .help(format!("close it with `-- [{}:end]`", self.tag));
        let text = content.text();
        let commented_end_tag = line_ranges(text, self.sql_start..text.len()).find_map(|line| {
            let at = line.start + text[line.clone()].rfind("--")?;
            let read = tag_parser::parse_tag_line(&text[at..line.end]);
            (read == Some(TagLine::Tag(self.tag.clone(), BlockBoundary::End)))
                .then_some(at..line.end)
        });
        match commented_end_tag {
            Some(late) => diagnostic
                .related(
                    content.document_span(trim_range(text, late)),
                    "a comment: a tag begins its line",
                )
                .help("put the end tag on a line of its own"),
            None => diagnostic,
        }
    }

    /// A string or comment that begins at `token` swallows the end tag.
    pub(crate) fn swallowed_end_error(
        &self,
        content: &SourceSlice<'_>,
        token_start: usize,
    ) -> Diagnostic {
        let (token_name, len, help) = match content.text().as_bytes()[token_start] {
            b'\'' => (
                "string",
                1,
                "close it above the end tag; a quote inside a string is doubled: `''`",
            ),
            b'/' => ("comment", 2, "close it with `*/` above the end tag"),
            _ => ("quoted name", 1, "close it above the end tag"),
        };
        Diagnostic::new(
            Rule::UnclosedBlock,
            content.document_span(token_start..token_start + len),
            format!(
                "this {token_name} never ends, and swallows the end of the block `{}`",
                self.tag
            ),
        )
        .related(content.document_span(self.tag_span.clone()), "the block starts here")
        .help(help)
    }

    /// Another block starts first.
    pub(crate) fn nested_block_error(
        &self,
        content: &SourceSlice<'_>,
        tag: &Tag,
        span: &Range<usize>,
    ) -> Diagnostic {
        Diagnostic::new(
            Rule::NestedBlock,
            content.document_span(span.clone()),
            format!("the block `{tag}` starts inside the block `{}`", self.tag),
        )
        .related(content.document_span(self.tag_span.clone()), "which starts here")
        .help(format!("close the first one with `-- [{}:end]` above it", self.tag))
    }

    /// The same start tag comes again where the end tag is due.
    pub(crate) fn repeated_start_error(
        &self,
        content: &SourceSlice<'_>,
        span: &Range<usize>,
    ) -> Diagnostic {
        Diagnostic::new(
            Rule::NestedBlock,
            content.document_span(span.clone()),
            format!("the block `{}` starts a second time before it ends", self.tag),
        )
        .related(content.document_span(self.tag_span.clone()), "the first time")
        .help(format!("if this is its end, write `-- [{}:end]`", self.tag))
    }

    /// The end tag of another block comes.
    pub(crate) fn mismatched_end_error(
        &self,
        content: &SourceSlice<'_>,
        tag: &Tag,
        span: &Range<usize>,
    ) -> Diagnostic {
        let difference =
            match (tag_scope(&self.tag) == tag_scope(tag), self.tag.equals_ignoring_scope(tag)) {
                (true, _) => "versions are",
                (false, true) => "scope is",
                (false, false) => "scope and versions are",
            };
        Diagnostic::new(
            Rule::MismatchedEnd,
            content.document_span(span.clone()),
            format!("the end tag's {difference} not its start tag's: `{tag}` ends `{}`", self.tag),
        )
        .related(content.document_span(self.tag_span.clone()), "the start tag")
        .help(format!("write `-- [{}:end]` here", self.tag))
    }
}

/// Turns what was told of a nested block, which goes on where the one around it ends.
pub(crate) fn rewrite_as_crossing_error(
    nested: &mut Diagnostic,
    (outer, outer_end): (&Tag, Range<usize>),
    inner: &Tag,
) {
    nested.message = format!("the blocks `{outer}` and `{inner}` cross each other");
    nested.label = String::from("this one starts before the first has ended");
    nested.related.push((outer_end, "the first one ends here".to_owned()));
    nested.help = Some("end the first block above the start of the second".to_owned());
}

/// An end tag comes that nothing started.
pub(crate) fn unopened_error(span: Range<usize>, tag: &Tag) -> Diagnostic {
    Diagnostic::new(
        Rule::UnopenedBlock,
        span,
        format!("the block `{tag}` ends here, and starts nowhere in this code block"),
    )
    .help(format!("put `-- [{tag}:start]` before its first statement"))
}

/// A tag is commented out, which hides it from nobody.
pub(crate) fn tag_in_comment_error(
    span: Range<usize>,
    tag: &Tag,
    comment: Range<usize>,
) -> Diagnostic {
    Diagnostic::new(
        Rule::NestedBlock,
        span,
        format!("the tag `{tag}` stands inside a comment, and would be read all the same"),
    )
    .related(comment, "the comment starts here")
    .help("end the comment above the tag; to leave a block out, put `<!--` before its code block and `-->` after it")
}

/// A tag stands where nothing is ever run.
pub(crate) fn tag_in_template_error(span: Range<usize>, tag: &Tag, template: &Tag) -> Diagnostic {
    Diagnostic::new(
        Rule::NestedBlock,
        span,
        format!("the tag `{tag}` stands inside the template `{template}`, which is never run"),
    )
    .help(format!("close the template with `-- [{template}:end]` above it"))
}

/// Lines of a code block with tags stand outside them all.
pub(crate) fn text_outside_error(
    content: &SourceSlice<'_>,
    stray_lines: &[Range<usize>],
) -> Option<Diagnostic> {
    let first = stray_lines.first()?;
    let count = stray_lines.len();
    let more = if count > 1 { format!(" ({count} lines)") } else { String::new() };
    let diagnostic = Diagnostic::new(
        Rule::TextOutsideBlock,
        content.document_span(first.clone()),
        format!("text outside the tags of this code block would not be run{more}"),
    );
    Some(diagnostic.help("move it between a start tag and its end tag, or out of the code block; if a closing ``` is missing above, add it"))
}

fn tag_scope(tag: &Tag) -> Scope {
    match tag {
        Tag::Migration { scope, .. } | Tag::Placeholder { scope, .. } | Tag::Seed { scope, .. } => {
            *scope
        }
    }
}
