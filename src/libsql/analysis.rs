//! What a job does to namespaces of one schema, found by a probe and cached.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::database::error::DatabaseError;
use crate::database::job::{ColumnChange, Order};
use crate::libsql::error::span;
use crate::libsql::foreign_keys::Keys;
use crate::libsql::introspect;
use crate::libsql::introspect::Told;
use crate::schema::Table;
use crate::sqld::hrana::{Rows, SqlError};

/// What an order does to databases of one schema.
#[derive(Debug, Default)]
pub(crate) struct Lesson {
    /// Statements that had been done before, each with what is noted of it.
    pub(crate) satisfied: BTreeMap<(usize, usize), String>,
    /// The schema that it ends in; none where nothing is asked of it.
    pub(crate) after: Option<String>,
    /// What of the effects is missing there, each in words.
    pub(crate) missing: Vec<String>,
    pub(crate) keys_before: Keys,
    pub(crate) keys_after: Keys,
    /// Whether a database of this schema was met that has rows without their parents.
    dirty: AtomicBool,
}

impl Lesson {
    /// What a step need not do, in words.
    pub(crate) fn note(&self, step: usize) -> Option<String> {
        let satisfied = self.satisfied.range((step, 0)..(step + 1, 0));
        let notes: Vec<&str> = satisfied.map(|(_, note)| note.as_str()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Relaxed)
    }

    pub(crate) fn set_dirty(&self) {
        self.dirty.store(true, Ordering::Relaxed);
    }
}

/// Whether a failed ADD or DROP COLUMN had been done before this run, to the same end.
pub(crate) fn satisfied(
    (order, (step, statement)): (&Order<'_>, (usize, usize)),
    before: &Told,
    (error, columns, keys): (&SqlError, &Rows, &Rows),
) -> Result<Option<String>, DatabaseError> {
    let (step, statement) = (&order.steps[step], &order.steps[step].script.statements[statement]);
    let Some(change) = &statement.column else { return Ok(None) };
    // The table may have stood under another name before this run.
    let name = change.table().to_ascii_lowercase();
    let known = |name: &str| before.tables.get(name).map(|(_, table)| table);
    let back = order.renames.iter().rev();
    let first =
        back.fold(name.clone(), |name, (from, to)| if *to == name { from.clone() } else { name });
    let Some(then) = known(&name).or_else(|| known(&first)) else { return Ok(None) };
    let (words, _) = error.words();
    let now: Table = introspect::table(columns, keys);
    match change {
        ColumnChange::Added { table, definition } if words.starts_with("duplicate column name") => {
            let column = &definition.column.name;
            if then.column(column).is_none() {
                return Ok(None);
            }
            let Some(found) = now.definition(column) else { return Ok(None) };
            if definition.matches(&found) {
                return Ok(Some(format!("column `{table}.{column}` was already there")));
            }
            Err(DatabaseError::ColumnDiffers {
                migration: step.label.clone(),
                table: table.clone(),
                column: column.clone(),
                found: found.to_string(),
                expected: definition.to_string(),
                span: span(statement, (&words, None)),
            })
        }
        ColumnChange::Dropped { table, column }
            if words.starts_with("no such column") && then.column(column).is_none() =>
        {
            Ok(Some(format!("column `{table}.{column}` was already gone")))
        }
        ColumnChange::Added { .. } | ColumnChange::Dropped { .. } => Ok(None),
    }
}
