//! Holds the bytes of a new database, which are written to many empty files.

/// A database that a job created from nothing.
#[derive(Debug)]
pub(crate) struct DatabaseTemplate {
    pub(crate) bytes: Vec<u8>,
    /// The id of the last history entry.
    pub(crate) last_entry_id: i64,
    pub(crate) notes: Vec<String>,
}
