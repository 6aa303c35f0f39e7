//! Writes a document from the migrations of another tool: reads its files, finds out which tool it
//! is, takes over the statements, and runs the result in memory. Pure except for the reading of the
//! files.

pub(crate) mod cleanup;
pub(crate) mod comments;
pub(crate) mod convert;
pub(crate) mod date;
pub(crate) mod detect;
pub(crate) mod error;
pub(crate) mod heading;
pub(crate) mod migration;
pub(crate) mod render;
pub(crate) mod source_tree;
pub(crate) mod squash;
pub(crate) mod tools;

pub use crate::import::convert::{Import, ImportOptions, Todo, import_migrations};
pub use crate::import::detect::detect;
pub use crate::import::error::{Candidate, FileLine, ImportError};
pub use crate::import::source_tree::SourceTree;
