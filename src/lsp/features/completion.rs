//! Completes what is typed: tags with the next version, directives and rules, and in SQL the names that
//! exist at that place, keywords, types, functions and collations.

use gen_lsp_types as lsp;

use crate::document::blocks::Block;
use crate::document::diagnostic::Rule;
use crate::document::tag::Tag;
use crate::edit::page::DocumentView;
use crate::lsp::features::complete_sql;
use crate::lsp::features::complete_tags::{replacing, tag_items};
use crate::lsp::snapshot::Snapshot;

pub(crate) fn completion(snapshot: &Snapshot, position: lsp::Position) -> lsp::CompletionResponse {
    let view = snapshot.view();
    let offset = snapshot.offset(position);
    lsp::CompletionResponse::CompletionList(lsp::CompletionList {
        is_incomplete: false,
        items: items(snapshot, &view, offset),
        ..lsp::CompletionList::default()
    })
}

fn items(snapshot: &Snapshot, view: &DocumentView<'_>, offset: usize) -> Vec<lsp::CompletionItem> {
    let line_start = view.line_start(offset);
    // After a line ends, a position may be before the byte order mark.
    let typed = snapshot.text.get(line_start..offset).unwrap_or("");
    let body = typed.trim_start_matches([' ', '\t', '>']);
    let block = block_at(view, offset);
    if let Some((_, rule)) = body.split_once("tatmig:allow ") {
        let is_reason = rule.contains(char::is_whitespace);
        return if is_reason {
            Vec::new()
        } else {
            rule_items(snapshot, offset - rule.len()..offset)
        };
    }
    let is_commented = body.starts_with("--");
    let content = body.trim_start_matches('-').trim_start();
    let is_directive_start = "tatmig:".starts_with(content) || content.starts_with("tatmig:");
    if is_commented && !content.is_empty() && is_directive_start {
        return directive_items(snapshot, offset - body.len()..offset);
    }
    let commented_sql = block.filter(|block| is_planned(view, block));
    let is_tag_start = body.starts_with('[')
        || is_commented && content.starts_with('[')
        || is_commented && content.is_empty() && commented_sql.is_none();
    let is_in_code = view.code_blocks.iter().any(|code| code.contains(&offset));
    if is_tag_start || block.is_none() && body.is_empty() && is_in_code {
        return tag_items(snapshot, view, block, offset - body.len()..offset);
    }
    match if is_commented { commented_sql } else { block } {
        Some(block) => complete_sql::sql_items(snapshot, block, offset),
        None => Vec::new(),
    }
}

/// Whether a block is that of a planned migration, whose SQL is commented out, and has an end.
fn is_planned(view: &DocumentView<'_>, block: &Block<'_>) -> bool {
    view.blocks.planned_section(block.section).is_some() && view.end_tag_line(block).is_some()
}

/// The block whose SQL contains a byte.
fn block_at<'v, 't>(view: &'v DocumentView<'t>, offset: usize) -> Option<&'v Block<'t>> {
    view.blocks.list.iter().find(|block| {
        !matches!(block.tag, Tag::Placeholder { .. })
            && block.tag_span.end < offset
            && offset <= block.sql.full_span().end.max(block.tag_span.end + 1)
    })
}

fn rule_items(snapshot: &Snapshot, range: std::ops::Range<usize>) -> Vec<lsp::CompletionItem> {
    let rules = Rule::ALL.iter().filter(|rule| rule.can_be_allowed());
    rules
        .map(|rule| lsp::CompletionItem {
            label: rule.name().to_owned(),
            kind: Some(lsp::CompletionItemKind::EnumMember),
            detail: Some(rule.summary().to_owned()),
            text_edit: Some(replacing(snapshot, range.clone(), &format!("{} ", rule.name()))),
            ..lsp::CompletionItem::default()
        })
        .collect()
}

fn directive_items(snapshot: &Snapshot, range: std::ops::Range<usize>) -> Vec<lsp::CompletionItem> {
    [
        ("allow", "allow this block to break a rule, with a reason"),
        ("assert", "the SELECT below must return no row"),
        ("todo", "mark what is still to be written"),
    ]
    .into_iter()
    .map(|(name, detail)| {
        let text = format!("-- tatmig:{name} ");
        lsp::CompletionItem {
            label: text.trim_end().to_owned(),
            kind: Some(lsp::CompletionItemKind::Keyword),
            detail: Some(detail.to_owned()),
            text_edit: Some(replacing(snapshot, range.clone(), &text)),
            ..lsp::CompletionItem::default()
        }
    })
    .collect()
}
