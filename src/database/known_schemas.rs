//! Remembers which schemas were found to pass a check, by a hash of `sqlite_schema`. A run over many
//! databases with the same schema then compares it once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

use crate::database::declared::without_comparisons;
use crate::database::schema_reader::SCHEMA_QUERY;

/// A run remembers this many schemas for each check, 32 bytes each. Databases beyond them are
/// checked each time.
const MAX_KNOWN_SCHEMAS: usize = 10_000;

/// The SHA-256 hash of the kind, name, table and SQL of every row of `sqlite_schema`, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SchemaDigest([u8; 32]);

impl SchemaDigest {
    /// Hashes the schema of a database. The texts are not copied.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached(SCHEMA_QUERY)?;
        let column_count = statement.column_count();
        without_comparisons(|| {
            let mut hasher = Sha256::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                for column in 0..column_count {
                    match row.get_ref(column)? {
                        ValueRef::Text(text) => {
                            hasher.update(text.len().to_le_bytes());
                            hasher.update(text);
                        }
                        // The SQL of SQLite's own indexes is NULL. No text has this length.
                        _ => hasher.update(usize::MAX.to_le_bytes()),
                    }
                }
            }
            Ok(Self(hasher.finalize().into()))
        })
    }
}

/// The schemas that passed one check.
#[derive(Debug, Default)]
pub(crate) struct KnownSchemas(Mutex<HashSet<SchemaDigest>>);

impl KnownSchemas {
    pub(crate) fn contains(&self, digest: &SchemaDigest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// Adds a schema that passed the check.
    pub(crate) fn insert(&self, digest: SchemaDigest) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KNOWN_SCHEMAS {
            known.insert(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(sql: &str) -> SchemaDigest {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        SchemaDigest::read(&connection).unwrap()
    }

    #[test]
    fn only_equal_schemas_have_the_same_digest() {
        let schema = "CREATE TABLE t (a UNIQUE); CREATE INDEX i ON t (a)";
        assert_eq!(digest(schema), digest(&format!("{schema}; INSERT INTO t VALUES (1)")));
        for other in [
            "",
            "CREATE TABLE t (a UNIQUE)",
            "CREATE TABLE t (a UNIQUE ); CREATE INDEX i ON t (a)",
            "CREATE TABLE t (a UNIQUE); CREATE INDEX i ON t (a) WHERE a > 1",
            "CREATE TABLE t (a UNIQUE); CREATE INDEX j ON t (a)",
            "CREATE TABLE u (a UNIQUE); CREATE INDEX i ON u (a)",
        ] {
            assert_ne!(digest(schema), digest(other), "{other}");
        }
    }

    #[test]
    fn a_schema_is_known_once_it_was_added() {
        let (known, schema) = (KnownSchemas::default(), digest("CREATE TABLE t (a)"));
        assert!(!known.contains(&schema));
        known.insert(schema);
        assert!(known.contains(&schema));
        assert!(!known.contains(&digest("")));
    }
}
