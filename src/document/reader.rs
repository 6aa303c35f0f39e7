//! Reads the blocks of a document from its Markdown: headings become sections, code blocks and prose
//! are passed to their readers, and stray fences are recognized.

use std::ops::Range;

use memchr::memchr_iter;

use crate::document::blocks::Blocks;
use crate::document::code_block::{CodeBlockTags, OutsideText, read_code_block};
use crate::document::collector::BlockCollector;
use crate::document::conflict;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::heading::{heading_versions, is_planned, parse_atx_heading};
use crate::document::lines::{
    find_first_tag, first_line_range, has_fence_or_heading, has_unclosed_fence, is_fence_line,
    is_template, line_ranges, trim_range,
};
use crate::document::markdown;
use crate::document::markdown::MarkdownElement;
use crate::document::prose::{Container, ProseState, report_unclosed_comment};
use crate::document::tag_parser::parse_tag_line;
use crate::source::SourceSlice;

/// Reads the blocks and sections of `text`, a document without its byte order mark.
pub(crate) fn read_blocks<'a>(text: &SourceSlice<'a>) -> Blocks<'a> {
    let mut reader = Reader::default();
    let bytes = text.text().as_bytes();
    let is_lone_carriage_return = |at: &usize| bytes.get(at + 1) != Some(&b'\n');
    if let Some(at) = memchr_iter(b'\r', bytes).find(is_lone_carriage_return) {
        reader.collector.report(
            Diagnostic::new(
                Rule::CarriageReturn,
                text.document_span(at..at + 1),
                "a carriage return without a line feed: SQLite does not end the line here",
            )
            .help("save the document with LF or CRLF line ends"),
        );
    }
    let collector = &mut reader.collector;
    match conflict::resolve_conflicts(text, |found| collector.report(found)) {
        Some(resolved) => reader.read_markdown(&resolved, Container::Document),
        None => reader.read_markdown(text, Container::Document),
    }
    reader.collector.finish()
}

#[derive(Default)]
struct Reader<'a> {
    collector: BlockCollector<'a>,
    prose: ProseState,
}

impl<'a> Reader<'a> {
    fn read_markdown(&mut self, text: &SourceSlice<'a>, container: Container) {
        markdown::split(text.text(), |element| {
            match element {
                MarkdownElement::Heading { level, text: title, range } => {
                    // CommonMark takes lines above `---` or `===` for a heading, tags included.
                    let tag_count = line_ranges(text.text(), range.clone())
                        .filter(|line| {
                            self.prose.report_tag(&mut self.collector, text, line.clone())
                        })
                        .count();
                    if tag_count == 0 {
                        let (title, span) = (text.to_cow(title.trim()), text.document_span(range));
                        self.collector.add_section(level, title, span);
                    }
                }
                MarkdownElement::UnclosedComment { range } => {
                    report_unclosed_comment(&mut self.collector, text, range);
                }
                MarkdownElement::Prose { range } => {
                    for line in line_ranges(text.text(), range) {
                        self.prose.read_line(&mut self.collector, text, line, Container::Document);
                    }
                }
                MarkdownElement::CodeBlock { label, range, content } => {
                    let content = SourceSlice::join(text, &content);
                    let fence_span = text.document_span(first_line_range(text.text(), range));
                    self.read_labelled_code(&label, &content, fence_span, container);
                }
            }
            self.prose.end_paragraph();
        });
    }

    /// Decides by the label of a code block whether its content is SQL, a template, a stray fence
    /// or another language.
    fn read_labelled_code(
        &mut self,
        label: &str,
        content: &SourceSlice<'a>,
        fence_span: Range<usize>,
        container: Container,
    ) {
        match label {
            "" if is_template(content, &fence_span) => {}
            "" if container == Container::Document && has_fence_or_heading(content.text()) => {
                self.read_stray_fence(content, fence_span);
            }
            "" | "sql" | "sqlite" => {
                let outside_text = match container {
                    Container::Document => OutsideText::Error,
                    Container::StrayFence => OutsideText::Prose,
                };
                let tags = self.read_sql_code(content, outside_text);
                if !label.is_empty() && tags == CodeBlockTags::None {
                    self.check_untagged(content, fence_span);
                }
            }
            _ => self.check_unsupported_label(label, content, &fence_span),
        }
    }

    fn read_sql_code(
        &mut self,
        content: &SourceSlice<'a>,
        outside_text: OutsideText,
    ) -> CodeBlockTags {
        read_code_block(&mut self.collector, &mut self.prose, content, outside_text)
    }

    /// Reports a code block labelled as SQL without a tag, if it is below a version heading.
    fn check_untagged(&mut self, content: &SourceSlice<'a>, fence_span: Range<usize>) {
        let Some(versions) = self.collector.current_versions() else { return };
        if content.text().trim().is_empty() {
            return;
        }
        let (from, to) = (&versions.from, &versions.to);
        let help = format!(
            "put it between `-- [user:{from}→{to}:start]` and `-- [user:{from}→{to}:end]`; if it is an example, label the fence `text`"
        );
        self.collector.report(
            Diagnostic::new(
                Rule::UntaggedSql,
                fence_span,
                format!("this SQL below the heading of `{versions}` has no tag and never runs"),
            )
            .help(help),
        );
    }

    /// Reads an unlabelled code block that includes fences or headings which were meant to be
    /// outside it. Its content is read as the Markdown that it was written as.
    fn read_stray_fence(&mut self, content: &SourceSlice<'a>, fence_span: Range<usize>) {
        let text = content.text();
        let blocks = self.collector.blocks();
        let (block_count, section_count) = (blocks.list.len(), blocks.sections.len());
        let diagnostic_count = blocks.diagnostics.len();
        if line_ranges(text, 0..text.len()).any(|line| is_fence_line(&text[line])) {
            self.read_markdown(content, Container::StrayFence);
        } else if line_ranges(text, 0..text.len()).any(|line| parse_tag_line(&text[line]).is_some())
        {
            self.read_sql_code(content, OutsideText::Prose);
        } else {
            self.read_swallowed_headings(content);
        }
        let blocks = self.collector.blocks();
        let has_swallowed_heading = blocks.sections[section_count..]
            .iter()
            .any(|section| section.versions.is_some() || section.planned);
        if blocks.list.len() > block_count || has_swallowed_heading {
            self.collector.diagnostics_mut().insert(
                diagnostic_count,
                Diagnostic::new(
                    Rule::StrayFence,
                    fence_span,
                    "a stray fence: it opens a code block that includes headings or fences below it",
                )
                .label("this opens an unlabelled code block")
                .help(
                    "if a template above contains fences of its own, put four backticks (````) \
                     before and after the template; otherwise remove this line or label it ```sql",
                ),
            );
        }
    }

    /// Adds the headings of a code block without tags and fences. A shell comment looks like a
    /// heading; only one with versions or `(Planned)` counts.
    fn read_swallowed_headings(&mut self, content: &SourceSlice<'a>) {
        let text = content.text();
        for line in line_ranges(text, 0..text.len()) {
            if let Some((level, title)) = parse_atx_heading(&text[line.clone()])
                && (heading_versions(title).is_some() || is_planned(title))
            {
                let span = content.document_span(trim_range(text, line));
                self.collector.add_section(level, content.to_cow(title), span);
            }
        }
    }

    /// Reports tags in a code block that is labelled as something other than SQL.
    fn check_unsupported_label(
        &mut self,
        label: &str,
        content: &SourceSlice<'a>,
        fence_span: &Range<usize>,
    ) {
        let text = content.text();
        let Some(first) = find_first_tag(text, 0..text.len()) else { return };
        let span = content.document_span(first);
        let is_example = matches!(label, "markdown" | "md" | "text" | "txt");
        let diagnostic = if is_example && has_unclosed_fence(text) {
            Diagnostic::new(
                Rule::StrayFence,
                fence_span.clone(),
                format!("this `{label}` code block includes a fence with tags, which never run"),
            )
            .label("this code block is not closed before the tags")
            .related(span, "the first tag")
            .help("if it is an example, put four backticks (````) before and after it; otherwise close the code block above the tags")
        } else if is_example {
            Diagnostic::new(
                Rule::Example,
                span,
                format!("tags in a `{label}` code block are an example and never run"),
            )
            .help("label the fence `sql` if this is a migration")
        } else {
            self.collector.mark_section_as_used();
            Diagnostic::new(
                Rule::WrongFenceLabel,
                span,
                format!("a block in a code block labelled `{label}` never runs"),
            )
            .related(fence_span.clone(), "the label")
            .help("label the fence `sql`")
        };
        self.collector.report(diagnostic);
    }
}
