//! What is learned once of every schema that an order meets: the order runs in the real namespace
//! and is rolled back, and what it would leave is judged here, by the same code that judges a
//! file. The next namespaces of that schema need one batch, which commits only if it ends in the
//! schema that was judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::ffi;

use super::batch::guard;
use super::failed::{span, statement_error, stopped};
use super::keys::Keys;
use super::program::{Mark, Program};
use super::{Namespace, Seen};
use crate::database::DatabaseError;
use crate::database::history::State;
use crate::database::order::{ColumnChange, Order};
use crate::database::schema::Table;
use crate::database::schema::told::{self, QUESTIONS, TABLE_QUESTIONS, Told};
use crate::server::hrana::{Results, Rows, SqlError, Step, Value};

/// What an order does to databases of one schema.
#[derive(Debug, Default)]
pub(super) struct Lesson {
    /// Statements that had been done before, each with what is noted of it.
    pub(super) satisfied: BTreeMap<(usize, usize), String>,
    /// The schema that it ends in; none where nothing is asked of it.
    pub(super) after: Option<String>,
    /// What of the effects is missing there, each in words.
    pub(super) missing: Vec<String>,
    pub(super) keys_before: Keys,
    pub(super) keys_after: Keys,
    /// Whether a database of this schema was met that has rows without their parents.
    dirty: AtomicBool,
}

impl Lesson {
    /// What a step need not do, in words.
    pub(super) fn note(&self, step: usize) -> Option<String> {
        let satisfied = self.satisfied.range((step, 0)..(step + 1, 0));
        let notes: Vec<&str> = satisfied.map(|(_, note)| note.as_str()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Relaxed)
    }

    pub(super) fn set_dirty(&self) {
        self.dirty.store(true, Ordering::Relaxed);
    }
}

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
    pub(super) fn learn(
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
        let fingerprint = program.then(Step::asks(super::FINGERPRINT, Vec::new()), Mark::Own);
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
            Some(told::read([rows(0)?, rows(1)?, rows(2)?, rows(3)?, rows(4)?]))
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

/// Whether a failed ADD or DROP COLUMN had been done before this run, to the same end.
fn satisfied(
    (order, (step, statement)): (&Order<'_>, (usize, usize)),
    before: &Told,
    (error, columns, keys): (&SqlError, &Rows, &Rows),
) -> Result<Option<String>, DatabaseError> {
    let (step, statement) = (&order.steps[step], &order.steps[step].script.statements[statement]);
    let Some(change) = &statement.column else { return Ok(None) };
    // The table may have stood under another name before this run.
    let name = change.table().to_ascii_lowercase();
    let known = |name: &str| before.tables.get(name).map(|(_, table)| table);
    let back = order.renames.iter().rev();
    let first =
        back.fold(name.clone(), |name, (from, to)| if *to == name { from.clone() } else { name });
    let Some(then) = known(&name).or_else(|| known(&first)) else { return Ok(None) };
    let (words, _) = error.words();
    let now: Table = told::table(columns, keys);
    match change {
        ColumnChange::Added { table, definition } if words.starts_with("duplicate column name") => {
            let column = &definition.column.name;
            if then.column(column).is_none() {
                return Ok(None);
            }
            let Some(found) = now.definition(column) else { return Ok(None) };
            if definition.matches(&found) {
                return Ok(Some(format!("column `{table}.{column}` was already there")));
            }
            Err(DatabaseError::ColumnDiffers {
                migration: step.label.clone(),
                table: table.clone(),
                column: column.clone(),
                found: found.to_string(),
                expected: definition.to_string(),
                span: span(statement, (&words, None)),
            })
        }
        ColumnChange::Dropped { table, column }
            if words.starts_with("no such column") && then.column(column).is_none() =>
        {
            Ok(Some(format!("column `{table}.{column}` was already gone")))
        }
        ColumnChange::Added { .. } | ColumnChange::Dropped { .. } => Ok(None),
    }
}

/// An error of the server's as if SQLite had told it here, for its place to be found.
pub(super) fn as_sqlite(words: &str, offset: Option<usize>) -> rusqlite::Error {
    rusqlite::Error::SqlInputError {
        error: ffi::Error::new(ffi::SQLITE_ERROR),
        msg: words.to_owned(),
        sql: String::new(),
        offset: offset.and_then(|offset| i32::try_from(offset).ok()).unwrap_or(-1),
    }
}
