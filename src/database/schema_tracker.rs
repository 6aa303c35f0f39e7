//! Follows the schema of an in-memory database from statement to statement.

use std::sync::Arc;

use crate::database::schema_reader::{object_from_row, with_details};
use crate::database::session::Session;
use crate::schema::changes::{ObjectChange, SchemaChange};
use crate::schema::{ObjectKey, ObjectKind, Schema};
use crate::sql::value::SqlValue;

/// The schema of an in-memory database, updated after each statement. An update reads the
/// details of changed objects only.
#[derive(Debug, Default)]
pub(crate) struct SchemaTracker {
    schema: Schema,
    /// The highest rowid of `sqlite_schema` at the last refresh; new objects have higher ones.
    last_rowid: i64,
}

impl SchemaTracker {
    /// Reads the schema again and returns what changed. `schema_change` is what the statements
    /// since the last update may have done to `sqlite_schema`.
    pub(crate) fn refresh<S: Session>(
        &mut self,
        session: &S,
        schema_change: SchemaChange,
    ) -> Result<Vec<ObjectChange>, S::Error> {
        let after_rowid = match schema_change {
            SchemaChange::None => return Ok(Vec::new()),
            SchemaChange::Additive => self.last_rowid,
            SchemaChange::Any => 0,
        };
        let rows = session.query(
            "SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema WHERE rowid > ?1",
            &[SqlValue::Integer(after_rowid)],
        )?;
        let mut current = Schema::new();
        let mut changes = Vec::new();
        if schema_change == SchemaChange::Any {
            // SQLite reuses the rowids of dropped objects.
            self.last_rowid = 0;
        }
        for row in rows {
            let rowid = row.integer(4);
            let Some(object) = object_from_row(row) else { continue };
            self.last_rowid = self.last_rowid.max(rowid);
            let key = object.key();
            let unchanged = self.schema.get(&key).filter(|known| {
                known.sql == object.sql && known.table == object.table && known.kind == object.kind
            });
            let object = match unchanged {
                Some(known) => known.clone(),
                None => {
                    let object = Arc::new(with_details(session, object)?);
                    changes.push((key.clone(), Some(object.clone())));
                    object
                }
            };
            current.insert(key, object);
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

    /// Whether a table of that name (in lower case) that is not virtual existed at the last update.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        let key = ObjectKey { is_trigger: false, name: name.to_owned() };
        self.schema.get(&key).is_some_and(|object| {
            object.kind == ObjectKind::Table
                && !object.sql.to_ascii_uppercase().starts_with("CREATE VIRTUAL")
        })
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

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
