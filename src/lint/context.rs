//! What a rule sees of the statement that it checks: the block, the direction and the statement's
//! effects.

use std::collections::HashMap;
use std::ops::Range;

use crate::database::job::{CompiledScript, Statement};
use crate::document::migration::Migration;
use crate::document::tag::Scope;
use crate::schema::changes::ObjectChange;
use crate::schema::{ObjectKey, ObjectKind, Schema};

/// One statement that was run, and what came of it.
pub(crate) struct StatementRun<'s, 'a> {
    pub(crate) statement: &'s Statement<'a>,
    pub(crate) object_changes: Vec<ObjectChange>,
    pub(crate) failed: bool,
}

/// Which way a block leads.
#[derive(Clone, Copy)]
pub(crate) enum Direction<'s> {
    Up,
    /// Down by this migration, to this schema.
    Down(&'s Migration<'s>, Scope, &'s Schema),
}

/// A block that was run.
pub(crate) struct BlockRun<'s, 'a> {
    pub(crate) script: &'s CompiledScript<'a>,
    pub(crate) direction: Direction<'s>,
    /// The schema before it.
    pub(crate) schema_before: Schema,
    pub(crate) statement_runs: Vec<StatementRun<'s, 'a>>,
}

impl BlockRun<'_, '_> {
    /// Whether an ordinary schema's table, not a temporary one or a view, has this name.
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

/// Where in the document each object was last made or changed.
pub(crate) type Origins = HashMap<ObjectKey, Range<usize>>;
