//! Plans a run: finds the position of each database on the chain of versions, and decides which
//! steps it needs or why it is refused. Pure: no disk, no connection.

pub(crate) mod error;
pub(crate) mod history_check;
pub(crate) mod outcome;
pub(crate) mod position;
pub(crate) mod steps;
pub(crate) mod target;

pub use crate::plan::error::{ChangedMigration, PlanError, TargetError};
pub use crate::plan::history_check::applied_entries;
pub use crate::plan::outcome::{
    AppliedRun, AtHead, MigrateError, MigrationPath, Outcome, PathStart,
};
