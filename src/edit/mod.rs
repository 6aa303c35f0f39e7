//! Edits of the document's text: a new section, a plan that becomes a release, a schema between two
//! markers. Pure: a text in, another text out, which has been read again and found to say what it
//! was to say, and of everything else what it said before.

pub(crate) mod append;
pub(crate) mod change;
pub(crate) mod error;
pub(crate) mod marker;
pub(crate) mod new_migration;
pub(crate) mod page;
pub(crate) mod promote;
pub(crate) mod relink;
pub(crate) mod style;
pub(crate) mod unchanged;

pub use crate::edit::append::append;
pub use crate::edit::error::EditError;
pub use crate::edit::marker::{
    MarkerError, SchemaFormat, SchemaSection, render_schema_sections, schema_sections,
};
pub use crate::edit::new_migration::{Bump, NewBlock, NewMigration, PlannedPolicy};
pub use crate::edit::promote::promote;
