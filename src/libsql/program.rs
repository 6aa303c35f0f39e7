//! A whole run as one batch: each step waits for the one before and for the transaction to be
//! still open. What any step was for is kept beside it, so that its error can be told.

use crate::sqld::hrana::{Condition, Results, SqlError, Step};

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Before the transaction.
    Prologue,
    Begin,
    /// What is written to is what was read.
    Place,
    /// The database is still what the order was made for.
    Guard,
    /// A statement of the document's: which step, which statement.
    Statement(usize, usize),
    /// A statement of tatmig's own.
    Own,
    /// The row guard: which step, which of its rebuilt tables, and the question before it.
    Rows(usize, usize, usize),
    /// Foreign keys.
    Keys,
    /// The schema is what was judged.
    Schema,
    /// COMMIT, or ROLLBACK of a rehearsal.
    End,
    /// May fail, and decides nothing by itself.
    Aside,
}

/// A batch in the making.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    marks: Vec<Mark>,
    /// What must hold for the next step to run.
    passed: Option<Condition>,
    end: usize,
}

/// An error in the arithmetic is the only way to raise one in a query.
pub(crate) const FAIL: &str = "abs(-9223372036854775807 - 1)";

/// The step that a program failed at, and why.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) mark: Mark,
    pub(crate) error: Option<SqlError>,
    /// Whether the transaction was gone before tatmig rolled it back.
    pub(crate) ended: bool,
}

impl Program {
    /// Turns foreign keys off, which no transaction can do, and begins.
    pub(crate) fn begin() -> Self {
        let mut program = Self::default();
        program.push(Step::does("PRAGMA foreign_keys = OFF", Vec::new()), Mark::Prologue, None);
        program.passed = Some(Condition::Ok { step: 0 });
        let begun = program.passed.clone();
        let at = program.push(Step::does("BEGIN IMMEDIATE", Vec::new()), Mark::Begin, begun);
        program.passed = Some(Condition::Ok { step: at });
        program
    }

    fn push(&mut self, step: Step, mark: Mark, condition: Option<Condition>) -> usize {
        self.steps.push(match condition {
            Some(condition) => step.when(condition),
            None => step,
        });
        self.marks.push(mark);
        self.steps.len() - 1
    }

    fn open(&self, also: Option<Condition>) -> Condition {
        let mut conds: Vec<Condition> = self.passed.clone().into_iter().collect();
        conds.extend(also);
        conds.push(Condition::IsAutocommit.negated());
        Condition::And { conds }
    }

    /// A step that must succeed for the next one to run.
    pub(crate) fn then(&mut self, step: Step, mark: Mark) -> usize {
        let condition = self.open(None);
        let at = self.push(step, mark, Some(condition));
        self.passed = Some(Condition::Ok { step: at });
        at
    }

    /// A step that may fail; where it does, all of `instead` must succeed.
    pub(crate) fn or_else(&mut self, (step, mark): (Step, Mark), instead: Vec<Step>) -> Vec<usize> {
        let condition = self.open(None);
        let at = self.push(step, mark, Some(condition));
        let mut condition = self.open(Some(Condition::Error { step: at }));
        // Only what ran can have failed, so this needs nothing of what was before.
        let mut asked = vec![at];
        for step in instead {
            let next = self.push(step, Mark::Aside, Some(condition));
            condition = self.open(Some(Condition::Ok { step: next }));
            asked.push(next);
        }
        let last = asked.last().copied().unwrap_or(at);
        let either = [at, last].map(|step| Condition::Ok { step });
        self.passed = Some(Condition::Or { conds: either.into() });
        asked
    }

    /// Ends the transaction; whatever did not get there is rolled back.
    pub(crate) fn end(&mut self, sql: &'static str) {
        self.end = self.then(Step::does(sql, Vec::new()), Mark::End);
        let conds =
            vec![Condition::Ok { step: self.end }.negated(), Condition::IsAutocommit.negated()];
        let condition = Some(Condition::And { conds });
        self.push(Step::does("ROLLBACK", Vec::new()), Mark::Aside, condition);
    }

    /// Whether it ran to its end; else where it stopped. `forgiven` are failures that count as
    /// none.
    pub(crate) fn outcome(
        &self,
        results: &Results,
        forgiven: impl Fn(usize) -> bool,
    ) -> Result<(), Stopped> {
        if results.ran(self.end) {
            return Ok(());
        }
        let ended = !results.ran(self.steps.len() - 1);
        let failed = (0..self.steps.len()).find(|at| {
            self.marks[*at] != Mark::Aside && results.steps[*at].is_err() && !forgiven(*at)
        });
        let failed =
            failed.or_else(|| (0..self.steps.len()).find(|at| results.steps[*at].is_err()));
        Err(match failed {
            Some(at) => Stopped {
                mark: self.marks[at],
                error: results.steps[at].as_ref().err().cloned(),
                ended,
            },
            // The transaction was gone without a word: the last statement that ran ended it.
            None => {
                let last = (0..self.end).rev().find(|at| results.ran(*at)).unwrap_or(0);
                Stopped { mark: self.marks[last], error: None, ended }
            }
        })
    }
}
