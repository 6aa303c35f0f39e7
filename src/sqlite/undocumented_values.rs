//! Follows the values of columns that the document does not have through the steps of a run. A
//! statement that inserts rows again, after a DELETE or by REPLACE, would lose them silently.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::job::{MigrationJob, Refusal, Statement, Step};
use crate::database::schema_reader::read_table;
use crate::document::diagnostic::Rule;
use crate::schema::{ObjectKey, ObjectKind};
use crate::sqlite::applied_values::AppliedValues;

/// The values of the columns that the document does not have, of tables into which a run inserts rows.
#[derive(Default)]
pub(crate) struct UndocumentedValues(Vec<AppliedValues>);

impl UndocumentedValues {
    /// Reads the values before the first step.
    pub(crate) fn read(
        connection: &Connection,
        job: &MigrationJob<'_>,
    ) -> Result<Self, DatabaseError> {
        let mut followed = Vec::new();
        for table in filled_tables(job) {
            let documented = documented_columns(job, &table);
            if documented.is_empty() {
                continue;
            }
            let actual = read_table(connection, &table)?;
            let columns = actual.table_definition().map_or(&[][..], |actual| &actual.columns);
            for column in columns {
                let is_undocumented = !documented.contains(&column.spec.name);
                if is_undocumented && column.spec.generated.is_none() {
                    followed.push(AppliedValues::read(connection, &table, column)?);
                }
            }
        }
        Ok(Self(followed))
    }

    /// Follows a statement that is about to run.
    pub(crate) fn follow(&mut self, statement: &Statement<'_>) {
        self.0.iter_mut().for_each(|values| values.follow(&statement.effects, statement));
    }

    /// Refuses a step that inserted rows again without these values.
    pub(crate) fn after_step(
        &mut self,
        connection: &Connection,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        let mut index = 0;
        while let Some(values) = self.0.get(index) {
            let Some(lost) = values.lost(connection)? else {
                index += 1;
                continue;
            };
            if !step.script.allows(Rule::UndocumentedLoss) {
                let (count, name) = (lost.count, values.name());
                let noun = if count == 1 { "value" } else { "values" };
                let message = format!(
                    "after this, {count} {noun} of `{name}` would be lost, a column that the document does not have"
                );
                let advice =
                    "keep the rows, with an UPDATE or an upsert; if these values may be lost"
                        .to_owned();
                let refusal = Refusal { message, advice };
                return Err(step.refusal(Rule::UndocumentedLoss, lost.span, refusal));
            }
            // They are lost with permission, and a later step is not charged with it.
            self.0.remove(index);
        }
        Ok(())
    }
}

/// The tables, in lower case, into which some statement of a run inserts rows, under their names before
/// the run.
fn filled_tables(job: &MigrationJob<'_>) -> BTreeSet<String> {
    let statements = job.steps.iter().flat_map(|step| &step.script.statements);
    let filled = statements.flat_map(|statement| &statement.effects.filled_tables);
    filled.map(|table| job.table_renames.original_name(table)).collect()
}

/// The columns, in lower case, that a table has anywhere in the run, or that the run adds to it.
fn documented_columns(job: &MigrationJob<'_>, table: &str) -> BTreeSet<String> {
    let key = ObjectKey::new(ObjectKind::Table, table);
    let scripts = || job.steps.iter().map(|step| step.script);
    let changes = scripts().flat_map(|script| &script.object_changes);
    let objects = changes
        .filter(|(changed, _)| *changed == key)
        .filter_map(|(_, object)| object.as_ref())
        .chain(job.schema_before.get(&key))
        .filter(|object| !object.is_virtual_table());
    let mut columns: BTreeSet<String> = objects
        .flat_map(|object| object.columns().map(str::to_ascii_lowercase).collect::<Vec<_>>())
        .collect();
    let statements = scripts().flat_map(|script| &script.statements);
    let changes = statements.filter_map(|statement| statement.column_change.as_ref());
    columns.extend(changes.map(|change| change.column().to_ascii_lowercase()));
    columns
}
