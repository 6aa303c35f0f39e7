//! The bytes of a new database that many files receive.

/// A database that an order made of nothing.
#[derive(Debug)]
pub(crate) struct DatabaseTemplate {
    pub(crate) bytes: Vec<u8>,
    /// The number of the record's last row.
    pub(crate) last_entry_id: i64,
    pub(crate) notes: Vec<String>,
}
