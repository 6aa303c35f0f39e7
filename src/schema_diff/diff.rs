//! Defines the result of comparing two schemas: the statements of a migration.

use crate::schema_diff::rename::Rename;

/// The statements that lead from one schema to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaDiff {
    /// The SQL of a block; empty if the schemas are the same.
    pub sql: String,
    /// What a person has to check, one message each.
    pub warnings: Vec<String>,
    /// Tables and columns that may be renamed ones and are dropped and added instead, so that
    /// their values are lost: each as the rename that would keep them.
    pub suspected_renames: Vec<Rename>,
}
