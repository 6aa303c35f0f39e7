//! What a rule sees of the statement that it checks: the block, the direction and the statement's
//! effects.

use std::collections::HashMap;
use std::ops::Range;

use crate::database::job::{Script, Statement};
use crate::document::migration::Migration;
use crate::document::tag::Scope;
use crate::schema::tracker::Change;
use crate::schema::{Key, Kind, Schema};

/// One statement that was run, and what came of it.
pub(crate) struct Turn<'s, 'a> {
    pub(crate) statement: &'s Statement<'a>,
    pub(crate) changes: Vec<Change>,
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
pub(crate) struct Act<'s, 'a> {
    pub(crate) script: &'s Script<'a>,
    pub(crate) direction: Direction<'s>,
    /// The schema before it.
    pub(crate) before: Schema,
    pub(crate) turns: Vec<Turn<'s, 'a>>,
}

impl Act<'_, '_> {
    /// Whether an ordinary schema's table, not a temporary one or a view, has this name.
    pub(crate) fn is_table(&self, name: &str) -> bool {
        let key = Key::new(Kind::Table, name);
        let made = self.turns.iter().flat_map(|turn| &turn.changes).filter(|(at, _)| *at == key);
        let mut objects =
            made.filter_map(|(_, object)| object.as_ref()).chain(self.before.get(&key));
        objects.any(|object| object.kind == Kind::Table)
    }
}

/// Where in the document each object was last made or changed.
pub(crate) type Made = HashMap<Key, Range<usize>>;
