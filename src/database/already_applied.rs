//! Decides whether a failed ADD COLUMN or DROP COLUMN is already applied: its result existed
//! before the run. SQLite has no `IF NOT EXISTS` for columns.

use std::ops::Range;

use crate::database::error::DatabaseError;
use crate::database::job::ColumnChange;
use crate::schema::Object;
use crate::schema::difference::AcceptedDrift;

/// A statement for a column that failed.
#[derive(Debug)]
pub(crate) struct FailedColumnChange<'f> {
    /// The change of the statement; none if it changes no column.
    pub(crate) change: Option<&'f ColumnChange>,
    /// Whether the column existed before the run; none if its table did not.
    pub(crate) existed_before: Option<bool>,
    /// SQLite's message.
    pub(crate) message: &'f str,
    /// The name of the migration for messages.
    pub(crate) migration: &'f str,
    /// The bytes of the document that the message is about.
    pub(crate) span: &'f Range<usize>,
}

/// What a failed ADD COLUMN or DROP COLUMN means.
#[derive(Debug)]
pub(crate) enum ColumnState {
    /// The failure has another reason.
    NotApplied,
    /// The change is already applied, as the note says.
    AlreadyApplied(String),
    /// The column existed with another definition.
    Different(DifferentColumn),
}

/// A column that existed with another definition than the statement gives it.
#[derive(Clone, Debug)]
pub(crate) struct DifferentColumn {
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) found: String,
    pub(crate) expected: String,
    pub(crate) migration: String,
    pub(crate) span: Range<usize>,
}

impl DifferentColumn {
    /// The note of a run in which the history accepts the column.
    pub(crate) fn note(&self) -> String {
        let Self { table, column, found, expected, .. } = self;
        format!(
            "column `{table}.{column}` already existed as `{found}`, not `{expected}` (accepted drift)"
        )
    }

    /// Fails with [`DatabaseError::ColumnDiffers`] unless the history accepts the column with this
    /// definition.
    pub(crate) fn require_accepted(&self, accepted: &AcceptedDrift) -> Result<(), DatabaseError> {
        let Self { table, column, found, expected, migration, span } = self.clone();
        if accepted.accepts_column(&table, &column, &found) {
            return Ok(());
        }
        Err(DatabaseError::ColumnDiffers { migration, table, column, found, expected, span })
    }
}

impl FailedColumnChange<'_> {
    /// Decides what the failure means. `table_now` reads a table as it is now.
    pub(crate) fn state<E>(
        &self,
        table_now: impl FnOnce(&str) -> Result<Object, E>,
    ) -> Result<ColumnState, E> {
        let Some(change) = self.change else { return Ok(ColumnState::NotApplied) };
        match change {
            ColumnChange::Add { table, definition }
                if self.message.starts_with("duplicate column name")
                    && self.existed_before == Some(true) =>
            {
                let column = &definition.name;
                let table_now = table_now(table)?;
                let columns = table_now.table_definition();
                let Some(found) = columns.and_then(|table| table.column(column)) else {
                    return Ok(ColumnState::NotApplied);
                };
                if **definition == *found {
                    let note = format!("column `{table}.{column}` already existed");
                    return Ok(ColumnState::AlreadyApplied(note));
                }
                Ok(ColumnState::Different(DifferentColumn {
                    migration: self.migration.to_owned(),
                    table: table.clone(),
                    column: column.clone(),
                    found: found.to_string(),
                    expected: definition.to_string(),
                    span: self.span.clone(),
                }))
            }
            ColumnChange::Drop { table, column }
                if self.message.starts_with("no such column")
                    && self.existed_before == Some(false) =>
            {
                let note = format!("column `{table}.{column}` was already dropped");
                Ok(ColumnState::AlreadyApplied(note))
            }
            ColumnChange::Add { .. } | ColumnChange::Drop { .. } => Ok(ColumnState::NotApplied),
        }
    }
}
