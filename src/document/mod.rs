//! Parses a Markdown document into an ordered changelog. Everything here is pure: it opens no file
//! and no database, and borrows from the document's text.

pub(crate) mod blocks;
pub(crate) mod chain;
pub(crate) mod chain_errors;
pub(crate) mod changelog;
pub(crate) mod code_block;
pub(crate) mod collector;
pub(crate) mod conflict;
pub(crate) mod diagnostic;
pub(crate) mod directive;
pub(crate) mod extensions;
pub(crate) mod grouping;
pub(crate) mod heading;
pub(crate) mod heading_checks;
pub(crate) mod heading_pair;
pub(crate) mod heading_suffix;
pub(crate) mod imported;
pub(crate) mod imported_lines;
pub(crate) mod invisible;
pub(crate) mod lines;
pub(crate) mod markdown;
pub(crate) mod migration;
pub(crate) mod near_miss;
pub(crate) mod pattern;
pub(crate) mod prose;
pub(crate) mod reader;
pub(crate) mod steps;
pub(crate) mod suggest;
pub(crate) mod tag;
pub(crate) mod tag_errors;
pub(crate) mod tag_parser;
pub(crate) mod tag_syntax;
pub(crate) mod version_index;
pub(crate) mod version_text;

pub use crate::document::changelog::StepId;
pub use crate::document::diagnostic::DocumentError;
pub use crate::document::imported::{ImportedFrom, MigrationTool, UnknownTool};
pub use crate::document::migration::{AllowDirective, Checksum, Migration, ScopedSql, Seed};
pub use crate::document::version_index::VersionIndex;
pub use crate::source::SourceSlice;
