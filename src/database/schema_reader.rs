//! Reads the schema of a database: the rows of `sqlite_schema`, and what SQLite's pragma functions
//! report of tables and indexes. The functions take names as values, so that one set of queries
//! serves every database.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::database::session::{Query, Session};
use crate::schema::{
    Column, ForeignKey, Index, Object, ObjectKey, ObjectKind, Schema, Table, is_sqlite_name,
    is_tatmig_name,
};
use crate::sql::value::{Row, Rows, SqlValue};

/// The queries for a whole schema. [`structure_from_rows`] takes their results in this order.
pub(crate) const STRUCTURE_QUERIES: [&str; 4] = [
    "SELECT type, name, tbl_name, sql FROM sqlite_schema",
    "SELECT m.name, x.name, x.type, x.\"notnull\", x.dflt_value, x.pk, x.hidden \
     FROM sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type = 'table' \
     ORDER BY m.rowid, x.cid",
    FOREIGN_KEYS_QUERY,
    "SELECT m.name, l.name, l.\"unique\", l.partial, x.name, x.\"desc\", x.coll \
     FROM sqlite_schema m, pragma_index_list(m.name) l, pragma_index_xinfo(l.name) x \
     WHERE m.type = 'table' AND x.key ORDER BY m.rowid, l.name, x.seqno",
];

/// The foreign keys of every table, in the order of their declaration.
const FOREIGN_KEYS_QUERY: &str = "\
SELECT m.name, x.id, x.\"table\", x.\"from\", x.\"to\", x.on_update, x.on_delete \
FROM sqlite_schema m, pragma_foreign_key_list(m.name) x \
WHERE m.type = 'table' AND m.sql LIKE '%references%' ORDER BY m.name, x.id DESC, x.seq";

/// The queries for one table, whose name is parameter 1. [`table_from_rows`] takes their results
/// in this order.
pub(crate) const TABLE_QUERIES: [&str; 2] = [
    "SELECT ?1, name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)",
    "SELECT ?1, id, \"table\", \"from\", \"to\", on_update, on_delete \
     FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq",
];

/// The columns of each unique index that covers every row of a table, SQLite's own indexes
/// included. The table's name is parameter 1.
const UNIQUE_KEYS_QUERY: &str = "\
SELECT l.name, x.name FROM pragma_index_list(?1) l, pragma_index_xinfo(l.name) x \
WHERE l.\"unique\" AND NOT l.partial AND x.key ORDER BY l.name, x.seqno";

/// The query for one index: its table's name is parameter 1, its own name is parameter 2.
const INDEX_QUERY: &str = "\
SELECT ?1, l.name, l.\"unique\", l.partial, x.name, x.\"desc\", x.coll \
FROM pragma_index_list(?1) l, pragma_index_xinfo(l.name) x \
WHERE l.name = ?2 COLLATE NOCASE AND x.key ORDER BY x.seqno";

/// A table, and the columns of each unique index that covers all of its rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableWithKeys {
    pub(crate) name: String,
    pub(crate) table: Table,
    pub(crate) unique_keys: Vec<Vec<String>>,
}

/// A schema with the structure of every table, tatmig's own and SQLite's own included.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    pub(crate) schema: Schema,
    /// Tables by their names in lower case.
    pub(crate) tables: BTreeMap<String, TableWithKeys>,
}

/// Reads the whole schema of a database.
pub(crate) fn read_schema<S: Session>(session: &S) -> Result<Schema, S::Error> {
    let results = session.query_each(&STRUCTURE_QUERIES.map(Query::new))?;
    Ok(structure_from_rows(results).schema)
}

/// Builds a schema from the results of [`STRUCTURE_QUERIES`]. Missing results count as empty.
pub(crate) fn structure_from_rows(results: Vec<Rows>) -> Structure {
    let mut results = results.into_iter();
    let [objects, columns, foreign_keys, index_columns] =
        std::array::from_fn(|_| results.next().unwrap_or_default());
    let mut tables = tables_from_rows(&columns, &foreign_keys);
    let mut indexes: BTreeMap<String, Index> = BTreeMap::new();
    for rows in index_columns.chunk_by(|left, right| left.value(1) == right.value(1)) {
        let index = index_from_rows(rows);
        if let Some(columns) = index.unique_columns()
            && let Some(table) = tables.get_mut(&rows[0].text(0).to_ascii_lowercase())
        {
            table.unique_keys.push(columns);
        }
        indexes.insert(rows[0].text(1).to_ascii_lowercase(), index);
    }
    let mut schema = Schema::new();
    for mut object in objects.into_iter().filter_map(object_from_row) {
        let key = object.key();
        match object.kind {
            ObjectKind::Table => {
                object.structure =
                    tables.get(key.name()).map(|found| found.table.clone()).unwrap_or_default();
            }
            ObjectKind::Index => object.index = indexes.get(key.name()).cloned(),
            ObjectKind::View | ObjectKind::Trigger => {}
        }
        schema.insert(key, Arc::new(object));
    }
    Structure { schema, tables }
}

/// All tables by their names in lower case, without their unique keys.
fn tables_from_rows(columns: &Rows, foreign_keys: &Rows) -> BTreeMap<String, TableWithKeys> {
    let mut tables: BTreeMap<String, TableWithKeys> = BTreeMap::new();
    for rows in columns.chunk_by(|left, right| left.value(0) == right.value(0)) {
        let name = rows[0].text(0);
        let columns = rows.iter().map(column_from_row).collect();
        let table = Table { columns, foreign_keys: Vec::new() };
        let key = name.to_ascii_lowercase();
        tables.insert(key, TableWithKeys { name, table, unique_keys: Vec::new() });
    }
    for (name, keys) in foreign_keys_by_table(foreign_keys) {
        if let Some(found) = tables.get_mut(&name.to_ascii_lowercase()) {
            found.table.foreign_keys = keys;
        }
    }
    tables
}

/// Reads the columns and foreign keys of a table. A table that does not exist has no columns.
pub(crate) fn read_table<S: Session>(session: &S, name: &str) -> Result<Table, S::Error> {
    let results = session.query_each(&TABLE_QUERIES.map(|sql| Query::with_text(sql, name)))?;
    Ok(table_from_rows(&results[0], &results[1]))
}

/// Builds a table from the results of [`TABLE_QUERIES`].
pub(crate) fn table_from_rows(columns: &Rows, foreign_keys: &Rows) -> Table {
    Table {
        columns: columns.iter().map(column_from_row).collect(),
        foreign_keys: foreign_keys_by_table(foreign_keys)
            .pop()
            .map(|(_, keys)| keys)
            .unwrap_or_default(),
    }
}

/// Reads tables with their unique keys, in one transaction. A table that does not exist has no
/// columns. Foreign keys are not read.
pub(crate) fn read_tables_with_keys<S: Session>(
    session: &S,
    names: &[&str],
) -> Result<Vec<TableWithKeys>, S::Error> {
    let queries: Vec<Query<'_>> = names
        .iter()
        .flat_map(|name| {
            [TABLE_QUERIES[0], UNIQUE_KEYS_QUERY].map(|sql| Query::with_text(sql, name))
        })
        .collect();
    let results = session.query_each(&queries)?;
    let tables = names.iter().zip(results.chunks_exact(2)).map(|(name, results)| TableWithKeys {
        name: (*name).to_owned(),
        table: table_from_rows(&results[0], &Rows::new()),
        unique_keys: unique_keys_from_rows(&results[1]),
    });
    Ok(tables.collect())
}

/// Builds the keys from the results of [`UNIQUE_KEYS_QUERY`], without those over an expression.
fn unique_keys_from_rows(rows: &Rows) -> Vec<Vec<String>> {
    rows.chunk_by(|left, right| left.value(0) == right.value(0))
        .filter_map(|columns| {
            let names = columns.iter().map(|row| row.optional_text(1));
            names.map(|name| Some(name?.to_ascii_lowercase())).collect()
        })
        .collect()
}

/// Reads the foreign keys of every table that has some, by name.
pub(crate) fn read_foreign_keys<S: Session>(
    session: &S,
) -> Result<Vec<(String, Vec<ForeignKey>)>, S::Error> {
    Ok(foreign_keys_by_table(&session.query(FOREIGN_KEYS_QUERY, &[])?))
}

/// Reads the wanted objects of `sqlite_schema`, without what pragma functions report of them.
pub(crate) fn read_objects<S: Session>(
    session: &S,
    is_wanted: impl Fn(&ObjectKey) -> bool,
) -> Result<BTreeMap<ObjectKey, Object>, S::Error> {
    let rows = session.query(STRUCTURE_QUERIES[0], &[])?;
    let objects = rows.into_iter().filter_map(object_from_row).map(|object| (object.key(), object));
    Ok(objects.filter(|(key, _)| is_wanted(key)).collect())
}

/// Builds an object from a row of `SELECT type, name, tbl_name, sql FROM sqlite_schema`, without
/// what pragma functions report of it. Returns none for tatmig's own and SQLite's own objects.
pub(crate) fn object_from_row(mut row: Row) -> Option<Object> {
    let (kind, name) = (ObjectKind::parse(row.value(0).as_text()?)?, row.take_text(1));
    if is_tatmig_name(&name) || is_sqlite_name(&name) {
        return None;
    }
    let (table, sql) = (row.take_text(2), row.take_text(3));
    Some(Object { kind, name, table, sql, structure: Table::default(), index: None })
}

/// Adds to an object what pragma functions report of it.
pub(crate) fn with_details<S: Session>(
    session: &S,
    mut object: Object,
) -> Result<Object, S::Error> {
    match object.kind {
        ObjectKind::Table => {
            object.structure = if may_have_foreign_keys(&object.sql) {
                read_table(session, &object.name)?
            } else {
                let name = SqlValue::from_text(&object.name);
                table_from_rows(&session.query(TABLE_QUERIES[0], &[name])?, &Rows::new())
            };
        }
        ObjectKind::Index => {
            object.index = Some(read_index(session, &object.table, &object.name)?);
        }
        ObjectKind::View | ObjectKind::Trigger => {}
    }
    Ok(object)
}

/// Whether a CREATE TABLE statement can declare a foreign key: each has the keyword REFERENCES.
/// A table without it costs one query less, and lint reads a table after each statement.
fn may_have_foreign_keys(sql: &str) -> bool {
    const KEYWORD: &[u8] = b"references";
    sql.as_bytes().windows(KEYWORD.len()).any(|window| window.eq_ignore_ascii_case(KEYWORD))
}

fn read_index<S: Session>(session: &S, table: &str, name: &str) -> Result<Index, S::Error> {
    let rows = session.query(INDEX_QUERY, &[table, name].map(SqlValue::from_text))?;
    Ok(index_from_rows(&rows))
}

/// Builds an index from its rows, one for each of its columns.
fn index_from_rows(rows: &[Row]) -> Index {
    let columns = rows.iter().map(|row| {
        let name = row.optional_text(4).map(|name| name.to_ascii_lowercase());
        (name, row.is_true(5), row.text(6).to_ascii_lowercase())
    });
    let first = rows.first();
    Index {
        is_unique: first.is_some_and(|row| row.is_true(2)),
        is_partial: first.is_some_and(|row| row.is_true(3)),
        columns: columns.collect(),
    }
}

fn column_from_row(row: &Row) -> Column {
    Column {
        name: row.text(1),
        declared_type: row.text(2),
        not_null: row.is_true(3),
        default: row.optional_text(4),
        primary_key_position: row.integer(5),
        hidden: row.integer(6),
    }
}

/// Groups the rows of foreign keys, which are ordered by table and by declaration. A key has one
/// row for each of its columns, all with the same id.
fn foreign_keys_by_table(rows: &Rows) -> Vec<(String, Vec<ForeignKey>)> {
    let tables = rows.chunk_by(|left, right| left.value(0) == right.value(0));
    tables
        .map(|rows| {
            let keys = rows.chunk_by(|left, right| left.value(1) == right.value(1));
            (rows[0].text(0), keys.map(foreign_key_from_rows).collect())
        })
        .collect()
}

fn foreign_key_from_rows(rows: &[Row]) -> ForeignKey {
    ForeignKey {
        columns: rows.iter().map(|row| row.text(3)).collect(),
        parent: rows[0].text(2),
        parent_columns: rows.iter().filter_map(|row| row.optional_text(4)).collect(),
        on_update: rows[0].text(5),
        on_delete: rows[0].text(6),
    }
}
