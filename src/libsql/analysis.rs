//! What a job does to namespaces of one schema, found by a probe and cached.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::database::error::DatabaseError;
use crate::database::job::{ColumnChange, MigrationJob};
use crate::libsql::error::error_span_in_document;
use crate::libsql::foreign_keys::ForeignKeySet;
use crate::libsql::introspect;
use crate::libsql::introspect::RemoteSchema;
use crate::schema::Table;
use crate::sqld::hrana::{Rows, SqlError};

/// What an order does to databases of one schema.
#[derive(Debug, Default)]
pub(crate) struct JobAnalysis {
    /// Statements that had been done before, each with what is noted of it.
    pub(crate) already_applied: BTreeMap<(usize, usize), String>,
    /// The schema that it ends in; none where nothing is asked of it.
    pub(crate) expected_fingerprint: Option<String>,
    /// What of the effects is missing there, each in words.
    pub(crate) unmet: Vec<String>,
    pub(crate) keys_before: ForeignKeySet,
    pub(crate) keys_after: ForeignKeySet,
    /// Whether a database of this schema was met that has rows without their parents.
    has_violations: AtomicBool,
}

impl JobAnalysis {
    /// What a step need not do, in words.
    pub(crate) fn step_note(&self, step: usize) -> Option<String> {
        let already_applied = self.already_applied.range((step, 0)..(step + 1, 0));
        let notes: Vec<&str> = already_applied.map(|(_, note)| note.as_str()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    pub(crate) fn has_violations(&self) -> bool {
        self.has_violations.load(Ordering::Relaxed)
    }

    pub(crate) fn set_has_violations(&self) {
        self.has_violations.store(true, Ordering::Relaxed);
    }
}

/// Whether a failed ADD or DROP COLUMN had been done before this run, to the same end.
pub(crate) fn already_applied(
    (job, (step, statement)): (&MigrationJob<'_>, (usize, usize)),
    schema_before: &RemoteSchema,
    (error, columns, foreign_keys): (&SqlError, &Rows, &Rows),
) -> Result<Option<String>, DatabaseError> {
    let (step, statement) = (&job.steps[step], &job.steps[step].script.statements[statement]);
    let Some(change) = &statement.column_change else { return Ok(None) };
    // The table may have stood under another name before this run.
    let name = change.table().to_ascii_lowercase();
    let table_before_named = |name: &str| schema_before.tables.get(name).map(|(_, table)| table);
    let Some(table_before) = table_before_named(&name)
        .or_else(|| table_before_named(&job.table_renames.original_name(&name)))
    else {
        return Ok(None);
    };
    let (message, _) = error.message_and_offset();
    let table_now: Table = introspect::table_from_rows(columns, foreign_keys);
    match change {
        ColumnChange::Add { table, definition } if message.starts_with("duplicate column name") => {
            let column = &definition.column.name;
            if table_before.column(column).is_none() {
                return Ok(None);
            }
            let Some(found) = table_now.definition(column) else { return Ok(None) };
            if definition.matches(&found) {
                return Ok(Some(format!("column `{table}.{column}` was already there")));
            }
            Err(DatabaseError::ColumnDiffers {
                migration: step.label.clone(),
                table: table.clone(),
                column: column.clone(),
                found: found.to_string(),
                expected: definition.to_string(),
                span: error_span_in_document(statement, (&message, None)),
            })
        }
        ColumnChange::Drop { table, column }
            if message.starts_with("no such column") && table_before.column(column).is_none() =>
        {
            Ok(Some(format!("column `{table}.{column}` was already gone")))
        }
        ColumnChange::Add { .. } | ColumnChange::Drop { .. } => Ok(None),
    }
}
