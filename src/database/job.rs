//! What a database is asked to do: the statements of some steps as SQLite split them in the
//! replay, the effects that they must have, and the rows to write down.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use crate::database::history_entry::{AppliedSource, NewHistoryEntry};
use crate::database::policy::ForeignKeyPolicy;
use crate::database::template::DatabaseTemplate;
use crate::document::diagnostic::Rule;
use crate::document::tag::Scope;
use crate::schema::ColumnDefinition;
use crate::schema::changes::ObjectChange;
use crate::schema::effects::{ExpectedChanges, SchemaOperations};
use crate::schema::renames::Renames;
use crate::source::SourceSlice;

/// One statement of a block.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: SourceSlice<'a>,
    /// What it does to a column, where that may have been done before.
    pub(crate) column_change: Option<ColumnChange>,
}

/// A change that SQLite cannot guard with `IF NOT EXISTS`.
#[derive(Clone, Debug)]
pub(crate) enum ColumnChange {
    Add { table: String, definition: ColumnDefinition },
    Drop { table: String, column: String },
}

impl ColumnChange {
    pub(crate) fn table(&self) -> &str {
        match self {
            Self::Add { table, .. } | Self::Drop { table, .. } => table,
        }
    }

    pub(crate) fn column(&self) -> &str {
        match self {
            Self::Add { definition, .. } => &definition.column.name,
            Self::Drop { column, .. } => column,
        }
    }
}

/// A migration's part for one scope, as the replay saw it run.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompiledScript<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    /// Tables, in lower case, whose rows or keys a statement may have changed.
    pub(crate) modified_tables: BTreeSet<String>,
    /// Columns that an UPDATE names, each with its table as it was called then, in lower case.
    pub(crate) updated_columns: BTreeSet<(String, String)>,
    /// Indexes and triggers that a DROP names, in lower case.
    pub(crate) dropped_objects: BTreeSet<String>,
    /// What it renames and makes.
    pub(crate) operations: SchemaOperations,
    /// Whether connection state that outlives a block has to be put back.
    pub(crate) resets_connection: bool,
    /// Tables that it drops and makes again under their name, as SQLite changes tables.
    pub(crate) rebuilt_tables: Vec<String>,
    /// The rules that its block lifts.
    pub(crate) allowed_rules: Vec<Rule>,
    /// What it changed in the schema.
    pub(crate) object_changes: Vec<ObjectChange>,
}

/// The script of an event that runs nothing.
pub(crate) static EMPTY_SCRIPT: CompiledScript<'static> = CompiledScript {
    statements: Vec::new(),
    modified_tables: BTreeSet::new(),
    updated_columns: BTreeSet::new(),
    dropped_objects: BTreeSet::new(),
    operations: SchemaOperations {
        table_renames: Renames::new(),
        renamed_columns: Vec::new(),
        created_objects: BTreeSet::new(),
    },
    resets_connection: false,
    rebuilt_tables: Vec::new(),
    allowed_rules: Vec::new(),
    object_changes: Vec::new(),
};

impl CompiledScript<'_> {
    pub(crate) fn allows(&self, rule: Rule) -> bool {
        self.allowed_rules.contains(&rule)
    }
}

/// A script with the row that records it.
#[derive(Debug)]
pub(crate) struct Step<'r, 'a> {
    pub(crate) script: &'r CompiledScript<'a>,
    /// What messages call it.
    pub(crate) label: String,
    /// None for a seed, which leaves no record.
    pub(crate) history_entry: Option<NewHistoryEntry>,
    /// For the system database: the SQL to be kept.
    pub(crate) sources: Vec<AppliedSource>,
}

/// How the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionEnd {
    Commit,
    /// After every check, nothing is kept: a rehearsal.
    Rollback,
}

/// All pending steps of a database.
#[derive(Debug)]
pub(crate) struct MigrationJob<'r> {
    pub(crate) scope: Scope,
    pub(crate) steps: Vec<Step<'r, 'r>>,
    pub(crate) expected_changes: ExpectedChanges,
    pub(crate) modified_tables: BTreeSet<String>,
    pub(crate) table_renames: Renames,
    pub(crate) transaction_end: TransactionEnd,
    /// What broken foreign keys mean.
    pub(crate) foreign_keys: ForeignKeyPolicy,
    /// What it makes of an empty file, once that was asked for; none where it has to be run.
    pub(crate) template: OnceLock<Option<DatabaseTemplate>>,
}

impl<'r> MigrationJob<'r> {
    /// Steps that are to be kept once foreign keys hold, without any effect that they must have.
    pub(crate) fn new(scope: Scope, steps: Vec<Step<'r, 'r>>) -> Self {
        let scripts = || steps.iter().map(|step| step.script);
        let modified_tables =
            scripts().flat_map(|script| script.modified_tables.iter().cloned()).collect();
        let mut table_renames = Renames::new();
        for script in scripts() {
            table_renames.append(&script.operations.table_renames);
        }
        Self {
            scope,
            modified_tables,
            table_renames,
            steps,
            expected_changes: ExpectedChanges::default(),
            transaction_end: TransactionEnd::Commit,
            foreign_keys: ForeignKeyPolicy::Enforce,
            template: OnceLock::new(),
        }
    }
}

impl MigrationJob<'_> {
    /// The tables, in lower case, whose rows or keys a statement may have changed, under all of
    /// their names.
    pub(crate) fn modified_tables_after(&self) -> BTreeSet<String> {
        let new_names = self.table_renames.new_names().map(str::to_owned);
        self.modified_tables.iter().cloned().chain(new_names).collect()
    }

    /// Whether violated foreign keys do not fail the job.
    pub(crate) fn allows_violations(&self) -> bool {
        self.foreign_keys == ForeignKeyPolicy::Report
            || self.steps.iter().any(|step| step.script.allows(Rule::ForeignKeys))
    }
}

/// What came of an order.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobResult {
    /// What was noticed on the way and stood in nobody's way.
    pub(crate) notes: Vec<String>,
    pub(crate) duration: Duration,
}
