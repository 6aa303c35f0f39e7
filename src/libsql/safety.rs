//! Checks the safety rules for a namespace: runs the job on a database in memory that has the
//! namespace's schema and no rows, with the code that runs it on a file. What the rules need of the
//! rows is checked in the batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::ReadDatabase;
use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::error::DatabaseError;
use crate::database::job::{MigrationJob, Step};
use crate::document::diagnostic::Rule;
use crate::libsql::analysis::StatementPosition;
use crate::schema::{ObjectKind, Schema};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::transaction::apply;

/// Fails with [`DatabaseError::SafetyRule`] if a rule refuses a statement of the job on databases
/// of this schema. Every other error is left to the server.
pub(crate) fn check_safety_rules(
    job: &MigrationJob<'_>,
    schema: &Schema,
    setup: &ConnectionSetup,
) -> Result<(), DatabaseError> {
    let mut connection = open_in_memory(setup)?;
    let kinds = [ObjectKind::Table, ObjectKind::Index, ObjectKind::View, ObjectKind::Trigger];
    let objects =
        kinds.iter().flat_map(|kind| schema.values().filter(move |object| object.kind == *kind));
    for object in objects {
        // What this SQLite cannot create is left out: the server's SQLite has it.
        let _ = connection.execute_batch(&object.sql);
    }
    let expected = connection.history_state()?;
    let authorizer = StatementAuthorizer::install(&mut connection)?;
    let is_cancelled = || setup.is_cancelled();
    match apply(&connection, &authorizer, &without_history(job), &expected, &is_cancelled) {
        Err(error @ (DatabaseError::SafetyRule { .. } | DatabaseError::Interrupted)) => Err(error),
        _ => Ok(()),
    }
}

/// The steps of a job without what depends on a database's history and rows.
fn without_history<'j>(job: &'j MigrationJob<'_>) -> MigrationJob<'j> {
    let steps = job.steps.iter().map(|step| Step {
        script: step.script,
        label: step.label.clone(),
        history_entry: None,
        sources: Vec::new(),
    });
    MigrationJob {
        schema_before: job.schema_before.clone(),
        ..MigrationJob::new(job.scope, steps.collect())
    }
}

/// The statements that drop a table which the document does not have, with that table. Only the
/// rows of each namespace decide whether a rule refuses the statement.
pub(crate) fn undocumented_drops(
    job: &MigrationJob<'_>,
    schema: &Schema,
) -> BTreeMap<StatementPosition, String> {
    let mut drops = BTreeMap::new();
    let mut seen_names = BTreeSet::new();
    let is_table = |name: &str| {
        schema.values().any(|object| {
            object.kind == ObjectKind::Table && object.name.eq_ignore_ascii_case(name)
        })
    };
    for (step_index, step) in job.steps.iter().enumerate() {
        for (statement_index, statement) in step.script.statements.iter().enumerate() {
            let Some(dropped) = &statement.dropped_table else { continue };
            let is_first = seen_names.insert(dropped.name.to_ascii_lowercase());
            if is_first
                && dropped.documented.is_empty()
                && !step.script.allows(Rule::UndocumentedLoss)
                && is_table(&dropped.name)
            {
                let position = StatementPosition { step: step_index, statement: statement_index };
                drops.insert(position, dropped.name.clone());
            }
        }
    }
    drops
}
