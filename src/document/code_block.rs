//! Reads the tags and the SQL of one code block: pairs start tags with end tags, and reports every
//! line that is neither SQL of a block nor a tag.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::document::collector::BlockCollector;
use crate::document::diagnostic::Diagnostic;
use crate::document::directive::directive_outside_block;
use crate::document::heading::parse_atx_heading;
use crate::document::invisible::check_characters;
use crate::document::lines::{line_end, trim_range};
use crate::document::near_miss::{MalformedTag, find_embedded_tag};
use crate::document::prose::{Container, ProseState};
use crate::document::tag::{BlockBoundary, Tag};
use crate::document::tag_errors;
use crate::document::tag_errors::OpenBlock;
use crate::document::tag_parser::{TagLine, parse_tag_line};
use crate::source::SourceSlice;
use crate::sql::lexer;

/// How text outside the tags of a code block is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutsideText {
    /// As an error: it would never run.
    Error,
    /// As prose, in a stray fence.
    Prose,
}

/// Whether a code block holds a tag, a malformed one or a placeholder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeBlockTags {
    Some,
    None,
}

/// Reads one code block into `collector`.
pub(crate) fn read_code_block<'a>(
    collector: &mut BlockCollector<'a>,
    prose: &mut ProseState,
    content: &SourceSlice<'a>,
    outside_text: OutsideText,
) -> CodeBlockTags {
    CodeBlockReader {
        collector,
        prose,
        content,
        outside_text,
        open_block: None,
        enclosing_blocks: BTreeMap::new(),
        template: None,
        template_diagnostics: Vec::new(),
        has_tags: false,
        has_placeholders: false,
        has_malformed_tag: false,
        stray_lines: Vec::new(),
        stray_directives: Vec::new(),
        stray_count_at_last_tag: 0,
        open_comment: None,
    }
    .read()
}

/// The position in one code block. Ranges are byte ranges of `content`.
struct CodeBlockReader<'r, 'a> {
    collector: &'r mut BlockCollector<'a>,
    prose: &'r mut ProseState,
    content: &'r SourceSlice<'a>,
    outside_text: OutsideText,
    open_block: Option<OpenBlock>,
    /// Blocks in which another one started, each with the index of the diagnostic about it.
    enclosing_blocks: BTreeMap<Tag, usize>,
    /// The start placeholder of a template that is not ended yet.
    template: Option<Tag>,
    /// Malformed tags in the template; they count only if the template never ends.
    template_diagnostics: Vec<Diagnostic>,
    has_tags: bool,
    has_placeholders: bool,
    /// Whether a malformed tag was reported, so that its partner without one is not a second error.
    has_malformed_tag: bool,
    /// Lines of SQL outside any block.
    stray_lines: Vec<Range<usize>>,
    /// Errors of directives outside any block; they count only if the code block has tags.
    stray_directives: Vec<Diagnostic>,
    /// How many of the stray lines precede the last tag.
    stray_count_at_last_tag: usize,
    /// The line at which a comment outside any block starts that is not ended yet.
    open_comment: Option<Range<usize>>,
}

impl CodeBlockReader<'_, '_> {
    fn read(mut self) -> CodeBlockTags {
        let content = self.content;
        let text = content.text();
        let mut at = 0;
        while at < text.len() {
            let line = at..line_end(text, at);
            let next = match parse_tag_line(&text[line.clone()]) {
                Some(TagLine::Tag(tag @ Tag::Placeholder { .. }, boundary)) => {
                    self.read_placeholder(tag, boundary);
                    line.end
                }
                Some(TagLine::Tag(tag, boundary)) => {
                    let end = line.end;
                    self.read_tag(tag, boundary, line);
                    end
                }
                Some(TagLine::Malformed(malformed)) => {
                    let end = line.end;
                    self.read_malformed_tag(malformed, line);
                    end
                }
                None if self.open_block.is_some() => match lexer::end_of_logical_line(text, at) {
                    Ok(end) => end,
                    Err(token_start) => {
                        self.report_swallowed_end(token_start);
                        return CodeBlockTags::Some;
                    }
                },
                None => self.read_outside_line(line),
            };
            at = next;
        }
        self.finish()
    }

    /// Reports a string or comment that includes the end tag. If a typographic quote before it is
    /// the cause, that is reported instead.
    fn report_swallowed_end(&mut self, token_start: usize) {
        let Some(open) = self.open_block.take() else { return };
        let diagnostics = self.collector.diagnostics_mut();
        let diagnostic_count = diagnostics.len();
        let before = self.content.slice(open.sql_start..token_start);
        check_characters(&before, |found| diagnostics.push(found));
        if diagnostics.len() == diagnostic_count {
            diagnostics.push(open.swallowed_end_error(self.content, token_start));
        }
    }

    /// A placeholder starts or ends a template, except inside a block.
    fn read_placeholder(&mut self, tag: Tag, boundary: BlockBoundary) {
        self.has_placeholders = true;
        if self.open_block.is_none() {
            self.template_diagnostics.clear();
            self.template = (boundary == BlockBoundary::Start).then_some(tag);
        }
    }

    fn read_tag(&mut self, tag: Tag, boundary: BlockBoundary, line: Range<usize>) {
        self.has_tags = true;
        self.collector.mark_section_as_used();
        let span = self.line_span(line.clone());
        if let (Some(comment), BlockBoundary::Start) = (&self.open_comment, boundary) {
            let comment = self.content.document_span(comment.clone());
            self.collector.report(tag_errors::tag_in_comment_error(span.clone(), &tag, comment));
        }
        if let Some(template) = self.template.take() {
            self.collector.report(tag_errors::tag_in_template_error(span, &tag, &template));
        }
        match boundary {
            BlockBoundary::Start => self.start_block(tag, line),
            BlockBoundary::End => self.end_block(&tag, line),
        }
        self.stray_count_at_last_tag = self.stray_lines.len();
    }

    fn read_malformed_tag(&mut self, malformed: MalformedTag, line: Range<usize>) {
        let span = match &malformed.range {
            Some(part) => {
                self.content.document_span(line.start + part.start..line.start + part.end)
            }
            None => self.line_span(line),
        };
        let diagnostic = malformed.into_diagnostic(span);
        if self.template.is_some() {
            self.template_diagnostics.push(diagnostic);
        } else {
            self.has_tags = true;
            self.collector.mark_section_as_used();
            self.has_malformed_tag = true;
            self.open_block = None;
            self.collector.report(diagnostic);
        }
    }

    /// Reads a line outside any block. Returns the start of the next line.
    fn read_outside_line(&mut self, line: Range<usize>) -> usize {
        if self.template.is_some() || self.has_malformed_tag {
            return line.end;
        }
        if self.outside_text == OutsideText::Prose {
            return self.read_stray_prose_line(line);
        }
        let content = self.content;
        let line_text = &content.text()[line.clone()];
        let end = line.end;
        if let Some(malformed) = find_embedded_tag(line_text) {
            self.has_tags = true;
            self.has_malformed_tag = true;
            self.collector.mark_section_as_used();
            let span = self.line_span(line);
            self.collector.report(malformed.into_diagnostic(span));
        } else {
            self.add_stray_line(line_text, line);
        }
        end
    }

    /// Notes a line outside any block: a comment, or SQL that would never run.
    fn add_stray_line(&mut self, line_text: &str, line: Range<usize>) {
        let span = trim_range(self.content.text(), line);
        let code = match self.open_comment {
            Some(_) => line_text.split_once("*/").map(|(_, rest)| rest),
            None => Some(line_text),
        };
        let Some(code) = code else { return };
        let has_open_comment = lexer::tokens(code, 0)
            .any(|token| token.kind == lexer::TokenKind::Comment && !token.is_terminated);
        self.open_comment = has_open_comment.then(|| span.clone());
        if !lexer::is_empty(code) {
            self.stray_lines.push(span);
        } else if let Some(error) = directive_outside_block(code, self.content.document_span(span))
        {
            self.stray_directives.push(error);
        }
    }

    fn start_block(&mut self, tag: Tag, line: Range<usize>) {
        let span = trim_range(self.content.text(), line.clone());
        self.has_malformed_tag = false;
        if let Some(enclosing_block) = self.open_block.take() {
            if enclosing_block.tag == tag {
                self.collector.report(enclosing_block.repeated_start_error(self.content, &span));
                self.has_malformed_tag = true;
                return;
            }
            let diagnostics = self.collector.diagnostics_mut();
            self.enclosing_blocks.insert(enclosing_block.tag.clone(), diagnostics.len());
            diagnostics.push(enclosing_block.nested_block_error(self.content, &tag, &span));
        }
        self.open_block = Some(OpenBlock { tag, tag_span: span, sql_start: line.end });
    }

    fn end_block(&mut self, tag: &Tag, line: Range<usize>) {
        let span = trim_range(self.content.text(), line.clone());
        match (self.open_block.take(), self.enclosing_blocks.remove(tag)) {
            (Some(open), _) if open.tag == *tag => {
                self.collector.add_block(self.content, open, line.start);
            }
            // The nested block inside this one is already reported; the rest of this block is not a
            // second error.
            (None, Some(_)) => self.stray_lines.truncate(self.stray_count_at_last_tag),
            (Some(open), Some(diagnostic_index)) => {
                let end_span = self.content.document_span(span);
                let nested = &mut self.collector.diagnostics_mut()[diagnostic_index];
                tag_errors::rewrite_as_crossing_error(nested, tag, end_span, &open.tag);
                self.enclosing_blocks.insert(open.tag, diagnostic_index);
            }
            (Some(open), None) => {
                self.collector.report(open.mismatched_end_error(self.content, tag, &span));
            }
            (None, None) if std::mem::take(&mut self.has_malformed_tag) => {}
            (None, None) => {
                // The SQL above was meant to be in this block.
                self.stray_lines.truncate(self.stray_count_at_last_tag);
                let span = self.content.document_span(span);
                self.collector.report(tag_errors::unopened_error(span, tag));
            }
        }
    }

    /// Reads a line outside the tags of a stray fence without fences of its own: a heading or
    /// prose. Returns the start of the next line.
    fn read_stray_prose_line(&mut self, line: Range<usize>) -> usize {
        let content = self.content;
        let text = content.text();
        if let Some((level, title)) = parse_atx_heading(&text[line.clone()]) {
            let (title, end) = (content.to_cow(title), line.end);
            let span = self.line_span(line);
            self.collector.add_section(level, title, span);
            return end;
        }
        let next_line = line.end..line_end(text, line.end);
        let underline = text[next_line.clone()].trim();
        let title = text[line.clone()].trim();
        let is_underlined = !title.is_empty()
            && !underline.is_empty()
            && (underline.bytes().all(|byte| byte == b'=')
                || underline.bytes().all(|byte| byte == b'-'));
        if is_underlined {
            let level = if underline.starts_with('=') { 1 } else { 2 };
            let span = self.line_span(line);
            self.collector.add_section(level, content.to_cow(title), span);
            return next_line.end;
        }
        let end = line.end;
        self.prose.read_line(self.collector, content, line, Container::StrayFence);
        end
    }

    /// Reports the errors that only the end of the code block shows.
    fn finish(mut self) -> CodeBlockTags {
        if !self.template_diagnostics.is_empty() {
            self.collector.mark_section_as_used();
            self.collector.diagnostics_mut().append(&mut self.template_diagnostics);
        }
        if let Some(open) = self.open_block {
            self.collector.report(open.unclosed_error(self.content));
        }
        if self.has_tags
            && let Some(error) = tag_errors::text_outside_error(self.content, &self.stray_lines)
        {
            self.collector.report(error);
        }
        if self.has_tags {
            self.collector.diagnostics_mut().append(&mut self.stray_directives);
        }
        if self.has_tags || self.has_placeholders {
            CodeBlockTags::Some
        } else {
            CodeBlockTags::None
        }
    }

    /// The document span of a line, without white space around it.
    fn line_span(&self, line: Range<usize>) -> Range<usize> {
        self.content.document_span(trim_range(self.content.text(), line))
    }
}
