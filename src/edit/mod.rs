//! Edits the text of a document: adds a migration, releases a planned one, updates the schema
//! between two markers, and removes findings of lint. Pure: each edit takes a text and returns a new one, which was parsed again to
//! check that it contains the requested change and is otherwise the same.

pub(crate) mod append;
pub(crate) mod change;
pub(crate) mod error;
pub(crate) mod fix;
pub(crate) mod marker;
pub(crate) mod new_migration;
pub(crate) mod page;
pub(crate) mod promote;
pub(crate) mod relink;
pub(crate) mod renumber;
pub(crate) mod section;
pub(crate) mod style;
pub(crate) mod unchanged;

pub use crate::edit::append::append;
pub use crate::edit::change::TextEdit;
pub use crate::edit::error::EditError;
pub use crate::edit::fix::{
    AppliedFix, AppliedFixes, Fix, FixError, FixRequest, FixSafety, FixedDocument, apply_fixes,
    find_fixes, fix_document,
};
pub use crate::edit::marker::{
    MarkerError, SchemaFormat, SchemaSection, ScopeSchema, SectionSchemas, render_schema_sections,
    schema_sections,
};
pub use crate::edit::new_migration::{Bump, NewBlock, NewMigration, PlannedPolicy};
pub use crate::edit::promote::promote;
pub use crate::edit::renumber::{
    RecordedMigration, RenumberRequest, Renumbered, RenumberedMigration, renumber,
};
