//! Completes SQL with the names that exist before the statement that is typed.

use std::ops::Range;

use gen_lsp_types as lsp;

use crate::document::blocks::Block;
use crate::document::tag::{Scope, Tag};
use crate::edit::change::TextChange;
use crate::lsp::features::typed_statement::{Quotes, TypedStatement};
use crate::lsp::row_sources::{Access, RowSource, RowSources};
use crate::lsp::snapshot::Snapshot;
use crate::lsp::target::is_table_of_index_or_trigger;
use crate::schema::{ObjectKey, ObjectKind, Schema};
use crate::sql::keywords::{FUNCTIONS, KEYWORDS, TYPES};
use crate::sql::lexer::{quote_identifier, quote_if_needed, unquote};
use crate::sql::tokens::Tokens;

/// The collations that every SQLite has.
const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

const TABLES: &[ObjectKind] = &[ObjectKind::Table];

/// What rows are read from.
const ROWS: &[ObjectKind] = &[ObjectKind::Table, ObjectKind::View];

/// What may be written at a place of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Objects(&'static [ObjectKind]),
    Collation,
    Anything,
}

pub(crate) fn sql_items(
    snapshot: &Snapshot,
    block: &Block<'_>,
    offset: usize,
) -> Vec<lsp::CompletionItem> {
    let Some(typed) = TypedStatement::read(snapshot, block, offset) else { return Vec::new() };
    let schemas = [schema_at(snapshot, block, typed.word.start)];
    let tokens = typed.tokens();
    let cursor = TypedStatement::cursor(&tokens);
    let sources = RowSources::new(&tokens, &schemas);
    let (word, quotes) = (typed.word.clone(), typed.quotes);
    let mut list = ItemList { snapshot, word, quotes, items: Vec::new() };
    if cursor > 1 && tokens.preceded_by(cursor, ".") {
        list.add_qualified(&sources, &schemas[0], cursor);
        return list.items;
    }
    match expected(&tokens, cursor) {
        Expected::Objects(kinds) => {
            list.add_objects(&schemas[0], kinds);
            if kinds == ROWS {
                list.add_common_tables(&sources, cursor);
            }
        }
        Expected::Collation => {
            let declared = snapshot.settings.setup.extensions.collations();
            for name in COLLATIONS.into_iter().chain(declared.iter().map(String::as_str)) {
                list.add(name, lsp::CompletionItemKind::Constant, "collation", 0);
            }
        }
        Expected::Anything => {
            list.add_sources(&sources, cursor);
            let all = [ObjectKind::Table, ObjectKind::View, ObjectKind::Index, ObjectKind::Trigger];
            list.add_objects(&schemas[0], &all);
            list.add_common_tables(&sources, cursor);
            list.add_words(snapshot);
        }
    }
    list.items
}

/// The schema before a place, according to the last text that could be run.
fn schema_at(snapshot: &Snapshot, block: &Block<'_>, offset: usize) -> Schema {
    let analysed = snapshot.analysis.as_ref().and_then(|analysis| analysis.model.as_ref());
    let Some(analysed) = analysed else { return Schema::new() };
    let model = &analysed.model;
    let step = model.steps.iter().find(|step| match (&block.tag, &step.versions) {
        (Tag::Migration { scope, from, to }, Some((own_from, own_to))) => {
            step.scope == *scope && (from, to) == (own_from, own_to)
        }
        _ => false,
    });
    if let Some(step) = step {
        let change = TextChange::between(&analysed.text, &snapshot.text);
        return model.schema_at(step, change.old_offset(offset));
    }
    let schema_of = |scope: Scope, position: usize| model.replay.schema_at(scope, position);
    match &block.tag {
        Tag::Migration { scope, from, .. } => {
            let position = from
                .version()
                .and_then(|from| model.versions.iter().position(|version| version == from));
            position.map_or_else(Schema::new, |position| schema_of(*scope, position))
        }
        tag => schema_of(tag.scope(), model.versions.len()),
    }
}

/// What may be written in place of a token.
fn expected(tokens: &Tokens<'_>, cursor: usize) -> Expected {
    // `DROP TABLE IF EXISTS`
    let is_guard =
        |index: &usize| ["IF", "NOT", "EXISTS"].iter().any(|word| tokens.is(*index, word));
    let mut before = (0..cursor).rev().filter(|index| !is_guard(index));
    let word = |index: Option<usize>| {
        index.map(|index| tokens.text(index).to_ascii_lowercase()).unwrap_or_default()
    };
    let (last, before_last) = (word(before.next()), word(before.next()));
    match (before_last.as_str(), last.as_str()) {
        ("drop" | "alter", "table") | (_, "references") => Expected::Objects(TABLES),
        ("drop", "index") => Expected::Objects(&[ObjectKind::Index]),
        ("drop", "view") => Expected::Objects(&[ObjectKind::View]),
        ("drop", "trigger") => Expected::Objects(&[ObjectKind::Trigger]),
        (_, "from" | "join" | "into" | "update") => Expected::Objects(ROWS),
        (_, "on") if is_table_of_index_or_trigger(tokens, cursor) => Expected::Objects(ROWS),
        (_, "collate") => Expected::Collation,
        _ => Expected::Anything,
    }
}

struct ItemList<'s> {
    snapshot: &'s Snapshot,
    word: Range<usize>,
    quotes: Quotes,
    items: Vec<lsp::CompletionItem>,
}

impl ItemList<'_> {
    fn add(&mut self, label: &str, kind: lsp::CompletionItemKind, detail: &str, rank: u8) {
        let range = self.snapshot.range(self.word.clone());
        let (new_text, filter_text) = match self.quotes {
            Quotes::None => (label.to_owned(), None),
            Quotes::Opened(quote) => {
                let name = unquote(label);
                (quote_identifier(&name), Some(format!("{quote}{name}")))
            }
        };
        let edit = lsp::TextEdit { range, new_text };
        self.items.push(lsp::CompletionItem {
            label: label.to_owned(),
            kind: Some(kind),
            detail: Some(detail.to_owned()),
            filter_text,
            sort_text: Some(format!("{rank}{label}")),
            text_edit: Some(lsp::CompletionItemTextEdit::TextEdit(edit)),
            ..lsp::CompletionItem::default()
        });
    }

    fn add_objects(&mut self, schema: &Schema, kinds: &[ObjectKind]) {
        for object in schema.values().filter(|object| kinds.contains(&object.kind)) {
            let (kind, detail) = match object.kind {
                ObjectKind::Table => (lsp::CompletionItemKind::Struct, "table".to_owned()),
                ObjectKind::View => (lsp::CompletionItemKind::Interface, "view".to_owned()),
                ObjectKind::Index => {
                    (lsp::CompletionItemKind::Reference, format!("index on `{}`", object.table))
                }
                ObjectKind::Trigger => {
                    (lsp::CompletionItemKind::Event, format!("trigger on `{}`", object.table))
                }
            };
            self.add(&quote_if_needed(&object.name), kind, &detail, 2);
        }
    }

    /// Adds what may follow a dot: the columns of a source, of a table that the statement does not read
    /// yet, or the tables of a schema.
    fn add_qualified(&mut self, sources: &RowSources<'_, '_>, schema: &Schema, cursor: usize) {
        let qualifier = sources.tokens.name(cursor - 2);
        let is_schema = cursor < 4 || !sources.tokens.preceded_by(cursor - 2, ".");
        match sources.source_named(cursor, &qualifier) {
            Some(source) => self.add_columns(&source),
            None if schema.contains_key(&ObjectKey::new(ObjectKind::Table, &qualifier)) => {
                self.add_columns(&sources.table(&qualifier, cursor));
            }
            None if is_schema && qualifier.eq_ignore_ascii_case("main") => {
                self.add_objects(schema, ROWS);
            }
            None => {}
        }
    }

    /// Adds the columns that need no qualifier, and the names that qualify them.
    fn add_sources(&mut self, sources: &RowSources<'_, '_>, cursor: usize) {
        for source in sources.levels(cursor).iter().flatten() {
            if source.access == Access::Plain {
                self.add_columns(source);
            }
            let is_table = source
                .object
                .as_ref()
                .is_some_and(|object| object.name.eq_ignore_ascii_case(&source.name));
            if !is_table && !source.name.is_empty() {
                let kind = lsp::CompletionItemKind::Variable;
                self.add(&quote_if_needed(&source.name), kind, "rows of this statement", 2);
            }
        }
    }

    fn add_columns(&mut self, source: &RowSource) {
        let owner = source.object.as_ref().map_or(&source.name, |object| &object.name);
        for column in source.columns.iter().filter(|column| !column.name.is_empty()) {
            let declared_type = column.origin.as_ref().and_then(|origin| {
                Some(origin.table.structure().column(&origin.name)?.declared_type.as_str())
            });
            let detail = format!("`{owner}` {}", declared_type.unwrap_or_default());
            let kind = lsp::CompletionItemKind::Field;
            self.add(&quote_if_needed(&column.name), kind, detail.trim_end(), 1);
        }
    }

    fn add_common_tables(&mut self, sources: &RowSources<'_, '_>, cursor: usize) {
        for name in sources.common_table_names(cursor) {
            let kind = lsp::CompletionItemKind::Struct;
            self.add(&quote_if_needed(&name), kind, "common table expression", 2);
        }
    }

    fn add_words(&mut self, snapshot: &Snapshot) {
        if self.quotes != Quotes::None {
            return;
        }
        for function in snapshot.settings.setup.extensions.functions() {
            let kind = lsp::CompletionItemKind::Function;
            self.add(&function.name, kind, "function of the application", 3);
        }
        for function in FUNCTIONS {
            self.add(function, lsp::CompletionItemKind::Function, "function", 4);
        }
        for name in TYPES {
            self.add(name, lsp::CompletionItemKind::TypeParameter, "type", 5);
        }
        for keyword in KEYWORDS {
            self.add(keyword, lsp::CompletionItemKind::Keyword, "keyword", 6);
        }
    }
}
