//! Implements a database that is a namespace of a libSQL server.
//!
//! A job is one batch in one HTTP request: a precondition on the history and the schema, `BEGIN
//! IMMEDIATE`, the statements, the history entries, the checks, and `COMMIT`. Each step runs only
//! if the step before succeeded and the transaction is still open. A batch that does not reach its
//! end is rolled back. If a client holds a lock for 5 seconds while another client waits for it,
//! the server ends the transaction and runs later statements without one. So a job is never split
//! into two requests, and no step is unconditional.
//!
//! For a file, tatmig makes decisions between two statements. Here the batch has to contain them:
//!
//! - *Decisions that depend on the schema*: whether an ADD COLUMN is already applied, the
//!   post-condition, and which foreign keys exist. They are made once for each distinct schema:
//!   [`probe`] runs the job in the namespace, reads the result and rolls it back. The batch that
//!   commits does so only if it ends in exactly the schema that was analysed. A fleet has few
//!   distinct schemas, so nearly every database takes one request to read and one to migrate.
//! - *Decisions that depend on rows* are queries in the batch that fail with an integer overflow.
//!   The rows of rebuilt tables are counted before and after, in a table of tatmig's own that is
//!   dropped before the commit. After the last step, no row may violate a foreign key. If one
//!   does, the batch runs again and also counts the violations before, which are not blamed on the
//!   migration.
//!
//! A batch whose response is lost is not sent again: [`lost_response`] first prevents that the
//! server commits it later, and then the history shows whether it was committed.
//!
//! The statements are sent as SQLite split them in the replay. The authorizer of the replay refused
//! what a block must not do before any database was opened, so nothing is split or checked here.

pub(crate) mod analysis;
pub(crate) mod apply;
pub(crate) mod batch;
pub(crate) mod contents;
pub(crate) mod copy;
pub(crate) mod diagnosis;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod foreign_key_check;
pub(crate) mod fork;
#[cfg(test)]
mod hostile_rows;
pub(crate) mod lost_response;
pub(crate) mod namespace;
pub(crate) mod precondition;
pub(crate) mod probe;
pub(crate) mod program;
pub(crate) mod query;
pub(crate) mod read;
pub(crate) mod rows;
pub(crate) mod safety;
pub(crate) mod transfer;

pub(crate) use crate::libsql::transfer::TransferResult;
