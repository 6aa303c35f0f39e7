//! A whole run as one batch: each step waits for the one before and for the transaction to be
//! still open. What any step was for is kept beside it, so that its error can be told.

use crate::sqld::hrana::{BatchStep, Condition, SqlError, StepResults};

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Before the transaction.
    Prologue,
    Begin,
    /// What is written to is what was read.
    PrimaryCheck,
    /// The database is still what the order was made for.
    Precondition,
    /// A statement of the document's: which step, which statement.
    Statement(usize, usize),
    /// A statement of tatmig's own.
    Internal,
    /// The row guard: which step, which of its rebuilt tables, and the question before it.
    RowLossCheck(usize, usize, usize),
    /// Foreign keys.
    ForeignKeyCheck,
    /// The schema is what was judged.
    SchemaCheck,
    /// COMMIT, or ROLLBACK of a rehearsal.
    TransactionEnd,
    /// May fail, and decides nothing by itself.
    Optional,
}

/// A batch in the making.
#[derive(Debug, Default)]
pub(crate) struct BatchBuilder {
    pub(crate) steps: Vec<BatchStep>,
    kinds: Vec<StepKind>,
    /// What must hold for the next step to run.
    success_condition: Option<Condition>,
    end_step: usize,
}

/// An error in the arithmetic is the only way to raise one in a query.
pub(crate) const RAISE: &str = "abs(-9223372036854775807 - 1)";

/// The step that a program failed at, and why.
#[derive(Debug)]
pub(crate) struct BatchFailure {
    pub(crate) kind: StepKind,
    pub(crate) error: Option<SqlError>,
    /// Whether the transaction was gone before tatmig rolled it back.
    pub(crate) has_transaction_ended: bool,
}

impl BatchBuilder {
    /// Turns foreign keys off, which no transaction can do, and begins.
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

    /// A step that must succeed for the next one to run.
    pub(crate) fn push(&mut self, step: BatchStep, kind: StepKind) -> usize {
        let condition = self.transaction_open_condition(None);
        let index = self.push_with_condition(step, kind, Some(condition));
        self.success_condition = Some(Condition::Ok { step: index });
        index
    }

    /// A step that may fail; where it does, all of `instead` must succeed.
    pub(crate) fn push_with_fallback(
        &mut self,
        (step, kind): (BatchStep, StepKind),
        fallback: Vec<BatchStep>,
    ) -> Vec<usize> {
        let condition = self.transaction_open_condition(None);
        let index = self.push_with_condition(step, kind, Some(condition));
        let mut condition = self.transaction_open_condition(Some(Condition::Error { step: index }));
        // Only what ran can have failed, so this needs nothing of what was before.
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

    /// Ends the transaction; whatever did not get there is rolled back.
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

    /// Whether it ran to its end; else where it stopped. `forgiven` are failures that count as
    /// none.
    pub(crate) fn check_outcome(
        &self,
        results: &StepResults,
        is_tolerated: impl Fn(usize) -> bool,
    ) -> Result<(), BatchFailure> {
        if results.succeeded(self.end_step) {
            return Ok(());
        }
        let has_transaction_ended = !results.succeeded(self.steps.len() - 1);
        let failed = (0..self.steps.len()).find(|index| {
            self.kinds[*index] != StepKind::Optional
                && results.steps[*index].is_err()
                && !is_tolerated(*index)
        });
        let failed =
            failed.or_else(|| (0..self.steps.len()).find(|index| results.steps[*index].is_err()));
        Err(match failed {
            Some(at) => BatchFailure {
                kind: self.kinds[at],
                error: results.steps[at].as_ref().err().cloned(),
                has_transaction_ended,
            },
            // The transaction was gone without a word: the last statement that ran ended it.
            None => {
                let last =
                    (0..self.end_step).rev().find(|index| results.succeeded(*index)).unwrap_or(0);
                BatchFailure { kind: self.kinds[last], error: None, has_transaction_ended }
            }
        })
    }
}
