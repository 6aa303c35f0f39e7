//! Corrects fences: the label of one around a migration, and the length of those around a template.

use std::ops::Range;

use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::lines::{is_fence_line, line_ranges};
use crate::document::reader;
use crate::edit::change::{TextEdit, apply_edits};
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};
use crate::edit::page::{DocumentView, fence_around};
use crate::source::SourceSlice;

/// Labels the fence around a block `sql`.
pub(crate) fn label_fence(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let view = &context.view;
    let (fence, _) = finding.related.first()?;
    let line = context.line_content(fence.start);
    let text = &view.text[line.clone()];
    let mark_count = text.bytes().take_while(|byte| matches!(byte, b'`' | b'~')).count();
    let label = text[mark_count..].split_whitespace().next()?;
    let start = line.start + mark_count + text[mark_count..].find(label)?;
    // Another dialect of SQL is a slip; another language may be an example.
    let is_sql = label.to_ascii_lowercase().contains("sql");
    let safety = if is_sql { FixSafety::Safe } else { FixSafety::NeedsPerson };
    let edits = vec![TextEdit::new(start..start + label.len(), "sql")];
    Some(Fix::new(finding, safety, "label the fence `sql`", edits))
}

/// Lengthens the fences of a template that contains fences: of the two that were meant to be a pair,
/// each gets more marks than those inside.
pub(crate) fn lengthen_template(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let view = &context.view;
    let at = view.code_blocks.iter().position(|block| block.contains(&finding.span.start))?;
    let own = &view.code_blocks[at];
    // A labelled template ends too early, and the next fence was meant to end it. An unlabelled
    // fence is that next one, and the template is above it.
    let closing_of_own = || {
        line_ranges(view.text, own.end..view.text.len())
            .skip_while(|line| line.start < own.end)
            .find(|line| is_fence_line(&view.text[line.clone()]))
            .map(|line| line.start)
    };
    let mut candidates: Vec<Candidate> = Vec::new();
    candidates.extend(closing_of_own().map(|closing| Candidate { opening: own.start, closing }));
    candidates.extend(
        at.checked_sub(1)
            .map(|above| Candidate { opening: view.code_blocks[above].start, closing: own.start }),
    );
    let before = error_count(view.text);
    let edits =
        candidates.into_iter().filter_map(|candidate| candidate.edits(context)).find(|edits| {
            let edited = apply_edits(view.text, edits.clone());
            stray_fence_count(&edited) < stray_fence_count(view.text)
                && error_count(&edited) <= before
        })?;
    Some(Fix::new(finding, FixSafety::Safe, "lengthen the fences of the template", edits))
}

/// The offsets of two fences that were meant to be a pair.
struct Candidate {
    opening: usize,
    closing: usize,
}

impl Candidate {
    fn edits(&self, context: &FixContext<'_>) -> Option<Vec<TextEdit>> {
        let text = context.view.text;
        let (opening, closing) =
            (context.line_content(self.opening), context.line_content(self.closing));
        if opening.end >= closing.start || !is_fence_line(&text[closing.clone()]) {
            return None;
        }
        let fence = fence_around(&text[opening.end..closing.start]);
        let mark_range = |line: &Range<usize>| {
            let marks = text[line.clone()].bytes().take_while(|byte| *byte == b'`').count();
            (marks >= 3).then_some(line.start..line.start + marks)
        };
        let marks = [mark_range(&opening)?, mark_range(&closing)?];
        Some(marks.into_iter().map(|range| TextEdit::new(range, fence.clone())).collect())
    }
}

fn stray_fence_count(text: &str) -> usize {
    let view = DocumentView::parse(text);
    let findings = view.blocks.diagnostics.iter();
    findings.filter(|finding| finding.rule == Rule::StrayFence).count()
}

fn error_count(text: &str) -> usize {
    let blocks = reader::read_blocks(&SourceSlice::new(text, 0));
    let findings = blocks.diagnostics.iter();
    findings.filter(|finding| finding.severity == Severity::Error).count()
}
