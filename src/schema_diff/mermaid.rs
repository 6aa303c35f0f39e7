//! Renders a schema as a Mermaid entity relationship diagram: tables with their columns, keys and
//! indexes, foreign keys as lines, and views with dotted lines to the tables that they read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::schema::{ForeignKey, Object, ObjectKey, ObjectKind, Schema};
use crate::schema_diff::statement;
use crate::sql::key_term::{KeyValue, plain_columns};
use crate::sql::table_definition::TableDefinition;
use crate::sql::tokens::Tokens;

/// Renders the tables and views of a schema.
pub(crate) fn render(schema: &Schema) -> String {
    let mut out = "erDiagram\n".to_owned();
    let tables = statement::sort_by_dependency(
        schema.values().filter(|object| object.kind == ObjectKind::Table),
    );
    // Tables without relationships come last: the lines of the diagram need not avoid them.
    let is_unconnected = |table: &Object| {
        let refers = |child: &Object, other: &str| {
            child.structure().foreign_keys.iter().any(|key| key.parent.eq_ignore_ascii_case(other))
        };
        table.structure().foreign_keys.is_empty()
            && !tables.iter().any(|other| refers(other, &table.name))
    };
    let (unconnected, mut tables): (Vec<_>, Vec<_>) =
        tables.iter().copied().partition(|table| is_unconnected(table));
    tables.extend(unconnected);
    for table in &tables {
        write_entity(schema, table, &mut out);
    }
    for table in &tables {
        for key in &table.structure().foreign_keys {
            write_relationship(schema, table, key, &mut out);
        }
    }
    write_views(schema, &mut out);
    out
}

/// Writes each view as an entity without columns, and a dotted line from each table and view that it
/// mentions.
fn write_views(schema: &Schema, out: &mut String) {
    let of_kind = |kind| schema.values().filter(move |object| object.kind == kind);
    let views = statement::sort_by_dependency(of_kind(ObjectKind::View));
    for view in &views {
        let label = escape_label(&format!("{} (view)", view.name));
        let _ = writeln!(out, "    {}[\"{label}\"]", entity_name(&view.name));
    }
    for view in &views {
        let sources = of_kind(ObjectKind::Table).chain(of_kind(ObjectKind::View));
        let is_read = |source: &&Arc<Object>| {
            source.name != view.name
                && statement::mentions(view, &BTreeSet::from([source.name.to_ascii_lowercase()]))
        };
        for source in sources.filter(is_read) {
            let (source, view) = (entity_name(&source.name), entity_name(&view.name));
            let _ = writeln!(out, "    {source} ||..o{{ {view} : \"read by\"");
        }
    }
}

fn write_entity(schema: &Schema, table: &Object, out: &mut String) {
    let unique_names = unique_columns(schema, table);
    let columns: Vec<_> =
        table.structure().columns.iter().filter(|column| column.hidden != 1).collect();
    if columns.is_empty() {
        let _ = writeln!(out, "    {}", entity_name(&table.name));
        return;
    }
    let _ = writeln!(out, "    {} {{", entity_name(&table.name));
    for column in columns {
        let lowercase_name = column.name.to_ascii_lowercase();
        let mut key_marks = Vec::new();
        if column.primary_key_position > 0 {
            key_marks.push("PK");
        }
        let includes_column = |key: &ForeignKey| {
            key.columns.iter().any(|key_column| key_column.eq_ignore_ascii_case(&column.name))
        };
        if table.structure().foreign_keys.iter().any(includes_column) {
            key_marks.push("FK");
        }
        if unique_names.contains(&lowercase_name) {
            key_marks.push("UK");
        }
        let attribute_name = attribute_word(&column.name);
        let attribute_type = if column.declared_type.is_empty() {
            "any".to_owned()
        } else {
            attribute_word(&column.declared_type)
        };
        let _ = write!(out, "        {attribute_type} {attribute_name}");
        if !key_marks.is_empty() {
            let _ = write!(out, " {}", key_marks.join(", "));
        }
        let mut comments = Vec::new();
        if attribute_name != column.name {
            comments.push(column.name.clone());
        }
        if column.not_null {
            comments.push("NOT NULL".to_owned());
        }
        comments.extend(indexes_of_column(schema, table, &lowercase_name));
        if !comments.is_empty() {
            let _ = write!(out, " \"{}\"", escape_label(&comments.join(", ")));
        }
        out.push('\n');
    }
    out.push_str("    }\n");
}

/// The indexes that include a column, which is given in lower case, each as `index name`. An index
/// that only makes the column unique is shown as `UK`.
fn indexes_of_column(schema: &Schema, table: &Object, column: &str) -> Vec<String> {
    let is_of_table = |object: &&Arc<Object>| {
        object.kind == ObjectKind::Index && object.table.eq_ignore_ascii_case(&table.name)
    };
    let indexes = schema.values().filter(is_of_table).filter_map(|index| {
        let definition = index.index_definition()?;
        let mut terms = definition.terms.iter();
        let includes_column = terms.any(|term| match &term.value {
            KeyValue::Column(name) => name.eq_ignore_ascii_case(column),
            KeyValue::Expression(text) => {
                let tokens = Tokens::new(text);
                (0..tokens.len()).any(|token| tokens.is_name(token, column))
            }
        });
        let is_key = index.unique_column().is_some();
        let kind = if definition.is_unique { "unique index" } else { "index" };
        (includes_column && !is_key).then(|| format!("{kind} {}", index.name))
    });
    indexes.collect()
}

fn write_relationship(schema: &Schema, table: &Object, key: &ForeignKey, out: &mut String) {
    let definition = TableDefinition::parse(&table.sql);
    let is_required = key.columns.iter().all(|name| {
        table.structure().column(name).is_some_and(|column| {
            column.not_null || column.primary_key_position > 0 && definition.rowid_alias().is_some()
        })
    });
    let columns: BTreeSet<String> =
        key.columns.iter().map(|name| name.to_ascii_lowercase()).collect();
    let primary_key: BTreeSet<String> =
        table.structure().primary_key().iter().map(|name| name.to_ascii_lowercase()).collect();
    let is_one_to_one = primary_key == columns
        || definition
            .constraints
            .unique_keys
            .iter()
            .filter_map(|key| plain_columns(&key.terms))
            .any(|unique| unique.into_iter().collect::<BTreeSet<_>>() == columns)
        || columns.len() == 1
            && unique_columns(schema, table).iter().any(|unique| columns.contains(unique));
    let parent_end = if is_required { "||" } else { "|o" };
    let child_end = if is_one_to_one { "o|" } else { "o{" };
    // Mermaid draws a missing parent table too, without columns.
    let parent = schema
        .get(&ObjectKey::new(ObjectKind::Table, &key.parent))
        .map_or(key.parent.as_str(), |object| object.name.as_str());
    let _ = writeln!(
        out,
        "    {} {parent_end}--{child_end} {} : \"{}\"",
        entity_name(parent),
        entity_name(&table.name),
        escape_label(&key.columns.join(", "))
    );
}

/// The columns that are unique by themselves, in lower case, without those of the primary key.
fn unique_columns(schema: &Schema, table: &Object) -> BTreeSet<String> {
    let definition = TableDefinition::parse(&table.sql);
    let unique_constraints =
        definition.constraints.unique_keys.into_iter().filter_map(|key| {
            plain_columns(&key.terms).filter(|columns| columns.len() == 1)?.pop()
        });
    let indexes = schema.values().filter(|object| object.table.eq_ignore_ascii_case(&table.name));
    unique_constraints.chain(indexes.filter_map(|index| index.unique_column())).collect()
}

/// A table's name, in quotes if Mermaid could not parse it otherwise.
fn entity_name(name: &str) -> String {
    const RESERVED_WORDS: &[&str] = &[
        "accdescr",
        "acctitle",
        "class",
        "classdef",
        "direction",
        "end",
        "erdiagram",
        "many",
        "one",
        "only",
        "optionally",
        "style",
        "subgraph",
        "title",
        "to",
        "u",
        "zero",
    ];
    let is_plain = name.starts_with(|character: char| character.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        && !RESERVED_WORDS.contains(&name.to_ascii_lowercase().as_str());
    if is_plain { name.to_owned() } else { format!("\"{}\"", escape_label(name)) }
}

/// A type or a column name as Mermaid's grammar requires: a letter, then letters, digits, `_` and
/// parentheses.
fn attribute_word(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.trim().chars() {
        match character {
            c if c.is_ascii_alphanumeric() || "_()".contains(c) => out.push(c),
            // `DECIMAL(10, 2)`: the space after the comma adds nothing.
            ' ' if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    let is_key_mark = ["pk", "fk", "uk"].contains(&out.to_ascii_lowercase().as_str());
    let is_plain =
        out.starts_with(|character: char| character.is_ascii_alphabetic()) && !is_key_mark;
    if is_plain { out } else { format!("c_{out}") }
}

/// Text for a label in double quotes.
fn escape_label(text: &str) -> String {
    let is_unsafe = |character: char| character.is_control() || "\"\\%{}<>;#`".contains(character);
    let text: String =
        text.chars().map(|character| if is_unsafe(character) { '_' } else { character }).collect();
    if text.trim().is_empty() { "_".to_owned() } else { text }
}
