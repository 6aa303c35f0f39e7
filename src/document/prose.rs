//! Reads the prose of a document: the `**Date**`, `**Description**` and `**Imported**` of a section, and
//! errors such as a tag outside any code block.

use std::ops::Range;

use crate::document::collector::BlockCollector;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::heading::{heading_versions, is_planned};
use crate::document::imported::{ImportedError, ImportedLine, parse_imported};
use crate::document::lines::{
    MetadataField, find_first_tag, find_near_imported, first_line_range, parse_metadata_field,
    trim_range,
};
use crate::document::tag::{BlockBoundary, Tag};
use crate::document::tag_parser::{TagLine, parse_tag_line};
use crate::source::SourceSlice;

/// The text that contains the Markdown being read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    Document,
    /// The content of a stray fence, read as if its first fence line were missing.
    StrayFence,
}

/// What the reader of prose remembers from one line to the next.
#[derive(Default)]
pub(crate) struct ProseState {
    /// Whether the last tag outside any code block was a start tag.
    has_open_tag: bool,
    /// Whether the last line belongs to a description, which the next line may continue.
    is_in_description: bool,
}

impl ProseState {
    /// Ends a description: it continues neither after a heading nor after a code block.
    pub(crate) fn end_paragraph(&mut self) {
        self.is_in_description = false;
    }

    /// Reads one line of prose into the current section, and reports a tag in it.
    pub(crate) fn read_line<'a>(
        &mut self,
        collector: &mut BlockCollector<'a>,
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
        if let Some((field, value)) = parse_metadata_field(line) {
            self.is_in_description = field == MetadataField::Description;
            match field {
                MetadataField::Date => collector.set_date(text.to_cow(value)),
                MetadataField::Description => collector.set_description(text.to_cow(value)),
                MetadataField::Imported => {
                    let span = text.document_span(trim_range(text.text(), range));
                    collector.add_imported(ImportedLine { span, value: parse_imported(value) });
                }
            }
            return;
        }
        if let Some(name) = find_near_imported(line) {
            self.is_in_description = false;
            let span = text.document_span(trim_range(text.text(), range));
            let value = Err(ImportedError::NearName(name.to_owned()));
            collector.add_imported(ImportedLine { span, value });
            return;
        }
        check_near_heading(collector, text, line, range.clone());
        if container == Container::Document && self.report_tag(collector, text, range) {
            self.is_in_description = false;
        } else if self.is_in_description && !line.starts_with(['-', '*', '#']) {
            let section = collector.current_section_mut();
            if let Some(description) = section.and_then(|section| section.description.as_mut()) {
                *description += " ";
                description.to_mut().push_str(line);
            }
        } else {
            self.is_in_description = false;
        }
    }

    /// Reports a line outside any code block if it is a tag or looks like one. Returns whether it
    /// does.
    pub(crate) fn report_tag<'a>(
        &mut self,
        collector: &mut BlockCollector<'a>,
        text: &SourceSlice<'a>,
        range: Range<usize>,
    ) -> bool {
        let Some(boundary) = find_tag_in_prose(&text.text()[range.clone()]) else { return false };
        let is_end = boundary == BlockBoundary::End;
        collector.mark_section_as_used();
        // The start tag above is already reported; its end tag is not a second error.
        if !(is_end && std::mem::take(&mut self.has_open_tag)) {
            self.has_open_tag = !is_end;
            collector.report(
                Diagnostic::new(
                    Rule::TagOutsideCode,
                    text.document_span(trim_range(text.text(), range)),
                    "a tag outside any code block: the SQL below it never runs",
                )
                .help(
                    "put the block in a code block: a line ```sql before it, a line ``` after it",
                ),
            );
        }
        true
    }
}

/// Whether a line of prose is a start tag or an end tag, or looks like one; placeholders are
/// ignored.
fn find_tag_in_prose(line: &str) -> Option<BlockBoundary> {
    let line = line.trim_start_matches([' ', '\t', '>']).trim_end();
    let is_list_marker = |c: char| c.is_ascii_digit() || " \t>-*+.)#|–—".contains(c);
    let unprefixed_line = line.trim_start_matches(is_list_marker);
    let tag_line = match (line.starts_with("--"), unprefixed_line.starts_with('[')) {
        (true, _) => parse_tag_line(line),
        // A bracket may begin a link as well. It is a tag only if a correct one can be suggested.
        (_, true) => parse_tag_line(unprefixed_line).filter(|found| {
            matches!(found, TagLine::Malformed(malformed) if malformed.suggestion.is_some())
        }),
        _ => None,
    };
    match tag_line? {
        TagLine::Tag(Tag::Placeholder { .. }, _) => None,
        TagLine::Tag(_, boundary) => Some(boundary),
        TagLine::Malformed(malformed) => {
            Some(malformed.suggestion.map_or(BlockBoundary::Start, |tag| tag.boundary))
        }
    }
}

/// Reports a line that was meant to be a version heading and is not a heading: it neither binds the
/// tags below it nor keeps planned migrations from being applied.
fn check_near_heading<'a>(
    collector: &mut BlockCollector<'a>,
    text: &SourceSlice<'a>,
    line: &str,
    range: Range<usize>,
) {
    if !line.starts_with(['#', '*', '_', '<']) || heading_versions(line).is_none() {
        return;
    }
    let span = text.document_span(trim_range(text.text(), range));
    if let Some(level) = near_heading_level(line) {
        // The blocks below the line belong to it, so that they are not reported as well.
        let title = text.to_cow(line.trim_start_matches('#').trim());
        collector.add_section(level, title, span.clone());
    }
    let help = "write a heading: one or more `#`, a space and the text, on a line of its own";
    if is_planned(line) {
        let message = "`(Planned)` has no effect here: this line is not a heading";
        collector.report(Diagnostic::new(Rule::MalformedPlanned, span, message).help(help));
    } else if near_heading_level(line).is_some() {
        let message = "these versions do not bind the tags below them: this line is not a heading";
        collector.report(Diagnostic::new(Rule::MalformedHeading, span, message).help(help));
    }
}

/// The level that a line was meant to have: of `##1.0.0 → 1.1.0` without the space, or of an HTML
/// heading.
fn near_heading_level(line: &str) -> Option<u8> {
    let level = match line.strip_prefix("<h") {
        Some(rest) => rest.chars().next()?.to_digit(10)?,
        None => u32::try_from(line.bytes().take_while(|byte| *byte == b'#').count()).ok()?,
    };
    (level > 0).then(|| u8::try_from(level.min(6)).unwrap_or(6))
}

/// Reports an HTML comment without an end if it hides a tag.
pub(crate) fn report_unclosed_comment<'a>(
    collector: &mut BlockCollector<'a>,
    text: &SourceSlice<'a>,
    range: Range<usize>,
) {
    let start = first_line_range(text.text(), range.clone());
    let Some(tag) = find_first_tag(text.text(), range) else { return };
    collector.report(
        Diagnostic::new(
            Rule::TagOutsideCode,
            text.document_span(start),
            "an HTML comment without an end hides all blocks below it",
        )
        .related(text.document_span(tag), "the first hidden tag")
        .help("end the comment with `-->`"),
    );
}
