//! Completes SQL with the names that exist before the statement that is typed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use gen_lsp_types as lsp;

use crate::document::blocks::Block;
use crate::document::tag::{Scope, Tag};
use crate::edit::change::TextChange;
use crate::lsp::snapshot::Snapshot;
use crate::lsp::target::compared;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::keywords::{FUNCTIONS, KEYWORDS, TYPES};
use crate::sql::lexer;
use crate::sql::lexer::{TokenKind, quote_if_needed};

/// The collations that every SQLite has.
const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

/// What may be written at a place of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Objects(&'static [ObjectKind]),
    Collation,
    Anything,
}

/// The part of a statement before the place that is completed.
struct Typed {
    /// The tokens before the word that is typed, unquoted, in lower case.
    before: Vec<String>,
    /// The names of the whole statement, in lower case.
    names: BTreeSet<String>,
    /// The word that is typed, in the document.
    word: Range<usize>,
}

pub(crate) fn sql_items(
    snapshot: &Snapshot,
    block: &Block<'_>,
    offset: usize,
) -> Vec<lsp::CompletionItem> {
    let Some(typed) = read_typed(snapshot, block, offset) else { return Vec::new() };
    let schema = schema_at(snapshot, block, typed.word.start);
    let mut list = ItemList { snapshot, word: typed.word.clone(), items: Vec::new() };
    if typed.before.last().is_some_and(|token| token == ".") {
        let qualifier = typed.before.iter().rev().nth(1).cloned().unwrap_or_default();
        list.add_columns_of(&schema, &typed, &qualifier);
        return list.items;
    }
    match expected(&typed.before) {
        Expected::Objects(kinds) => list.add_objects(&schema, kinds),
        Expected::Collation => {
            let declared = snapshot.settings.setup.extensions.collations();
            for name in COLLATIONS.into_iter().chain(declared.iter().map(String::as_str)) {
                list.add(name, lsp::CompletionItemKind::Constant, "collation", 0);
            }
        }
        Expected::Anything => {
            for name in &typed.names {
                list.add_columns(&schema, name);
            }
            let all = [ObjectKind::Table, ObjectKind::View, ObjectKind::Index, ObjectKind::Trigger];
            list.add_objects(&schema, &all);
            list.add_words(snapshot);
        }
    }
    list.items
}

/// Reads the statement around a place. `None` inside a comment or a string.
fn read_typed(snapshot: &Snapshot, block: &Block<'_>, offset: usize) -> Option<Typed> {
    let sql = &block.sql;
    let text = sql.text();
    // A planned migration is commented out, and is completed as SQL all the same.
    let commented = |text: &str| text.trim_start().starts_with("--");
    let line_start = snapshot.text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let is_commented = commented(&snapshot.text[line_start..offset]);
    let text = if is_commented { text.replace("\n--", "\n  ") } else { text.to_owned() };
    let text = if is_commented && commented(&text) { text.replacen("--", "  ", 1) } else { text };
    let mut typed = Typed { before: Vec::new(), names: BTreeSet::new(), word: offset..offset };
    let mut is_behind = false;
    for token in lexer::tokens(&text, 0) {
        let span = sql.document_span(token.range.clone());
        let content = &text[token.range.clone()];
        if token.kind == TokenKind::Semicolon {
            if span.end > offset {
                break;
            }
            typed.before.clear();
            typed.names.clear();
            continue;
        }
        let contains = span.start < offset && offset <= span.end;
        match token.kind {
            TokenKind::Comment if contains => return None,
            TokenKind::Quoted if contains && content.starts_with('\'') => return None,
            TokenKind::Whitespace | TokenKind::Comment => continue,
            TokenKind::Word | TokenKind::Quoted if contains => {
                typed.word = span.start..offset;
                is_behind = true;
                continue;
            }
            _ => {}
        }
        is_behind |= span.start >= offset;
        if matches!(token.kind, TokenKind::Word | TokenKind::Quoted) {
            typed.names.insert(compared(content));
        }
        if !is_behind {
            typed.before.push(compared(content));
        }
    }
    Some(typed)
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

/// What may follow the tokens before a place.
fn expected(before: &[String]) -> Expected {
    const TABLES: &[ObjectKind] = &[ObjectKind::Table];
    const ROWS: &[ObjectKind] = &[ObjectKind::Table, ObjectKind::View];
    let mut words = before.iter().rev().map(String::as_str).filter(|word| {
        // `DROP TABLE IF EXISTS`
        !matches!(*word, "if" | "exists" | "not")
    });
    let (last, before_last) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    match (before_last, last) {
        ("drop" | "alter", "table") | (_, "references") => Expected::Objects(TABLES),
        ("drop", "index") => Expected::Objects(&[ObjectKind::Index]),
        ("drop", "view") => Expected::Objects(&[ObjectKind::View]),
        ("drop", "trigger") => Expected::Objects(&[ObjectKind::Trigger]),
        (_, "from" | "join" | "into" | "update") => Expected::Objects(ROWS),
        // The table of an index or a trigger, not the condition of a join.
        (_, "on") if before.first().is_some_and(|word| word == "create") => Expected::Objects(ROWS),
        (_, "collate") => Expected::Collation,
        _ => Expected::Anything,
    }
}

struct ItemList<'s> {
    snapshot: &'s Snapshot,
    word: Range<usize>,
    items: Vec<lsp::CompletionItem>,
}

impl ItemList<'_> {
    fn add(&mut self, label: &str, kind: lsp::CompletionItemKind, detail: &str, rank: u8) {
        let range = self.snapshot.range(self.word.clone());
        let edit = lsp::TextEdit { range, new_text: label.to_owned() };
        self.items.push(lsp::CompletionItem {
            label: label.to_owned(),
            kind: Some(kind),
            detail: Some(detail.to_owned()),
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

    fn add_columns(&mut self, schema: &Schema, table: &str) {
        let Some(table) = schema.get(&ObjectKey::new(ObjectKind::Table, table)) else { return };
        for column in table.structure().columns.clone() {
            let detail = format!("`{}` {}", table.name, column.declared_type);
            self.add(
                &quote_if_needed(&column.name),
                lsp::CompletionItemKind::Field,
                detail.trim_end(),
                1,
            );
        }
    }

    /// Adds the columns of a table or of what a statement calls by another name.
    fn add_columns_of(&mut self, schema: &Schema, typed: &Typed, qualifier: &str) {
        let table: Option<&Arc<Object>> = schema.get(&ObjectKey::new(ObjectKind::Table, qualifier));
        match table {
            Some(_) => self.add_columns(schema, qualifier),
            // An alias: the columns of every table that the statement names.
            None => typed.names.iter().for_each(|name| self.add_columns(schema, name)),
        }
    }

    fn add_words(&mut self, snapshot: &Snapshot) {
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
