//! A schema made from rows that a server sent: the same values that pragmas tell of a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::schema::{
    Column, ForeignKey, Index, Object, ObjectKey, ObjectKind, Schema, Table, is_sqlite_name,
    is_tatmig_name,
};
use crate::sqld::hrana::{Rows, Value};

/// What to ask, in the order in which [`read`] takes the answers.
pub(crate) const INTROSPECTION_QUERIES: [&str; 5] = [
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
pub(crate) const TABLE_INTROSPECTION_QUERIES: [&str; 2] = [
    "SELECT ?1, name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid",
    "SELECT ?1, id, \"table\", \"from\", \"to\", on_update, on_delete \
     FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq",
];

/// A schema, and of each table (lower case) the columns of its whole unique indexes, SQLite's own
/// ones included.
#[derive(Debug, Default)]
pub(crate) struct RemoteSchema {
    pub(crate) schema: Schema,
    /// Every table's structure, tatmig's and SQLite's own included, by its name in lower case.
    pub(crate) tables: BTreeMap<String, (String, Table)>,
    pub(crate) unique_keys: BTreeMap<String, Vec<Vec<String>>>,
}

/// Reads the answers to [`INTROSPECTION_QUERIES`].
pub(crate) fn read(results: [&Rows; 5]) -> RemoteSchema {
    let [objects, columns, keys, indexes, index_columns] = results;
    let mut remote = RemoteSchema::default();
    for row in columns {
        let name = text_value(row, 0);
        let entry = remote.tables.entry(name.to_ascii_lowercase());
        entry.or_insert_with(|| (name, Table::default())).1.columns.push(column_from_row(row));
    }
    let mut by_table: BTreeMap<String, Vec<&Vec<Value>>> = BTreeMap::new();
    for row in keys {
        by_table.entry(text_value(row, 0).to_ascii_lowercase()).or_default().push(row);
    }
    for (table, rows) in by_table {
        if let Some((_, table)) = remote.tables.get_mut(&table) {
            table.foreign_keys = foreign_keys_from_rows(&rows);
        }
    }
    let mut indexes_by_name: BTreeMap<String, Index> = BTreeMap::new();
    for row in indexes {
        let index = Index {
            is_unique: bool_value(row, 2),
            is_partial: bool_value(row, 3),
            columns: Vec::new(),
        };
        indexes_by_name.insert(text_value(row, 1).to_ascii_lowercase(), index);
    }
    for row in index_columns {
        if let Some(index) = indexes_by_name.get_mut(&text_value(row, 0).to_ascii_lowercase()) {
            let name = row.get(1).and_then(Value::to_text);
            index.columns.push((
                name.map(|name| name.to_ascii_lowercase()),
                bool_value(row, 2),
                text_value(row, 3).to_ascii_lowercase(),
            ));
        }
    }
    for row in indexes {
        let index = &indexes_by_name[&text_value(row, 1).to_ascii_lowercase()];
        let names: Option<Vec<String>> =
            index.columns.iter().map(|(name, ..)| name.clone()).collect();
        if let (true, false, Some(names)) = (index.is_unique, index.is_partial, names) {
            remote
                .unique_keys
                .entry(text_value(row, 0).to_ascii_lowercase())
                .or_default()
                .push(names);
        }
    }
    for row in objects {
        let (kind, name) = (ObjectKind::parse(&text_value(row, 0)), text_value(row, 1));
        let Some(kind) = kind.filter(|_| !is_tatmig_name(&name) && !is_sqlite_name(&name)) else {
            continue;
        };
        let lowercase_name = name.to_ascii_lowercase();
        let (mut structure, mut index) = (Table::default(), None);
        match kind {
            ObjectKind::Table => {
                structure =
                    remote.tables.get(&lowercase_name).map(|(_, t)| t.clone()).unwrap_or_default();
            }
            ObjectKind::Index => index = indexes_by_name.get(&lowercase_name).cloned(),
            ObjectKind::View | ObjectKind::Trigger => {}
        }
        let (table, sql) = (text_value(row, 2), text_value(row, 3));
        let object = Object { kind, name, table, sql, structure, index };
        remote.schema.insert(ObjectKey::new(object.kind, &object.name), Arc::new(object));
    }
    remote
}

/// Reads the answers to [`TABLE_INTROSPECTION_QUERIES`].
pub(crate) fn table_from_rows(columns: &Rows, keys: &Rows) -> Table {
    let rows: Vec<&Vec<Value>> = keys.iter().collect();
    Table {
        columns: columns.iter().map(|row| column_from_row(row)).collect(),
        foreign_keys: foreign_keys_from_rows(&rows),
    }
}

fn column_from_row(row: &[Value]) -> Column {
    Column {
        name: text_value(row, 1),
        declared_type: text_value(row, 2),
        not_null: bool_value(row, 3),
        default: row.get(4).and_then(Value::to_text),
        primary_key_position: integer_value(row, 5),
        hidden: integer_value(row, 6),
    }
}

/// The keys of one table, whose rows stand in the order of declaration.
fn foreign_keys_from_rows(rows: &[&Vec<Value>]) -> Vec<ForeignKey> {
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for row in rows {
        let id = integer_value(row, 1);
        if keys.last().is_none_or(|(last_id, _)| *last_id != id) {
            keys.push((
                id,
                ForeignKey {
                    columns: Vec::new(),
                    parent: text_value(row, 2),
                    parent_columns: Vec::new(),
                    on_update: text_value(row, 5),
                    on_delete: text_value(row, 6),
                },
            ));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(text_value(row, 3));
            key.parent_columns.extend(row.get(4).and_then(Value::to_text));
        }
    }
    keys.into_iter().map(|(_, key)| key).collect()
}

fn text_value(row: &[Value], column: usize) -> String {
    row.get(column).and_then(Value::to_text).unwrap_or_default()
}

fn integer_value(row: &[Value], column: usize) -> i64 {
    row.get(column).and_then(Value::as_integer).unwrap_or_default()
}

fn bool_value(row: &[Value], column: usize) -> bool {
    integer_value(row, column) != 0
}
