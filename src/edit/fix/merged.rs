//! Resolves two migrations from one version after a merge: the later one moves behind the other.

use crate::document::diagnostic::Diagnostic;
use crate::document::tag::{Tag, VersionPoint};
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};
use crate::edit::renumber::{RenumberRequest, renumber};
use crate::source::Source;

pub(crate) fn renumber_later(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let (other, _) = finding.related.first()?;
    let end_of = |offset: usize| match &context.block_at(offset)?.tag {
        Tag::Migration { to: VersionPoint::Version(to), .. } => Some(to),
        _ => None,
    };
    let (moved, kept) = (end_of(finding.span.start)?, end_of(other.start)?);
    let request = RenumberRequest { version: moved, after: Some(kept), recorded: &[] };
    let source = Source::new("", context.view.text);
    let renumbered = renumber(&source, &request).ok()?;
    let title = format!("renumber `{moved}`, so that it follows `{kept}`");
    let edits = vec![TextEdit::between(context.view.text, &renumbered.text)];
    Some(Fix::new(finding, FixSafety::NeedsPerson, title, edits))
}
