//! A schema kept up to date from statement to statement, and what each of them changed in it.

use std::sync::Arc;

use rusqlite::Connection;

use crate::schema::{Key, Kind, Object, Schema, object};

/// The schema of a scratch database, kept up to date from statement to statement at the cost of
/// what changed.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    schema: Schema,
    last_row: i64,
}

/// What the statements since the last look may have done to `sqlite_schema`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Churn {
    /// No schema change.
    #[default]
    None,
    /// New objects only.
    Created,
    /// Anything.
    Changed,
}

/// A change of one object: its new state, or none where it is gone.
pub(crate) type Change = (Key, Option<Arc<Object>>);

impl Tracked {
    /// Looks again and returns what changed.
    pub(crate) fn refresh(
        &mut self,
        connection: &Connection,
        churn: Churn,
    ) -> rusqlite::Result<Vec<Change>> {
        let from = match churn {
            Churn::None => return Ok(Vec::new()),
            Churn::Created => self.last_row,
            Churn::Changed => 0,
        };
        let mut statement = connection.prepare(
            "SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema WHERE rowid > ?1",
        )?;
        let mut rows = statement.query([from])?;
        let mut seen = Schema::new();
        let mut changes = Vec::new();
        if churn == Churn::Changed {
            // The rows of objects that are gone are given out again.
            self.last_row = 0;
        }
        while let Some(row) = rows.next()? {
            let Some((rowid, object)) = object(row)? else { continue };
            self.last_row = self.last_row.max(rowid);
            let key = object.key();
            let known = self.schema.get(&key).filter(|known| {
                known.sql == object.sql && known.table == object.table && known.kind == object.kind
            });
            let object = match known {
                Some(known) => known.clone(),
                None => {
                    let object = Arc::new(object.complete(connection)?);
                    changes.push((key.clone(), Some(object.clone())));
                    object
                }
            };
            seen.insert(key, object);
        }
        if churn == Churn::Changed {
            let gone = self.schema.keys().filter(|key| !seen.contains_key(key));
            changes.extend(gone.map(|key| (key.clone(), None)));
            self.schema = seen;
        } else {
            self.schema.extend(seen);
        }
        Ok(changes)
    }

    /// Whether an ordinary table of that name, in lower case, was there at the last look.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        let key = Key { trigger: false, name: name.to_owned() };
        self.schema.get(&key).is_some_and(|object| {
            object.kind == Kind::Table
                && !object.sql.to_ascii_uppercase().starts_with("CREATE VIRTUAL")
        })
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// Applies recorded changes to a schema.
pub(crate) fn apply(schema: &mut Schema, changes: &[Change]) {
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
    fn an_object_is_seen_in_the_row_of_one_that_is_gone() {
        let connection = Connection::open_in_memory().unwrap();
        let mut tracked = Tracked::default();
        let mut changes = |sql: &str, churn| {
            connection.execute_batch(sql).unwrap();
            tracked.refresh(&connection, churn).unwrap().len()
        };
        assert_eq!(changes("CREATE TABLE a (x); CREATE TABLE b (x)", Churn::Created), 2);
        assert_eq!(changes("DROP TABLE b", Churn::Changed), 1);
        assert_eq!(changes("CREATE TABLE c (x)", Churn::Created), 1);
    }
}
