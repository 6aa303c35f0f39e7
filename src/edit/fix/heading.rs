//! Corrects a heading that was meant to name two versions, or to mark its migrations as planned.

use std::ops::Range;

use crate::document::diagnostic::Diagnostic;
use crate::document::heading::{find_versions, parse_atx_heading};
use crate::document::heading_pair::find_near_pair;
use crate::document::heading_suffix::{SuffixMeaning, find_planned_brackets, find_suffixes};
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};

/// Writes the suggested versions in place of malformed ones.
pub(crate) fn correct_versions(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let line = context.line_content(finding.span.start);
    let text = &context.view.text[line.clone()];
    // Prose that was meant to be a heading needs more than other versions.
    parse_atx_heading(text)?;
    let near_pair = find_near_pair(text)?;
    let suggestion = near_pair.suggestion?;
    // Of `Baseline: 1.0`, the range is that of the version alone.
    let versions = suggestion.strip_prefix("Baseline: ").unwrap_or(&suggestion).to_owned();
    let edit = TextEdit::new(within(&line, near_pair.range), versions);
    let title = format!("write the versions as `{suggestion}`");
    Some(Fix::new(finding, FixSafety::Safe, title, vec![edit]))
}

/// Writes `(Planned)` in place of one word in brackets that was probably meant to be it.
pub(crate) fn mark_as_planned(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let line = context.line_content(finding.span.start);
    let text = &context.view.text[line.clone()];
    let range = match find_versions(text) {
        Some((_, versions)) => {
            find_suffixes(text, &versions)
                .into_iter()
                .find(|suffix| suffix.meaning == SuffixMeaning::NearlyPlanned)?
                .range
        }
        None => find_planned_brackets(text)?,
    };
    let found = &text[range.clone()];
    let is_one_word = found.trim().chars().all(|character| !character.is_whitespace());
    if !is_one_word || !found.starts_with(['(', '[', '{', '（', '【']) {
        return None;
    }
    // The migration may be meant to be released.
    let edit = TextEdit::new(within(&line, range), "(Planned)".to_owned());
    Some(Fix::new(finding, FixSafety::NeedsPerson, "write `(Planned)`", vec![edit]))
}

/// A range of a line as a range of the document.
fn within(line: &Range<usize>, range: Range<usize>) -> Range<usize> {
    line.start + range.start..line.start + range.end
}
