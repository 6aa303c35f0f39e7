//! Finds the tables whose order of columns decides what a statement does: those that the statement
//! itself uses by position, and those that its views and triggers use so.

use rusqlite::{Connection, OptionalExtension};

use crate::database::column_order::read_column_order;
use crate::database::job::{PositionalPlace, PositionalTable};
use crate::schema::is_sqlite_name;
use crate::schema::statement_effects::StatementEffects;
use crate::sql::positional::{order_of_view, positional_uses};

/// Reads the columns of each table that a statement uses by position, before the statement runs.
/// The order of the columns of SQLite's own tables is the same in every database.
///
/// # Errors
///
/// Whatever SQLite reports of a read of its schema table.
pub(crate) fn positional_tables(
    connection: &Connection,
    sql: &str,
    effects: &StatementEffects,
) -> rusqlite::Result<Vec<PositionalTable>> {
    let mut found = PositionalTables { connection, tables: Vec::new() };
    for used in positional_uses(sql) {
        found.add(&used.table, PositionalPlace::Statement(used.range, used.kind));
    }
    for name in &effects.used_objects {
        let Some(object) = found.view_or_trigger(name)? else { continue };
        for used in positional_uses(&object.sql) {
            found.add(&used.table, PositionalPlace::Object(object.label.clone()));
        }
    }
    found.add_tables_of_views()?;
    Ok(found.tables)
}

struct PositionalTables<'c> {
    connection: &'c Connection,
    tables: Vec<PositionalTable>,
}

struct ViewOrTrigger {
    /// Such as ``view `names` ``.
    label: String,
    sql: String,
}

impl PositionalTables<'_> {
    fn add(&mut self, name: &str, place: PositionalPlace) {
        if is_sqlite_name(name) || self.tables.iter().any(|table| table.name == name) {
            return;
        }
        // The columns of a view that does not compile cannot be read.
        let columns = read_column_order(self.connection, name).unwrap_or_default();
        self.tables.push(PositionalTable { name: name.to_owned(), columns, place });
    }

    /// Adds the tables that decide the order of the columns of the views found so far.
    fn add_tables_of_views(&mut self) -> rusqlite::Result<()> {
        let mut index = 0;
        while index < self.tables.len() {
            let name = self.tables[index].name.clone();
            if let Some(view) = self.view_or_trigger(&name)? {
                for used in order_of_view(&view.sql) {
                    self.add(&used.table, PositionalPlace::Object(view.label.clone()));
                }
            }
            index += 1;
        }
        Ok(())
    }

    fn view_or_trigger(&self, name: &str) -> rusqlite::Result<Option<ViewOrTrigger>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT type, name, sql FROM main.sqlite_schema \
             WHERE type IN ('view', 'trigger') AND name = ?1 COLLATE NOCASE",
        )?;
        let object = statement.query_row([name], |row| {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(ViewOrTrigger { label: format!("{kind} `{name}`"), sql: row.get(2)? })
        });
        object.optional()
    }
}
