//! Decides whether a failed ADD COLUMN or DROP COLUMN is already applied: its result existed
//! before the run. SQLite has no `IF NOT EXISTS` for columns.

use std::ops::Range;

use crate::database::error::DatabaseError;
use crate::database::job::ColumnChange;
use crate::schema::Object;

/// A statement for a column that failed.
#[derive(Debug)]
pub(crate) struct FailedColumnChange<'f> {
    pub(crate) change: &'f ColumnChange,
    /// Whether the column existed before the run; none if its table did not.
    pub(crate) existed_before: Option<bool>,
    /// SQLite's message.
    pub(crate) message: &'f str,
    /// The name of the migration for messages.
    pub(crate) migration: &'f str,
    /// The bytes of the document that the message is about.
    pub(crate) span: &'f Range<usize>,
}

impl FailedColumnChange<'_> {
    /// Returns a note if the change is already applied, and none if the failure has another
    /// reason. `table_now` reads the table as it is now. The error is
    /// [`DatabaseError::ColumnDiffers`] if the column existed with another definition.
    pub(crate) fn already_applied(
        &self,
        table_now: impl FnOnce() -> Result<Object, DatabaseError>,
    ) -> Result<Option<String>, DatabaseError> {
        match self.change {
            ColumnChange::Add { table, definition }
                if self.message.starts_with("duplicate column name")
                    && self.existed_before == Some(true) =>
            {
                let column = &definition.name;
                let table_now = table_now()?;
                let columns = table_now.table_definition();
                let Some(found) = columns.and_then(|table| table.column(column)) else {
                    return Ok(None);
                };
                if **definition == *found {
                    return Ok(Some(format!("column `{table}.{column}` already existed")));
                }
                Err(DatabaseError::ColumnDiffers {
                    migration: self.migration.to_owned(),
                    table: table.clone(),
                    column: column.clone(),
                    found: found.to_string(),
                    expected: definition.to_string(),
                    span: self.span.clone(),
                })
            }
            ColumnChange::Drop { table, column }
                if self.message.starts_with("no such column")
                    && self.existed_before == Some(false) =>
            {
                Ok(Some(format!("column `{table}.{column}` was already dropped")))
            }
            ColumnChange::Add { .. } | ColumnChange::Drop { .. } => Ok(None),
        }
    }
}
