//! Finds out what a job does to a schema: runs the job in the namespace, rolls it back, and
//! analyses the schema that it would leave with the same code as for a file. The analysis is
//! cached: later namespaces of the same schema need one batch, which commits only if it ends in
//! the analysed schema.

use std::collections::BTreeSet;
use std::convert::Infallible;

use crate::database::already_applied::{ColumnState, FailedColumnChange};
use crate::database::error::DatabaseError;
use crate::database::foreign_keys::ForeignKeySet;
use crate::database::history_entry::HistoryState;
use crate::database::job::{ColumnChange, MigrationJob};
use crate::database::schema_reader::{
    SCHEMA_QUERY, TABLE_QUERY, schema_from_rows, table_from_rows,
};
use crate::libsql::analysis::{JobAnalysis, StatementPosition};
use crate::libsql::error::{batch_error, error_span_in_document, statement_error};
use crate::libsql::namespace::{Namespace, SCHEMA_FINGERPRINT_QUERY, StateSnapshot};
use crate::libsql::precondition::push_precondition;
use crate::libsql::program::{BatchBuilder, StepKind};
use crate::libsql::safety::{check_safety_rules, undocumented_drops};
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::table_definition::TableDefinition;
use crate::sql::value::{Rows, SqlValue};
use crate::sqld::protocol::{BatchStep, SqlError, StepResults};

/// The batch of a probe, and the indices of the steps whose results the analysis needs.
struct Probe {
    builder: BatchBuilder,
    /// The [`SCHEMA_QUERY`] before the job.
    schema_before: usize,
    column_changes: Vec<ColumnChangeSteps>,
    /// The [`SCHEMA_QUERY`] after the job.
    schema_after: usize,
    fingerprint: usize,
}

/// The steps for a statement that adds or drops a column.
struct ColumnChangeSteps {
    position: StatementPosition,
    statement: usize,
    /// The [`TABLE_QUERY`], which runs if the statement fails.
    table: usize,
}

impl Namespace {
    /// Runs a job, rolls it back, and analyses what it would leave.
    pub(crate) fn analyze(
        &self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
        snapshot: &StateSnapshot,
    ) -> Result<JobAnalysis, DatabaseError> {
        let probe = Probe::new(job, expected, snapshot);
        let mut results = self.run_batch(&probe.builder)?;
        let schema_before = take_schema(&mut results, probe.schema_before);
        check_safety_rules(job, &schema_before, &self.options.setup)?;
        probe.evaluate(job, &schema_before, &mut results)
    }
}

impl Probe {
    fn new(job: &MigrationJob<'_>, expected: &HistoryState, snapshot: &StateSnapshot) -> Self {
        let mut builder = BatchBuilder::new();
        push_precondition(&mut builder, expected, snapshot);
        let schema_before = push_schema_query(&mut builder);
        let mut column_changes = Vec::new();
        for (step_index, step) in job.steps.iter().enumerate() {
            for (statement_index, statement) in step.script.statements.iter().enumerate() {
                let position = StatementPosition { step: step_index, statement: statement_index };
                let kind = StepKind::Statement(position);
                let batch_step = BatchStep::execute(statement.sql.text(), Vec::new());
                match &statement.column_change {
                    None => {
                        builder.push(batch_step, kind);
                    }
                    Some(change) => {
                        let statement = builder.steps.len();
                        let table = push_column_change(&mut builder, batch_step, kind, change);
                        column_changes.push(ColumnChangeSteps { position, statement, table });
                    }
                }
            }
        }
        let schema_after = push_schema_query(&mut builder);
        let fingerprint = builder
            .push(BatchStep::query(SCHEMA_FINGERPRINT_QUERY, Vec::new()), StepKind::Internal);
        builder.push_transaction_end("ROLLBACK");
        Self { builder, schema_before, column_changes, schema_after, fingerprint }
    }

    fn evaluate(
        &self,
        job: &MigrationJob<'_>,
        schema_before: &Schema,
        results: &mut StepResults,
    ) -> Result<JobAnalysis, DatabaseError> {
        let mut analysis = JobAnalysis::default();
        analysis.undocumented_drops = undocumented_drops(job, schema_before);
        let mut tolerated_steps = BTreeSet::new();
        for steps in &self.column_changes {
            let (Err(error), Some(rows)) =
                (&results.steps[steps.statement], results.rows(steps.table))
            else {
                continue;
            };
            let position = steps.position;
            let table_now = table_from_rows("", rows.clone());
            match column_state(job, position, error, &table_now, schema_before) {
                ColumnState::AlreadyApplied(note) => {
                    analysis.already_applied.insert(position, note);
                }
                ColumnState::Different(column) => {
                    analysis.already_applied.insert(position, column.note());
                    analysis.different_columns.push(column);
                }
                ColumnState::NotApplied => return Err(statement_error(job, position, error)),
            }
            tolerated_steps.insert(steps.statement);
        }
        let is_tolerated = |step| tolerated_steps.contains(&step);
        if let Err(failure) = self.builder.check_outcome(results, is_tolerated) {
            return Err(batch_error(job, failure, &Rows::new()));
        }
        let schema_after = take_schema(results, self.schema_after);
        analysis.counted_tables = counted_tables(job, schema_before, &schema_after);
        if !job.expected_changes.is_empty() {
            let fingerprint = results.rows(self.fingerprint).and_then(|rows| rows.first());
            analysis.expected_fingerprint =
                Some(fingerprint.map(|row| row.text(0)).unwrap_or_default());
            analysis.unmet =
                job.expected_changes.unmet_in(|key| schema_after.get(key).map(AsRef::as_ref));
        }
        if !job.modified_tables.is_empty() {
            analysis.keys_before = ForeignKeySet::from_schema(schema_before, &job.modified_tables);
            analysis.keys_after =
                ForeignKeySet::from_schema(&schema_after, &job.modified_tables_after());
        }
        Ok(analysis)
    }
}

/// Adds the query for the whole schema; returns its index.
fn push_schema_query(builder: &mut BatchBuilder) -> usize {
    builder.push(BatchStep::query(SCHEMA_QUERY, Vec::new()), StepKind::Internal)
}

/// Adds a statement that may fail, and the query for its table if it does; returns the index of
/// the query.
fn push_column_change(
    builder: &mut BatchBuilder,
    statement: BatchStep,
    kind: StepKind,
    change: &ColumnChange,
) -> usize {
    let query = BatchStep::query(TABLE_QUERY, vec![SqlValue::from_text(change.table())]);
    builder.push_with_fallback(statement, kind, vec![query])[1]
}

/// The schema that a [`SCHEMA_QUERY`] returned; empty if it did not run.
fn take_schema(results: &mut StepResults, step: usize) -> Schema {
    results.take_rows(step).map(schema_from_rows).unwrap_or_default()
}

/// Decides what the failure of a statement that adds or drops a column means.
fn column_state(
    job: &MigrationJob<'_>,
    position: StatementPosition,
    error: &SqlError,
    table_now: &Object,
    schema_before: &Schema,
) -> ColumnState {
    let step = &job.steps[position.step];
    let statement = &step.script.statements[position.statement];
    let Some(change) = &statement.column_change else { return ColumnState::NotApplied };
    let name = change.table().to_ascii_lowercase();
    let find = |name: &str| schema_before.get(&ObjectKey::new(ObjectKind::Table, name));
    let table_before = find(&name).or_else(|| find(&job.table_renames.original_name(&name)));
    let (message, _) = error.message_and_offset();
    let failed = FailedColumnChange {
        change: Some(change),
        existed_before: table_before.map(|table| table.has_column(change.column())),
        message: &message,
        migration: &step.label,
        span: &error_span_in_document(statement, &message, None),
    };
    let Ok(state) = failed.state(|_| Ok::<_, Infallible>(table_now.clone()));
    state
}

/// The rebuilt tables, in lower case, that have AUTOINCREMENT before and after the job.
fn counted_tables(job: &MigrationJob<'_>, before: &Schema, after: &Schema) -> BTreeSet<String> {
    let is_autoincrement = |schema: &Schema, name: &str| {
        let table = schema.get(&ObjectKey::new(ObjectKind::Table, name));
        let definition = table.and_then(|table| table.table_definition());
        definition.is_some_and(TableDefinition::is_autoincrement)
    };
    let rebuilt = job.steps.iter().flat_map(|step| &step.script.rebuilt_tables);
    rebuilt
        .filter(|table| is_autoincrement(before, table) && is_autoincrement(after, table))
        .cloned()
        .collect()
}
