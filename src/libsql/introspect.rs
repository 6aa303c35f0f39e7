//! A schema made from rows that a server sent: the same values that pragmas tell of a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::schema::{
    Column, ForeignKey, Index, Key, Kind, Object, Schema, Table, is_internal, is_own,
};
use crate::sqld::hrana::{Rows, Value};

/// What to ask, in the order in which [`read`] takes the answers.
pub(crate) const QUESTIONS: [&str; 5] = [
    "SELECT type, name, tbl_name, sql FROM sqlite_schema",
    "SELECT m.name, x.name, x.type, x.\"notnull\", x.dflt_value, x.pk, x.hidden \
     FROM sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type = 'table' ORDER BY m.name, x.cid",
    "SELECT m.name, x.id, x.\"table\", x.\"from\", x.\"to\", x.on_update, x.on_delete \
     FROM sqlite_schema m, pragma_foreign_key_list(m.name) x \
     WHERE m.type = 'table' AND m.sql LIKE '%references%' ORDER BY m.name, x.id DESC, x.seq",
    "SELECT m.name, x.name, x.\"unique\", x.partial \
     FROM sqlite_schema m, pragma_index_list(m.name) x WHERE m.type = 'table'",
    "SELECT l.name, x.name, x.\"desc\", x.coll FROM sqlite_schema m, pragma_index_list(m.name) l, \
     pragma_index_xinfo(l.name) x WHERE m.type = 'table' AND x.key ORDER BY l.name, x.seqno",
];

/// What to ask of one table, in the order in which [`table`] takes the answers. The name is
/// argument 1.
pub(crate) const TABLE_QUESTIONS: [&str; 2] = [
    "SELECT ?1, name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid",
    "SELECT ?1, id, \"table\", \"from\", \"to\", on_update, on_delete \
     FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq",
];

/// A schema, and of each table (lower case) the columns of its whole unique indexes, SQLite's own
/// ones included.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) schema: Schema,
    /// Every table's structure, tatmig's and SQLite's own included, by its name in lower case.
    pub(crate) tables: BTreeMap<String, (String, Table)>,
    pub(crate) unique: BTreeMap<String, Vec<Vec<String>>>,
}

/// Reads the answers to [`QUESTIONS`].
pub(crate) fn read(answers: [&Rows; 5]) -> Told {
    let [objects, columns, keys, indexes, parts] = answers;
    let mut told = Told::default();
    for row in columns {
        let name = text(row, 0);
        let entry = told.tables.entry(name.to_ascii_lowercase());
        entry.or_insert_with(|| (name, Table::default())).1.columns.push(column(row));
    }
    let mut by_table: BTreeMap<String, Vec<&Vec<Value>>> = BTreeMap::new();
    for row in keys {
        by_table.entry(text(row, 0).to_ascii_lowercase()).or_default().push(row);
    }
    for (table, rows) in by_table {
        if let Some((_, table)) = told.tables.get_mut(&table) {
            table.foreign_keys = foreign_keys(&rows);
        }
    }
    let mut found: BTreeMap<String, Index> = BTreeMap::new();
    for row in indexes {
        let index = Index { unique: flag(row, 2), partial: flag(row, 3), columns: Vec::new() };
        found.insert(text(row, 1).to_ascii_lowercase(), index);
    }
    for row in parts {
        if let Some(index) = found.get_mut(&text(row, 0).to_ascii_lowercase()) {
            let name = row.get(1).and_then(Value::shown);
            index.columns.push((
                name.map(|name| name.to_ascii_lowercase()),
                flag(row, 2),
                text(row, 3).to_ascii_lowercase(),
            ));
        }
    }
    for row in indexes {
        let index = &found[&text(row, 1).to_ascii_lowercase()];
        let names: Option<Vec<String>> =
            index.columns.iter().map(|(name, ..)| name.clone()).collect();
        if let (true, false, Some(names)) = (index.unique, index.partial, names) {
            told.unique.entry(text(row, 0).to_ascii_lowercase()).or_default().push(names);
        }
    }
    for row in objects {
        let (kind, name) = (Kind::parse(&text(row, 0)), text(row, 1));
        let Some(kind) = kind.filter(|_| !is_own(&name) && !is_internal(&name)) else { continue };
        let low = name.to_ascii_lowercase();
        let (mut structure, mut index) = (Table::default(), None);
        match kind {
            Kind::Table => {
                structure = told.tables.get(&low).map(|(_, t)| t.clone()).unwrap_or_default();
            }
            Kind::Index => index = found.get(&low).cloned(),
            Kind::View | Kind::Trigger => {}
        }
        let (table, sql) = (text(row, 2), text(row, 3));
        let object = Object { kind, name, table, sql, structure, index };
        told.schema.insert(Key::new(object.kind, &object.name), Arc::new(object));
    }
    told
}

/// Reads the answers to [`TABLE_QUESTIONS`].
pub(crate) fn table(columns: &Rows, keys: &Rows) -> Table {
    let rows: Vec<&Vec<Value>> = keys.iter().collect();
    Table {
        columns: columns.iter().map(|row| column(row)).collect(),
        foreign_keys: foreign_keys(&rows),
    }
}

fn column(row: &[Value]) -> Column {
    Column {
        name: text(row, 1),
        declared_type: text(row, 2),
        not_null: flag(row, 3),
        default: row.get(4).and_then(Value::shown),
        primary_key: number(row, 5),
        hidden: number(row, 6),
    }
}

/// The keys of one table, whose rows stand in the order of declaration.
fn foreign_keys(rows: &[&Vec<Value>]) -> Vec<ForeignKey> {
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for row in rows {
        let id = number(row, 1);
        if keys.last().is_none_or(|(last, _)| *last != id) {
            keys.push((
                id,
                ForeignKey {
                    columns: Vec::new(),
                    parent: text(row, 2),
                    parent_columns: Vec::new(),
                    on_update: text(row, 5),
                    on_delete: text(row, 6),
                },
            ));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(text(row, 3));
            key.parent_columns.extend(row.get(4).and_then(Value::shown));
        }
    }
    keys.into_iter().map(|(_, key)| key).collect()
}

fn text(row: &[Value], at: usize) -> String {
    row.get(at).and_then(Value::shown).unwrap_or_default()
}

fn number(row: &[Value], at: usize) -> i64 {
    row.get(at).and_then(Value::integer).unwrap_or_default()
}

fn flag(row: &[Value], at: usize) -> bool {
    number(row, at) != 0
}
