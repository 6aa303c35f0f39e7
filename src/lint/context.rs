//! Describes a block that ran in the sandbox to the rules of lint: its statements, its direction
//! and what each statement changed.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::database::job::{CompiledScript, Statement};
use crate::database::usable_references::DanglingReferences;
use crate::document::migration::Migration;
use crate::document::tag::Scope;
use crate::schema::changes::ObjectChange;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};

/// A statement that ran, and its result.
pub(crate) struct StatementRun<'s, 'a> {
    pub(crate) statement: &'s Statement<'a>,
    pub(crate) object_changes: Vec<ObjectChange>,
    pub(crate) has_failed: bool,
    /// The tables, in lower case, whose rows the statement or one of its triggers may change.
    pub(crate) written_tables: BTreeSet<String>,
    /// The table that an ADD COLUMN changes, as it was before.
    pub(crate) table_before: Option<Arc<Object>>,
}

/// Whether a block leads up or down the chain.
#[derive(Clone, Copy)]
pub(crate) enum Direction<'s> {
    Up,
    Down {
        migration: &'s Migration<'s>,
        scope: Scope,
        /// The schema that the block has to restore.
        target_schema: &'s Schema,
        /// What could not be used at the version that the block leads to.
        known_references: &'s DanglingReferences,
    },
}

/// A block that ran.
pub(crate) struct BlockRun<'s, 'a> {
    pub(crate) script: &'s CompiledScript<'a>,
    pub(crate) direction: Direction<'s>,
    pub(crate) schema_before: Schema,
    pub(crate) statement_runs: Vec<StatementRun<'s, 'a>>,
}

impl BlockRun<'_, '_> {
    /// The objects that the block changed, some of them several times.
    pub(crate) fn changed_keys(&self) -> impl Iterator<Item = &ObjectKey> {
        let runs = self.statement_runs.iter();
        runs.flat_map(|statement_run| &statement_run.object_changes).map(|(key, _)| key)
    }

    /// Whether `name` is a table of the main schema before or during the block; a temporary table
    /// or a view is not.
    pub(crate) fn is_table(&self, name: &str) -> bool {
        let key = ObjectKey::new(ObjectKind::Table, name);
        let changed_objects = self
            .statement_runs
            .iter()
            .flat_map(|statement_run| &statement_run.object_changes)
            .filter(|(changed_key, _)| *changed_key == key);
        let mut objects = changed_objects
            .filter_map(|(_, object)| object.as_ref())
            .chain(self.schema_before.get(&key));
        objects.any(|object| object.kind == ObjectKind::Table)
    }
}

/// Where in the document each object was created or last changed.
pub(crate) type Origins = HashMap<ObjectKey, Range<usize>>;
