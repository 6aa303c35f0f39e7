//! Follows the values of a column that was already applied, which the application has filled, through
//! the steps of a run. Whatever statements a step uses, it may delete rows, but no row that it keeps
//! or creates again may lose such a value.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::job::Statement;
use crate::database::schema_reader::read_table;
use crate::schema::renames::StatementRename;
use crate::schema::statement_effects::StatementEffects;
use crate::source::first_line_span;
use crate::sql::lexer;
use crate::sql::table_definition::ColumnDefinition;
use crate::sqlite::keyed_values::KeyedValues;
use crate::sqlite::value_hash::hash_value;

/// The values of one column before the run. Names are in lower case.
pub(crate) struct AppliedValues {
    /// The name that the table had first. A rebuild returns to it.
    home: String,
    /// The name that the table has now.
    table: String,
    pub(crate) column: String,
    row_count: u64,
    /// How often each value occurs, by its hash. NULL and the default are left out.
    counts: HashMap<u64, u64>,
    /// The same values by the rows that have them, if the table has a primary key.
    keyed: Option<KeyedValues>,
    /// Tables with rows that were read from the column's table.
    copies: BTreeSet<String>,
    /// The last statement that may have created rows of the table again.
    refilled_by: Option<Range<usize>>,
    /// The last statement that inserted rows that it did not read from the table.
    inserted_by: Option<Range<usize>>,
}

/// Values that no row has any more.
pub(crate) struct LostValues {
    pub(crate) count: u64,
    pub(crate) span: Range<usize>,
}

impl AppliedValues {
    /// Reads the values of a column whose ADD COLUMN was already applied. `definition` is the one of
    /// the document.
    pub(crate) fn read(
        connection: &Connection,
        table: &str,
        definition: &ColumnDefinition,
    ) -> Result<Self, DatabaseError> {
        let actual = read_table(connection, table)?;
        let found =
            actual.table_definition().and_then(|actual| actual.column(&definition.name).cloned());
        let mut defaults: Vec<String> =
            found.iter().chain([definition]).filter_map(|column| column.default.clone()).collect();
        // A default that is no expression, such as a word, is left out.
        defaults.retain(|default| connection.prepare(&format!("SELECT ({default})")).is_ok());
        let mut values = Self {
            home: table.to_ascii_lowercase(),
            table: table.to_ascii_lowercase(),
            column: definition.name.to_ascii_lowercase(),
            row_count: 0,
            counts: HashMap::new(),
            keyed: None,
            copies: BTreeSet::new(),
            refilled_by: None,
            inserted_by: None,
        };
        values.row_count = values.count_rows(connection)?;
        values.counts = values.count_values(connection, &defaults)?;
        let key = actual.table_definition().map(|table| &table.constraints.primary_key);
        let key: Option<Vec<String>> =
            key.and_then(|key| key.iter().map(|term| term.column().map(str::to_owned)).collect());
        let condition = values.condition(&defaults);
        let (table, column) = (&values.table, &values.column);
        values.keyed =
            KeyedValues::read(connection, table, column, key.unwrap_or_default(), &condition)?;
        Ok(values)
    }

    /// Whether a statement drops the column while rows have values in it.
    pub(crate) fn is_dropped_by(&self, table: &str, column: &str) -> bool {
        !self.counts.is_empty()
            && self.table.eq_ignore_ascii_case(table)
            && self.column.eq_ignore_ascii_case(column)
    }

    /// Follows a statement that is about to run.
    pub(crate) fn follow(&mut self, effects: &StatementEffects, statement: &Statement<'_>) {
        let is_source = |table: &String| *table == self.table || self.copies.contains(table);
        let reads_rows = effects.read_columns.iter().any(|(table, _)| is_source(table));
        let is_dropped = effects.dropped_table.as_ref() == Some(&self.table);
        if is_dropped || reads_rows && effects.filled_tables.contains(&self.table) {
            self.refilled_by = Some(first_line_span(&statement.sql));
        } else if effects.filled_tables.contains(&self.table) {
            self.inserted_by = Some(first_line_span(&statement.sql));
        }
        if reads_rows {
            let targets = effects.filled_tables.iter().filter(|target| **target != self.table);
            self.copies.extend(targets.cloned().collect::<Vec<_>>());
        }
        if is_dropped {
            self.table.clone_from(&self.home);
        }
        if let (Some(keyed), Some(rename)) = (&mut self.keyed, &statement.rename) {
            keyed.follow(rename, &self.table);
        }
        match &statement.rename {
            Some(StatementRename::Table { from, to }) => {
                if self.copies.remove(from) {
                    self.copies.insert(to.clone());
                }
                if self.table == *from {
                    self.table.clone_from(to);
                }
            }
            Some(StatementRename::Column { table, from, to })
                if self.table == *table && self.column == *from =>
            {
                self.column.clone_from(to);
            }
            _ => {}
        }
    }

    /// The values that are lost after a step, apart from those of as many rows as were deleted. None
    /// if the table no longer exists: dropping it is what the document does everywhere.
    pub(crate) fn lost(
        &self,
        connection: &Connection,
    ) -> Result<Option<LostValues>, DatabaseError> {
        let Some(span) = self.refilled_by.clone().filter(|_| !self.counts.is_empty()) else {
            return self.replaced(connection);
        };
        if !connection.table_exists(Some("main"), self.table.as_str())? {
            return Ok(None);
        }
        let counts =
            if connection.column_exists(Some("main"), self.table.as_str(), self.column.as_str())? {
                self.count_values(connection, &[])?
            } else {
                HashMap::new()
            };
        let missing = |(value, before): (&u64, &u64)| {
            before.saturating_sub(counts.get(value).copied().unwrap_or(0))
        };
        let lost: u64 = self.counts.iter().map(missing).sum();
        let deleted = self.row_count.saturating_sub(self.count_rows(connection)?);
        let count = lost.saturating_sub(deleted);
        Ok((count > 0).then_some(LostValues { count, span }))
    }

    /// The values of rows that were deleted and inserted again with others.
    fn replaced(&self, connection: &Connection) -> Result<Option<LostValues>, DatabaseError> {
        let (Some(span), Some(keyed)) = (self.inserted_by.clone(), &self.keyed) else {
            return Ok(None);
        };
        if !connection.column_exists(Some("main"), self.table.as_str(), self.column.as_str())? {
            return Ok(None);
        }
        let count = keyed.count_replaced(connection, &self.table, &self.column)?;
        Ok((count > 0).then_some(LostValues { count, span }))
    }

    /// The table and the column as messages name them.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    fn count_rows(&self, connection: &Connection) -> rusqlite::Result<u64> {
        let sql =
            format!("SELECT count(*) FROM {} NOT INDEXED", lexer::quote_main_table(&self.table));
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The condition for rows of the table `t` that have a value in the column.
    fn condition(&self, defaults: &[String]) -> String {
        let column = format!("t.{}", lexer::quote_identifier(&self.column));
        let mut conditions = vec![format!("{column} IS NOT NULL")];
        conditions.extend(defaults.iter().map(|default| format!("{column} IS NOT ({default})")));
        conditions.join(" AND ")
    }

    fn count_values(
        &self,
        connection: &Connection,
        defaults: &[String],
    ) -> rusqlite::Result<HashMap<u64, u64>> {
        let column = lexer::quote_identifier(&self.column);
        let table = lexer::quote_main_table(&self.table);
        let condition = self.condition(defaults);
        let sql = format!("SELECT t.{column} FROM {table} AS t NOT INDEXED WHERE {condition}");
        let mut counts = HashMap::new();
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            *counts.entry(hash_value(row.get_ref(0)?)).or_default() += 1;
        }
        Ok(counts)
    }
}
