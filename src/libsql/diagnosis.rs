//! Names the rows that a statement failed on. When the error of a batch arrives, the server has
//! rolled everything back, so the statements run again up to the one that failed, the rows are read
//! inside that transaction, and it is rolled back.

use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::MigrationJob;
use crate::database::offending_rows::offending_rows_query;
use crate::libsql::analysis::StatementPosition;
use crate::libsql::namespace::{Namespace, StateSnapshot};
use crate::libsql::precondition::push_precondition;
use crate::libsql::program::{BatchBuilder, StepKind};
use crate::sqld::protocol::BatchStep;

/// A job that failed.
#[derive(Clone, Copy)]
pub(crate) struct FailedJob<'d> {
    pub(crate) job: &'d MigrationJob<'d>,
    /// The history state that the job was planned for.
    pub(crate) expected: &'d HistoryState,
    pub(crate) snapshot: &'d StateSnapshot,
}

impl Namespace {
    /// Adds to the error of a statement the rows that violate its constraint, if a query finds them
    /// and the statement fails in the same way again.
    pub(crate) fn add_offending_rows(
        &self,
        error: DatabaseError,
        failed: FailedJob<'_>,
    ) -> DatabaseError {
        match self.offending_rows(&error, failed) {
            Some(rows) => error.with_offending_rows(rows),
            None => error,
        }
    }

    fn offending_rows(&self, error: &DatabaseError, failed: FailedJob<'_>) -> Option<Vec<String>> {
        let DatabaseError::Statement { message, span, .. } = error else { return None };
        let job = failed.job;
        let position = statement_at(job, span.start)?;
        let statements = job.steps[position.step].script.statement_texts(position.statement);
        let query = offending_rows_query(&statements, message)?;
        let mut builder = BatchBuilder::new();
        push_precondition(&mut builder, failed.expected, failed.snapshot);
        let before = (0..=position.step).flat_map(|step| {
            let statements = 0..job.steps[step].script.statements.len();
            statements.map(move |statement| StatementPosition { step, statement })
        });
        for position in before.take_while(|earlier| *earlier < position) {
            push_earlier_statement(&mut builder, job, position);
        }
        let failing = builder.steps.len();
        let statement = &job.steps[position.step].script.statements[position.statement];
        builder.push_with_fallback(
            BatchStep::execute(statement.sql.text(), Vec::new()),
            StepKind::Statement(position),
            vec![BatchStep::query(query.sql.clone(), Vec::new())],
        );
        builder.push_transaction_end("ROLLBACK");
        let results = self.run_batch(&builder).ok()?;
        let error_now = results.steps.get(failing)?.as_ref().err()?;
        if error_now.message_and_offset().0 != *message {
            return None;
        }
        Some(query.describe(results.rows(failing + 1)?))
    }
}

/// The statement that contains a byte of the document.
fn statement_at(job: &MigrationJob<'_>, byte: usize) -> Option<StatementPosition> {
    job.steps.iter().enumerate().find_map(|(step, found)| {
        let statement = found
            .script
            .statements
            .iter()
            .position(|statement| statement.sql.full_span().contains(&byte))?;
        Some(StatementPosition { step, statement })
    })
}

/// Adds a statement that ran before. An assertion changes nothing, and a statement that adds or
/// drops a column may be already applied.
fn push_earlier_statement(
    builder: &mut BatchBuilder,
    job: &MigrationJob<'_>,
    position: StatementPosition,
) {
    let statement = &job.steps[position.step].script.statements[position.statement];
    let (step, kind) =
        (BatchStep::execute(statement.sql.text(), Vec::new()), StepKind::Statement(position));
    if statement.column_change.is_some() {
        builder.push_with_fallback(step, kind, vec![BatchStep::query("SELECT 1", Vec::new())]);
    } else if statement.assertion.is_none() {
        builder.push(step, kind);
    }
}
