//! Holds what one statement reads and changes, as SQLite's authorizer reports it while the statement
//! is prepared: through views and triggers too.

use std::collections::BTreeSet;

use crate::schema::changes::SchemaChange;

/// What a statement changes, according to the authorizer callbacks of its preparation.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatementEffects {
    pub(crate) schema_change: SchemaChange,
    /// The table that an `ALTER TABLE` names, as the statement writes it.
    pub(crate) altered_table: Option<String>,
    /// Whether an `ALTER TABLE` renames the table.
    pub(crate) renames_table: bool,
    /// The ordinary table that a `DROP TABLE` names, in lower case.
    pub(crate) dropped_table: Option<String>,
    /// Indexes, views and triggers that the statement creates, in lower case.
    pub(crate) created_objects: BTreeSet<String>,
    /// Tables that are dropped, or whose rows are inserted, updated or deleted, in lower case. To drop
    /// a view or a virtual table, SQLite also asks for a `DELETE` from it.
    pub(crate) modified_tables: BTreeSet<String>,
    /// Updated columns as (table, column), in lower case.
    pub(crate) updated_columns: BTreeSet<(String, String)>,
    /// Columns that are read, as (table, column), in lower case.
    pub(crate) read_columns: BTreeSet<(String, String)>,
    /// Tables into which rows are inserted, and tables that are created, in lower case.
    pub(crate) filled_tables: BTreeSet<String>,
    /// Indexes and triggers that are dropped by their own name, in lower case. Dropping a table
    /// drops its indexes and triggers as well.
    pub(crate) dropped_objects: BTreeSet<String>,
    /// The views that the statement reads and the triggers that it fires, as they are named.
    pub(crate) used_objects: BTreeSet<String>,
    /// Whether the statement creates or drops a temporary object.
    pub(crate) has_temporary_objects: bool,
    /// Whether the statement is a PRAGMA.
    pub(crate) has_pragma: bool,
}
