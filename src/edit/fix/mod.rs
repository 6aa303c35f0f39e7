//! Finds the mechanical changes that remove findings of lint. `lint --fix` applies those that are
//! safe, and an editor offers all of them. One file per kind of change.

pub(crate) mod allow;
pub(crate) mod columns;
pub(crate) mod context;
pub(crate) mod fence;
pub(crate) mod find;
pub(crate) mod fix_all;
pub(crate) mod guard;
pub(crate) mod heading;
pub(crate) mod merged;
pub(crate) mod metadata;
pub(crate) mod proposal;
pub(crate) mod rebuild;
pub(crate) mod reverse;
pub(crate) mod tag_line;

pub use crate::edit::fix::find::find_fixes;
pub use crate::edit::fix::fix_all::{
    AppliedFix, FixError, FixRequest, FixedDocument, fix_document,
};
pub use crate::edit::fix::proposal::{AppliedFixes, Fix, FixSafety, apply_fixes};
