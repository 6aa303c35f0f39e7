//! Follows the schema of an in-memory database from statement to statement.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::database::schema_reader::with_virtual_columns;
use crate::schema::changes::{ObjectChange, SchemaChange};
use crate::schema::{
    Object, ObjectKey, ObjectKind, Schema, is_sqlite_name, is_tatmig_name, shadow_tables,
};
use crate::sql::create_statement::ColumnCollations;

/// The schema of an in-memory database, updated after each statement. An update reads the
/// details of changed objects only.
#[derive(Clone, Debug, Default)]
pub(crate) struct SchemaTracker {
    schema: Schema,
    /// The highest rowid of `sqlite_schema` at the last refresh; new objects have higher ones.
    last_rowid: i64,
    has_virtual_tables: bool,
}

impl SchemaTracker {
    /// Reads the schema again and returns what changed. `schema_change` is what the statements
    /// since the last update may have done to `sqlite_schema`.
    pub(crate) fn refresh(
        &mut self,
        connection: &Connection,
        schema_change: SchemaChange,
    ) -> rusqlite::Result<Vec<ObjectChange>> {
        let after_rowid = match schema_change {
            SchemaChange::None => return Ok(Vec::new()),
            SchemaChange::Additive => self.last_rowid,
            SchemaChange::Any => 0,
        };
        if schema_change == SchemaChange::Any {
            // SQLite reuses the rowids of dropped objects.
            self.last_rowid = 0;
        }
        let (mut current, new_objects) = self.read_objects(connection, after_rowid)?;
        let mut changes = Vec::new();
        self.has_virtual_tables |= new_objects.iter().any(Object::is_virtual_table);
        let shadow_tables = if self.has_virtual_tables {
            shadow_tables(self.schema.values().map(AsRef::as_ref).chain(&new_objects))
        } else {
            BTreeSet::new()
        };
        let collations: Vec<ColumnCollations> = new_objects
            .iter()
            .map(|index| table_collations(index, &new_objects, [&current, &self.schema]))
            .collect();
        for (mut object, table_collations) in new_objects.into_iter().zip(collations) {
            if shadow_tables.contains(&object.table.to_ascii_lowercase()) {
                continue;
            }
            object.table_collations = table_collations;
            // The collations of its table decide whether such an index has changed.
            if let Some(known) = self.schema.get(&object.key()).filter(|known| ***known == object) {
                current.insert(object.key(), known.clone());
                continue;
            }
            let object = Arc::new(with_virtual_columns(connection, object)?);
            changes.push((object.key(), Some(object.clone())));
            current.insert(object.key(), object);
        }
        if schema_change == SchemaChange::Any {
            let dropped = self.schema.keys().filter(|key| !current.contains_key(key));
            changes.extend(dropped.map(|key| (key.clone(), None)));
            self.schema = current;
        } else {
            self.schema.extend(current);
        }
        Ok(changes)
    }

    /// Reads the objects with a rowid above `after_rowid`. Returns the unchanged ones, and the new
    /// and changed ones without their details. After most statements nearly all objects are
    /// unchanged: their texts are compared where SQLite holds them and not copied.
    fn read_objects(
        &mut self,
        connection: &Connection,
        after_rowid: i64,
    ) -> rusqlite::Result<(Schema, Vec<Object>)> {
        let mut statement = connection.prepare_cached(
            "SELECT type, name, tbl_name, sql, rowid FROM main.sqlite_schema WHERE rowid > ?1",
        )?;
        let mut rows = statement.query([after_rowid])?;
        let mut unchanged = Schema::new();
        let mut changed = Vec::new();
        while let Some(row) = rows.next()? {
            let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str_or_null()?);
            let (Some(kind), Some(name)) = (text(0)?.and_then(ObjectKind::parse), text(1)?) else {
                continue;
            };
            if is_tatmig_name(name) || is_sqlite_name(name) {
                continue;
            }
            self.last_rowid = self.last_rowid.max(row.get(4)?);
            let (table, sql) = (text(2)?.unwrap_or_default(), text(3)?.unwrap_or_default());
            let key = ObjectKey::new(kind, name);
            let known = self
                .schema
                .get(&key)
                .filter(|known| known.sql == sql && known.table == table && known.kind == kind)
                .filter(|known| !known.names_collation());
            if let Some(known) = known {
                unchanged.insert(key, known.clone());
            } else {
                let (name, table, sql) = (name.to_owned(), table.to_owned(), sql.to_owned());
                changed.push(Object::new(kind, name, table, sql));
            }
        }
        Ok((unchanged, changed))
    }

    /// Whether a table of that name (in lower case) that is not virtual existed at the last update.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        let key = ObjectKey { is_trigger: false, name: name.to_owned() };
        self.schema
            .get(&key)
            .is_some_and(|object| object.kind == ObjectKind::Table && !object.is_virtual_table())
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// The collations of the table of an index that names a collation. The table is new itself, or known
/// from the unchanged objects or from those before.
fn table_collations(
    index: &Object,
    new_objects: &[Object],
    known: [&Schema; 2],
) -> ColumnCollations {
    if !index.names_collation() {
        return ColumnCollations::new();
    }
    let key = ObjectKey::new(ObjectKind::Table, &index.table);
    let new_table = new_objects.iter().find(|object| object.key() == key);
    let known_table = || known.iter().find_map(|schema| schema.get(&key)).map(AsRef::as_ref);
    new_table.or_else(known_table).map(Object::column_collations).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_reuses_a_rowid_is_detected() {
        let connection = Connection::open_in_memory().unwrap();
        let mut tracker = SchemaTracker::default();
        let mut count_changes = |sql: &str, schema_change| {
            connection.execute_batch(sql).unwrap();
            tracker.refresh(&connection, schema_change).unwrap().len()
        };
        assert_eq!(
            count_changes("CREATE TABLE a (x); CREATE TABLE b (x)", SchemaChange::Additive),
            2
        );
        assert_eq!(count_changes("DROP TABLE b", SchemaChange::Any), 1);
        assert_eq!(count_changes("CREATE TABLE c (x)", SchemaChange::Additive), 1);
    }
}
