//! Offers the mechanical changes of `lint --fix` at a finding, and changes of a migration as a whole:
//! release it, or write its reverse block.

use gen_lsp_types as lsp;

use crate::document::diagnostic::Diagnostic;
use crate::document::tag::{Tag, VersionPair, VersionPoint};
use crate::edit::TextEdit;
use crate::edit::fix::context::FixContext;
use crate::edit::fix::find::{FixInput, fixes_of, with_context};
use crate::edit::fix::reverse::reverse_edits;
use crate::edit::fix::{Fix, FixSafety};
use crate::edit::promote::promote;
use crate::lsp::features::diagnostics::convert;
use crate::lsp::snapshot::Snapshot;
use crate::source::Source;

/// The actions for a part of the document.
pub(crate) fn code_actions(
    snapshot: &Snapshot,
    params: &lsp::CodeActionParams,
) -> Vec<lsp::CodeActionResponse> {
    // Whole lines, since a finding underlines one word of a statement.
    let (first, last) = (params.range.start.line, params.range.end.line);
    let within = snapshot.offset(lsp::Position { line: first, character: 0 })
        ..snapshot.offset(lsp::Position { line: last, character: u32::MAX });
    let place = snapshot.offset(params.range.start);
    let findings = snapshot.analysis.as_ref().map_or(&[][..], |analysis| &analysis.findings);
    let findings: Vec<&Diagnostic> = findings
        .iter()
        .filter(|found| found.span.start <= within.end && within.start <= found.span.end)
        .collect();
    let is_wanted = |kind: &lsp::CodeActionKind| {
        params.context.only.as_ref().is_none_or(|only| only.contains(kind))
    };
    let source = Source::new("", &snapshot.text);
    let today = snapshot.host.today();
    let replay = snapshot.model().map(|model| model.replay.clone());
    let request =
        FixInput { source: &source, today: &today, setup: &snapshot.settings.setup, replay };
    let mut actions = Vec::new();
    with_context(&request, |context| {
        if is_wanted(&lsp::CodeActionKind::QuickFix) {
            for finding in &findings {
                let fixes = fixes_of(context, finding);
                actions.extend(fixes.iter().map(|fix| quick_fix(snapshot, finding, fix)));
            }
        }
        if is_wanted(&lsp::CodeActionKind::RefactorRewrite) {
            let changes = migration_changes(context, &today, place);
            actions.extend(changes.into_iter().map(|change| rewrite(snapshot, change)));
        }
    });
    actions.into_iter().map(lsp::CodeActionResponse::CodeAction).collect()
}

fn quick_fix(snapshot: &Snapshot, finding: &Diagnostic, fix: &Fix) -> lsp::CodeAction {
    lsp::CodeAction {
        title: fix.title.clone(),
        kind: Some(lsp::CodeActionKind::QuickFix),
        diagnostics: Some(vec![convert(snapshot, finding)]),
        is_preferred: (fix.safety == FixSafety::Safe).then_some(true),
        edit: Some(snapshot.workspace_edit(fix.edits.iter().cloned())),
        ..lsp::CodeAction::default()
    }
}

/// A change of a migration that no finding asks for.
struct MigrationChange {
    title: String,
    edits: Vec<TextEdit>,
}

fn rewrite(snapshot: &Snapshot, change: MigrationChange) -> lsp::CodeAction {
    lsp::CodeAction {
        title: change.title,
        kind: Some(lsp::CodeActionKind::RefactorRewrite),
        edit: Some(snapshot.workspace_edit(change.edits)),
        ..lsp::CodeAction::default()
    }
}

/// The changes of the migration whose block or heading contains a byte.
fn migration_changes(context: &FixContext<'_>, today: &str, offset: usize) -> Vec<MigrationChange> {
    let Some(changelog) = &context.changelog else { return Vec::new() };
    let view = &context.view;
    let mut changes = Vec::new();
    let section = view.blocks.sections.iter().find(|section| {
        section.span.start <= offset && offset <= section.span.end && section.versions.is_some()
    });
    let block_tag = context.block_at(offset).map(|block| &block.tag);
    let versions = match (section, block_tag) {
        (Some(section), _) => section.versions.clone(),
        (None, Some(Tag::Migration { from, to, .. })) => {
            Some(VersionPair::new(from.clone(), to.clone()))
        }
        _ => None,
    };
    let Some(versions) = versions else { return changes };
    let planned = changelog.find(&versions.from, &versions.to).filter(|found| found.planned);
    if let (Some(_), VersionPoint::Version(version)) = (planned, &versions.to)
        && let Ok(edited) = promote(changelog, version, today)
    {
        changes.push(MigrationChange {
            title: format!("release the planned migration `{versions}`"),
            edits: vec![TextEdit::between(view.text, &edited)],
        });
    }
    let is_forward = changelog
        .forward_migrations()
        .any(|found| (&found.from, &found.to) == (&versions.from, &versions.to));
    // A planned migration is commented out, and a reverse block of it would not be.
    for scope in crate::document::tag::Scope::BOTH {
        let has_forward = view.block_for_scope(&versions, scope).is_some();
        let has_reverse = view.block_for_scope(&versions.reversed(), scope).is_some();
        if is_forward
            && planned.is_none()
            && has_forward
            && !has_reverse
            && let Some(edits) = reverse_edits(context, scope, &versions)
        {
            let reverse = versions.reversed();
            let title = format!("write the reverse block `{scope}:{reverse}` from the schemas");
            changes.push(MigrationChange { title, edits });
        }
    }
    changes
}
