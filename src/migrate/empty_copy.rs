//! Creates the schema of a database in memory, without rows, as far as this SQLite can.

use std::sync::Arc;

use rusqlite::Connection;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::error::DatabaseError;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};

/// An in-memory database with the schema of another one and no rows.
pub(crate) struct EmptyCopy {
    pub(crate) connection: Connection,
    /// The objects that SQLite cannot create here, such as a virtual table of an unknown module.
    pub(crate) left_out: Vec<LeftOut>,
}

/// An object that SQLite cannot create, and why.
pub(crate) struct LeftOut {
    pub(crate) object: Arc<Object>,
    pub(crate) error: DatabaseError,
}

impl EmptyCopy {
    /// Creates every object that SQLite can create. The error is an interrupt, or one of SQLite's
    /// about the empty database.
    pub(crate) fn create(schema: &Schema, setup: &ConnectionSetup) -> Result<Self, DatabaseError> {
        let connection = open_in_memory(setup)?;
        let rank = |key: &ObjectKey| match schema[key].kind {
            ObjectKind::Table => 0,
            ObjectKind::Index => 1,
            ObjectKind::View => 2,
            ObjectKind::Trigger => 3,
        };
        let mut keys: Vec<&ObjectKey> = schema.keys().collect();
        keys.sort_by_key(|key| rank(key));
        let mut left_out = Vec::new();
        connection.execute_batch("BEGIN")?;
        for key in keys {
            let object = &schema[key];
            let Err(error) = connection.execute_batch(&object.sql) else { continue };
            match DatabaseError::from(error) {
                DatabaseError::Interrupted => return Err(DatabaseError::Interrupted),
                error => left_out.push(LeftOut { object: object.clone(), error }),
            }
        }
        connection.execute_batch("COMMIT")?;
        Ok(Self { connection, left_out })
    }
}
