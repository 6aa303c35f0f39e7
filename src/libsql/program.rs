//! Builds a batch in which each step runs only if the step before succeeded and the transaction is
//! still open. The purpose of each step is stored with it, so that its error can be explained.

use crate::libsql::analysis::StatementPosition;
use crate::sqld::protocol::{BatchStep, Condition, SqlError, StepResults};

/// The purpose of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Runs before the transaction.
    Prologue,
    Begin,
    /// Checks that the server that is written to is the one that was read.
    PrimaryCheck,
    /// Checks that the database has not changed since the job was planned.
    Precondition,
    /// A statement of the document.
    Statement(StatementPosition),
    /// Checks that the SELECT of an assertion returns no row.
    AssertionCheck {
        position: StatementPosition,
        /// The index of the batch step that has the first rows.
        rows_step: usize,
    },
    /// A statement of tatmig's own.
    Internal,
    /// Checks that a rebuilt table has no fewer rows than before.
    RowLossCheck {
        step: usize,
        /// The index of the table in the script's rebuilt tables.
        table: usize,
        /// The index of the batch step whose row has the two counts.
        counts_step: usize,
    },
    /// Checks that a rebuilt table has no lower AUTOINCREMENT counter than before.
    CounterCheck {
        step: usize,
        /// The index of the table in the script's rebuilt tables.
        table: usize,
        /// The index of the batch step whose row has the two counters.
        counts_step: usize,
    },
    ForeignKeyCheck,
    /// Checks that a table which the document does not have is empty before this statement drops it.
    EmptyTableCheck(StatementPosition),
    /// Checks that the schema is the analysed one.
    SchemaCheck,
    /// COMMIT, or ROLLBACK of a rehearsal.
    TransactionEnd,
    /// May fail without failing the batch.
    Optional,
}

/// A batch under construction.
#[derive(Debug, Default)]
pub(crate) struct BatchBuilder {
    pub(crate) steps: Vec<BatchStep>,
    kinds: Vec<StepKind>,
    /// The condition that everything before the next step succeeded.
    success_condition: Option<Condition>,
    end_step: usize,
}

/// An expression that fails with "integer overflow". Outside of triggers, SQL cannot raise an error
/// in any other way.
pub(crate) const RAISE: &str = "abs(-9223372036854775807 - 1)";

/// The step that a batch stopped at.
#[derive(Debug)]
pub(crate) struct BatchFailure {
    pub(crate) kind: StepKind,
    /// None if the step succeeded but ended the transaction.
    pub(crate) error: Option<SqlError>,
    pub(crate) transaction: TransactionState,
}

/// Whether the transaction was still open when the batch stopped, so that tatmig's own ROLLBACK
/// ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionState {
    Open,
    Ended,
}

impl BatchBuilder {
    /// Starts a batch: turns foreign keys off, which has no effect inside a transaction, and then
    /// begins the transaction.
    pub(crate) fn new() -> Self {
        let mut builder = Self::default();
        builder.push_with_condition(
            BatchStep::execute("PRAGMA foreign_keys = OFF", Vec::new()),
            StepKind::Prologue,
            None,
        );
        builder.success_condition = Some(Condition::Ok { step: 0 });
        let foreign_keys_off = builder.success_condition.clone();
        let begin_step = builder.push_with_condition(
            BatchStep::execute("BEGIN IMMEDIATE", Vec::new()),
            StepKind::Begin,
            foreign_keys_off,
        );
        builder.success_condition = Some(Condition::Ok { step: begin_step });
        builder
    }

    fn push_with_condition(
        &mut self,
        step: BatchStep,
        kind: StepKind,
        condition: Option<Condition>,
    ) -> usize {
        self.steps.push(match condition {
            Some(condition) => step.with_condition(condition),
            None => step,
        });
        self.kinds.push(kind);
        self.steps.len() - 1
    }

    fn transaction_open_condition(&self, extra: Option<Condition>) -> Condition {
        let mut conds: Vec<Condition> = self.success_condition.clone().into_iter().collect();
        conds.extend(extra);
        conds.push(Condition::IsAutocommit.negate());
        Condition::And { conds }
    }

    /// Adds a step that has to succeed; returns its index.
    pub(crate) fn push(&mut self, step: BatchStep, kind: StepKind) -> usize {
        let condition = self.transaction_open_condition(None);
        let index = self.push_with_condition(step, kind, Some(condition));
        self.success_condition = Some(Condition::Ok { step: index });
        index
    }

    /// Adds a step that may fail. If it fails, all steps of `fallback` run and have to succeed.
    /// Returns the indices of all of them.
    pub(crate) fn push_with_fallback(
        &mut self,
        step: BatchStep,
        kind: StepKind,
        fallback: Vec<BatchStep>,
    ) -> Vec<usize> {
        let condition = self.transaction_open_condition(None);
        let index = self.push_with_condition(step, kind, Some(condition));
        let mut condition = self.transaction_open_condition(Some(Condition::Error { step: index }));
        // A step that failed has run, so this condition does not repeat that of the step.
        let mut indices = vec![index];
        for step in fallback {
            let fallback_index =
                self.push_with_condition(step, StepKind::Optional, Some(condition));
            condition =
                self.transaction_open_condition(Some(Condition::Ok { step: fallback_index }));
            indices.push(fallback_index);
        }
        let last = indices.last().copied().unwrap_or(index);
        let success_conditions = [index, last].map(|step| Condition::Ok { step });
        self.success_condition = Some(Condition::Or { conds: success_conditions.into() });
        indices
    }

    /// Adds the end of the transaction, and a ROLLBACK that runs if the batch stops before.
    pub(crate) fn push_transaction_end(&mut self, sql: &'static str) {
        self.end_step = self.push(BatchStep::execute(sql, Vec::new()), StepKind::TransactionEnd);
        let conds =
            vec![Condition::Ok { step: self.end_step }.negate(), Condition::IsAutocommit.negate()];
        let condition = Some(Condition::And { conds });
        self.push_with_condition(
            BatchStep::execute("ROLLBACK", Vec::new()),
            StepKind::Optional,
            condition,
        );
    }

    /// Finds the step that the batch stopped at, if it did not run to its end. Failures of the
    /// steps for which `is_tolerated` returns true do not count.
    pub(crate) fn check_outcome(
        &self,
        results: &StepResults,
        is_tolerated: impl Fn(usize) -> bool,
    ) -> Result<(), BatchFailure> {
        if results.succeeded(self.end_step) {
            return Ok(());
        }
        let has_failed = |step: usize| results.steps[step].is_err();
        let mut steps = 0..self.steps.len();
        let failed = steps
            .clone()
            .find(|step| {
                self.kinds[*step] != StepKind::Optional && has_failed(*step) && !is_tolerated(*step)
            })
            .or_else(|| steps.find(|step| has_failed(*step)));
        // Without an error, the last step that ran is the one that ended the transaction.
        let stopped_at = failed.unwrap_or_else(|| {
            (0..self.end_step).rev().find(|step| results.succeeded(*step)).unwrap_or(0)
        });
        Err(BatchFailure {
            kind: self.kinds[stopped_at],
            error: failed.and_then(|step| results.steps[step].as_ref().err().cloned()),
            transaction: if results.succeeded(self.steps.len() - 1) {
                TransactionState::Open
            } else {
                TransactionState::Ended
            },
        })
    }
}
