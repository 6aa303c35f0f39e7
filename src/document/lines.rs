//! Lines of a text, and what a line alone tells: a fence, a heading, a plan, a field.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::document::tag::Tag;
use crate::document::tag_parser;
use crate::document::tag_parser::TagLine;
use crate::source::SourceSlice;

/// What a section says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetadataField {
    Date,
    Description,
}

/// `**Date**: 2025-10-03` and `**Date:** 2025-10-03`, in whatever letters.
pub(crate) fn parse_metadata_field(line: &str) -> Option<(MetadataField, &str)> {
    let line = line.trim_start_matches(['-', '*', '+', ' ']);
    let (name, rest) = line.split_at(memmem::find(line.as_bytes(), b"**")?);
    let rest = &rest[2..];
    let value = match name.strip_suffix(':') {
        Some(_) => rest,
        None => rest.trim_start().strip_prefix(':')?,
    };
    let name = name.trim_end_matches(':').trim();
    let field_kind = match name {
        name if name.eq_ignore_ascii_case("date") => MetadataField::Date,
        name if name.eq_ignore_ascii_case("description") => MetadataField::Description,
        _ => return None,
    };
    let value = value.trim();
    (!value.is_empty()).then_some((field_kind, value))
}

/// The first line that is a tag or looks like one, templates aside.
pub(crate) fn find_first_tag(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let is_tag = |line: &Range<usize>| {
        let found = tag_parser::parse_tag_line(&text[line.clone()]);
        !matches!(found, None | Some(TagLine::Tag(Tag::Placeholder { .. }, _)))
    };
    line_ranges(text, range).find(is_tag).map(|line| trim_range(text, line))
}

/// Whether a fence opens in a code block and does not close in it: what closed the code block was
/// to close that fence.
pub(crate) fn has_unclosed_fence(text: &str) -> bool {
    let fences = line_ranges(text, 0..text.len()).filter(|line| is_fence_line(&text[line.clone()]));
    fences.count() % 2 == 1
}

/// An unlabelled code block is a stray fence if it holds a line that begins a fence or a heading.
pub(crate) fn has_fence_or_heading(text: &str) -> bool {
    line_ranges(text, 0..text.len())
        .any(|line| is_fence_line(&text[line.clone()]) || parse_atx_heading(&text[line]).is_some())
}

pub(crate) fn is_fence_line(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

/// Whether a code block is a template for readers: fenced longer than what it holds, without a
/// tag that means anything.
pub(crate) fn is_template(content: &SourceSlice<'_>, fence_span: &Range<usize>) -> bool {
    let has_long_fence = fence_span.len() >= 4 && fence_span.start < content.document_offset(0);
    has_long_fence
        && has_fence_or_heading(content.text())
        && find_first_tag(content.text(), 0..content.text().len()).is_none()
}

/// Whether a heading makes what stands under it a plan.
pub(crate) fn is_planned(title: &str) -> bool {
    if !title.contains('(') {
        return false;
    }
    let lower = title.to_lowercase();
    lower
        .split('(')
        .skip(1)
        .any(|rest| rest.split_once(')').is_some_and(|(word, _)| word.trim() == "planned"))
}

pub(crate) fn parse_atx_heading(line: &str) -> Option<(u8, &str)> {
    let line = line.trim();
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let rest = &line[level..];
    let level = u8::try_from(level).ok().filter(|level| (1..=6).contains(level))?;
    rest.starts_with([' ', '\t']).then(|| (level, rest.trim().trim_end_matches('#').trim_end()))
}

pub(crate) fn line_end(text: &str, offset: usize) -> usize {
    memchr(b'\n', &text.as_bytes()[offset..]).map_or(text.len(), |end| offset + end + 1)
}

pub(crate) fn first_line_range(text: &str, range: Range<usize>) -> Range<usize> {
    trim_range(text, range.start..line_end(text, range.start).min(range.end))
}

pub(crate) fn line_ranges(
    text: &str,
    range: Range<usize>,
) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut offset = range.start;
    std::iter::from_fn(move || {
        if offset >= range.end {
            return None;
        }
        let line = offset..line_end(text, offset).min(range.end);
        offset = line.end;
        Some(line)
    })
}

/// A line without the blanks around it.
pub(crate) fn trim_range(text: &str, line: Range<usize>) -> Range<usize> {
    let content = &text[line.clone()];
    let start = line.start + (content.len() - content.trim_start().len());
    let end = (line.start + content.trim_end().len()).max(start);
    start..end
}
