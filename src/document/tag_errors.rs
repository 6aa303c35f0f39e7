//! Builds the diagnostics for tags that do not pair: unclosed, nested, crossed and mismatched
//! blocks, and text outside all of them.

use std::ops::Range;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::lines::{line_end, line_ranges, trim_range};
use crate::document::tag::{BlockBoundary, Tag};
use crate::document::tag_parser;
use crate::document::tag_parser::TagLine;
use crate::source::SourceSlice;

/// A block whose end tag is not read yet. Ranges are byte ranges of the code block.
pub(crate) struct OpenBlock {
    pub(crate) tag: Tag,
    /// The start tag's line.
    pub(crate) tag_span: Range<usize>,
    pub(crate) sql_start: usize,
}

impl OpenBlock {
    /// The code block ends before the block does.
    pub(crate) fn unclosed_error(&self, content: &SourceSlice<'_>) -> Diagnostic {
        let diagnostic = Diagnostic::new(
            Rule::UnclosedBlock,
            content.document_span(self.tag_span.clone()),
            format!("the block `{}` has no end tag in this code block", self.tag),
        );
        match self.find_misplaced_end_tag(content.text()) {
            Some(range) => diagnostic
                .related(
                    content.document_span(trim_range(content.text(), range)),
                    "this end tag does not begin its line",
                )
                .help("put the end tag on a line of its own"),
            None => diagnostic
                .help(format!("add `-- [{}:end]` after the last statement of the block", self.tag)),
        }
    }

    /// The end tag of this block where it follows SQL on the same line, and is only a comment.
    fn find_misplaced_end_tag(&self, text: &str) -> Option<Range<usize>> {
        line_ranges(text, self.sql_start..text.len()).find_map(|line| {
            let start = line.start + text[line.clone()].rfind("--")?;
            let parsed = tag_parser::parse_tag_line(&text[start..line.end]);
            (parsed == Some(TagLine::Tag(self.tag.clone(), BlockBoundary::End)))
                .then_some(start..line.end)
        })
    }

    /// An unterminated string, name or comment that starts at `token_start` includes the end tag.
    pub(crate) fn swallowed_end_error(
        &self,
        content: &SourceSlice<'_>,
        token_start: usize,
    ) -> Diagnostic {
        let text = content.text();
        let line_start = text[..token_start].rfind('\n').map_or(0, |at| at + 1);
        let line = trim_range(text, line_start..line_end(text, token_start));
        if text[line.clone()].starts_with("```") {
            let message = format!("a code block begins inside the block `{}`", self.tag);
            return Diagnostic::new(Rule::UnclosedBlock, content.document_span(line), message)
                .related(content.document_span(self.tag_span.clone()), "the block starts here")
                .help("above this line, end the block with its end tag and close its code block with ```");
        }
        let has_backslash_quote = content.text()[self.sql_start..token_start].contains("\\'");
        let (token_name, len, help) = match content.text().as_bytes()[token_start] {
            b'\'' if has_backslash_quote => (
                "string",
                1,
                "a backslash escapes nothing in SQLite; write a quote inside a string twice: `'it''s'`",
            ),
            b'\'' => (
                "string",
                1,
                "close it above the end tag; write a quote inside a string twice: `''`",
            ),
            b'/' => ("comment", 2, "close it with `*/` above the end tag"),
            _ => ("quoted name", 1, "close it above the end tag"),
        };
        Diagnostic::new(
            Rule::UnclosedBlock,
            content.document_span(token_start..token_start + len),
            format!("this {token_name} is not closed and includes the end tag of `{}`", self.tag),
        )
        .related(content.document_span(self.tag_span.clone()), "the block starts here")
        .help(help)
    }

    /// Another block starts before this one ends.
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
        .related(content.document_span(self.tag_span.clone()), "the outer block starts here")
        .help(format!("end the outer block above this tag, with `-- [{}:end]`", self.tag))
    }

    /// The same start tag follows where the end tag is expected.
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
        .related(content.document_span(self.tag_span.clone()), "the first start tag")
        .help(format!("if this tag ends the block, write `-- [{}:end]`", self.tag))
    }

    /// The end tag of another block follows.
    pub(crate) fn mismatched_end_error(
        &self,
        content: &SourceSlice<'_>,
        tag: &Tag,
        span: &Range<usize>,
    ) -> Diagnostic {
        let are_seeds = matches!((&self.tag, tag), (Tag::Seed { .. }, Tag::Seed { .. }));
        let difference =
            match (self.tag.scope() == tag.scope(), self.tag.equals_ignoring_scope(tag)) {
                (true, _) if are_seeds => "the names differ",
                (false, false) if are_seeds => "scope and name differ",
                (true, _) => "the versions differ",
                (false, true) => "the scopes differ",
                (false, false) => "scope and versions differ",
            };
        Diagnostic::new(
            Rule::MismatchedEnd,
            content.document_span(span.clone()),
            format!(
                "the end tag of `{tag}` does not match the start tag of `{}`: {difference}",
                self.tag
            ),
        )
        .related(content.document_span(self.tag_span.clone()), "the start tag")
        .help(format!("write `-- [{}:end]` here", self.tag))
    }
}

/// Turns the diagnostic about a nested block into one about crossed blocks: the outer block ends at
/// `outer_end`, before the inner one does.
pub(crate) fn rewrite_as_crossing_error(
    nested: &mut Diagnostic,
    outer: &Tag,
    outer_end: Range<usize>,
    inner: &Tag,
) {
    nested.message = format!("the blocks `{outer}` and `{inner}` overlap");
    nested.label = String::from("the second block starts before the first one ends");
    if let Some((_, label)) = nested.related.first_mut() {
        "the first block starts here".clone_into(label);
    }
    nested.related.push((outer_end, "the first block ends here".to_owned()));
    nested.help = Some("end the first block above the start of the second one".to_owned());
}

/// An end tag without a start tag.
pub(crate) fn unopened_error(span: Range<usize>, tag: &Tag) -> Diagnostic {
    Diagnostic::new(
        Rule::UnopenedBlock,
        span,
        format!("the end tag of `{tag}` has no start tag in this code block"),
    )
    .help(format!("add `-- [{tag}:start]` before the first statement of the block"))
}

/// A start tag inside a comment of several lines: the comment does not hide the tag.
pub(crate) fn tag_in_comment_error(
    span: Range<usize>,
    tag: &Tag,
    comment: Range<usize>,
) -> Diagnostic {
    Diagnostic::new(
        Rule::NestedBlock,
        span,
        format!("the tag `{tag}` is inside a comment, which does not disable it"),
    )
    .related(comment, "the comment starts here")
    .help("end the comment above the tag; to disable a block, put `<!--` before its code block and `-->` after it")
}

/// A tag inside a template, where nothing ever runs.
pub(crate) fn tag_in_template_error(span: Range<usize>, tag: &Tag, template: &Tag) -> Diagnostic {
    Diagnostic::new(
        Rule::NestedBlock,
        span,
        format!("the tag `{tag}` is inside the template `{template}`, which never runs"),
    )
    .help(format!("end the template above this tag, with `-- [{template}:end]`"))
}

/// Lines of a code block with tags that are outside all of them; `None` if there are no such lines.
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
        format!("text outside the tags of this code block never runs{more}"),
    );
    Some(diagnostic.help("move it between a start tag and its end tag, or out of the code block; if a closing ``` is missing above, add it"))
}
