//! What is learned once of every schema that an order meets: the order runs in the real namespace
//! and is rolled back, and what it would leave is judged here, by the same code that judges a
//! file. The next namespaces of that schema need one batch, which commits only if it ends in the
//! schema that was judged.

use std::collections::BTreeSet;

use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::MigrationJob;
use crate::libsql::analysis::{JobAnalysis, already_applied};
use crate::libsql::error::{batch_error, statement_error};
use crate::libsql::foreign_keys::ForeignKeySet;
use crate::libsql::introspect;
use crate::libsql::introspect::{INTROSPECTION_QUERIES, RemoteSchema, TABLE_INTROSPECTION_QUERIES};
use crate::libsql::namespace::{Namespace, StateSnapshot};
use crate::libsql::precondition::push_precondition;
use crate::libsql::program::{BatchBuilder, StepKind};
use crate::sqld::hrana::{BatchStep, StepResults, Value};

/// Where the answers of a trial are.
struct ProbeLayout {
    schema_before_step: usize,
    /// Of each column change: its step and statement, its own place, and those of the questions
    /// asked where it failed.
    column_changes: Vec<((usize, usize), Vec<usize>)>,
    schema_after_step: usize,
    fingerprint_step: usize,
}

impl Namespace {
    /// Tries an order, rolls it back, and judges what it would leave.
    pub(crate) fn analyze(
        &self,
        (job, expected): (&MigrationJob<'_>, &HistoryState),
        snapshot: &StateSnapshot,
    ) -> Result<JobAnalysis, DatabaseError> {
        let mut builder = BatchBuilder::new();
        push_precondition(&mut builder, expected, snapshot);
        let push_introspection = |program: &mut BatchBuilder| {
            let first_step = program.steps.len();
            for query in INTROSPECTION_QUERIES {
                program.push(BatchStep::query(query, Vec::new()), StepKind::Internal);
            }
            first_step
        };
        let schema_before_step = push_introspection(&mut builder);
        let mut column_changes = Vec::new();
        for (step_index, step) in job.steps.iter().enumerate() {
            for (statement_index, statement) in step.script.statements.iter().enumerate() {
                let kind = StepKind::Statement(step_index, statement_index);
                let batch_step = BatchStep::execute(statement.sql.text(), Vec::new());
                match &statement.column_change {
                    None => {
                        builder.push(batch_step, kind);
                    }
                    Some(change) => {
                        let table_argument = || vec![Value::from_text(change.table())];
                        let table_queries = TABLE_INTROSPECTION_QUERIES
                            .map(|query| BatchStep::query(query, table_argument()))
                            .into();
                        column_changes.push((
                            (step_index, statement_index),
                            builder.push_with_fallback((batch_step, kind), table_queries),
                        ));
                    }
                }
            }
        }
        let schema_after_step = push_introspection(&mut builder);
        let fingerprint_step = builder.push(
            BatchStep::query(crate::libsql::namespace::SCHEMA_FINGERPRINT_QUERY, Vec::new()),
            StepKind::Internal,
        );
        builder.push_transaction_end("ROLLBACK");
        let layout =
            ProbeLayout { schema_before_step, column_changes, schema_after_step, fingerprint_step };
        let results = self.run_batch(&builder)?;
        Self::evaluate_probe((job, &builder), &layout, &results)
    }

    fn evaluate_probe(
        (job, builder): (&MigrationJob<'_>, &BatchBuilder),
        layout: &ProbeLayout,
        results: &StepResults,
    ) -> Result<JobAnalysis, DatabaseError> {
        let mut analysis = JobAnalysis::default();
        let schema_at = |first_step: usize| -> Option<RemoteSchema> {
            let rows = |at: usize| results.rows(first_step + at);
            Some(introspect::read([rows(0)?, rows(1)?, rows(2)?, rows(3)?, rows(4)?]))
        };
        let schema_before = schema_at(layout.schema_before_step).unwrap_or_default();
        let mut tolerated_steps = BTreeSet::new();
        for ((at, statement_index), batch_steps) in &layout.column_changes {
            let [statement_step, columns, foreign_keys] = batch_steps[..] else { continue };
            let (Err(error), Some(columns), Some(keys)) =
                (&results.steps[statement_step], results.rows(columns), results.rows(foreign_keys))
            else {
                continue;
            };
            let position = (*at, *statement_index);
            if let Some(note) =
                already_applied((job, position), &schema_before, (error, columns, keys))?
            {
                analysis.already_applied.insert(position, note);
                tolerated_steps.insert(statement_step);
            } else {
                return Err(statement_error(job, position, (error, false)));
            }
        }
        if let Err(failure) = builder.check_outcome(results, |at| tolerated_steps.contains(&at)) {
            return Err(batch_error(job, failure, &[]));
        }
        let schema_after = schema_at(layout.schema_after_step).unwrap_or_default();
        let fingerprint =
            results.rows(layout.fingerprint_step).and_then(|rows| rows.first()?.first());
        if !job.expected_changes.is_empty() {
            analysis.expected_fingerprint =
                Some(fingerprint.and_then(Value::to_text).unwrap_or_default());
            analysis.unmet = job
                .expected_changes
                .unmet_in(|key| schema_after.schema.get(key).map(AsRef::as_ref));
        }
        if !job.modified_tables.is_empty() {
            analysis.keys_before =
                ForeignKeySet::from_schema(&schema_before, Some(&job.modified_tables));
            let mut modified_tables = job.modified_tables.clone();
            modified_tables.extend(job.table_renames.new_names().map(str::to_owned));
            analysis.keys_after = ForeignKeySet::from_schema(&schema_after, Some(&modified_tables));
        }
        Ok(analysis)
    }
}
