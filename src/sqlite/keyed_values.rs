//! Remembers which row had which value of a column, by the hash of its primary key, and counts the rows
//! that exist again with another value.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use crate::schema::renames::StatementRename;
use crate::sql::lexer;
use crate::sqlite::value_hash::hash_value;

/// The values of one column by the rows that have them.
pub(crate) struct KeyedValues {
    /// The columns of the primary key; at least one.
    key: Vec<String>,
    /// The hash of each value by the hash of its key.
    values: HashMap<u64, u64>,
}

impl KeyedValues {
    /// Reads the rows of a table that fulfil a condition, which may name them `t`. None if the table has
    /// no primary key.
    pub(crate) fn read(
        connection: &Connection,
        table: &str,
        column: &str,
        key: Vec<String>,
        condition: &str,
    ) -> rusqlite::Result<Option<Self>> {
        if key.is_empty() {
            return Ok(None);
        }
        let mut keyed = Self { key, values: HashMap::new() };
        keyed.values = keyed.query(connection, table, column, condition)?;
        Ok(Some(keyed))
    }

    /// Follows a column of the key to its new name.
    pub(crate) fn follow(&mut self, rename: &StatementRename, in_table: &str) {
        if let StatementRename::Column { table, from, to } = rename
            && in_table == table
        {
            self.key.iter_mut().filter(|name| *name == from).for_each(|name| name.clone_from(to));
        }
    }

    /// The number of rows that still exist, or exist again, with another value than they had.
    pub(crate) fn count_replaced(
        &self,
        connection: &Connection,
        table: &str,
        column: &str,
    ) -> rusqlite::Result<u64> {
        let now = self.query(connection, table, column, "true")?;
        let is_replaced =
            |(key, value): &(&u64, &u64)| now.get(key).is_some_and(|found| found != *value);
        Ok(self.values.iter().filter(is_replaced).count() as u64)
    }

    fn query(
        &self,
        connection: &Connection,
        table: &str,
        column: &str,
        condition: &str,
    ) -> rusqlite::Result<HashMap<u64, u64>> {
        let columns: Vec<String> = std::iter::once(column)
            .chain(self.key.iter().map(String::as_str))
            .map(|name| format!("t.{}", lexer::quote_identifier(name)))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} AS t NOT INDEXED WHERE {condition}",
            columns.join(", "),
            lexer::quote_main_table(table)
        );
        let key_of = |row: &Row<'_>| {
            (1..=self.key.len()).try_fold(0_u64, |key, index| {
                Ok::<_, rusqlite::Error>(key.rotate_left(7) ^ hash_value(row.get_ref(index)?))
            })
        };
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut values = HashMap::new();
        while let Some(row) = rows.next()? {
            values.insert(key_of(row)?, hash_value(row.get_ref(0)?));
        }
        Ok(values)
    }
}
