//! The document: from markdown to an ordered changelog. Everything here is pure; it touches no
//! disk and no connection, and borrows from the one source text.

pub(crate) mod blocks;
pub(crate) mod chain;
pub(crate) mod changelog;
pub(crate) mod diagnostic;
pub(crate) mod lines;
pub(crate) mod markdown;
pub(crate) mod migration;
pub(crate) mod reader;
pub(crate) mod suggest;
pub(crate) mod tag;
pub(crate) mod tag_errors;
pub(crate) mod tag_parser;
pub(crate) mod version_index;

pub use crate::document::changelog::StepId;
pub use crate::document::diagnostic::DocumentError;
pub use crate::document::migration::{AllowDirective, Checksum, Migration, ScopedSql, Seed};
pub use crate::document::version_index::VersionIndex;
pub use crate::source::SourceSlice;
