//! Holds the rules of lint, one file for each.

pub(crate) mod counter_reset;
pub(crate) mod dangling_references;
pub(crate) mod destructive;
pub(crate) mod double_quotes;
pub(crate) mod foreign_keys;
pub(crate) mod fts_row_ids;
pub(crate) mod full_text_writes;
pub(crate) mod idempotence;
pub(crate) mod if_not_exists;
pub(crate) mod libsql;
pub(crate) mod metadata;
pub(crate) mod needs_empty_table;
pub(crate) mod object_loss;
pub(crate) mod positional_copy;
pub(crate) mod pragmas;
pub(crate) mod reverse;
pub(crate) mod sqlite_version;
