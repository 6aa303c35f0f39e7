//! Decides which tables get rows at a version: those that the version changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::job::CompiledScript;
use crate::schema::{Object, ObjectKind, Schema};
use crate::selftest::snapshot::find_table;
use crate::sql::lexer;

/// The tables to fill, in lower case, each with its columns that get values in existing rows.
pub(crate) type TablesToFill = BTreeMap<String, BTreeSet<String>>;

/// The tables that get rows after a migration: those that it creates, changes or empties, and those
/// whose triggers refer to an object that it changes.
pub(crate) fn tables_changed_by(
    script: &CompiledScript<'_>,
    schema_before: &Schema,
    schema_after: &Schema,
) -> TablesToFill {
    let mut tables = TablesToFill::new();
    let mut changed_names = BTreeSet::new();
    for (key, object) in &script.object_changes {
        changed_names.insert(key.name.clone());
        let Some(object) = object else { continue };
        let table = object.table.to_ascii_lowercase();
        if object.kind == ObjectKind::Table {
            let renames = &script.operations.table_renames;
            let before = find_table(schema_before, &renames.original_name(&key.name));
            tables.insert(key.name.clone(), changed_columns(object, before));
        } else if object.kind != ObjectKind::View {
            tables.entry(table).or_default();
        }
    }
    for name in &script.modified_tables {
        tables.entry(name.clone()).or_default();
    }
    let triggers = schema_after.values().filter(|object| object.kind == ObjectKind::Trigger);
    for trigger in triggers {
        if contains_name(&trigger.sql, &changed_names) {
            tables.entry(trigger.table.to_ascii_lowercase()).or_default();
        }
    }
    tables
}

/// The tables that a migration names or writes, and the tables that refer to one of them.
pub(crate) fn named_tables(script: &CompiledScript<'_>, schema: &Schema) -> TablesToFill {
    let mut names: BTreeSet<String> = script.modified_tables.clone();
    for statement in &script.statements {
        let text = statement.sql.text();
        let words = lexer::tokens(text, 0).filter(|token| {
            matches!(token.kind, lexer::TokenKind::Word | lexer::TokenKind::Quoted)
        });
        names.extend(words.map(|token| lexer::unquote(&text[token.range]).to_lowercase()));
    }
    let mut tables = TablesToFill::new();
    loop {
        let added: Vec<String> = schema
            .values()
            .filter(|object| object.kind == ObjectKind::Table)
            .map(|object| (object, object.name.to_ascii_lowercase()))
            .filter(|(object, name)| {
                let mut keys = object.structure().foreign_keys.iter();
                !tables.contains_key(name)
                    && (names.contains(name)
                        || keys.any(|key| tables.contains_key(&key.parent.to_ascii_lowercase())))
            })
            .map(|(_, name)| name)
            .collect();
        if added.is_empty() {
            return tables;
        }
        tables.extend(added.into_iter().map(|name| (name, BTreeSet::new())));
    }
}

/// Every table of a schema.
pub(crate) fn tables_of(schema: &Schema) -> TablesToFill {
    let tables = schema.values().filter(|object| object.kind == ObjectKind::Table);
    tables.map(|object| (object.name.to_ascii_lowercase(), BTreeSet::new())).collect()
}

/// The columns, in lower case, that a table did not have before, or had with another definition.
fn changed_columns(table: &Object, before: Option<&Object>) -> BTreeSet<String> {
    let Some(before) = before else { return BTreeSet::new() };
    let columns = table.structure().columns.iter().filter(|column| {
        let old = before.structure().column(&column.name);
        column.hidden == 0 && old.is_none_or(|old| !old.matches(column))
    });
    columns.map(|column| column.name.to_ascii_lowercase()).collect()
}

/// Whether a text contains one of some names in lower case.
fn contains_name(text: &str, names: &BTreeSet<String>) -> bool {
    lexer::tokens(text, 0).any(|token| {
        matches!(token.kind, lexer::TokenKind::Word | lexer::TokenKind::Quoted)
            && names.contains(&lexer::unquote(&text[token.range]).to_lowercase())
    })
}
