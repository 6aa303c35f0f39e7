//! Describes the structure of a document to the editor: what can be folded, what a growing selection
//! contains, and its links.

use std::ops::Range;

use gen_lsp_types as lsp;
use pulldown_cmark::{Event, Parser, Tag};

use crate::document::diagnostic::Rule;
use crate::lsp::snapshot::Snapshot;
use crate::lsp::uri;
use crate::source::SourceSlice;
use crate::sql::statements::statement_ranges;

/// Sections, code blocks and the statements in them that are longer than a line.
pub(crate) fn folding_ranges(snapshot: &Snapshot) -> Vec<lsp::FoldingRange> {
    let view = snapshot.view();
    let sections = (0..view.blocks.sections.len()).map(|section| view.section_range(section));
    let code = view.code_blocks.iter().cloned();
    let mut ranges: Vec<Range<usize>> = sections.chain(code).collect();
    for block in &view.blocks.list {
        ranges.extend(statement_spans(&block.sql));
    }
    let mut folds: Vec<lsp::FoldingRange> = ranges
        .into_iter()
        .filter_map(|range| {
            let end = range.start + snapshot.text[range.clone()].trim_end().len();
            let lines = snapshot.range(range.start..end);
            (lines.end.line > lines.start.line).then(|| lsp::FoldingRange {
                start_line: lines.start.line,
                end_line: lines.end.line,
                kind: Some(lsp::FoldingRangeKind::Region),
                ..lsp::FoldingRange::default()
            })
        })
        .collect();
    folds.sort_by_key(|fold| (fold.start_line, fold.end_line));
    folds.dedup();
    folds
}

/// The statements of a block, in the document.
fn statement_spans(sql: &SourceSlice<'_>) -> impl Iterator<Item = Range<usize>> {
    statement_ranges(sql.text()).map(|statement| sql.document_span(statement))
}

/// For each position: the word, the statement, the block, the code block, and each section around.
pub(crate) fn selection_ranges(
    snapshot: &Snapshot,
    positions: &[lsp::Position],
) -> Vec<lsp::SelectionRange> {
    let view = snapshot.view();
    let select = |position: &lsp::Position| {
        let offset = snapshot.offset(*position);
        let mut ranges = vec![word_at(&snapshot.text, offset)];
        for block in &view.blocks.list {
            ranges.extend(statement_spans(&block.sql));
            ranges.push(block.sql.full_span());
        }
        ranges.extend(view.code_blocks.iter().cloned());
        ranges.extend((0..view.blocks.sections.len()).map(|section| view.section_range(section)));
        ranges.push(0..snapshot.text.len());
        ranges.retain(|range| range.start <= offset && offset <= range.end);
        ranges.sort_by_key(ExactSizeIterator::len);
        nest(snapshot, &ranges)
    };
    positions.iter().map(select).collect()
}

/// Nests ranges, the smallest innermost. A range that does not contain the one before is left out.
fn nest(snapshot: &Snapshot, ranges: &[Range<usize>]) -> lsp::SelectionRange {
    let mut nested: Vec<&Range<usize>> = Vec::new();
    for range in ranges {
        let contains = nested.last().is_none_or(|inner| {
            range.start <= inner.start && inner.end <= range.end && *inner != range
        });
        if contains {
            nested.push(range);
        }
    }
    let mut selection = None;
    for range in nested.into_iter().rev() {
        let parent = selection.map(Box::new);
        selection = Some(lsp::SelectionRange { range: snapshot.range(range.clone()), parent });
    }
    selection.unwrap_or_default()
}

fn word_at(text: &str, offset: usize) -> Range<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = text[..offset].char_indices().rev().take_while(|(_, c)| is_word(*c)).last();
    let start = start.map_or(offset, |(at, _)| at);
    let end = text[offset..].find(|c| !is_word(c)).map_or(text.len(), |at| offset + at);
    start..end
}

/// The links of the text, and each rule of a `-- tatmig:allow` as a link to its explanation.
pub(crate) fn document_links(snapshot: &Snapshot) -> Vec<lsp::DocumentLink> {
    let text = &snapshot.text;
    let directory = snapshot.uri.0.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut links = Vec::new();
    for (event, range) in Parser::new(text).into_offset_iter() {
        let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event else {
            continue;
        };
        let target = dest_url.as_ref();
        if target.starts_with('#') || target.is_empty() {
            continue;
        }
        let is_absolute = target.split_once(':').is_some_and(|(scheme, _)| {
            scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let target = if is_absolute {
            target.to_owned()
        } else {
            let path = uri::encode_link(target);
            // `/a` is a path from the root.
            if path.starts_with('/') {
                let scheme_end = directory.find("://").map_or(0, |at| at + "://".len());
                format!("{}{path}", &directory[..scheme_end])
            } else {
                format!("{directory}/{path}")
            }
        };
        links.push(link(snapshot, range, target));
    }
    for (at, mark) in text.match_indices("tatmig:allow ") {
        let start = at + mark.len();
        let end = text[start..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let range = start..end.map_or(text.len(), |end| start + end);
        if let Some(rule) = Rule::from_name(&text[range.clone()]) {
            links.push(link(snapshot, range, rule.url()));
        }
    }
    links
}

fn link(snapshot: &Snapshot, range: Range<usize>, target: String) -> lsp::DocumentLink {
    lsp::DocumentLink {
        range: snapshot.range(range),
        target: Some(lsp::Uri(target)),
        ..lsp::DocumentLink::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_one_statement() {
        let text = "CREATE TRIGGER g AFTER INSERT ON t BEGIN\n  DELETE FROM u;\n  SELECT 1;\nEND;";
        let sql = format!("SELECT 0;\n{text}\nSELECT 2");
        let slice = SourceSlice::new(&sql, 0);
        let found: Vec<&str> = statement_spans(&slice).map(|span| &sql[span]).collect();
        assert_eq!(found, ["SELECT 0;", text, "SELECT 2"]);
    }
}
