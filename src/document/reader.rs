//! From the parts of the markdown to its blocks: pairs the tags, keeps the sections that headings
//! make, and reports every line that is neither prose, nor SQL, nor a tag.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

use crate::document::blocks::{Block, Blocks, Section};
use crate::document::diagnostic::{Problem, Rule};
use crate::document::lines::{
    Field, atx_heading, field, first_line, first_tag, is_fence_line, is_planned, is_stray,
    is_template, line_end, lines, swallows_fence, trimmed,
};
use crate::document::markdown::Part;
use crate::document::migration::Allowance;
use crate::document::tag::{Edge, Point, Tag};
use crate::document::tag_errors::Open;
use crate::document::tag_parser::TagLine;
use crate::document::{markdown, tag_errors, tag_parser};
use crate::source::Piece;
use crate::sql::lexer;

/// Reads the blocks of `text`.
pub(crate) fn read<'a>(text: &Piece<'a>) -> Blocks<'a> {
    let mut reader = Reader::default();
    let bytes = text.text().as_bytes();
    let lone = |at: &usize| bytes.get(at + 1) != Some(&b'\n');
    if let Some(at) = memchr_iter(b'\r', bytes).find(lone) {
        reader.found.problems.push(
            Problem::new(
                Rule::CarriageReturn,
                text.span(at..at + 1),
                "a carriage return without a line feed: to SQLite the line goes on",
            )
            .help("save the document with one kind of line ends, LF or CRLF"),
        );
    }
    reader.document(text, Around::Document);
    reader.finish()
}

/// What the markdown that is being read stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Document,
    StrayFence,
}

/// What text outside the tags of a code block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outside {
    Error,
    Prose,
}

#[derive(Default)]
struct Reader<'a> {
    found: Blocks<'a>,
    /// The section that the reader stands in.
    section: Option<usize>,
    /// Whether the last tag outside any code block was a start.
    open_outside: bool,
    /// Whether the last prose line was part of a description, which may run on.
    in_description: bool,
}

/// How far one code block is read.
#[derive(Default)]
struct Code {
    open: Option<Open>,
    /// Blocks that another one started inside of, each with the problem that says so.
    outer: BTreeMap<Tag, usize>,
    /// After a malformed tag its partner is not a second mistake.
    broken: bool,
    /// Lines of SQL outside any block, and how many of them stand above the last tag.
    stray: Vec<Range<usize>>,
    stray_above: usize,
    /// The line on which a comment outside any block began that still goes on.
    comment: Option<Range<usize>>,
}

impl Code {
    /// A line outside any block: SQL that would not be run, or a comment.
    fn outside(&mut self, line: &str, span: Range<usize>) {
        let code = match self.comment {
            Some(_) => line.split_once("*/").map(|(_, rest)| rest),
            None => Some(line),
        };
        let Some(code) = code else { return };
        let goes_on =
            lexer::tokens(code, 0).any(|token| token.kind == lexer::Kind::Comment && !token.closed);
        self.comment = goes_on.then(|| span.clone());
        if !lexer::is_empty(code) {
            self.stray.push(span);
        }
    }
}

impl<'a> Reader<'a> {
    fn document(&mut self, text: &Piece<'a>, around: Around) {
        markdown::split(text.text(), |part| {
            match part {
                Part::Heading { level, text: title, range } => {
                    // To CommonMark, lines over a rule are a heading, and so are tags.
                    let tags = lines(text.text(), range.clone())
                        .filter(|line| self.tag_outside(text, line.clone()))
                        .count();
                    if tags == 0 {
                        self.heading(level, text.keep(title.trim()), text.span(range));
                    }
                }
                Part::OpenComment { range } => self.open_comment(text, range),
                Part::Prose { range } => {
                    for line in lines(text.text(), range) {
                        self.prose_line(text, line, Around::Document);
                    }
                }
                Part::Code { label, range, content } => {
                    let content = Piece::join(text, &content);
                    let fence = text.span(first_line(text.text(), range));
                    self.code(&label, &content, fence, around);
                }
            }
            self.in_description = false;
        });
    }

    fn heading(&mut self, level: u8, title: Cow<'a, str>, span: Range<usize>) {
        let mut parent = self.section;
        while let Some(at) = parent.filter(|at| self.found.sections[*at].level >= level) {
            parent = self.found.sections[at].parent;
        }
        let (binding, planned) = (tag_parser::heading_pair(&title), is_planned(&title));
        let almost = |title: &str| {
            title.split('(').skip(1).any(|rest| rest.trim_start().starts_with("planned"))
        };
        if binding.is_some() && title.contains('(') && !planned && almost(&title.to_lowercase()) {
            self.found.problems.push(
                Problem::new(
                    Rule::MalformedPlanned,
                    span.clone(),
                    "is this migration planned? what says so is `(Planned)` and nothing else",
                )
                .help("write `(Planned)`, and what there is to add behind it; or use another word"),
            );
        }
        self.section = Some(self.found.sections.len());
        self.found.sections.push(Section {
            level,
            parent,
            title,
            span,
            binding,
            planned,
            date: None,
            description: None,
            used: false,
        });
    }

    /// A line of prose: a field of the section, or a tag that strayed out of its code block.
    fn prose_line(&mut self, text: &Piece<'a>, range: Range<usize>, place: Around) {
        let line = &text.text()[range.clone()];
        let line = line.trim_start_matches([' ', '\t', '>']).trim_end();
        if line.is_empty() {
            self.in_description = false;
            return;
        }
        if let Some((name, value)) = field(line) {
            self.in_description = name == Field::Description;
            if let Some(at) = self.section {
                let section = &mut self.found.sections[at];
                let slot = match name {
                    Field::Date => &mut section.date,
                    Field::Description => &mut section.description,
                };
                slot.get_or_insert_with(|| text.keep(value));
            }
            return;
        }
        self.planned_prose(text, (line, range.clone()));
        if place == Around::Document && self.tag_outside(text, range) {
            self.in_description = false;
        } else if self.in_description && !line.starts_with(['-', '*', '#']) {
            if let Some(description) =
                self.section.and_then(|at| self.found.sections[at].description.as_mut())
            {
                *description += " ";
                description.to_mut().push_str(line);
            }
        } else {
            self.in_description = false;
        }
    }

    /// What was meant to be a planned heading and is none would not hold anything back.
    fn planned_prose(&mut self, text: &Piece<'a>, (line, range): (&str, Range<usize>)) {
        let heading_like = line.starts_with(['#', '*', '_', '<']);
        if heading_like && is_planned(line) && tag_parser::heading_pair(line).is_some() {
            self.found.problems.push(
                Problem::new(
                    Rule::MalformedPlanned,
                    text.span(trimmed(text.text(), range)),
                    "this says `(Planned)` and is not a heading, so it plans nothing",
                )
                .help("a heading is one or more `#`, a blank, and its text, on a line of its own"),
            );
        }
    }

    /// Reports a line that is a tag, or has every mark of one, and stands in no code block.
    fn tag_outside(&mut self, text: &Piece<'a>, range: Range<usize>) -> bool {
        let line = text.text()[range.clone()].trim_start_matches([' ', '\t', '>']).trim_end();
        let listed = |c: char| c.is_ascii_digit() || " \t>-*+.)#|–—".contains(c);
        let bare = line.trim_start_matches(listed);
        let found = match (line.starts_with("--"), bare.starts_with('[')) {
            (true, _) => tag_parser::read(line),
            // A lone bracket begins a link as well; its tag is certain if it can be spelled out.
            (_, true) => tag_parser::read(bare).filter(|found| {
                matches!(found, TagLine::Malformed { help, .. } if help.contains("write `"))
            }),
            _ => None,
        };
        let is_end = match found {
            Some(TagLine::Tag(Tag::Placeholder { .. }, _)) | None => return false,
            Some(TagLine::Tag(_, edge)) => edge == Edge::End,
            Some(TagLine::Malformed { help, .. }) => help.contains(":end]"),
        };
        self.use_heading();
        // The start tag above was told; its partner is no second fault.
        if !(is_end && std::mem::take(&mut self.open_outside)) {
            self.open_outside = !is_end;
            self.found.problems.push(
                Problem::new(
                    Rule::TagOutsideCode,
                    text.span(trimmed(text.text(), range)),
                    "a tag outside any code block: nothing under it would be run",
                )
                .help("put the block into a fence: a line ```sql before it, a line ``` after it"),
            );
        }
        true
    }

    /// A comment that runs to the end of what it stands in, and hides it.
    fn open_comment(&mut self, text: &Piece<'a>, range: Range<usize>) {
        let start = first_line(text.text(), range.clone());
        let Some(tag) = first_tag(text.text(), range) else { return };
        self.found.problems.push(
            Problem::new(
                Rule::TagOutsideCode,
                text.span(start),
                "this comment never ends, and hides all blocks below it",
            )
            .related(text.span(tag), "the first one")
            .help("end the comment with `-->`"),
        );
    }

    fn code(&mut self, label: &str, content: &Piece<'a>, fence: Range<usize>, around: Around) {
        match label {
            // Four marks around a template are there on purpose.
            "" if is_template(content, &fence) => {}
            "" if around == Around::Document && is_stray(content.text()) => {
                self.stray_fence(content, fence);
            }
            "" | "sql" | "sqlite" => {
                let outside = match around {
                    Around::Document => Outside::Error,
                    Around::StrayFence => Outside::Prose,
                };
                self.live_code(content, outside);
            }
            _ => self.other_code(label, content, &fence),
        }
    }

    /// An unlabelled code block that swallowed what was meant to stand outside. Its content is
    /// read as the markdown that it was written as.
    fn stray_fence(&mut self, content: &Piece<'a>, fence: Range<usize>) {
        let text = content.text();
        let (blocks, problems) = (self.found.list.len(), self.found.problems.len());
        let sections = self.found.sections.len();
        if lines(text, 0..text.len()).any(|line| is_fence_line(&text[line])) {
            self.document(content, Around::StrayFence);
        } else if lines(text, 0..text.len()).any(|line| tag_parser::read(&text[line]).is_some()) {
            self.live_code(content, Outside::Prose);
        } else {
            // A shell comment looks like a heading; only one that says something of a migration
            // is taken for one.
            for line in lines(text, 0..text.len()) {
                if let Some((level, title)) = atx_heading(&text[line.clone()])
                    && (tag_parser::heading_pair(title).is_some() || is_planned(title))
                {
                    self.heading(level, content.keep(title), content.span(trimmed(text, line)));
                }
            }
        }
        let swallowed_heading = self.found.sections[sections..]
            .iter()
            .any(|section| section.binding.is_some() || section.planned);
        if self.found.list.len() > blocks || swallowed_heading {
            self.found.problems.insert(
                problems,
                Problem::new(
                    Rule::StrayFence,
                    fence,
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
    fn other_code(&mut self, label: &str, content: &Piece<'a>, fence: &Range<usize>) {
        let text = content.text();
        let Some(first) = first_tag(text, 0..text.len()) else { return };
        let span = content.span(first);
        let is_example = matches!(label, "markdown" | "md" | "text" | "txt");
        let problem = if is_example && swallows_fence(text) {
            Problem::new(
                Rule::StrayFence,
                fence.clone(),
                format!("a `{label}` code block swallows a fence with tags: they are never run"),
            )
            .label("this is still open")
            .related(span, "the first tag")
            .help("if it is an example, put four backticks (````) before and after it; else close the code block above the tags")
        } else if is_example {
            Problem::new(
                Rule::Example,
                span,
                format!("tags in a `{label}` code block are an example for readers: never run"),
            )
            .help("label the fence `sql` if this is a migration")
        } else {
            self.use_heading();
            Problem::new(
                Rule::WrongFenceLabel,
                span,
                format!("a block in a code block labelled `{label}` would not be run"),
            )
            .related(fence.clone(), "the label")
            .help("label the fence `sql`")
        };
        self.found.problems.push(problem);
    }

    /// The tags and the SQL of one code block.
    fn live_code(&mut self, content: &Piece<'a>, outside: Outside) {
        let text = content.text();
        let mut state = Code::default();
        let mut template: Option<Tag> = None;
        // Of no weight once the template ends.
        let mut in_template = Vec::new();
        let mut holds_tags = false;
        let mut at = 0;
        while at < text.len() {
            let line = at..line_end(text, at);
            let span = trimmed(text, line.clone());
            let mut next = line.end;
            match tag_parser::read(&text[line.clone()]) {
                Some(TagLine::Tag(tag @ Tag::Placeholder { .. }, edge)) => {
                    if state.open.is_none() {
                        in_template.clear();
                        template = (edge == Edge::Start).then_some(tag);
                    }
                }
                Some(TagLine::Tag(tag, edge)) => {
                    holds_tags = true;
                    self.use_heading();
                    if let (Some(start), Edge::Start) = (&state.comment, edge) {
                        let start = content.span(start.clone());
                        let problem =
                            tag_errors::in_comment(content.span(span.clone()), &tag, start);
                        self.found.problems.push(problem);
                    }
                    if let Some(template) = template.take() {
                        let span = content.span(span.clone());
                        let problem = tag_errors::in_template(span, &tag, &template);
                        self.found.problems.push(problem);
                    }
                    match edge {
                        Edge::Start => self.start(content, &mut state, (tag, line)),
                        Edge::End => self.end(content, &mut state, (&tag, line)),
                    }
                    state.stray_above = state.stray.len();
                }
                Some(TagLine::Malformed { rule, message, help, at: wrong }) => {
                    let span = wrong.map_or(span, |wrong| at + wrong.start..at + wrong.end);
                    let problem = Problem::new(rule, content.span(span), message).help(help);
                    if template.is_some() {
                        in_template.push(problem);
                    } else {
                        holds_tags = true;
                        self.use_heading();
                        state.broken = true;
                        state.open = None;
                        self.found.problems.push(problem);
                    }
                }
                None if state.open.is_some() => match lexer::end_of_line(text, at) {
                    Ok(end) => next = end,
                    Err(token) => {
                        if let Some(open) = state.open.take() {
                            self.found.problems.push(open.swallowed(content, token));
                        }
                        return;
                    }
                },
                None if template.is_some() || state.broken => {}
                None if outside == Outside::Prose => {
                    next = self.stray_prose(content, line.clone());
                }
                None if tag_parser::mention(&text[line.clone()]).is_some() => {
                    holds_tags = true;
                    state.broken = true;
                    self.use_heading();
                    if let Some(TagLine::Malformed { rule, message, help, .. }) =
                        tag_parser::mention(&text[line.clone()])
                    {
                        let problem = Problem::new(rule, content.span(span), message);
                        self.found.problems.push(problem.help(help));
                    }
                }
                None => state.outside(&text[line.clone()], span),
            }
            at = next;
        }
        if !in_template.is_empty() {
            self.use_heading();
            self.found.problems.append(&mut in_template);
        }
        if let Some(open) = state.open {
            self.found.problems.push(open.unclosed(content));
        }
        if holds_tags {
            self.found.problems.extend(tag_errors::text_outside(content, &state.stray));
        }
    }

    fn start(&mut self, content: &Piece<'a>, state: &mut Code, (tag, line): (Tag, Range<usize>)) {
        let span = trimmed(content.text(), line.clone());
        state.broken = false;
        if let Some(around) = state.open.take() {
            if around.tag == tag {
                self.found.problems.push(around.repeated(content, &span));
                state.broken = true;
                return;
            }
            state.outer.insert(around.tag.clone(), self.found.problems.len());
            self.found.problems.push(around.nested(content, &tag, &span));
        }
        state.open = Some(Open { tag, span, sql_start: line.end });
    }

    fn end(&mut self, content: &Piece<'a>, state: &mut Code, (tag, line): (&Tag, Range<usize>)) {
        let span = trimmed(content.text(), line.clone());
        match (state.open.take(), state.outer.remove(tag)) {
            (Some(open), _) if open.tag == *tag => self.block(content, open, line.start),
            // That the block around another one ends is no second fault; nor is what it holds.
            (None, Some(_)) => state.stray.truncate(state.stray_above),
            (Some(open), Some(problem)) => {
                let nested = &mut self.found.problems[problem];
                tag_errors::crossed(nested, (tag, content.span(span)), &open.tag);
                state.outer.insert(open.tag, problem);
            }
            (Some(open), None) => {
                self.found.problems.push(open.mismatched(content, tag, &span));
            }
            (None, None) if std::mem::take(&mut state.broken) => {}
            (None, None) => {
                // What stands above was to be in the block.
                state.stray.truncate(state.stray_above);
                self.found.problems.push(tag_errors::unopened(content.span(span), tag));
            }
        }
    }

    /// A line outside the tags of a stray fence that holds no fences of its own.
    /// Returns where the next line begins.
    fn stray_prose(&mut self, content: &Piece<'a>, line: Range<usize>) -> usize {
        let text = content.text();
        let below = line.end..line_end(text, line.end);
        let rule = text[below.clone()].trim();
        let underlined = !text[line.clone()].trim().is_empty()
            && !rule.is_empty()
            && (rule.bytes().all(|byte| byte == b'=') || rule.bytes().all(|byte| byte == b'-'));
        match atx_heading(&text[line.clone()]) {
            Some((level, title)) => {
                self.heading(level, content.keep(title), content.span(trimmed(text, line.clone())));
            }
            None if underlined => {
                let level = if rule.starts_with('=') { 1 } else { 2 };
                let title = text[line.clone()].trim();
                self.heading(level, content.keep(title), content.span(trimmed(text, line)));
                return below.end;
            }
            None => self.prose_line(content, line.clone(), Around::StrayFence),
        }
        line.end
    }

    fn block(&mut self, content: &Piece<'a>, open: Open, end: usize) {
        let span = content.span(open.span);
        let sql = content.slice(open.sql_start..end);
        if let Some(at) = memchr(0, sql.text().as_bytes()) {
            self.found.problems.push(
                Problem::new(
                    Rule::NulCharacter,
                    sql.span(at..at + 1),
                    "a NUL character in a block: SQLite would not read past it",
                )
                .help("remove it"),
            );
        }
        if let Tag::Migration { from, to, .. } = &open.tag {
            self.check_heading(&span, from, to);
            if from == to {
                self.found.problems.push(
                    Problem::new(
                        Rule::SameVersion,
                        span.clone(),
                        format!("a migration from `{from}` to itself"),
                    )
                    .help("the second version is the one that the block leads to"),
                );
            }
        }
        let section = self.section;
        let allows = self.allowances(&sql);
        self.found.list.push(Block { tag: open.tag, span, sql, section, allows });
    }

    /// The rules that a block lifts for itself.
    fn allowances(&mut self, block: &Piece<'a>) -> Vec<Allowance> {
        let text = block.text();
        let mut found = Vec::new();
        if memmem::find(text.as_bytes(), b"tatmig:").is_none() {
            return found;
        }
        for comment in lexer::tokens(text, 0).filter(|token| token.kind == lexer::Kind::Comment) {
            let Some((name, reason)) = tag_parser::allowance(&text[comment.range.clone()]) else {
                continue;
            };
            let wrong = match Rule::find(name) {
                Some(rule) if !reason.is_empty() => {
                    found.push(Allowance { rule, reason: reason.to_owned() });
                    continue;
                }
                Some(_) => Problem::new(
                    Rule::MalformedAllow,
                    block.span(trimmed(text, comment.range)),
                    format!("`{name}` is allowed here without a reason"),
                )
                .help(format!("say why, in the same line: `-- tatmig:allow {name} because …`")),
                None => Problem::new(
                    Rule::MalformedAllow,
                    block.span(trimmed(text, comment.range)),
                    format!("there is no rule `{name}` to allow"),
                )
                .help("a message names its rule in brackets; `foreign-keys` and `row-loss` lift a check of the run"),
            };
            self.found.problems.push(wrong);
        }
        found
    }

    /// A block stands under the heading, if a broken one.
    fn use_heading(&mut self) {
        let mut section = self.section;
        while let Some(at) = section {
            self.found.sections[at].used = true;
            section = self.found.sections[at].parent;
        }
    }

    fn check_heading(&mut self, span: &Range<usize>, from: &Point, to: &Point) {
        let bound = self.found.ancestors(self.section).find_map(|section| {
            section.binding.as_ref().map(|binding| (binding.clone(), section.span.clone()))
        });
        let Some(((x, y), heading)) = bound else { return };
        if !((&x, &y) == (from, to) || (&x, &y) == (to, from)) {
            self.found.problems.push(
                Problem::new(
                    Rule::HeadingMismatch,
                    span.clone(),
                    format!("the tag says `{from}→{to}`, its heading says `{x} → {y}`"),
                )
                .related(heading, "the heading that it stands under")
                .help("a tag pasted from another migration? make the two agree"),
            );
        }
    }

    fn finish(mut self) -> Blocks<'a> {
        for section in &self.found.sections {
            if let (Some((from, to)), false) = (&section.binding, section.used) {
                self.found.problems.push(
                    Problem::new(
                        Rule::EmptyHeading,
                        section.span.clone(),
                        format!("no block stands under this heading of `{from} → {to}`"),
                    )
                    .help(format!("add a block tagged `-- [user:{from}→{to}:start]`, or remove the versions from the heading")),
                );
            }
        }
        self.found
    }
}
