//! Remembers which schemas were found to pass a check, so that a run over many databases with the same
//! schema compares it once.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::database::declared::without_comparisons;
use crate::database::schema_reader::SCHEMA_QUERY;

/// A run remembers this many schemas for each check. Databases with further ones are checked each
/// time.
const MAX_KNOWN_SCHEMAS: usize = 100;

/// The kind, name, table and SQL of every row of `sqlite_schema`, in their order, as SQLite holds them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SchemaText(Vec<u8>);

impl SchemaText {
    /// Reads the schema of a database without parsing it.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached(SCHEMA_QUERY)?;
        let column_count = statement.column_count();
        without_comparisons(|| {
            let mut bytes = Vec::with_capacity(16 * 1024);
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                for column in 0..column_count {
                    match row.get_ref(column)? {
                        ValueRef::Text(text) => {
                            bytes.extend_from_slice(&text.len().to_le_bytes());
                            bytes.extend_from_slice(text);
                        }
                        // The SQL of SQLite's own indexes is NULL. No text has this length.
                        _ => bytes.extend_from_slice(&usize::MAX.to_le_bytes()),
                    }
                }
            }
            Ok(Self(bytes))
        })
    }
}

/// The schemas that passed one check.
#[derive(Debug, Default)]
pub(crate) struct KnownSchemas(RwLock<HashSet<SchemaText>>);

impl KnownSchemas {
    pub(crate) fn contains(&self, schema: &SchemaText) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(schema)
    }

    /// Adds a schema that passed the check.
    pub(crate) fn insert(&self, schema: SchemaText) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KNOWN_SCHEMAS {
            known.insert(schema);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema_text(sql: &str) -> SchemaText {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        SchemaText::read(&connection).unwrap()
    }

    #[test]
    fn only_equal_schemas_have_the_same_schema_text() {
        let schema = "CREATE TABLE t (a UNIQUE); CREATE INDEX i ON t (a)";
        assert_eq!(
            schema_text(schema),
            schema_text(&format!("{schema}; INSERT INTO t VALUES (1)"))
        );
        for other in [
            "",
            "CREATE TABLE t (a UNIQUE)",
            "CREATE TABLE t (a UNIQUE ); CREATE INDEX i ON t (a)",
            "CREATE TABLE t (a UNIQUE); CREATE INDEX i ON t (a) WHERE a > 1",
            "CREATE TABLE t (a UNIQUE); CREATE INDEX j ON t (a)",
            "CREATE TABLE u (a UNIQUE); CREATE INDEX i ON u (a)",
        ] {
            assert_ne!(schema_text(schema), schema_text(other), "{other}");
        }
    }

    #[test]
    fn a_schema_is_known_once_it_was_added() {
        let known = KnownSchemas::default();
        assert!(!known.contains(&schema_text("CREATE TABLE t (a)")));
        known.insert(schema_text("CREATE TABLE t (a)"));
        assert!(known.contains(&schema_text("CREATE TABLE t (a)")));
        assert!(!known.contains(&schema_text("")));
    }
}
