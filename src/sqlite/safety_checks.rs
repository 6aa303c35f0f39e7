//! Checks, before each statement of a run, whether it would destroy something of a database whose
//! schema differs from the document's. A block allows each of these rules with a reason.

use rusqlite::Connection;

use crate::database::column_order::read_column_order;
use crate::database::error::{DatabaseError, is_sql_error};
use crate::database::job::{MigrationJob, PositionalPlace, Refusal, Statement, Step};
use crate::database::known_schemas::SchemaText;
use crate::database::schema_reader::{SCHEMA_QUERY, read_table_objects, schema_from_rows};
use crate::database::session::Session;
use crate::document::diagnostic::Rule;
use crate::schema::changes::SchemaChange;
use crate::schema::compare::differences;
use crate::schema::losses::DroppedTable;
use crate::schema::{Object, ObjectKind};
use crate::source::first_line_span;
use crate::sql::lexer;
use crate::sql::table_definition::ColumnDefinition;
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::overwrite_checks::OverwriteChecks;
use crate::sqlite::reference_checks::ReferenceChecks;
use crate::sqlite::undocumented_values::UndocumentedValues;

/// Whether the schema of a database differs from the document's.
fn has_drift(connection: &Connection, job: &MigrationJob<'_>) -> Result<bool, DatabaseError> {
    let schema_text = SchemaText::read(connection)?;
    if job.documented_schemas.contains(&schema_text) {
        return Ok(false);
    }
    let schema = schema_from_rows(connection.query(SCHEMA_QUERY, &[])?);
    let has_drift = !differences(&job.schema_before, &schema).is_empty();
    if !has_drift {
        job.documented_schemas.insert(schema_text);
    }
    Ok(has_drift)
}

/// The safety rules of one run on one database.
pub(crate) struct SafetyChecks<'r> {
    connection: &'r Connection,
    /// Whether the schema differs from the document's. If it does not, then what lint and the replay
    /// have seen is all that can happen.
    has_drift: bool,
    overwrites: OverwriteChecks<'r>,
    undocumented_values: UndocumentedValues,
    /// None if the references of the document's schema, which is this database's too, were found to
    /// be usable on another database.
    references: Option<ReferenceChecks<'r>>,
}

impl<'r> SafetyChecks<'r> {
    /// Compares the schema with the document's before the first step.
    pub(crate) fn begin(
        connection: &'r Connection,
        authorizer: &'r StatementAuthorizer,
        job: &MigrationJob<'_>,
    ) -> Result<Self, DatabaseError> {
        let has_statements = job.steps.iter().any(|step| !step.script.statements.is_empty());
        let has_drift = has_statements && has_drift(connection, job)?;
        let changes_schema =
            job.steps.iter().any(|step| step.script.schema_change != SchemaChange::None);
        let is_known_usable = !has_drift && job.keeps_references_usable.get().is_some();
        let references = (changes_schema && !is_known_usable)
            .then(|| ReferenceChecks::begin(connection, job))
            .transpose()?;
        Ok(Self {
            connection,
            has_drift,
            overwrites: OverwriteChecks::new(connection, authorizer),
            undocumented_values: if has_drift {
                UndocumentedValues::read(connection, job)?
            } else {
                UndocumentedValues::default()
            },
            references,
        })
    }

    /// Records a column whose ADD COLUMN was already applied, and its values.
    pub(crate) fn add_applied_column(
        &mut self,
        table: &str,
        definition: &ColumnDefinition,
    ) -> Result<(), DatabaseError> {
        self.overwrites.add_column(table, definition)
    }

    /// Refuses a statement that is about to run if a rule forbids it.
    pub(crate) fn before_statement(
        &mut self,
        statement: &Statement<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        if self.has_drift {
            if let Some(dropped) = &statement.dropped_table
                && !step.script.allows(Rule::UndocumentedLoss)
            {
                self.check_loss(dropped, statement, step)?;
            }
            if !step.script.allows(Rule::PositionalCopy) {
                self.check_positions(statement, step)?;
            }
        }
        self.undocumented_values.follow(statement);
        self.overwrites.before_statement(statement, step)
    }

    /// Follows a statement that ran.
    pub(crate) fn after_statement(
        &mut self,
        statement: &Statement<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        self.references.as_mut().map_or(Ok(()), |checks| checks.after_statement(statement, step))
    }

    /// Refuses a step that leaves a view, trigger or foreign key unusable.
    pub(crate) fn after_step(&mut self, step: &Step<'_, '_>) -> Result<(), DatabaseError> {
        self.overwrites.after_step(step)?;
        self.undocumented_values.after_step(self.connection, step)?;
        self.references.as_mut().map_or(Ok(()), |checks| checks.after_step(step))
    }

    /// Ends the checks. What holds for the document's schema is remembered for other databases.
    pub(crate) fn after_last_step(&self, job: &MigrationJob<'_>) -> Result<(), DatabaseError> {
        if let Some(checks) = &self.references {
            checks.after_last_step(&job.steps)?;
        }
        if !self.has_drift {
            job.keeps_references_usable.get_or_init(|| ());
        }
        Ok(())
    }

    /// Refuses a statement that uses a table by position whose columns have another order here.
    fn check_positions(
        &self,
        statement: &Statement<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        for table in &statement.positional_tables {
            // A view that does not compile fails with the statement.
            let Ok(actual) = read_column_order(self.connection, &table.name) else { continue };
            let is_same = actual.len() == table.columns.len()
                && actual
                    .iter()
                    .zip(&table.columns)
                    .all(|(left, right)| left.eq_ignore_ascii_case(right));
            if is_same {
                continue;
            }
            let name = &table.name;
            let user = match &table.place {
                PositionalPlace::Statement(..) => "this".to_owned(),
                PositionalPlace::Object(object) => format!("the {object}, which this uses,"),
            };
            let message = format!(
                "{user} uses the columns of `{name}` by position: the document has {}, this database has {}",
                table.columns.join(", "),
                actual.join(", ")
            );
            let place = match &table.place {
                PositionalPlace::Statement(..) => "statement",
                PositionalPlace::Object(object) => object,
            };
            let advice = format!("name the columns in the {place}; if the positions fit here too");
            let span = first_line_span(&statement.sql);
            return Err(step.refusal(Rule::PositionalCopy, span, Refusal { message, advice }));
        }
        Ok(())
    }

    fn check_loss(
        &self,
        dropped: &DroppedTable,
        statement: &Statement<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        let name = &dropped.name;
        let actual = read_table_objects(self.connection, name)?;
        if dropped.documented.is_empty() {
            let is_refused = self.holds_rows(&actual)?;
            let error = || undocumented_rows_error(name, statement, step);
            return if is_refused { Err(error()) } else { Ok(()) };
        }
        let losses = dropped.undocumented(&actual);
        if losses.is_empty() {
            return Ok(());
        }
        let pronoun = if losses.len() == 1 { "it" } else { "them" };
        let losses = list_losses(&losses);
        let message = format!("this drops `{name}` with what the document does not have: {losses}");
        let advice = format!(
            "to keep {pronoun}, add {pronoun} to the document in an earlier migration; otherwise"
        );
        let span = first_line_span(&statement.sql);
        Err(step.refusal(Rule::UndocumentedLoss, span, Refusal { message, advice }))
    }

    /// Whether a table exists and is not empty. A virtual table that cannot be read counts as such.
    fn holds_rows(&self, actual: &[Object]) -> Result<bool, DatabaseError> {
        let Some(table) = actual.iter().find(|object| object.kind == ObjectKind::Table) else {
            return Ok(false);
        };
        let table = lexer::quote_identifier(&table.name);
        match self.connection.query(&format!("SELECT 1 FROM main.{table} LIMIT 1"), &[]) {
            Ok(rows) => Ok(!rows.is_empty()),
            Err(error) if is_sql_error(&error) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// The error for a statement that drops a table with rows that the document does not have.
pub(crate) fn undocumented_rows_error(
    name: &str,
    statement: &Statement<'_>,
    step: &Step<'_, '_>,
) -> DatabaseError {
    let message = format!(
        "this drops table `{name}`, which holds rows and which the document does not have here"
    );
    let advice =
        format!("to keep the rows, rename table `{name}` in this database; if they may be lost");
    let span = first_line_span(&statement.sql);
    step.refusal(Rule::UndocumentedLoss, span, Refusal { message, advice })
}

fn list_losses(losses: &[String]) -> String {
    const MAX_SHOWN: usize = 10;
    let shown = losses[..losses.len().min(MAX_SHOWN)].join(", ");
    match losses.len().saturating_sub(MAX_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
