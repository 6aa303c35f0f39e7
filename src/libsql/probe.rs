//! What is learned once of every schema that an order meets: the order runs in the real namespace
//! and is rolled back, and what it would leave is judged here, by the same code that judges a
//! file. The next namespaces of that schema need one batch, which commits only if it ends in the
//! schema that was judged.

use std::collections::BTreeSet;

use crate::database::error::DatabaseError;
use crate::database::history_entry::State;
use crate::database::job::Order;
use crate::libsql::analysis::{Lesson, satisfied};
use crate::libsql::error::{statement_error, stopped};
use crate::libsql::foreign_keys::Keys;
use crate::libsql::introspect;
use crate::libsql::introspect::{QUESTIONS, TABLE_QUESTIONS, Told};
use crate::libsql::namespace::{Namespace, Seen};
use crate::libsql::precondition::guard;
use crate::libsql::program::{Mark, Program};
use crate::sqld::hrana::{Results, Step, Value};

/// Where the answers of a trial are.
struct Trial {
    before: usize,
    /// Of each column change: its step and statement, its own place, and those of the questions
    /// asked where it failed.
    columns: Vec<((usize, usize), Vec<usize>)>,
    after: usize,
    fingerprint: usize,
}

impl Namespace {
    /// Tries an order, rolls it back, and judges what it would leave.
    pub(crate) fn learn(
        &self,
        (order, expected): (&Order<'_>, &State),
        seen: &Seen,
    ) -> Result<Lesson, DatabaseError> {
        let mut program = Program::begin();
        guard(&mut program, expected, seen);
        let ask = |program: &mut Program| {
            let first = program.steps.len();
            for question in QUESTIONS {
                program.then(Step::asks(question, Vec::new()), Mark::Own);
            }
            first
        };
        let before = ask(&mut program);
        let mut columns = Vec::new();
        for (at, step) in order.steps.iter().enumerate() {
            for (nth, statement) in step.script.statements.iter().enumerate() {
                let mark = Mark::Statement(at, nth);
                let does = Step::does(statement.sql.text(), Vec::new());
                match &statement.column {
                    None => {
                        program.then(does, mark);
                    }
                    Some(change) => {
                        let name = || vec![Value::text(change.table())];
                        let questions =
                            TABLE_QUESTIONS.map(|question| Step::asks(question, name())).into();
                        columns.push(((at, nth), program.or_else((does, mark), questions)));
                    }
                }
            }
        }
        let after = ask(&mut program);
        let fingerprint =
            program.then(Step::asks(crate::libsql::namespace::FINGERPRINT, Vec::new()), Mark::Own);
        program.end("ROLLBACK");
        let trial = Trial { before, columns, after, fingerprint };
        let results = self.run(&program)?;
        Self::judge((order, &program), &trial, &results)
    }

    fn judge(
        (order, program): (&Order<'_>, &Program),
        trial: &Trial,
        results: &Results,
    ) -> Result<Lesson, DatabaseError> {
        let mut lesson = Lesson::default();
        let told = |first: usize| -> Option<Told> {
            let rows = |at: usize| results.rows(first + at);
            Some(introspect::read([rows(0)?, rows(1)?, rows(2)?, rows(3)?, rows(4)?]))
        };
        let before = told(trial.before).unwrap_or_default();
        let mut forgiven = BTreeSet::new();
        for ((at, nth), asked) in &trial.columns {
            let [own, columns, keys] = asked[..] else { continue };
            let (Err(error), Some(columns), Some(keys)) =
                (&results.steps[own], results.rows(columns), results.rows(keys))
            else {
                continue;
            };
            let place = (*at, *nth);
            if let Some(note) = satisfied((order, place), &before, (error, columns, keys))? {
                lesson.satisfied.insert(place, note);
                forgiven.insert(own);
            } else {
                return Err(statement_error(order, place, (error, false)));
            }
        }
        if let Err(stop) = program.outcome(results, |at| forgiven.contains(&at)) {
            return Err(stopped(order, stop, &[]));
        }
        let after = told(trial.after).unwrap_or_default();
        let fingerprint = results.rows(trial.fingerprint).and_then(|rows| rows.first()?.first());
        if !order.effects.is_empty() {
            lesson.after = Some(fingerprint.and_then(Value::shown).unwrap_or_default());
            lesson.missing =
                order.effects.missing_in(|key| after.schema.get(key).map(AsRef::as_ref));
        }
        if !order.touched.is_empty() {
            lesson.keys_before = Keys::of(&before, Some(&order.touched));
            let mut touched = order.touched.clone();
            touched.extend(order.renames.iter().map(|(_, to)| to.clone()));
            lesson.keys_after = Keys::of(&after, Some(&touched));
        }
        Ok(lesson)
    }
}
