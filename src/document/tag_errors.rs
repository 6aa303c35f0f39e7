//! A start tag that waits for its end, and the words for what may come instead.

use std::ops::Range;

use crate::document::diagnostic::{Problem, Rule};
use crate::document::lines::{lines, trimmed};
use crate::document::tag::{Edge, Scope, Tag};
use crate::document::tag_parser;
use crate::document::tag_parser::TagLine;
use crate::source::Piece;

/// A block whose end tag has not come yet.
pub(crate) struct Open {
    pub(crate) tag: Tag,
    /// The start tag's line.
    pub(crate) span: Range<usize>,
    pub(crate) sql_start: usize,
}

impl Open {
    /// The code block ends first.
    pub(crate) fn unclosed(&self, content: &Piece<'_>) -> Problem {
        let problem = Problem::new(
            Rule::UnclosedBlock,
            content.span(self.span.clone()),
            format!("the block `{}` has no end tag in this code block", self.tag),
        )
        .help(format!("close it with `-- [{}:end]`", self.tag));
        let text = content.text();
        let late = lines(text, self.sql_start..text.len()).find_map(|line| {
            let at = line.start + text[line.clone()].rfind("--")?;
            let read = tag_parser::read(&text[at..line.end]);
            (read == Some(TagLine::Tag(self.tag.clone(), Edge::End))).then_some(at..line.end)
        });
        match late {
            Some(late) => problem
                .related(content.span(trimmed(text, late)), "a comment: a tag begins its line")
                .help("put the end tag on a line of its own"),
            None => problem,
        }
    }

    /// A string or comment that begins at `token` swallows the end tag.
    pub(crate) fn swallowed(&self, content: &Piece<'_>, token: usize) -> Problem {
        let (what, len, help) = match content.text().as_bytes()[token] {
            b'\'' => (
                "string",
                1,
                "close it above the end tag; a quote inside a string is doubled: `''`",
            ),
            b'/' => ("comment", 2, "close it with `*/` above the end tag"),
            _ => ("quoted name", 1, "close it above the end tag"),
        };
        Problem::new(
            Rule::UnclosedBlock,
            content.span(token..token + len),
            format!("this {what} never ends, and swallows the end of the block `{}`", self.tag),
        )
        .related(content.span(self.span.clone()), "the block starts here")
        .help(help)
    }

    /// Another block starts first.
    pub(crate) fn nested(&self, content: &Piece<'_>, tag: &Tag, span: &Range<usize>) -> Problem {
        Problem::new(
            Rule::NestedBlock,
            content.span(span.clone()),
            format!("the block `{tag}` starts inside the block `{}`", self.tag),
        )
        .related(content.span(self.span.clone()), "which starts here")
        .help(format!("close the first one with `-- [{}:end]` above it", self.tag))
    }

    /// The same start tag comes again where the end tag is due.
    pub(crate) fn repeated(&self, content: &Piece<'_>, span: &Range<usize>) -> Problem {
        Problem::new(
            Rule::NestedBlock,
            content.span(span.clone()),
            format!("the block `{}` starts a second time before it ends", self.tag),
        )
        .related(content.span(self.span.clone()), "the first time")
        .help(format!("if this is its end, write `-- [{}:end]`", self.tag))
    }

    /// The end tag of another block comes.
    pub(crate) fn mismatched(
        &self,
        content: &Piece<'_>,
        tag: &Tag,
        span: &Range<usize>,
    ) -> Problem {
        let what = match (scope_of(&self.tag) == scope_of(tag), self.tag.same_but_scope(tag)) {
            (true, _) => "versions are",
            (false, true) => "scope is",
            (false, false) => "scope and versions are",
        };
        Problem::new(
            Rule::MismatchedEnd,
            content.span(span.clone()),
            format!("the end tag's {what} not its start tag's: `{tag}` ends `{}`", self.tag),
        )
        .related(content.span(self.span.clone()), "the start tag")
        .help(format!("write `-- [{}:end]` here", self.tag))
    }
}

/// Turns what was told of a nested block, which goes on where the one around it ends.
pub(crate) fn crossed(nested: &mut Problem, (outer, end): (&Tag, Range<usize>), inner: &Tag) {
    nested.message = format!("the blocks `{outer}` and `{inner}` cross each other");
    nested.label = String::from("this one starts before the first has ended");
    nested.related.push((end, "the first one ends here".to_owned()));
    nested.help = Some("end the first block above the start of the second".to_owned());
}

/// An end tag comes that nothing started.
pub(crate) fn unopened(span: Range<usize>, tag: &Tag) -> Problem {
    Problem::new(
        Rule::UnopenedBlock,
        span,
        format!("the block `{tag}` ends here, and starts nowhere in this code block"),
    )
    .help(format!("put `-- [{tag}:start]` before its first statement"))
}

/// A tag is commented out, which hides it from nobody.
pub(crate) fn in_comment(span: Range<usize>, tag: &Tag, comment: Range<usize>) -> Problem {
    Problem::new(
        Rule::NestedBlock,
        span,
        format!("the tag `{tag}` stands inside a comment, and would be read all the same"),
    )
    .related(comment, "the comment starts here")
    .help("end the comment above the tag; to leave a block out, put `<!--` before its code block and `-->` after it")
}

/// A tag stands where nothing is ever run.
pub(crate) fn in_template(span: Range<usize>, tag: &Tag, template: &Tag) -> Problem {
    Problem::new(
        Rule::NestedBlock,
        span,
        format!("the tag `{tag}` stands inside the template `{template}`, which is never run"),
    )
    .help(format!("close the template with `-- [{template}:end]` above it"))
}

/// Lines of a code block with tags stand outside them all.
pub(crate) fn text_outside(content: &Piece<'_>, stray: &[Range<usize>]) -> Option<Problem> {
    let first = stray.first()?;
    let count = stray.len();
    let more = if count > 1 { format!(" ({count} lines)") } else { String::new() };
    let problem = Problem::new(
        Rule::TextOutsideBlock,
        content.span(first.clone()),
        format!("text outside the tags of this code block would not be run{more}"),
    );
    Some(problem.help("move it between a start tag and its end tag, or out of the code block; if a closing ``` is missing above, add it"))
}

fn scope_of(tag: &Tag) -> Scope {
    match tag {
        Tag::Migration { scope, .. } | Tag::Placeholder { scope, .. } | Tag::Seed { scope, .. } => {
            *scope
        }
    }
}
