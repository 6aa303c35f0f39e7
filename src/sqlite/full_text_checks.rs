//! Checks that a step which rebuilds a table or changes its rows leaves no full-text table that indexes
//! these rows behind: each still finds the rows, by their row ids. Only databases with such tables pay
//! for it.

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::full_text::ExternalContent;
use crate::database::job::{CompiledScript, Step};
use crate::database::schema_reader::read_schema;
use crate::document::diagnostic::Rule;
use crate::schema::Object;

/// The full-text tables that match their rows before a step, each with the table that the step
/// rebuilds or whose rows it changes.
#[derive(Default)]
pub(crate) struct FullTextChecks(Vec<(Object, String)>);

impl FullTextChecks {
    /// Reads the full-text tables whose rows a step may change.
    pub(crate) fn read(
        connection: &Connection,
        script: &CompiledScript<'_>,
    ) -> Result<Self, DatabaseError> {
        if script.modified_tables.is_empty() && script.rebuilt_tables.is_empty()
            || script.allows(Rule::FtsRowIds)
            || !has_full_text_tables(connection)?
        {
            return Ok(Self::default());
        }
        let schema = read_schema(connection)?;
        let mut checks = Vec::new();
        for object in schema.values() {
            let Some(index) = ExternalContent::from_table(object) else { continue };
            let changed = script.rebuilt_tables.iter().chain(&script.modified_tables);
            let changed = changed.into_iter().find(|table| index.reads(&schema, table));
            if let Some(table) = changed
                && index.matches_rows(connection)?
            {
                checks.push((Object::clone(object), table.clone()));
            }
        }
        Ok(Self(checks))
    }

    /// Refuses a step after which one of them does not match its rows any more.
    pub(crate) fn check(
        &self,
        connection: &Connection,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        for (object, table) in &self.0 {
            let Some(index) = ExternalContent::from_table(object) else { continue };
            let name = &object.name;
            let exists = connection.table_exists(Some("main"), name.as_str())?;
            if !exists || index.matches_rows(connection)? {
                continue;
            }
            let is_rebuilt = step.script.rebuilt_tables.contains(table);
            let (change, also, span) = if is_rebuilt {
                let copy_span = step.script.copy_span(table);
                ("this rebuild", "copy the row ids as well, or ", copy_span)
            } else {
                ("this", "", step.script.last_change_span(table))
            };
            return Err(DatabaseError::SafetyRule {
                rule: Rule::FtsRowIds,
                migration: step.label.clone(),
                message: format!(
                    "after {change}, the full-text table `{name}` no longer matches the rows of `{table}`: searches would find other rows or none"
                ),
                advice: format!(
                    "{also}build the index again at the end of the block with `INSERT INTO {name} ({name}) VALUES ('rebuild');`; if searches may be wrong"
                ),
                span,
            });
        }
        Ok(())
    }
}

fn has_full_text_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema \
         WHERE type = 'table' AND sql LIKE 'create virtual table%using%fts%content%')",
        [],
        |row| row.get(0),
    )
}
