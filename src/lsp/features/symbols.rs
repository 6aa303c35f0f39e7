//! Lists the versions of a document with their blocks and the objects that each block creates.

use std::ops::Range;

use gen_lsp_types as lsp;

use crate::document::tag::Tag;
use crate::edit::page::DocumentView;
use crate::lsp::snapshot::Snapshot;
use crate::schema::ObjectKind;
use crate::source::SourceSlice;
use crate::sql::object_statement::{ObjectStatement, ObjectVerb};
use crate::sql::statements::statement_ranges;
use crate::sql::tokens::Tokens;

/// A statement that creates an object.
struct Creation {
    kind: ObjectKind,
    name: String,
    /// The statement, in the document.
    span: Range<usize>,
    name_span: Range<usize>,
}

impl Creation {
    /// `None` for a statement that creates nothing, or whose name is not written yet.
    fn parse(statement: &SourceSlice<'_>) -> Option<Self> {
        let tokens = Tokens::new(statement.text());
        let ObjectStatement { kind, name, .. } =
            ObjectStatement::parse(&tokens).filter(|object| object.verb == ObjectVerb::Create)?;
        let kind = ObjectKind::parse(&tokens.text(kind).to_ascii_lowercase())?;
        tokens.can_be_name(name).then(|| Self {
            kind,
            name: tokens.name(name),
            span: tokens.span(statement, 0, tokens.len() - 1),
            name_span: tokens.span(statement, name, name),
        })
    }
}

/// The outline: each section with the sections, blocks and objects below it.
pub(crate) fn document_symbols(snapshot: &Snapshot) -> Vec<lsp::DocumentSymbol> {
    let view = snapshot.view();
    let outline = Outline { snapshot, view: &view };
    let mut symbols = outline.sections_below(None);
    symbols.extend(outline.blocks_of(None));
    symbols
}

/// The sections with versions, and the created objects, whose names contain the query.
pub(crate) fn workspace_symbols(
    snapshots: &[Snapshot],
    query: &str,
) -> Vec<lsp::SymbolInformation> {
    let query = query.to_lowercase();
    let mut symbols = Vec::new();
    for snapshot in snapshots {
        let view = snapshot.view();
        let mut add = |name: String, kind: lsp::SymbolKind, span: Range<usize>| {
            if name.to_lowercase().contains(&query) {
                symbols.push(lsp::SymbolInformation {
                    location: snapshot.location(span),
                    base_symbol_information: lsp::BaseSymbolInformation {
                        name,
                        kind,
                        tags: None,
                        container_name: snapshot
                            .path
                            .file_name()
                            .map(|name| name.to_string_lossy().into_owned()),
                    },
                    #[allow(deprecated, reason = "the struct has the field")]
                    deprecated: None,
                });
            }
        };
        for section in view.blocks.sections.iter().filter(|found| found.versions.is_some()) {
            add(section.title.to_string(), lsp::SymbolKind::Module, section.span.clone());
        }
        for block in &view.blocks.list {
            for creation in creations(&block.sql) {
                add(creation.name, symbol_kind(creation.kind), creation.name_span);
            }
        }
    }
    symbols
}

struct Outline<'v, 't> {
    snapshot: &'v Snapshot,
    view: &'v DocumentView<'t>,
}

impl Outline<'_, '_> {
    fn sections_below(&self, parent: Option<usize>) -> Vec<lsp::DocumentSymbol> {
        let sections = self.view.blocks.sections.iter().enumerate();
        sections
            .filter(|(_, section)| section.parent == parent)
            .map(|(index, section)| {
                let mut children = self.blocks_of(Some(index));
                children.extend(self.sections_below(Some(index)));
                let range = self.view.section_range(index);
                let (kind, detail) = match &section.versions {
                    Some(_) => (lsp::SymbolKind::Module, section.description.as_deref()),
                    None => (lsp::SymbolKind::Namespace, None),
                };
                let title = section.title.trim();
                let name = if title.is_empty() { "(no title)" } else { title };
                let range = range.start.min(section.span.start)..range.end.max(section.span.end);
                self.symbol(name, kind, range, section.span.clone(), detail, children)
            })
            .collect()
    }

    fn blocks_of(&self, section: Option<usize>) -> Vec<lsp::DocumentSymbol> {
        let blocks = self.view.blocks.list.iter().filter(|block| {
            block.section == section && !matches!(block.tag, Tag::Placeholder { .. })
        });
        blocks
            .map(|block| {
                let mut range = block.range();
                range.end = self.view.end_tag_line(block).map_or(range.end, |line| line.end);
                let children = creations(&block.sql).into_iter().map(|creation| {
                    let Creation { kind, name, span, name_span } = creation;
                    self.symbol(&name, symbol_kind(kind), span, name_span, None, Vec::new())
                });
                let name = block.tag.to_string();
                let kind = lsp::SymbolKind::Event;
                self.symbol(&name, kind, range, block.tag_span.clone(), None, children.collect())
            })
            .collect()
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one value")]
    fn symbol(
        &self,
        name: &str,
        kind: lsp::SymbolKind,
        range: Range<usize>,
        selection: Range<usize>,
        detail: Option<&str>,
        children: Vec<lsp::DocumentSymbol>,
    ) -> lsp::DocumentSymbol {
        lsp::DocumentSymbol {
            name: name.to_owned(),
            detail: detail.map(ToOwned::to_owned),
            kind,
            tags: None,
            #[allow(deprecated, reason = "the struct has the field")]
            deprecated: None,
            range: self.snapshot.range(range),
            selection_range: self.snapshot.range(selection),
            children: (!children.is_empty()).then_some(children),
        }
    }
}

/// The objects that the statements of a block create, as far as its text shows them.
fn creations(sql: &SourceSlice<'_>) -> Vec<Creation> {
    statement_ranges(sql.text())
        .filter_map(|statement| Creation::parse(&sql.slice(statement)))
        .collect()
}

fn symbol_kind(kind: ObjectKind) -> lsp::SymbolKind {
    match kind {
        ObjectKind::Table => lsp::SymbolKind::Struct,
        ObjectKind::Index => lsp::SymbolKind::Key,
        ObjectKind::View => lsp::SymbolKind::Interface,
        ObjectKind::Trigger => lsp::SymbolKind::Event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[(&str, &str)]) {
        let found = creations(&SourceSlice::new(sql, 0));
        let found: Vec<_> =
            found.iter().map(|found| (found.name.as_str(), &sql[found.span.clone()])).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_symbol_covers_the_whole_trigger() {
        let trigger = "CREATE TEMP TRIGGER IF NOT EXISTS main.\"on t\" AFTER INSERT ON t BEGIN\nDELETE FROM u;\nSELECT CASE 1 WHEN 1 THEN 2 END;\nEND;";
        check(
            &format!("{trigger} CREATE UNIQUE INDEX i ON t (a)"),
            &[("on t", trigger), ("i", "CREATE UNIQUE INDEX i ON t (a)")],
        );
    }

    #[test]
    fn statements_that_create_nothing_have_no_symbol() {
        check("DROP TABLE t; CREATE TABLE; CREATE TABLE main.; CREATE", &[]);
    }
}
