//! Finds what an ALTER TABLE did to a table, by comparing the table before and after it.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::database::job::{ColumnChange, CompiledScript};
use crate::database::schema_reader::read_table;
use crate::schema::Object;
use crate::schema::renames::StatementRename;
use crate::schema::statement_effects::StatementEffects;

/// The state before an ALTER TABLE.
pub(crate) struct TableBeforeAlter {
    table: String,
    structure: Object,
    table_names: BTreeSet<String>,
}

/// What an ALTER TABLE did.
#[derive(Default)]
pub(crate) struct AlterTableResult {
    /// The column that it added or dropped: another database may have or lack that column already.
    pub(crate) column_change: Option<ColumnChange>,
    pub(crate) rename: Option<StatementRename>,
}

impl TableBeforeAlter {
    pub(crate) fn read(connection: &Connection, table: &str) -> rusqlite::Result<Self> {
        Ok(Self {
            table: table.to_owned(),
            structure: read_table(connection, table)?,
            table_names: table_names(connection)?,
        })
    }

    /// Compares the table with what it is now, and adds to the script what the statement changed.
    pub(crate) fn compare(
        self,
        connection: &Connection,
        script: &mut CompiledScript<'_>,
        effects: &StatementEffects,
    ) -> rusqlite::Result<AlterTableResult> {
        let Self { table, structure: before, table_names: names_before } = self;
        let lower_table = table.to_ascii_lowercase();
        let mut result = AlterTableResult::default();
        if effects.renames_table {
            let new =
                table_names(connection)?.into_iter().find(|name| !names_before.contains(name));
            if let Some(new) = new {
                script.operations.table_renames.push(lower_table.clone(), new.clone());
                result.rename = Some(StatementRename::Table { from: lower_table.clone(), to: new });
            }
            script.modified_tables.insert(lower_table);
            return Ok(result);
        }
        let after = read_table(connection, &table)?;
        let column_of = |table: &Object, other: &Object| {
            let mut columns = table.table_definition()?.columns.iter();
            columns.find(|column| !other.has_column(&column.name)).cloned()
        };
        match (column_of(&after, &before), column_of(&before, &after)) {
            (Some(definition), None) => {
                let mut foreign_keys = after.structure().foreign_keys.iter();
                if foreign_keys.any(|key| key.columns.contains(&definition.name)) {
                    script.modified_tables.insert(lower_table);
                }
                let definition = Box::new(definition);
                result.column_change = Some(ColumnChange::Add { table, definition });
            }
            (None, Some(column)) => {
                result.column_change = Some(ColumnChange::Drop { table, column: column.name });
            }
            // A renamed column. Its foreign keys have to be checked again.
            (added, dropped) => {
                if let (Some(added), Some(dropped)) = (added, dropped) {
                    let (from, to) =
                        (dropped.name.to_ascii_lowercase(), added.name.to_ascii_lowercase());
                    script.operations.renamed_columns.push((lower_table.clone(), to.clone()));
                    let table = lower_table.clone();
                    result.rename = Some(StatementRename::Column { table, from, to });
                }
                script.modified_tables.insert(lower_table);
            }
        }
        Ok(result)
    }
}

fn table_names(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut names =
        connection.prepare("SELECT lower(name) FROM main.sqlite_schema WHERE type = 'table'")?;
    names.query_map([], |row| row.get(0))?.collect()
}
