//! A schema kept up to date from statement to statement, and what each of them changed in it.

use std::sync::Arc;

use rusqlite::Connection;

use crate::schema::{Object, ObjectKey, ObjectKind, Schema, object_from_row};

/// The schema of a scratch database, kept up to date from statement to statement at the cost of
/// what changed.
#[derive(Debug, Default)]
pub(crate) struct SchemaTracker {
    schema: Schema,
    last_rowid: i64,
}

/// What the statements since the last look may have done to `sqlite_schema`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SchemaChange {
    /// No schema change.
    #[default]
    None,
    /// New objects only.
    Additive,
    /// Anything.
    Any,
}

/// A change of one object: its new state, or none where it is gone.
pub(crate) type ObjectChange = (ObjectKey, Option<Arc<Object>>);

impl SchemaTracker {
    /// Looks again and returns what changed.
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
        let mut statement = connection.prepare(
            "SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema WHERE rowid > ?1",
        )?;
        let mut rows = statement.query([after_rowid])?;
        let mut current = Schema::new();
        let mut changes = Vec::new();
        if schema_change == SchemaChange::Any {
            // The rows of objects that are gone are given out again.
            self.last_rowid = 0;
        }
        while let Some(row) = rows.next()? {
            let Some((rowid, object)) = object_from_row(row)? else { continue };
            self.last_rowid = self.last_rowid.max(rowid);
            let key = object.key();
            let unchanged = self.schema.get(&key).filter(|known| {
                known.sql == object.sql && known.table == object.table && known.kind == object.kind
            });
            let object = match unchanged {
                Some(known) => known.clone(),
                None => {
                    let object = Arc::new(object.with_pragma_details(connection)?);
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

    /// Whether an ordinary table of that name, in lower case, was there at the last look.
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

/// Applies recorded changes to a schema.
pub(crate) fn apply_changes(schema: &mut Schema, changes: &[ObjectChange]) {
    for (key, object) in changes {
        match object {
            Some(object) => {
                schema.insert(key.clone(), object.clone());
            }
            None => {
                schema.remove(key);
            }
        }
    }
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
