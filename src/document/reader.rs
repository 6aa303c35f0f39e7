//! From the parts of the markdown to its blocks: pairs the tags, keeps the sections that headings
//! make, and reports every line that is neither prose, nor SQL, nor a tag.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

use crate::document::blocks::{Block, Blocks, Section};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::lines::{
    MetadataField, find_first_tag, first_line_range, has_fence_or_heading, has_unclosed_fence,
    is_fence_line, is_planned, is_template, line_end, line_ranges, parse_atx_heading,
    parse_metadata_field, trim_range,
};
use crate::document::markdown::MarkdownElement;
use crate::document::migration::AllowDirective;
use crate::document::tag::{BlockBoundary, Tag, VersionPoint};
use crate::document::tag_errors::OpenBlock;
use crate::document::tag_parser::TagLine;
use crate::document::{markdown, tag_errors, tag_parser};
use crate::source::SourceSlice;
use crate::sql::lexer;

/// Reads the blocks of `text`.
pub(crate) fn read_blocks<'a>(text: &SourceSlice<'a>) -> Blocks<'a> {
    let mut reader = Reader::default();
    let bytes = text.text().as_bytes();
    let is_lone_carriage_return = |at: &usize| bytes.get(at + 1) != Some(&b'\n');
    if let Some(at) = memchr_iter(b'\r', bytes).find(is_lone_carriage_return) {
        reader.blocks.diagnostics.push(
            Diagnostic::new(
                Rule::CarriageReturn,
                text.document_span(at..at + 1),
                "a carriage return without a line feed: to SQLite the line goes on",
            )
            .help("save the document with one kind of line ends, LF or CRLF"),
        );
    }
    reader.read_markdown(text, Container::Document);
    reader.finish()
}

/// What the markdown that is being read stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Document,
    StrayFence,
}

/// What text outside the tags of a code block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OutsideText {
    Error,
    Prose,
}

#[derive(Default)]
struct Reader<'a> {
    blocks: Blocks<'a>,
    /// The section that the reader stands in.
    current_section: Option<usize>,
    /// Whether the last tag outside any code block was a start.
    is_open_outside_code: bool,
    /// Whether the last prose line was part of a description, which may run on.
    is_in_description: bool,
}

/// How far one code block is read.
#[derive(Default)]
struct CodeBlockState {
    open_block: Option<OpenBlock>,
    /// Blocks that another one started inside of, each with the problem that says so.
    enclosing_blocks: BTreeMap<Tag, usize>,
    /// After a malformed tag its partner is not a second mistake.
    has_malformed_tag: bool,
    /// Lines of SQL outside any block, and how many of them stand above the last tag.
    stray_lines: Vec<Range<usize>>,
    stray_count_at_last_tag: usize,
    /// The line on which a comment outside any block began that still goes on.
    open_comment: Option<Range<usize>>,
}

impl CodeBlockState {
    /// A line outside any block: SQL that would not be run, or a comment.
    fn add_outside_line(&mut self, line: &str, span: Range<usize>) {
        let code = match self.open_comment {
            Some(_) => line.split_once("*/").map(|(_, rest)| rest),
            None => Some(line),
        };
        let Some(code) = code else { return };
        let is_open = lexer::tokens(code, 0)
            .any(|token| token.kind == lexer::TokenKind::Comment && !token.is_terminated);
        self.open_comment = is_open.then(|| span.clone());
        if !lexer::is_empty(code) {
            self.stray_lines.push(span);
        }
    }
}

impl<'a> Reader<'a> {
    fn read_markdown(&mut self, text: &SourceSlice<'a>, container: Container) {
        markdown::split(text.text(), |element| {
            match element {
                MarkdownElement::Heading { level, text: title, range } => {
                    // To CommonMark, lines over a rule are a heading, and so are tags.
                    let tag_count = line_ranges(text.text(), range.clone())
                        .filter(|line| self.report_tag_outside_code(text, line.clone()))
                        .count();
                    if tag_count == 0 {
                        self.add_section(
                            level,
                            text.to_cow(title.trim()),
                            text.document_span(range),
                        );
                    }
                }
                MarkdownElement::UnclosedComment { range } => {
                    self.report_unclosed_comment(text, range);
                }
                MarkdownElement::Prose { range } => {
                    for line in line_ranges(text.text(), range) {
                        self.read_prose_line(text, line, Container::Document);
                    }
                }
                MarkdownElement::CodeBlock { label, range, content } => {
                    let content = SourceSlice::join(text, &content);
                    let fence_span = text.document_span(first_line_range(text.text(), range));
                    self.read_code_block(&label, &content, fence_span, container);
                }
            }
            self.is_in_description = false;
        });
    }

    fn add_section(&mut self, level: u8, title: Cow<'a, str>, span: Range<usize>) {
        let mut parent = self.current_section;
        while let Some(at) = parent.filter(|at| self.blocks.sections[*at].level >= level) {
            parent = self.blocks.sections[at].parent;
        }
        let (versions, planned) = (tag_parser::heading_versions(&title), is_planned(&title));
        let has_planned_prefix = |title: &str| {
            title.split('(').skip(1).any(|rest| rest.trim_start().starts_with("planned"))
        };
        if versions.is_some()
            && title.contains('(')
            && !planned
            && has_planned_prefix(&title.to_lowercase())
        {
            self.blocks.diagnostics.push(
                Diagnostic::new(
                    Rule::MalformedPlanned,
                    span.clone(),
                    "is this migration planned? what says so is `(Planned)` and nothing else",
                )
                .help("write `(Planned)`, and what there is to add behind it; or use another word"),
            );
        }
        self.current_section = Some(self.blocks.sections.len());
        self.blocks.sections.push(Section {
            level,
            parent,
            title,
            span,
            versions,
            planned,
            date: None,
            description: None,
            has_blocks: false,
        });
    }

    /// A line of prose: a field of the section, or a tag that strayed out of its code block.
    fn read_prose_line(
        &mut self,
        text: &SourceSlice<'a>,
        range: Range<usize>,
        container: Container,
    ) {
        let line = &text.text()[range.clone()];
        let line = line.trim_start_matches([' ', '\t', '>']).trim_end();
        if line.is_empty() {
            self.is_in_description = false;
            return;
        }
        if let Some((field_name, value)) = parse_metadata_field(line) {
            self.is_in_description = field_name == MetadataField::Description;
            if let Some(at) = self.current_section {
                let section = &mut self.blocks.sections[at];
                let slot = match field_name {
                    MetadataField::Date => &mut section.date,
                    MetadataField::Description => &mut section.description,
                };
                slot.get_or_insert_with(|| text.to_cow(value));
            }
            return;
        }
        self.check_planned_prose(text, (line, range.clone()));
        if container == Container::Document && self.report_tag_outside_code(text, range) {
            self.is_in_description = false;
        } else if self.is_in_description && !line.starts_with(['-', '*', '#']) {
            if let Some(description) =
                self.current_section.and_then(|at| self.blocks.sections[at].description.as_mut())
            {
                *description += " ";
                description.to_mut().push_str(line);
            }
        } else {
            self.is_in_description = false;
        }
    }

    /// What was meant to be a planned heading and is none would not hold anything back.
    fn check_planned_prose(&mut self, text: &SourceSlice<'a>, (line, range): (&str, Range<usize>)) {
        let is_heading_like = line.starts_with(['#', '*', '_', '<']);
        if is_heading_like && is_planned(line) && tag_parser::heading_versions(line).is_some() {
            self.blocks.diagnostics.push(
                Diagnostic::new(
                    Rule::MalformedPlanned,
                    text.document_span(trim_range(text.text(), range)),
                    "this says `(Planned)` and is not a heading, so it plans nothing",
                )
                .help("a heading is one or more `#`, a blank, and its text, on a line of its own"),
            );
        }
    }

    /// Reports a line that is a tag, or has every mark of one, and stands in no code block.
    fn report_tag_outside_code(&mut self, text: &SourceSlice<'a>, range: Range<usize>) -> bool {
        let line = text.text()[range.clone()].trim_start_matches([' ', '\t', '>']).trim_end();
        let is_list_marker = |c: char| c.is_ascii_digit() || " \t>-*+.)#|–—".contains(c);
        let unprefixed_line = line.trim_start_matches(is_list_marker);
        let tag_line = match (line.starts_with("--"), unprefixed_line.starts_with('[')) {
            (true, _) => tag_parser::parse_tag_line(line),
            // A lone bracket begins a link as well; its tag is certain if it can be spelled out.
            (_, true) => tag_parser::parse_tag_line(unprefixed_line).filter(|found| {
                matches!(found, TagLine::Malformed { help, .. } if help.contains("write `"))
            }),
            _ => None,
        };
        let is_end = match tag_line {
            Some(TagLine::Tag(Tag::Placeholder { .. }, _)) | None => return false,
            Some(TagLine::Tag(_, boundary)) => boundary == BlockBoundary::End,
            Some(TagLine::Malformed { help, .. }) => help.contains(":end]"),
        };
        self.mark_section_as_used();
        // The start tag above was told; its partner is no second fault.
        if !(is_end && std::mem::take(&mut self.is_open_outside_code)) {
            self.is_open_outside_code = !is_end;
            self.blocks.diagnostics.push(
                Diagnostic::new(
                    Rule::TagOutsideCode,
                    text.document_span(trim_range(text.text(), range)),
                    "a tag outside any code block: nothing under it would be run",
                )
                .help("put the block into a fence: a line ```sql before it, a line ``` after it"),
            );
        }
        true
    }

    /// A comment that runs to the end of what it stands in, and hides it.
    fn report_unclosed_comment(&mut self, text: &SourceSlice<'a>, range: Range<usize>) {
        let start = first_line_range(text.text(), range.clone());
        let Some(tag) = find_first_tag(text.text(), range) else { return };
        self.blocks.diagnostics.push(
            Diagnostic::new(
                Rule::TagOutsideCode,
                text.document_span(start),
                "this comment never ends, and hides all blocks below it",
            )
            .related(text.document_span(tag), "the first one")
            .help("end the comment with `-->`"),
        );
    }

    fn read_code_block(
        &mut self,
        label: &str,
        content: &SourceSlice<'a>,
        fence_span: Range<usize>,
        container: Container,
    ) {
        match label {
            // Four marks around a template are there on purpose.
            "" if is_template(content, &fence_span) => {}
            "" if container == Container::Document && has_fence_or_heading(content.text()) => {
                self.read_stray_fence(content, fence_span);
            }
            "" | "sql" | "sqlite" => {
                let outside_text = match container {
                    Container::Document => OutsideText::Error,
                    Container::StrayFence => OutsideText::Prose,
                };
                self.read_sql_code(content, outside_text);
            }
            _ => self.check_unsupported_label(label, content, &fence_span),
        }
    }

    /// An unlabelled code block that swallowed what was meant to stand outside. Its content is
    /// read as the markdown that it was written as.
    fn read_stray_fence(&mut self, content: &SourceSlice<'a>, fence_span: Range<usize>) {
        let text = content.text();
        let (block_count, diagnostic_count) =
            (self.blocks.list.len(), self.blocks.diagnostics.len());
        let section_count = self.blocks.sections.len();
        if line_ranges(text, 0..text.len()).any(|line| is_fence_line(&text[line])) {
            self.read_markdown(content, Container::StrayFence);
        } else if line_ranges(text, 0..text.len())
            .any(|line| tag_parser::parse_tag_line(&text[line]).is_some())
        {
            self.read_sql_code(content, OutsideText::Prose);
        } else {
            // A shell comment looks like a heading; only one that says something of a migration
            // is taken for one.
            for line in line_ranges(text, 0..text.len()) {
                if let Some((level, title)) = parse_atx_heading(&text[line.clone()])
                    && (tag_parser::heading_versions(title).is_some() || is_planned(title))
                {
                    self.add_section(
                        level,
                        content.to_cow(title),
                        content.document_span(trim_range(text, line)),
                    );
                }
            }
        }
        let has_swallowed_heading = self.blocks.sections[section_count..]
            .iter()
            .any(|section| section.versions.is_some() || section.planned);
        if self.blocks.list.len() > block_count || has_swallowed_heading {
            self.blocks.diagnostics.insert(
                diagnostic_count,
                Diagnostic::new(
                    Rule::StrayFence,
                    fence_span,
                    "a stray fence: it opens a code block that swallows headings or fences below it",
                )
                .label("this opens an unlabelled code block")
                .help(
                    "if a template with fences of its own stands above, put four backticks (````) \
                     before and after the template; else remove this line or label it ```sql",
                ),
            );
        }
    }

    /// Code under another language's name.
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
                format!("a `{label}` code block swallows a fence with tags: they are never run"),
            )
            .label("this is still open")
            .related(span, "the first tag")
            .help("if it is an example, put four backticks (````) before and after it; else close the code block above the tags")
        } else if is_example {
            Diagnostic::new(
                Rule::Example,
                span,
                format!("tags in a `{label}` code block are an example for readers: never run"),
            )
            .help("label the fence `sql` if this is a migration")
        } else {
            self.mark_section_as_used();
            Diagnostic::new(
                Rule::WrongFenceLabel,
                span,
                format!("a block in a code block labelled `{label}` would not be run"),
            )
            .related(fence_span.clone(), "the label")
            .help("label the fence `sql`")
        };
        self.blocks.diagnostics.push(diagnostic);
    }

    /// The tags and the SQL of one code block.
    fn read_sql_code(&mut self, content: &SourceSlice<'a>, outside_text: OutsideText) {
        let text = content.text();
        let mut state = CodeBlockState::default();
        let mut template: Option<Tag> = None;
        // Of no weight once the template ends.
        let mut template_diagnostics = Vec::new();
        let mut has_tags = false;
        let mut at = 0;
        while at < text.len() {
            let line = at..line_end(text, at);
            let span = trim_range(text, line.clone());
            let mut next = line.end;
            match tag_parser::parse_tag_line(&text[line.clone()]) {
                Some(TagLine::Tag(tag @ Tag::Placeholder { .. }, boundary)) => {
                    if state.open_block.is_none() {
                        template_diagnostics.clear();
                        template = (boundary == BlockBoundary::Start).then_some(tag);
                    }
                }
                Some(TagLine::Tag(tag, edge)) => {
                    has_tags = true;
                    self.mark_section_as_used();
                    if let (Some(start), BlockBoundary::Start) = (&state.open_comment, edge) {
                        let start = content.document_span(start.clone());
                        let diagnostic = tag_errors::tag_in_comment_error(
                            content.document_span(span.clone()),
                            &tag,
                            start,
                        );
                        self.blocks.diagnostics.push(diagnostic);
                    }
                    if let Some(template) = template.take() {
                        let span = content.document_span(span.clone());
                        let problem = tag_errors::tag_in_template_error(span, &tag, &template);
                        self.blocks.diagnostics.push(problem);
                    }
                    match edge {
                        BlockBoundary::Start => self.start_block(content, &mut state, (tag, line)),
                        BlockBoundary::End => self.end_block(content, &mut state, (&tag, line)),
                    }
                    state.stray_count_at_last_tag = state.stray_lines.len();
                }
                Some(TagLine::Malformed { rule, message, help, range: wrong }) => {
                    let span = wrong
                        .map_or(span, |error_range| at + error_range.start..at + error_range.end);
                    let problem =
                        Diagnostic::new(rule, content.document_span(span), message).help(help);
                    if template.is_some() {
                        template_diagnostics.push(problem);
                    } else {
                        has_tags = true;
                        self.mark_section_as_used();
                        state.has_malformed_tag = true;
                        state.open_block = None;
                        self.blocks.diagnostics.push(problem);
                    }
                }
                None if state.open_block.is_some() => match lexer::end_of_logical_line(text, at) {
                    Ok(end) => next = end,
                    Err(token) => {
                        if let Some(open) = state.open_block.take() {
                            self.blocks.diagnostics.push(open.swallowed_end_error(content, token));
                        }
                        return;
                    }
                },
                None if template.is_some() || state.has_malformed_tag => {}
                None if outside_text == OutsideText::Prose => {
                    next = self.read_stray_prose_line(content, line.clone());
                }
                None if tag_parser::find_embedded_tag(&text[line.clone()]).is_some() => {
                    has_tags = true;
                    state.has_malformed_tag = true;
                    self.mark_section_as_used();
                    if let Some(TagLine::Malformed { rule, message, help, .. }) =
                        tag_parser::find_embedded_tag(&text[line.clone()])
                    {
                        let problem = Diagnostic::new(rule, content.document_span(span), message);
                        self.blocks.diagnostics.push(problem.help(help));
                    }
                }
                None => state.add_outside_line(&text[line.clone()], span),
            }
            at = next;
        }
        if !template_diagnostics.is_empty() {
            self.mark_section_as_used();
            self.blocks.diagnostics.append(&mut template_diagnostics);
        }
        if let Some(open) = state.open_block {
            self.blocks.diagnostics.push(open.unclosed_error(content));
        }
        if has_tags {
            self.blocks
                .diagnostics
                .extend(tag_errors::text_outside_error(content, &state.stray_lines));
        }
    }

    fn start_block(
        &mut self,
        content: &SourceSlice<'a>,
        state: &mut CodeBlockState,
        (tag, line): (Tag, Range<usize>),
    ) {
        let span = trim_range(content.text(), line.clone());
        state.has_malformed_tag = false;
        if let Some(enclosing_block) = state.open_block.take() {
            if enclosing_block.tag == tag {
                self.blocks.diagnostics.push(enclosing_block.repeated_start_error(content, &span));
                state.has_malformed_tag = true;
                return;
            }
            state
                .enclosing_blocks
                .insert(enclosing_block.tag.clone(), self.blocks.diagnostics.len());
            self.blocks.diagnostics.push(enclosing_block.nested_block_error(content, &tag, &span));
        }
        state.open_block = Some(OpenBlock { tag, tag_span: span, sql_start: line.end });
    }

    fn end_block(
        &mut self,
        content: &SourceSlice<'a>,
        state: &mut CodeBlockState,
        (tag, line): (&Tag, Range<usize>),
    ) {
        let span = trim_range(content.text(), line.clone());
        match (state.open_block.take(), state.enclosing_blocks.remove(tag)) {
            (Some(open), _) if open.tag == *tag => self.add_block(content, open, line.start),
            // That the block around another one ends is no second fault; nor is what it holds.
            (None, Some(_)) => state.stray_lines.truncate(state.stray_count_at_last_tag),
            (Some(open), Some(diagnostic_index)) => {
                let nested_diagnostic = &mut self.blocks.diagnostics[diagnostic_index];
                tag_errors::rewrite_as_crossing_error(
                    nested_diagnostic,
                    (tag, content.document_span(span)),
                    &open.tag,
                );
                state.enclosing_blocks.insert(open.tag, diagnostic_index);
            }
            (Some(open), None) => {
                self.blocks.diagnostics.push(open.mismatched_end_error(content, tag, &span));
            }
            (None, None) if std::mem::take(&mut state.has_malformed_tag) => {}
            (None, None) => {
                // What stands above was to be in the block.
                state.stray_lines.truncate(state.stray_count_at_last_tag);
                self.blocks
                    .diagnostics
                    .push(tag_errors::unopened_error(content.document_span(span), tag));
            }
        }
    }

    /// A line outside the tags of a stray fence that holds no fences of its own.
    /// Returns where the next line begins.
    fn read_stray_prose_line(&mut self, content: &SourceSlice<'a>, line: Range<usize>) -> usize {
        let text = content.text();
        let next_line = line.end..line_end(text, line.end);
        let underline = text[next_line.clone()].trim();
        let is_underlined = !text[line.clone()].trim().is_empty()
            && !underline.is_empty()
            && (underline.bytes().all(|byte| byte == b'=')
                || underline.bytes().all(|byte| byte == b'-'));
        match parse_atx_heading(&text[line.clone()]) {
            Some((level, title)) => {
                self.add_section(
                    level,
                    content.to_cow(title),
                    content.document_span(trim_range(text, line.clone())),
                );
            }
            None if is_underlined => {
                let level = if underline.starts_with('=') { 1 } else { 2 };
                let title = text[line.clone()].trim();
                self.add_section(
                    level,
                    content.to_cow(title),
                    content.document_span(trim_range(text, line)),
                );
                return next_line.end;
            }
            None => self.read_prose_line(content, line.clone(), Container::StrayFence),
        }
        line.end
    }

    fn add_block(&mut self, content: &SourceSlice<'a>, open: OpenBlock, end: usize) {
        let span = content.document_span(open.tag_span);
        let sql = content.slice(open.sql_start..end);
        if let Some(at) = memchr(0, sql.text().as_bytes()) {
            self.blocks.diagnostics.push(
                Diagnostic::new(
                    Rule::NulCharacter,
                    sql.document_span(at..at + 1),
                    "a NUL character in a block: SQLite would not read past it",
                )
                .help("remove it"),
            );
        }
        if let Tag::Migration { from, to, .. } = &open.tag {
            self.check_heading_versions(&span, from, to);
            if from == to {
                self.blocks.diagnostics.push(
                    Diagnostic::new(
                        Rule::SameVersion,
                        span.clone(),
                        format!("a migration from `{from}` to itself"),
                    )
                    .help("the second version is the one that the block leads to"),
                );
            }
        }
        let section = self.current_section;
        let allow_directives = self.read_allow_directives(&sql);
        self.blocks.list.push(Block {
            tag: open.tag,
            tag_span: span,
            sql,
            section,
            allow_directives,
        });
    }

    /// The rules that a block lifts for itself.
    fn read_allow_directives(&mut self, block: &SourceSlice<'a>) -> Vec<AllowDirective> {
        let text = block.text();
        let mut directives = Vec::new();
        if memmem::find(text.as_bytes(), b"tatmig:").is_none() {
            return directives;
        }
        for comment in
            lexer::tokens(text, 0).filter(|token| token.kind == lexer::TokenKind::Comment)
        {
            let Some((rule_name, reason)) =
                tag_parser::parse_allow_directive(&text[comment.range.clone()])
            else {
                continue;
            };
            let diagnostic = match Rule::from_name(rule_name) {
                Some(rule) if !reason.is_empty() => {
                    directives.push(AllowDirective { rule, reason: reason.to_owned() });
                    continue;
                }
                Some(_) => Diagnostic::new(
                    Rule::MalformedAllow,
                    block.document_span(trim_range(text, comment.range)),
                    format!("`{rule_name}` is allowed here without a reason"),
                )
                .help(format!("say why, in the same line: `-- tatmig:allow {rule_name} because …`")),
                None => Diagnostic::new(
                    Rule::MalformedAllow,
                    block.document_span(trim_range(text, comment.range)),
                    format!("there is no rule `{rule_name}` to allow"),
                )
                .help("a message names its rule in brackets; `foreign-keys` and `row-loss` lift a check of the run"),
            };
            self.blocks.diagnostics.push(diagnostic);
        }
        directives
    }

    /// A block stands under the heading, if a broken one.
    fn mark_section_as_used(&mut self) {
        let mut section = self.current_section;
        while let Some(at) = section {
            self.blocks.sections[at].has_blocks = true;
            section = self.blocks.sections[at].parent;
        }
    }

    fn check_heading_versions(
        &mut self,
        span: &Range<usize>,
        from: &VersionPoint,
        to: &VersionPoint,
    ) {
        let heading_versions = self.blocks.ancestors(self.current_section).find_map(|section| {
            section.versions.as_ref().map(|versions| (versions.clone(), section.span.clone()))
        });
        let Some(((heading_from, heading_to), heading_span)) = heading_versions else { return };
        if !((&heading_from, &heading_to) == (from, to)
            || (&heading_from, &heading_to) == (to, from))
        {
            self.blocks.diagnostics.push(
                Diagnostic::new(
                    Rule::HeadingMismatch,
                    span.clone(),
                    format!("the tag says `{from}→{to}`, its heading says `{heading_from} → {heading_to}`"),
                )
                .related(heading_span, "the heading that it stands under")
                .help("a tag pasted from another migration? make the two agree"),
            );
        }
    }

    fn finish(mut self) -> Blocks<'a> {
        for section in &self.blocks.sections {
            if let (Some((from, to)), false) = (&section.versions, section.has_blocks) {
                self.blocks.diagnostics.push(
                    Diagnostic::new(
                        Rule::EmptyHeading,
                        section.span.clone(),
                        format!("no block stands under this heading of `{from} → {to}`"),
                    )
                    .help(format!("add a block tagged `-- [user:{from}→{to}:start]`, or remove the versions from the heading")),
                );
            }
        }
        self.blocks
    }
}
