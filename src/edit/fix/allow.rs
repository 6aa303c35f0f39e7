//! Allows a block what a rule reports, with a reason to fill in.

use crate::document::diagnostic::Diagnostic;
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};

/// Adds a `-- tatmig:allow` below the start tag of the block that a finding points into.
pub(crate) fn add_allow(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let rule = finding.rule;
    if !finding.can_be_allowed() {
        return None;
    }
    // Without a changelog, nothing has run that a block could allow.
    context.changelog.as_ref()?;
    let block = context.block_at(finding.span.start)?;
    let tag_line = context.line_at(block.tag_span.start);
    let prefix = context.line_prefix(block.tag_span.start);
    let line =
        format!("{prefix}-- tatmig:allow {} because …{}", rule.name(), context.view.line_ending);
    let edit = TextEdit::new(tag_line.end..tag_line.end, line);
    let title = format!("allow `{}` in this block, with a reason", rule.name());
    Some(Fix::new(finding, FixSafety::NeedsPerson, title, vec![edit]))
}
