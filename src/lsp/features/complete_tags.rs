//! Completes tags: start and end together, for both scopes, with the versions of the heading above or
//! with the next version.

use std::ops::Range;

use gen_lsp_types as lsp;

use crate::document::blocks::Block;
use crate::document::tag::{Scope, Tag, VersionPair, VersionPoint};
use crate::document::tag_syntax::arrow_of;
use crate::edit::Bump;
use crate::edit::page::DocumentView;
use crate::lsp::snapshot::Snapshot;

/// The tags that can be written at a place. `range` is what is typed of the tag.
pub(crate) fn tag_items(
    snapshot: &Snapshot,
    view: &DocumentView<'_>,
    block: Option<&Block<'_>>,
    range: Range<usize>,
) -> Vec<lsp::CompletionItem> {
    let typed = &snapshot.text[range.clone()];
    let prefix = &snapshot.text[view.line_start(range.start)..range.start];
    let arrow = arrow_of(view.text);
    let item = |label: String, new_text: &str, detail: &str, rank: usize| lsp::CompletionItem {
        filter_text: Some(format!("{typed}{label}")),
        sort_text: Some(format!("{rank:02}")),
        kind: Some(lsp::CompletionItemKind::Snippet),
        detail: Some(detail.to_owned()),
        text_edit: Some(replacing(snapshot, range.clone(), new_text)),
        label,
        ..lsp::CompletionItem::default()
    };
    if let Some(block) = block.filter(|block| view.end_tag_line(block).is_none()) {
        let end = tag_line(&block.tag.to_string(), "end", arrow);
        return vec![item(end.clone(), &end, "the end of this block", 0)];
    }
    let mut items = Vec::new();
    for VersionPair { from, to } in candidate_versions(snapshot, view, range.start) {
        let direction = if to < from { "reverse block" } else { "block" };
        for scope in [Scope::User, Scope::System] {
            let tag = format!("{scope}:{from}→{to}");
            let is_known = view.blocks.list.iter().any(|block| block.tag.to_string() == tag);
            if is_known {
                continue;
            }
            let (start, end) = (tag_line(&tag, "start", arrow), tag_line(&tag, "end", arrow));
            let eol = view.line_ending;
            let pair = format!("{start}{eol}{prefix}{eol}{prefix}{end}");
            let rank = items.len();
            let detail = format!("start and end of a {direction} for {}", databases(scope));
            items.push(item(start, &pair, &detail, rank));
        }
    }
    items
}

fn databases(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "the system database",
        Scope::User => "each user database",
    }
}

fn tag_line(tag: &str, boundary: &str, arrow: &str) -> String {
    format!("-- [{}:{boundary}]", tag.replace('→', arrow))
}

/// The versions of the heading above and their reverse; without such a heading, the versions of the
/// next migration.
fn candidate_versions(
    snapshot: &Snapshot,
    view: &DocumentView<'_>,
    offset: usize,
) -> Vec<VersionPair> {
    let sections = &view.blocks.sections;
    let own = sections.iter().rposition(|section| section.span.start <= offset);
    let heading = view.owning_section(own).and_then(|index| sections[index].versions.clone());
    if let Some(versions) = heading {
        let reverse = versions.reversed();
        return vec![versions, reverse];
    }
    let analysed = snapshot.analysis.as_ref().and_then(|analysis| analysis.model.as_ref());
    let last = analysed.and_then(|analysed| analysed.model.versions.last()).cloned();
    // A document that cannot be run has versions in its tags.
    let written = view.blocks.list.iter().filter_map(|block| match &block.tag {
        Tag::Migration { to, .. } => to.version().cloned(),
        _ => None,
    });
    match last.or_else(|| written.max()) {
        None => {
            let first = VersionPoint::Version(semver::Version::new(1, 0, 0));
            vec![VersionPair::new(VersionPoint::Baseline, first)]
        }
        Some(last) => [Bump::Patch, Bump::Minor]
            .map(|bump| {
                let next = VersionPoint::Version(bump.apply(&last));
                VersionPair::new(VersionPoint::Version(last.clone()), next)
            })
            .to_vec(),
    }
}

/// The edit that replaces what is typed.
pub(crate) fn replacing(
    snapshot: &Snapshot,
    range: std::ops::Range<usize>,
    text: &str,
) -> lsp::CompletionItemTextEdit {
    let range = snapshot.range(range);
    lsp::CompletionItemTextEdit::TextEdit(lsp::TextEdit { range, new_text: text.to_owned() })
}
