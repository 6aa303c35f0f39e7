//! Compares the tables that a step rebuilds before and after the step: none may lose rows, and no
//! AUTOINCREMENT counter may fall.

use std::ops::Range;

use rusqlite::Connection;

use crate::database::autoincrement::{
    Counters, LoweredCounter, find_lowered_counter, read_counters,
};
use crate::database::error::DatabaseError;
use crate::database::job::{CompiledScript, Step};
use crate::document::diagnostic::Rule;
use crate::sql::lexer;

/// What a rebuild must keep of a table, as it was before.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableState {
    /// None for a missing table, and if rows may be lost.
    pub(crate) row_count: Option<i64>,
    /// Empty if the counter may fall.
    pub(crate) counters: Counters,
}

impl TableState {
    pub(crate) fn read(connection: &Connection, table: &str) -> rusqlite::Result<Self> {
        let row_count = count_rows(connection, table)?;
        Ok(Self { row_count, counters: read_counters(connection, &[table.to_owned()])? })
    }
}

/// A table after it was rebuilt.
pub(crate) struct RebuiltTable<'t> {
    /// In lower case.
    pub(crate) name: &'t str,
    /// The migration that rebuilt it.
    pub(crate) migration: &'t str,
    /// The statement that dropped the old table.
    pub(crate) span: Range<usize>,
}

impl RebuiltTable<'_> {
    /// Checks the table, which has `after` rows.
    pub(crate) fn check(
        self,
        connection: &Connection,
        before: &TableState,
        after: i64,
    ) -> Result<(), DatabaseError> {
        let Self { name, migration, span } = self;
        let (table, migration) = (name.to_owned(), migration.to_owned());
        if let Some(before) = before.row_count
            && after < before
        {
            return Err(DatabaseError::RowLoss { migration, table, before, after, span });
        }
        if before.counters.is_empty() {
            return Ok(());
        }
        match find_lowered_counter(connection, &before.counters)? {
            Some(LoweredCounter { before, after, .. }) => {
                Err(DatabaseError::CounterReset { migration, table, before, after, span })
            }
            None => Ok(()),
        }
    }
}

/// The tables that a step rebuilds, as they were before the step.
pub(crate) struct RebuiltTables(Vec<TableState>);

impl RebuiltTables {
    /// Reads what [`check`](Self::check) compares, before the step.
    pub(crate) fn read(
        connection: &Connection,
        script: &CompiledScript<'_>,
    ) -> Result<Self, DatabaseError> {
        let mut states = Vec::with_capacity(script.rebuilt_tables.len());
        let (allows_row_loss, allows_counter_reset) =
            (script.allows(Rule::RowLoss), script.allows(Rule::CounterReset));
        for table in &script.rebuilt_tables {
            let row_count = if allows_row_loss { None } else { count_rows(connection, table)? };
            let counters = if allows_counter_reset {
                Counters::new()
            } else {
                read_counters(connection, std::slice::from_ref(table))?
            };
            states.push(TableState { row_count, counters });
        }
        Ok(Self(states))
    }

    /// Checks the tables after the step.
    ///
    /// # Errors
    ///
    /// [`DatabaseError::RowLoss`] or [`DatabaseError::CounterReset`].
    pub(crate) fn check(
        self,
        connection: &Connection,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        for (table, before) in step.script.rebuilt_tables.iter().zip(self.0) {
            let after = match before.row_count {
                Some(_) => count_rows(connection, table)?.unwrap_or(0),
                None => 0,
            };
            let span = step.script.rebuild_span(table);
            let rebuilt = RebuiltTable { name: table, migration: &step.label, span };
            rebuilt.check(connection, &before, after)?;
        }
        Ok(())
    }
}

/// The number of rows of a table; none if it does not exist.
pub(crate) fn count_rows(connection: &Connection, table: &str) -> rusqlite::Result<Option<i64>> {
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
