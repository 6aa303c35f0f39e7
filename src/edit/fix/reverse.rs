//! Writes the reverse block of a migration from the difference between the schemas before and after
//! it.

use crate::document::changelog::StepId;
use crate::document::diagnostic::Diagnostic;
use crate::document::tag::{Scope, Tag, VersionPair};
use crate::edit::change::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::proposal::{Fix, FixSafety};
use crate::edit::page::with_line_ends;
use crate::edit::section::BlockWriter;
use crate::edit::style::Style;
use crate::schema::Schema;
use crate::schema_diff::generate::generate;

/// Writes the reverse block that a finding is about: it is missing, empty or wrong.
pub(crate) fn complete_reverse(context: &FixContext<'_>, finding: &Diagnostic) -> Option<Fix> {
    let block = context.block_at(finding.span.start)?;
    let Tag::Migration { scope, from, to } = &block.tag else { return None };
    let forward = VersionPair::new(to.clone(), from.clone());
    // The finding of a scope without a block is at the block of the other scope.
    let message_scope = Scope::BOTH
        .into_iter()
        .find(|scope| finding.message.contains(&format!("restore the {scope} schema")));
    let edits = reverse_edits(context, message_scope.unwrap_or(*scope), &forward)?;
    let title = format!("write the reverse block `{from} → {to}` from the schemas");
    Some(Fix::new(finding, FixSafety::NeedsPerson, title, edits))
}

/// The edits that write the reverse block of a migration for one scope, in place of the one that
/// exists. `None` if the block has nothing to do, or allows itself something.
pub(crate) fn reverse_edits(
    context: &FixContext<'_>,
    scope: Scope,
    forward: &VersionPair,
) -> Option<Vec<TextEdit>> {
    let view = &context.view;
    let (before, after) = schemas(context, scope, forward)?;
    let sql = generate(&after, &before, context.setup).ok()?.sql;
    if sql.trim().is_empty() {
        return None;
    }
    let eol = view.line_ending;
    let sql = with_line_ends(sql.trim_end(), eol);
    let reverse = forward.reversed();
    if let Some(block) = view.block_for_scope(&reverse, scope) {
        let start = context.line_at(block.tag_span.start).end;
        let end = view.end_tag_line(block)?.start;
        let is_plain = context.line_prefix(block.tag_span.start).is_empty();
        return (is_plain && block.allow_directives.is_empty() && start <= end)
            .then(|| vec![TextEdit::new(start..end, format!("{sql}{eol}"))]);
    }
    let block = view.block_for_scope(forward, scope)?;
    if !context.line_prefix(block.tag_span.start).is_empty() {
        return None;
    }
    let end = view.code_block_range(block.tag_span.start).end;
    let style = Style::from_document(view, context.changelog.as_ref());
    let mut text = String::new();
    if !view.text[..end].ends_with('\n') {
        text.push_str(eol);
    }
    BlockWriter { tag_arrow: style.tag_arrow, eol }.write(&mut text, scope, &reverse, &sql);
    Some(vec![TextEdit::new(end..end, text)])
}

/// The schemas before and after a migration.
fn schemas(
    context: &FixContext<'_>,
    scope: Scope,
    forward: &VersionPair,
) -> Option<(Schema, Schema)> {
    let changelog = context.live_changelog.as_ref()?;
    let replay = context.replay()?;
    let index = changelog
        .chain()
        .iter()
        .position(|found| (&found.from, &found.to) == (&forward.from, &forward.to));
    let baseline = || {
        let baselines = changelog.baselines().iter();
        let mut baselines = baselines.map(|found| (&found.from, &found.to));
        baselines.position(|found| found == (&forward.from, &forward.to))
    };
    match index {
        Some(index) => Some((replay.schema_at(scope, index), replay.schema_at(scope, index + 1))),
        None => {
            let script = replay.script(scope, StepId::Baseline(baseline()?))?;
            let mut after = Schema::new();
            crate::schema::changes::apply_changes(&mut after, &script.object_changes);
            Some((Schema::new(), after))
        }
    }
}
