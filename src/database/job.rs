//! Describes a job, which is what a database has to run: the statements of its steps as SQLite split
//! them in the replay, the schema changes that they are expected to make, and the history entries
//! to write.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use crate::database::error::DatabaseError;
use crate::database::history_entry::{AppliedSource, NewHistoryEntry};
use crate::database::known_schemas::KnownSchemas;
use crate::database::policy::ForeignKeyPolicy;
use crate::database::template::DatabaseTemplate;
use crate::document::diagnostic::Rule;
use crate::document::tag::Scope;
use crate::schema::Schema;
use crate::schema::changes::{ObjectChange, SchemaChange};
use crate::schema::effects::{ExpectedChanges, SchemaOperations};
use crate::schema::losses::DroppedTable;
use crate::schema::renames::{Renames, StatementRename};
use crate::schema::statement_effects::StatementEffects;
use crate::source::{SourceSlice, first_line_span};
use crate::sql::lexer;
use crate::sql::positional::PositionalKind;
use crate::sql::table_definition::ColumnDefinition;
use crate::sql::tokens::Tokens;

/// One statement of a block.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: SourceSlice<'a>,
    /// The column that the statement adds or drops, which may be already applied.
    pub(crate) column_change: Option<ColumnChange>,
    /// The `-- tatmig:assert` above the statement.
    pub(crate) assertion: Option<Assertion>,
    /// The tables and views whose columns the statement uses by their order.
    pub(crate) positional_tables: Vec<PositionalTable>,
    /// The table or column that the statement renames.
    pub(crate) rename: Option<StatementRename>,
    /// The table or view that the statement drops.
    pub(crate) dropped_table: Option<DroppedTable>,
    /// What the statement reads and changes in the replay.
    pub(crate) effects: StatementEffects,
}

#[cfg(test)]
impl<'a> Statement<'a> {
    /// A statement of which nothing but its text is known.
    pub(crate) fn new(sql: SourceSlice<'a>) -> Self {
        Self {
            sql,
            column_change: None,
            assertion: None,
            positional_tables: Vec::new(),
            rename: None,
            dropped_table: None,
            effects: StatementEffects::default(),
        }
    }
}

impl Statement<'_> {
    /// Why the rows that the statement selects must not exist; empty without an assertion.
    pub(crate) fn assertion_reason(&self) -> String {
        self.assertion.as_ref().map(|assertion| assertion.reason.clone()).unwrap_or_default()
    }
}

/// A `-- tatmig:assert`: the statement below it is a SELECT, which must return no row.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    /// Why no row may exist, as the document says it.
    pub(crate) reason: String,
    /// The names of the columns of the SELECT.
    pub(crate) columns: Vec<String>,
}

/// A table or view that a statement uses by position, as the replay had it just before the
/// statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PositionalTable {
    /// In lower case.
    pub(crate) name: String,
    /// The names of its columns, in order, as declared.
    pub(crate) columns: Vec<String>,
    pub(crate) place: PositionalPlace,
}

/// Where columns are used by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PositionalPlace {
    /// In these bytes of the statement.
    Statement(Range<usize>, PositionalKind),
    /// In an object that the statement uses, such as ``view `names` ``.
    Object(String),
}

/// A change of one column, for which SQLite has no `IF NOT EXISTS`.
#[derive(Clone, Debug)]
pub(crate) enum ColumnChange {
    Add { table: String, definition: Box<ColumnDefinition> },
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
            Self::Add { definition, .. } => &definition.name,
            Self::Drop { column, .. } => column,
        }
    }
}

/// The blocks of a migration for one scope, with what the replay observed when it ran them.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompiledScript<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    /// Tables, in lower case, whose rows or keys a statement may have changed.
    pub(crate) modified_tables: BTreeSet<String>,
    /// Columns that an UPDATE names, each with the name that its table had then, in lower case.
    pub(crate) updated_columns: BTreeSet<(String, String)>,
    /// Indexes and triggers that a DROP names, in lower case.
    pub(crate) dropped_objects: BTreeSet<String>,
    /// The tables and columns that the script renames, and the objects that it creates.
    pub(crate) operations: SchemaOperations,
    /// Whether the script changes connection state that has to be reset after a block.
    pub(crate) resets_connection: bool,
    /// Tables that the script drops and creates again under the same name, as SQLite requires for
    /// most changes of a table.
    pub(crate) rebuilt_tables: Vec<String>,
    /// Every ordinary table that the script drops, by its name before the script, in lower case.
    pub(crate) dropped_tables: Vec<String>,
    /// The lint rules that the block may violate.
    pub(crate) allowed_rules: Vec<Rule>,
    /// The schema objects that are different after the script.
    pub(crate) object_changes: Vec<ObjectChange>,
    /// What the statements do to the schema, even if the schema is the same after them.
    pub(crate) schema_change: SchemaChange,
}

/// The script of a history entry that runs no statement.
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
    dropped_tables: Vec::new(),
    allowed_rules: Vec::new(),
    object_changes: Vec::new(),
    schema_change: SchemaChange::None,
};

impl CompiledScript<'_> {
    /// The text of the statements up to the one at `last`.
    pub(crate) fn statement_texts(&self, last: usize) -> Vec<&str> {
        self.statements.iter().take(last + 1).map(|statement| statement.sql.text()).collect()
    }

    /// The first line of the statement that drops a table, by its name before the script, so that it
    /// can be rebuilt.
    pub(crate) fn rebuild_span(&self, table: &str) -> Range<usize> {
        let renames = &self.operations.table_renames;
        let drops_table = |statement: &&Statement<'_>| {
            statement.dropped_table.as_ref().is_some_and(|dropped| {
                let name = dropped.name.to_ascii_lowercase();
                name == table || renames.original_name(&name) == table
            })
        };
        let dropping = self.statements.iter().find(drops_table).or(self.statements.first());
        dropping.map_or(0..0, |statement| first_line_span(&statement.sql))
    }

    /// The bytes of the document of the last INSERT before a table is dropped, which copies its rows;
    /// as [`rebuild_span`](Self::rebuild_span) without one.
    pub(crate) fn copy_span(&self, table: &str) -> Range<usize> {
        let drop = self.rebuild_span(table);
        let is_copy = |statement: &&Statement<'_>| {
            let tokens = Tokens::new(statement.sql.text());
            let keyword = tokens.main_keyword();
            first_line_span(&statement.sql).start < drop.start
                && (tokens.is(keyword, "INSERT") || tokens.is(keyword, "REPLACE"))
        };
        let copy = self.statements.iter().rfind(is_copy);
        copy.map_or(drop.clone(), |statement| first_line_span(&statement.sql))
    }

    /// The first line of the last statement that changes rows of a table, given in lower case; of the
    /// last statement without one.
    pub(crate) fn last_change_span(&self, table: &str) -> Range<usize> {
        let changes =
            |statement: &&Statement<'_>| statement.effects.modified_tables.contains(table);
        let last = self.statements.iter().rfind(changes).or(self.statements.last());
        last.map_or(0..0, |statement| first_line_span(&statement.sql))
    }

    pub(crate) fn allows(&self, rule: Rule) -> bool {
        self.allowed_rules.contains(&rule)
    }
}

/// A script with the history entry that it writes.
#[derive(Debug)]
pub(crate) struct Step<'r, 'a> {
    pub(crate) script: &'r CompiledScript<'a>,
    /// The name of the step in messages.
    pub(crate) label: String,
    /// None for a seed, which writes no history entry.
    pub(crate) history_entry: Option<NewHistoryEntry>,
    /// The SQL to store, for the system database.
    pub(crate) sources: Vec<AppliedSource>,
}

/// Why a safety rule refuses a statement.
pub(crate) struct Refusal {
    /// What the statement would do.
    pub(crate) message: String,
    /// What to do instead, up to the words that say how to allow it.
    pub(crate) advice: String,
}

impl Step<'_, '_> {
    /// The error for a statement of the step that a rule refuses.
    pub(crate) fn refusal(
        &self,
        rule: Rule,
        span: Range<usize>,
        refusal: Refusal,
    ) -> DatabaseError {
        let Refusal { message, advice } = refusal;
        DatabaseError::SafetyRule { rule, migration: self.label.clone(), message, advice, span }
    }
}

/// How the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionEnd {
    Commit,
    /// Roll back after every check: a rehearsal.
    Rollback,
}

/// What the tables of a database hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableContents {
    Rows,
    /// Nothing: the database is an empty copy of another one. A statement that violates a
    /// constraint because a row is missing is passed over.
    Nothing,
}

/// The steps to run on a database in one transaction.
#[derive(Debug)]
pub(crate) struct MigrationJob<'r> {
    pub(crate) scope: Scope,
    pub(crate) steps: Vec<Step<'r, 'r>>,
    pub(crate) expected_changes: ExpectedChanges,
    /// The schema that the document describes before the first step.
    pub(crate) schema_before: Schema,
    /// Schemas without a difference from `schema_before`.
    pub(crate) documented_schemas: KnownSchemas,
    /// Schemas that have the expected changes.
    pub(crate) completed_schemas: KnownSchemas,
    /// Set once the job has run on a database with this schema and left no view, trigger or foreign
    /// key unusable. The rows do not matter to that, so it holds for all such databases.
    pub(crate) keeps_references_usable: OnceLock<()>,
    pub(crate) modified_tables: BTreeSet<String>,
    pub(crate) table_renames: Renames,
    pub(crate) transaction_end: TransactionEnd,
    /// What happens if a row violates a foreign key.
    pub(crate) foreign_keys: ForeignKeyPolicy,
    pub(crate) contents: TableContents,
    /// The database that the job creates from an empty file, built on first use. None if the job
    /// cannot use a template.
    pub(crate) template: OnceLock<Option<DatabaseTemplate>>,
}

impl<'r> MigrationJob<'r> {
    /// Creates a job that commits and enforces foreign keys, and that is not expected to make any
    /// schema change.
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
            schema_before: Schema::new(),
            documented_schemas: KnownSchemas::default(),
            completed_schemas: KnownSchemas::default(),
            keeps_references_usable: OnceLock::new(),
            transaction_end: TransactionEnd::Commit,
            foreign_keys: ForeignKeyPolicy::Enforce,
            contents: TableContents::Rows,
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

    /// The first line of the last statement that names one of some tables, given in lower case.
    pub(crate) fn last_statement_naming(&self, tables: &BTreeSet<String>) -> Option<Range<usize>> {
        let mut statements = self.steps.iter().flat_map(|step| &step.script.statements);
        let found = statements.rfind(|statement| {
            let text = statement.sql.text();
            lexer::tokens(text, 0)
                .any(|token| tables.contains(&lexer::unquote(&text[token.range]).to_lowercase()))
        });
        found.map(|statement| first_line_span(&statement.sql))
    }

    /// Whether violated foreign keys do not fail the job.
    pub(crate) fn allows_violations(&self) -> bool {
        self.foreign_keys == ForeignKeyPolicy::Report
            || self.steps.iter().any(|step| step.script.allows(Rule::ForeignKeys))
    }
}

/// The result of a job that succeeded.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobResult {
    /// Remarks that did not fail the job.
    pub(crate) notes: Vec<String>,
    /// How many rows each step inserted, updated or deleted, in the order of the steps. Empty if
    /// this is unknown.
    pub(crate) rows_changed: Vec<u64>,
    pub(crate) duration: Duration,
}
