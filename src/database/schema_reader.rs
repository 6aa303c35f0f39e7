//! Reads the schema of a database from `sqlite_schema`. SQLite itself is asked only for the columns
//! of virtual tables, which their SQL does not show; if their module is missing, they have none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::database::session::{Query, Session, SessionError};
use crate::schema::{
    Column, ForeignKey, Object, ObjectKey, ObjectKind, Schema, Table, add_table_collations,
    is_sqlite_name, is_tatmig_name, shadow_tables,
};
use crate::sql::key_term::plain_columns;
use crate::sql::value::{Row, Rows, SqlValue};

/// The query for a whole schema. [`schema_from_rows`] takes its result.
pub(crate) const SCHEMA_QUERY: &str = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema";

/// The query for one table, whose name is parameter 1. [`table_from_rows`] takes its result.
pub(crate) const TABLE_QUERY: &str = "\
SELECT type, name, tbl_name, sql FROM main.sqlite_schema \
WHERE type = 'table' AND name = ?1 COLLATE NOCASE";

/// A table or view and its indexes. Its name is parameter 1.
const TABLE_AND_INDEXES_QUERY: &str = "\
SELECT type, name, tbl_name, sql FROM main.sqlite_schema \
WHERE type IN ('table', 'view', 'index') AND tbl_name = ?1 COLLATE NOCASE";

/// The tables that may declare a foreign key.
const FOREIGN_KEYS_QUERY: &str = "\
SELECT type, name, tbl_name, sql FROM main.sqlite_schema \
WHERE type = 'table' AND sql LIKE '%references%' ORDER BY name";

const VIRTUAL_COLUMNS_QUERY: &str = "\
SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')";

/// A table, and the columns of each unique index that covers all of its rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableWithKeys {
    pub(crate) table: Table,
    pub(crate) unique_keys: Vec<Vec<String>>,
    /// Whether the primary key compares a column with another collation than the table.
    pub(crate) has_collated_primary_key: bool,
    /// Whether the name is that of a view or a virtual table, of which no column is unique.
    pub(crate) has_no_keys: bool,
}

impl TableWithKeys {
    /// Finds a table and its unique keys among the objects of a schema. A table that does not exist
    /// has no columns.
    pub(crate) fn find<'o>(name: &str, objects: impl Iterator<Item = &'o Object>) -> Self {
        let mut found = Self::default();
        for object in objects.filter(|object| object.table.eq_ignore_ascii_case(name)) {
            match (object.kind, object.table_definition()) {
                (ObjectKind::Table, Some(definition)) => {
                    found.table = object.structure().clone();
                    let constraints = &definition.constraints;
                    let keys = constraints.unique_keys.iter();
                    found.unique_keys.extend(keys.filter_map(|key| plain_columns(&key.terms)));
                    found.has_collated_primary_key =
                        plain_columns(&constraints.primary_key).is_none();
                }
                (ObjectKind::Table | ObjectKind::View, _) => found.has_no_keys = true,
                (ObjectKind::Index, _) => found.unique_keys.extend(object.unique_key()),
                (ObjectKind::Trigger, _) => {}
            }
        }
        found
    }
}

/// Reads the whole schema of a database.
pub(crate) fn read_schema<S: Session>(session: &S) -> Result<Schema, S::Error> {
    let mut schema = schema_from_rows(session.query(SCHEMA_QUERY, &[])?);
    for object in schema.values_mut().filter(|object| object.is_virtual_table()) {
        let mut with_columns = Object::clone(object);
        with_columns.virtual_columns = read_virtual_columns(session, &object.name)?;
        *object = Arc::new(with_columns);
    }
    Ok(schema)
}

/// Builds a schema from the result of [`SCHEMA_QUERY`], without shadow tables and without the
/// columns of virtual tables.
pub(crate) fn schema_from_rows(rows: Rows) -> Schema {
    let objects = objects_from_rows(rows);
    let shadow_tables = shadow_tables(objects.iter());
    let objects = objects
        .into_iter()
        .filter(|object| !shadow_tables.contains(&object.table.to_ascii_lowercase()));
    objects.map(|object| (object.key(), Arc::new(object))).collect()
}

/// Reads a table. One that does not exist has no columns.
pub(crate) fn read_table<S: Session>(session: &S, name: &str) -> Result<Object, S::Error> {
    let rows = session.query(TABLE_QUERY, &[SqlValue::from_text(name)])?;
    with_virtual_columns(session, table_from_rows(name, rows))
}

/// Reads a table or view with its indexes and triggers. Empty if it does not exist.
pub(crate) fn read_table_objects<S: Session>(
    session: &S,
    name: &str,
) -> Result<Vec<Object>, S::Error> {
    const QUERY: &str = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema \
                         WHERE tbl_name = ?1 COLLATE NOCASE";
    let rows = session.query(QUERY, &[SqlValue::from_text(name)])?;
    let objects = objects_from_rows(rows).into_iter();
    objects.map(|object| with_virtual_columns(session, object)).collect()
}

/// Builds a table from the result of [`TABLE_QUERY`].
pub(crate) fn table_from_rows(name: &str, rows: Rows) -> Object {
    rows.into_iter().find_map(object_from_row).unwrap_or_else(|| {
        Object::new(ObjectKind::Table, name.to_owned(), name.to_owned(), String::new())
    })
}

/// Reads tables with their unique keys, in one transaction.
pub(crate) fn read_tables_with_keys<S: Session>(
    session: &S,
    names: &[&str],
) -> Result<Vec<TableWithKeys>, S::Error> {
    let queries: Vec<Query<'_>> =
        names.iter().map(|name| Query::with_text(TABLE_AND_INDEXES_QUERY, name)).collect();
    let results = session.query_each(&queries)?;
    let tables = names
        .iter()
        .zip(results)
        .map(|(name, rows)| TableWithKeys::find(name, objects_from_rows(rows).iter()));
    Ok(tables.collect())
}

/// Reads the foreign keys of every table that has some, by name.
pub(crate) fn read_foreign_keys<S: Session>(
    session: &S,
) -> Result<Vec<(String, Vec<ForeignKey>)>, S::Error> {
    let objects = session.query(FOREIGN_KEYS_QUERY, &[])?.into_iter().filter_map(object_from_row);
    Ok(objects
        .map(|object| (object.name.clone(), object.structure().foreign_keys.clone()))
        .filter(|(_, keys)| !keys.is_empty())
        .collect())
}

/// Reads the wanted objects of `sqlite_schema`, without the columns of virtual tables.
pub(crate) fn read_objects<S: Session>(
    session: &S,
    is_wanted: impl Fn(&ObjectKey) -> bool,
) -> Result<BTreeMap<ObjectKey, Object>, S::Error> {
    let rows = session.query(SCHEMA_QUERY, &[])?;
    let objects = objects_from_rows(rows).into_iter().map(|object| (object.key(), object));
    Ok(objects.filter(|(key, _)| is_wanted(key)).collect())
}

/// Builds the objects of the result of a query for whole tables or a whole schema.
fn objects_from_rows(rows: Rows) -> Vec<Object> {
    let mut objects: Vec<Object> = rows.into_iter().filter_map(object_from_row).collect();
    add_table_collations(&mut objects);
    objects
}

/// Builds an object from a row of [`SCHEMA_QUERY`]. Returns none for tatmig's own and SQLite's own
/// objects.
fn object_from_row(mut row: Row) -> Option<Object> {
    let (kind, name) = (ObjectKind::parse(row.value(0).as_text()?)?, row.take_text(1));
    if is_tatmig_name(&name) || is_sqlite_name(&name) {
        return None;
    }
    Some(Object::new(kind, name, row.take_text(2), row.take_text(3)))
}

/// Adds to a virtual table the columns that SQLite reports.
pub(crate) fn with_virtual_columns<S: Session>(
    session: &S,
    mut object: Object,
) -> Result<Object, S::Error> {
    if object.is_virtual_table() {
        object.virtual_columns = read_virtual_columns(session, &object.name)?;
    }
    Ok(object)
}

/// The columns of a virtual table; none if SQLite cannot load its module.
fn read_virtual_columns<S: Session>(session: &S, name: &str) -> Result<Vec<Column>, S::Error> {
    match session.query(VIRTUAL_COLUMNS_QUERY, &[SqlValue::from_text(name)]) {
        Ok(rows) => Ok(rows.iter().map(column_from_row).collect()),
        Err(error) if error.is_sql_error() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn column_from_row(row: &Row) -> Column {
    Column {
        name: row.text(0),
        declared_type: row.text(1),
        not_null: row.is_true(2),
        default: row.optional_text(3),
        primary_key_position: row.integer(4),
        hidden: row.integer(5),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// What SQLite reports of the columns and foreign keys of a table.
    fn reported_by_sqlite(connection: &Connection, name: &str) -> (Vec<Column>, Vec<String>) {
        let name = [SqlValue::from_text(name)];
        let columns = connection.query(VIRTUAL_COLUMNS_QUERY, &name).unwrap();
        let keys = connection
            .query(
                "SELECT group_concat(\"from\", ',') || '>' || \"table\" || '>' || \
                 coalesce(group_concat(\"to\", ','), '') || '>' || on_update || '>' || on_delete \
                 FROM (SELECT * FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq) \
                 GROUP BY id ORDER BY id DESC",
                &name,
            )
            .unwrap();
        let keys = keys.iter().map(|row| row.text(0)).collect();
        (columns.iter().map(column_from_row).collect(), keys)
    }

    #[test]
    fn tables_are_read_as_sqlite_reads_them() {
        for columns in [
            "a",
            "id INTEGER PRIMARY KEY AUTOINCREMENT, \"b c\" VARCHAR( 20 ) NOT  NULL DEFAULT 'it''s'",
            "[a] INT DEFAULT (1 + 2), `b` REAL DEFAULT - 1.5, c DEFAULT CURRENT_TIMESTAMP, d DEFAULT x'00'",
            "a, b, PRIMARY KEY (b, a DESC), UNIQUE (a)",
            "a TEXT COLLATE NOCASE, b AS (a || 'x'), c TEXT GENERATED ALWAYS AS (lower(a)) STORED",
            "a INT REFERENCES p, b REFERENCES p (x) ON DELETE SET NULL ON UPDATE CASCADE, \
             CONSTRAINT k FOREIGN KEY (a, b) REFERENCES q (c, d) MATCH FULL DEFERRABLE INITIALLY DEFERRED",
            "a UNSIGNED BIG INT NULL CHECK (a IN (1, 2)) DEFAULT 1, b DOUBLE PRECISION /* real */ NOT NULL, \
             CHECK (b > a), FOREIGN KEY(b) REFERENCES Q ON DELETE RESTRICT",
            "a TEXT NOT NULL ON CONFLICT IGNORE UNIQUE ON CONFLICT REPLACE, b DEFAULT NULL, c DEFAULT true, \
             d DEFAULT (datetime('now')), e DEFAULT ('a' || 'b')",
        ] {
            for (options, name) in [("", "t"), ("", "\"T \"\" x\"")] {
                let connection = Connection::open_in_memory().unwrap();
                let sql = format!("CREATE TABLE {name} ({columns}) {options}");
                connection.execute_batch(&sql).unwrap();
                let name = crate::sql::lexer::unquote(name);
                let table = read_table(&connection, &name).unwrap().structure().clone();
                let keys = table.foreign_keys.iter().map(|key| {
                    let (columns, parents) = (key.columns.join(","), key.parent_columns.join(","));
                    format!(
                        "{columns}>{}>{parents}>{}>{}",
                        key.parent, key.on_update, key.on_delete
                    )
                });
                let read = (table.columns.clone(), keys.collect::<Vec<_>>());
                assert_eq!(read, reported_by_sqlite(&connection, &name), "{sql}");
            }
        }
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (a TEXT, b INT PRIMARY KEY) WITHOUT ROWID")
            .unwrap();
        let table = read_table(&connection, "t").unwrap();
        assert_eq!(table.structure().columns, reported_by_sqlite(&connection, "t").0);
    }

    #[test]
    fn shadow_tables_belong_to_their_virtual_table() {
        let connection = Connection::open_in_memory().unwrap();
        let sql =
            "CREATE VIRTUAL TABLE f USING fts5(a); CREATE TABLE f_data2 (x); CREATE TABLE f_x (y);
                   CREATE VIRTUAL TABLE r USING rtree(id, a, b)";
        connection.execute_batch(sql).unwrap();
        let schema = read_schema(&connection).unwrap();
        let names: Vec<&str> = schema.keys().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["f", "f_data2", "f_x", "r"]);
        assert!(schema[&ObjectKey::new(ObjectKind::Table, "f")].has_column("a"));
    }
}
