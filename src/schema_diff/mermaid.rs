//! A schema as a Mermaid entity relationship diagram: tables with their columns and keys, and what
//! refers to what.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::schema::{ForeignKey, Key, Kind, Object, Schema};
use crate::schema_diff::statement;
use crate::sql::create_table::Definition;

/// Draws the tables of a schema.
pub(crate) fn draw(schema: &Schema) -> String {
    let mut out = "erDiagram\n".to_owned();
    let tables = statement::in_order(schema.values().filter(|object| object.kind == Kind::Table));
    // What stands alone is drawn aside, where no line has to lead around it.
    let is_alone = |table: &Object| {
        let refers = |one: &Object, other: &str| {
            one.structure.foreign_keys.iter().any(|key| key.parent.eq_ignore_ascii_case(other))
        };
        table.structure.foreign_keys.is_empty()
            && !tables.iter().any(|other| refers(other, &table.name))
    };
    let (alone, mut tables): (Vec<_>, Vec<_>) =
        tables.iter().copied().partition(|table| is_alone(table));
    tables.extend(alone);
    for table in &tables {
        entity(schema, table, &mut out);
    }
    for table in &tables {
        for key in &table.structure.foreign_keys {
            relation(schema, (table, key), &mut out);
        }
    }
    out
}

fn entity(schema: &Schema, table: &Object, out: &mut String) {
    let unique = unique_columns(schema, table);
    let columns: Vec<_> =
        table.structure.columns.iter().filter(|column| column.hidden != 1).collect();
    if columns.is_empty() {
        let _ = writeln!(out, "    {}", name(&table.name));
        return;
    }
    let _ = writeln!(out, "    {} {{", name(&table.name));
    for column in columns {
        let lower = column.name.to_ascii_lowercase();
        let mut marks = Vec::new();
        if column.primary_key > 0 {
            marks.push("PK");
        }
        let refers =
            |key: &ForeignKey| key.columns.iter().any(|c| c.eq_ignore_ascii_case(&column.name));
        if table.structure.foreign_keys.iter().any(refers) {
            marks.push("FK");
        }
        if unique.contains(&lower) {
            marks.push("UK");
        }
        let word = crate::schema_diff::mermaid::word(&column.name);
        let declared = if column.declared_type.is_empty() {
            "any".to_owned()
        } else {
            crate::schema_diff::mermaid::word(&column.declared_type)
        };
        let _ = write!(out, "        {declared} {word}");
        if !marks.is_empty() {
            let _ = write!(out, " {}", marks.join(", "));
        }
        if word != column.name {
            let _ = write!(out, " \"{}\"", label(&column.name));
        }
        out.push('\n');
    }
    out.push_str("    }\n");
}

fn relation(schema: &Schema, (table, key): (&Object, &ForeignKey), out: &mut String) {
    let definition = Definition::read(&table.sql);
    let required = key.columns.iter().all(|name| {
        table.structure.column(name).is_some_and(|column| {
            column.not_null || column.primary_key > 0 && definition.row_id().is_some()
        })
    });
    let columns: BTreeSet<String> =
        key.columns.iter().map(|name| name.to_ascii_lowercase()).collect();
    let primary: BTreeSet<String> =
        table.structure.primary_key().iter().map(|name| name.to_ascii_lowercase()).collect();
    let at_most_one = primary == columns
        || definition
            .constraints
            .unique
            .iter()
            .any(|(unique, _)| unique.iter().cloned().collect::<BTreeSet<_>>() == columns)
        || columns.len() == 1
            && unique_columns(schema, table).iter().any(|unique| columns.contains(unique));
    let parent_end = if required { "||" } else { "|o" };
    let child_end = if at_most_one { "o|" } else { "o{" };
    // A table that is not there is drawn all the same, without columns.
    let parent = schema
        .get(&Key::new(Kind::Table, &key.parent))
        .map_or(key.parent.as_str(), |object| object.name.as_str());
    let _ = writeln!(
        out,
        "    {} {parent_end}--{child_end} {} : \"{}\"",
        name(parent),
        name(&table.name),
        label(&key.columns.join(", "))
    );
}

/// The columns, in lower case, in which no two rows are alike, the primary key aside.
fn unique_columns(schema: &Schema, table: &Object) -> BTreeSet<String> {
    let definition = Definition::read(&table.sql);
    let declared = definition
        .constraints
        .unique
        .into_iter()
        .filter_map(|(mut columns, _)| if columns.len() == 1 { columns.pop() } else { None });
    let indexes = schema.values().filter(|object| object.table.eq_ignore_ascii_case(&table.name));
    declared.chain(indexes.filter_map(|index| index.unique_column().map(str::to_owned))).collect()
}

/// A table's name; in quotes where Mermaid would stumble over it.
fn name(name: &str) -> String {
    const TAKEN: &[&str] = &[
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
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !TAKEN.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { format!("\"{}\"", label(name)) }
}

/// A type or a column's name as Mermaid reads one: a letter, then letters, digits, `_` and brackets.
fn word(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            c if c.is_ascii_alphanumeric() || "_()".contains(c) => out.push(c),
            // `DECIMAL(10, 2)`: the blank behind the comma says nothing.
            ' ' if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    let marks = ["pk", "fk", "uk"].contains(&out.to_ascii_lowercase().as_str());
    let plain = out.starts_with(|c: char| c.is_ascii_alphabetic()) && !marks;
    if plain { out } else { format!("c_{out}") }
}

/// Text between double quotes.
fn label(text: &str) -> String {
    let odd = |c: char| c.is_control() || "\"\\%{}<>;#`".contains(c);
    let text: String = text.chars().map(|c| if odd(c) { '_' } else { c }).collect();
    if text.trim().is_empty() { "_".to_owned() } else { text }
}
