//! A database that is a namespace of a libSQL server. Whatever changes it is one batch of one
//! request: a guard on the record's last row and on the schema, `BEGIN IMMEDIATE`, the statements,
//! the rows of the record, the checks, `COMMIT`; each step runs only if the one before did and the
//! transaction is still open, and what does not reach the end is rolled back. The server takes a
//! lock away from whoever holds it for 5 seconds while another waits, and runs what follows
//! without a transaction: so there is never a second request, and never a step without condition.
//!
//! The decisions that a file's transaction takes between two statements have to be in the SQL
//! here. They come about thus:
//!
//! - *What the schema decides* (an ADD COLUMN that had been done, the post-condition, which
//!   foreign keys there are) is learned once for each schema that an order meets: the order runs
//!   in the real namespace, what it leaves is sent back, and it is rolled back ([`lesson`]). The
//!   batch that commits does so only if it ends in exactly the schema that was judged, so that no
//!   other course of events can be committed. A fleet has few schemas, so nearly every database
//!   takes one request to read and one to migrate.
//! - *What rows decide* is decided by queries in the batch that fail by an overflow: rows of
//!   rebuilt tables are counted before and after into a table of tatmig's own that is dropped
//!   before the commit; no row may lack its parent after the last step, and where one does, the
//!   batch runs once more and counts those of before as well, so that old ones are not blamed.
//!
//! An answer that is lost is never asked for again: the record is read, and it tells whether the
//! batch was committed.
//!
//! Statements are sent as SQLite split them in the replay, and the guard of the replay refused
//! what no block may do before any database was looked for; no splitter is needed here.

pub(crate) mod analysis;
pub(crate) mod apply;
pub(crate) mod batch;
pub(crate) mod contents;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod foreign_key_check;
pub(crate) mod foreign_keys;
pub(crate) mod fork;
#[cfg(feature = "server")]
pub(crate) mod introspect;
pub(crate) mod namespace;
pub(crate) mod precondition;
pub(crate) mod probe;
pub(crate) mod program;
pub(crate) mod read;
pub(crate) mod transfer;

pub(crate) use crate::libsql::transfer::TransferResult;
