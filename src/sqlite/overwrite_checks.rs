//! Checks, during a run, that no statement overwrites a column that was already applied: by the names
//! that a statement writes to before it runs, and by the values in the rows after each step. A block
//! that allows it gives the values up, so that a later step does not report the same loss again.

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::job::{ColumnChange, CompiledScript, Refusal, Statement, Step};
use crate::database::schema_reader::read_table_objects;
use crate::document::diagnostic::Rule;
use crate::schema::overwrites::{AppliedColumn, Overwrite, WriteKind, replaces_rows};
use crate::schema::statement_effects::StatementEffects;
use crate::source::first_line_span;
use crate::sql::table_definition::ColumnDefinition;
use crate::sqlite::applied_values::AppliedValues;
use crate::sqlite::authorizer::StatementAuthorizer;

/// The columns of a database that were already applied.
pub(crate) struct OverwriteChecks<'r> {
    connection: &'r Connection,
    authorizer: &'r StatementAuthorizer,
    columns: Vec<FollowedColumn>,
}

struct FollowedColumn {
    names: AppliedColumn,
    /// None once a block that allows it has overwritten them.
    values: Option<AppliedValues>,
}

impl<'r> OverwriteChecks<'r> {
    pub(crate) fn new(connection: &'r Connection, authorizer: &'r StatementAuthorizer) -> Self {
        Self { connection, authorizer, columns: Vec::new() }
    }

    /// Records a column whose ADD COLUMN was already applied, and its values.
    pub(crate) fn add_column(
        &mut self,
        table: &str,
        definition: &ColumnDefinition,
    ) -> Result<(), DatabaseError> {
        let names = AppliedColumn::new(table, &definition.name);
        let values = Some(AppliedValues::read(self.connection, table, definition)?);
        self.columns.push(FollowedColumn { names, values });
        Ok(())
    }

    /// Refuses a statement that is about to run if it overwrites one of the columns.
    pub(crate) fn before_statement(
        &mut self,
        statement: &Statement<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        if self.columns.is_empty() {
            return Ok(());
        }
        // What the triggers and views of this database write counts, not those of the document.
        let effects = self.effects_of(statement);
        let kind = WriteKind {
            replaces_rows: self.may_replace_rows(&effects, statement)?,
            rebuilds: rebuilds_dropped_table(&effects, step.script),
        };
        for column in &mut self.columns {
            if let Some(refusal) = column.refusal(&effects, kind, statement) {
                if !step.script.allows(Rule::Overwrite) {
                    let span = first_line_span(&statement.sql);
                    return Err(step.refusal(Rule::Overwrite, span, refusal));
                }
                column.values = None;
            }
            column.follow(&effects, statement);
        }
        self.columns.retain(|column| !column.names.is_gone() || column.values.is_some());
        Ok(())
    }

    /// Refuses a step that created rows again without the values that the application gave them.
    pub(crate) fn after_step(&mut self, step: &Step<'_, '_>) -> Result<(), DatabaseError> {
        for column in &mut self.columns {
            let Some(values) = &column.values else { continue };
            let Some(lost) = values.lost(self.connection)? else { continue };
            if !step.script.allows(Rule::Overwrite) {
                let noun = if lost.count == 1 { "value" } else { "values" };
                let message = format!(
                    "after this, {} {noun} of `{}` would be lost: the column existed before this run and holds values of the application",
                    lost.count,
                    values.name()
                );
                let advice =
                    format!("copy `{}` unchanged; if these values may be lost", values.column);
                return Err(step.refusal(Rule::Overwrite, lost.span, Refusal { message, advice }));
            }
            column.values = None;
        }
        Ok(())
    }

    /// What a statement reads and writes in this database; nothing if it does not compile, which its
    /// run will report.
    fn effects_of(&self, statement: &Statement<'_>) -> StatementEffects {
        self.authorizer.enable_and_track_effects();
        let prepared = self.connection.prepare(statement.sql.text());
        let effects = self.authorizer.effects();
        self.authorizer.disable();
        if prepared.is_ok() { effects } else { StatementEffects::default() }
    }

    /// Whether the statement itself, a trigger or a constraint of a table that it fills has a
    /// conflict clause that replaces rows.
    fn may_replace_rows(
        &self,
        effects: &StatementEffects,
        statement: &Statement<'_>,
    ) -> Result<bool, DatabaseError> {
        if replaces_rows(statement.sql.text()) {
            return Ok(true);
        }
        for table in effects.filled_tables.iter().chain(&effects.modified_tables) {
            let objects = read_table_objects(self.connection, table)?;
            if objects.iter().any(|object| replaces_rows(&object.sql)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl FollowedColumn {
    /// Why a statement is refused, if it would overwrite the column.
    fn refusal(
        &self,
        effects: &StatementEffects,
        kind: WriteKind,
        statement: &Statement<'_>,
    ) -> Option<Refusal> {
        const REASON: &str = "which existed before this run and holds values of the application";
        if let Some(ColumnChange::Drop { table, column }) = &statement.column_change
            && self.values.as_ref().is_some_and(|values| values.is_dropped_by(table, column))
        {
            return Some(Refusal {
                message: format!("this drops `{table}.{column}`, {REASON}"),
                advice: "if these values may be lost".to_owned(),
            });
        }
        Some(match self.names.overwritten_by(effects, kind)? {
            Overwrite::Write { table, column } => Refusal {
                message: format!("this writes to `{table}.{column}`, {REASON}"),
                advice: "if these values may be replaced".to_owned(),
            },
            Overwrite::Rebuild { table, column } => Refusal {
                message: format!(
                    "this drops `{table}` without a copy of `{table}.{column}`, {REASON}"
                ),
                advice: format!("copy `{column}` into the new table; if these values may be lost"),
            },
        })
    }

    fn follow(&mut self, effects: &StatementEffects, statement: &Statement<'_>) {
        self.names.follow(effects, statement.rename.as_ref());
        if let Some(ColumnChange::Drop { table, column }) = &statement.column_change {
            self.names.drop_column(table, column);
        }
        if let Some(values) = &mut self.values {
            values.follow(effects, statement);
        }
    }
}

/// Whether the table that a statement drops exists again after its block.
fn rebuilds_dropped_table(effects: &StatementEffects, script: &CompiledScript<'_>) -> bool {
    effects.dropped_table.as_ref().is_some_and(|table| {
        let original_name = script.operations.table_renames.original_name(table);
        script.rebuilt_tables.iter().any(|rebuilt| *rebuilt == *table || *rebuilt == original_name)
    })
}
