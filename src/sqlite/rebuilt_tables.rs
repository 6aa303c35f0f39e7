//! Compares the tables that a step rebuilds before and after the step: none may lose rows, and no
//! AUTOINCREMENT counter may fall.

use rusqlite::Connection;

use crate::database::autoincrement::{
    Counters, LoweredCounter, find_lowered_counter, read_counters,
};
use crate::database::error::DatabaseError;
use crate::database::job::{CompiledScript, Step};
use crate::document::diagnostic::Rule;
use crate::sql::lexer;

/// The tables that a step rebuilds, as they were before the step.
pub(crate) struct RebuiltTables {
    /// The number of rows of each table, `None` for a missing table. Empty if the step allows the
    /// loss of rows.
    row_counts: Vec<Option<i64>>,
    /// Empty if the step allows counters to fall.
    counters: Counters,
}

impl RebuiltTables {
    /// Reads what [`check`](Self::check) compares, before the step.
    pub(crate) fn read(
        connection: &Connection,
        script: &CompiledScript<'_>,
    ) -> Result<Self, DatabaseError> {
        let row_counts = if script.allows(Rule::RowLoss) {
            Vec::new()
        } else {
            let tables = script.rebuilt_tables.iter();
            tables.map(|table| count_rows(connection, table)).collect::<rusqlite::Result<_>>()?
        };
        let counters = if script.allows(Rule::CounterReset) {
            Counters::new()
        } else {
            read_counters(connection, &script.rebuilt_tables)?
        };
        Ok(Self { row_counts, counters })
    }

    /// Checks the tables after the step.
    ///
    /// # Errors
    ///
    /// [`DatabaseError::RowLoss`] or [`DatabaseError::CounterReset`].
    pub(crate) fn check(
        &self,
        connection: &Connection,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        for (table, before) in step.script.rebuilt_tables.iter().zip(&self.row_counts) {
            let before = before.unwrap_or(0);
            let after = count_rows(connection, table)?.unwrap_or(0);
            if after < before {
                let span = step.script.rebuild_span(table);
                let (table, migration) = (table.clone(), step.label.clone());
                return Err(DatabaseError::RowLoss { migration, table, before, after, span });
            }
        }
        if self.counters.is_empty() {
            return Ok(());
        }
        match find_lowered_counter(connection, &self.counters)? {
            Some(LoweredCounter { table, before, after }) => {
                let migration = step.label.clone();
                let span = step.script.rebuild_span(&table.to_lowercase());
                Err(DatabaseError::CounterReset { migration, table, before, after, span })
            }
            None => Ok(()),
        }
    }
}

/// The number of rows of a table; none if it does not exist.
fn count_rows(connection: &Connection, table: &str) -> rusqlite::Result<Option<i64>> {
    let exists: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE)",
        [table],
        |row| row.get(0),
    )?;
    if !exists {
        return Ok(None);
    }
    // NOT INDEXED: a damaged index may hold fewer rows than the table, and so may a copy that was
    // made through the index.
    let sql = format!("SELECT count(*) FROM {} NOT INDEXED", lexer::quote_main_table(table));
    Ok(Some(connection.query_row(&sql, [], |row| row.get(0))?))
}
