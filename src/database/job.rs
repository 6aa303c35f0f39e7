//! What a database is asked to do: the statements of some steps as SQLite split them in the
//! replay, the effects that they must have, and the rows to write down.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use crate::database::history_entry::{Applied, Entry};
use crate::database::policy::ForeignKeys;
use crate::database::template::Image;
use crate::document::diagnostic::Rule;
use crate::document::tag::Scope;
use crate::schema::ColumnDefinition;
use crate::schema::effects::{Deeds, Effects};
use crate::schema::tracker::Change;
use crate::source::Piece;

/// One statement of a block.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: Piece<'a>,
    /// What it does to a column, where that may have been done before.
    pub(crate) column: Option<ColumnChange>,
}

/// A change that SQLite cannot guard with `IF NOT EXISTS`.
#[derive(Clone, Debug)]
pub(crate) enum ColumnChange {
    Added { table: String, definition: ColumnDefinition },
    Dropped { table: String, column: String },
}

impl ColumnChange {
    pub(crate) fn table(&self) -> &str {
        match self {
            Self::Added { table, .. } | Self::Dropped { table, .. } => table,
        }
    }

    pub(crate) fn column(&self) -> &str {
        match self {
            Self::Added { definition, .. } => &definition.column.name,
            Self::Dropped { column, .. } => column,
        }
    }
}

/// A migration's part for one scope, as the replay saw it run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    /// Tables, in lower case, whose rows or keys a statement may have changed.
    pub(crate) touched: BTreeSet<String>,
    /// Columns that an UPDATE names, each with its table as it was called then, in lower case.
    pub(crate) updated: BTreeSet<(String, String)>,
    /// Indexes and triggers that a DROP names, in lower case.
    pub(crate) removed: BTreeSet<String>,
    /// What it renames and makes.
    pub(crate) deeds: Deeds,
    /// Whether connection state that outlives a block has to be put back.
    pub(crate) leaves_state: bool,
    /// Tables that it drops and makes again under their name, as SQLite changes tables.
    pub(crate) rebuilt: Vec<String>,
    /// The rules that its block lifts.
    pub(crate) allowed: Vec<Rule>,
    /// What it changed in the schema.
    pub(crate) changes: Vec<Change>,
}

/// The script of an event that runs nothing.
pub(crate) static NOTHING: Script<'static> = Script {
    statements: Vec::new(),
    touched: BTreeSet::new(),
    updated: BTreeSet::new(),
    removed: BTreeSet::new(),
    deeds: Deeds { renames: Vec::new(), renamed_columns: Vec::new(), made: BTreeSet::new() },
    leaves_state: false,
    rebuilt: Vec::new(),
    allowed: Vec::new(),
    changes: Vec::new(),
};

impl Script<'_> {
    pub(crate) fn allows(&self, rule: Rule) -> bool {
        self.allowed.contains(&rule)
    }
}

/// A script with the row that records it.
#[derive(Debug)]
pub(crate) struct Step<'r, 'a> {
    pub(crate) script: &'r Script<'a>,
    /// What messages call it.
    pub(crate) label: String,
    /// None for a seed, which leaves no record.
    pub(crate) entry: Option<Entry>,
    /// For the system database: the SQL to be kept.
    pub(crate) applied: Vec<Applied>,
}

/// How the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Commit,
    /// After every check, nothing is kept: a rehearsal.
    Rollback,
}

/// All pending steps of a database.
#[derive(Debug)]
pub(crate) struct Order<'r> {
    pub(crate) scope: Scope,
    pub(crate) steps: Vec<Step<'r, 'r>>,
    pub(crate) effects: Effects,
    pub(crate) touched: BTreeSet<String>,
    pub(crate) renames: Vec<(String, String)>,
    pub(crate) ending: Ending,
    /// What broken foreign keys mean.
    pub(crate) foreign_keys: ForeignKeys,
    /// What it makes of an empty file, once that was asked for; none where it has to be run.
    pub(crate) image: OnceLock<Option<Image>>,
}

impl<'r> Order<'r> {
    /// Steps that are to be kept once foreign keys hold, without any effect that they must have.
    pub(crate) fn of(scope: Scope, steps: Vec<Step<'r, 'r>>) -> Self {
        let scripts = || steps.iter().map(|step| step.script);
        let touched = scripts().flat_map(|script| script.touched.iter().cloned()).collect();
        let renames = scripts().flat_map(|script| script.deeds.renames.iter().cloned()).collect();
        Self {
            scope,
            touched,
            renames,
            steps,
            effects: Effects::default(),
            ending: Ending::Commit,
            foreign_keys: ForeignKeys::Held,
            image: OnceLock::new(),
        }
    }
}

/// What came of an order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// What was noticed on the way and stood in nobody's way.
    pub(crate) notes: Vec<String>,
    pub(crate) duration: Duration,
}
