//! Splits text into lines, and classifies single lines: tags, fences and metadata fields.

use std::ops::Range;

use memchr::{memchr, memmem};
use strsim::osa_distance;

use crate::document::heading::parse_atx_heading;
use crate::document::imported::parse_imported;
use crate::document::tag::Tag;
use crate::document::tag_parser;
use crate::document::tag_parser::TagLine;
use crate::source::SourceSlice;

/// A field below a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetadataField {
    Date,
    Description,
    Imported,
}

/// Parses `**Date**: 2025-10-03` or `**Date:** 2025-10-03`, in any case of letters, into the field
/// and its value. Only the value of `Imported` may be empty.
pub(crate) fn parse_metadata_field(line: &str) -> Option<(MetadataField, &str)> {
    let (name, value) = split_metadata_field(line)?;
    let field = match name {
        name if name.eq_ignore_ascii_case("date") => MetadataField::Date,
        name if name.eq_ignore_ascii_case("description") => MetadataField::Description,
        name if name.eq_ignore_ascii_case("imported") => MetadataField::Imported,
        _ => return None,
    };
    (!value.is_empty() || field == MetadataField::Imported).then_some((field, value))
}

/// The name of a field that was probably meant to be `Imported`: the name is near it, and the value
/// begins with a tool.
pub(crate) fn find_near_imported(line: &str) -> Option<&str> {
    let (name, value) = split_metadata_field(line)?;
    let lower = name.to_lowercase();
    let is_near = lower.starts_with("import") || osa_distance(&lower, "imported") <= 2;
    (is_near && parse_imported(value).is_ok()).then_some(name)
}

/// Splits `**Name**: value` or `**Name:** value` into the name and the value.
fn split_metadata_field(line: &str) -> Option<(&str, &str)> {
    // The list marker, if there is one, and the `**` before the name.
    let line = line.trim_start_matches(['-', '*', '+', ' ']);
    let (name, rest) = line.split_at(memmem::find(line.as_bytes(), b"**")?);
    let rest = &rest["**".len()..];
    let value = match name.strip_suffix(':') {
        Some(_) => rest,
        None => rest.trim_start().strip_prefix(':')?,
    };
    Some((name.trim_end_matches(':').trim(), value.trim()))
}

/// The first line of `range`, placeholders excluded, that is a tag or looks like one.
pub(crate) fn find_first_tag(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let is_tag = |line: &Range<usize>| {
        let found = tag_parser::parse_tag_line(&text[line.clone()]);
        !matches!(found, None | Some(TagLine::Tag(Tag::Placeholder { .. }, _)))
    };
    line_ranges(text, range).find(is_tag).map(|line| trim_range(text, line))
}

/// Whether the content of a code block has an odd number of fence lines, so that one of them opens a
/// fence and none closes it. The fence that closed the code block was then meant to close the inner
/// one.
pub(crate) fn has_unclosed_fence(text: &str) -> bool {
    let fence_lines =
        line_ranges(text, 0..text.len()).filter(|line| is_fence_line(&text[line.clone()]));
    fence_lines.count() % 2 == 1
}

/// Whether the content of a code block holds a fence line or a heading line.
pub(crate) fn has_fence_or_heading(text: &str) -> bool {
    line_ranges(text, 0..text.len())
        .any(|line| is_fence_line(&text[line.clone()]) || parse_atx_heading(&text[line]).is_some())
}

/// Whether a line begins with a code fence, which it can open or close.
pub(crate) fn is_fence_line(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

/// Whether an unlabelled code block is a template for readers: its fence has four or more marks, and
/// it contains a fence or a heading, and no tags except placeholders. `fence_span` is the first line
/// of the code block; of an indented code block, that line is part of the content.
pub(crate) fn is_template(content: &SourceSlice<'_>, fence_span: &Range<usize>) -> bool {
    let is_fenced = fence_span.start < content.document_offset(0);
    let has_long_fence = is_fenced && fence_span.len() >= 4;
    has_long_fence
        && has_fence_or_heading(content.text())
        && find_first_tag(content.text(), 0..content.text().len()).is_none()
}

/// The end of the line that holds `offset`, its line feed included.
pub(crate) fn line_end(text: &str, offset: usize) -> usize {
    memchr(b'\n', &text.as_bytes()[offset..]).map_or(text.len(), |end| offset + end + 1)
}

/// The first line of `range`, without white space around it.
pub(crate) fn first_line_range(text: &str, range: Range<usize>) -> Range<usize> {
    trim_range(text, range.start..line_end(text, range.start).min(range.end))
}

/// The lines of `range`, line feeds included; the first and the last may be parts of lines.
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

/// A range without the white space at its start and end.
pub(crate) fn trim_range(text: &str, range: Range<usize>) -> Range<usize> {
    let content = &text[range.clone()];
    let start = range.start + (content.len() - content.trim_start().len());
    // Of white space alone, the trimmed end is before the trimmed start.
    let end = (range.start + content.trim_end().len()).max(start);
    start..end
}
