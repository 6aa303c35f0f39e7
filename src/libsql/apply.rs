//! An order applied to a namespace: what the schema decides is learned, the batch is sent, and what
//! came of it is found out, be it from the record where the answer was lost.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::database::history_entry::State;
use crate::database::job::{Done, Ending, Order};
use crate::database::policy::ForeignKeys;
use crate::database::{Database, Look};
use crate::document::diagnostic::Rule;
use crate::libsql::analysis::Lesson;
use crate::libsql::batch::program;
use crate::libsql::error::{is_busy, is_raised, stopped};
use crate::libsql::foreign_key_check::KeyCheck;
use crate::libsql::namespace::{Namespace, Seen};
use crate::libsql::program::{Mark, Program, Stopped};
use crate::sqld::dialect;
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{Results, Rows, Send};
use crate::sqld::server::pause;

impl Database for Namespace {
    fn apply(&mut self, order: &Order<'_>, expected: &State) -> Result<Done, DatabaseError> {
        let started = Instant::now();
        refuse_unknown(order)?;
        let seen = self.seen.borrow().clone();
        let seen = match seen {
            Some(seen) => seen,
            None => {
                self.state()?;
                self.seen.borrow().clone().ok_or(DatabaseError::Moved)?
            }
        };
        let lesson = self.lesson((order, expected), &seen)?;
        if !lesson.missing.is_empty() {
            let accepted = match expected {
                State::Recorded(_) => self.accepted()?,
                State::New | State::Unversioned => Vec::new(),
            };
            let missing = lesson.missing.iter().filter(|words| !accepted.contains(words));
            let missing: Vec<String> = missing.cloned().collect();
            if !missing.is_empty() {
                return Err(DatabaseError::Effects { missing });
            }
        }
        let allowed = order.foreign_keys == ForeignKeys::Told
            || order.steps.iter().any(|step| step.script.allows(Rule::ForeignKeys));
        let mut check = match (lesson.keys_after.orphans.is_empty(), allowed) {
            (false, true) => KeyCheck::Counted,
            (false, false) if lesson.is_dirty() => KeyCheck::Compared,
            _ => KeyCheck::Clean,
        };
        let run = (order, expected, &seen);
        let keys = loop {
            match self.try_apply(run, &lesson, check) {
                Ok(notes) => break notes,
                // Once more, beside the rows that lacked theirs before.
                Err(Halt::Keys) if check == KeyCheck::Clean => check = KeyCheck::Compared,
                Err(Halt::Keys) => return Err(DatabaseError::Moved),
                Err(Halt::Error(error)) => return Err(error),
            }
        };
        if check == KeyCheck::Compared {
            lesson.set_dirty();
        }
        let mut notes: Vec<String> =
            (0..order.steps.len()).filter_map(|step| lesson.note(step)).collect();
        notes.extend(keys);
        for key in lesson.keys_after.unusable.difference(&lesson.keys_before.unusable) {
            notes.push(format!(
                "SQLite cannot use the foreign key {key}: its parent columns are not unique"
            ));
        }
        Ok(Done { notes, duration: started.elapsed() })
    }
}

/// How often a batch is sent that SQLite or the server interrupted without having run it.
const INTERRUPTED_TRIES: usize = 4;

impl Namespace {
    /// Sends a whole program, again where nothing of it can have run: another program's lock was
    /// in the way, or the server interrupted it.
    pub(crate) fn run(&self, program: &Program) -> Result<Results, ServerError> {
        let since = Instant::now();
        let mut interrupted = 0;
        loop {
            let batch = Send::writing(&program.steps);
            let results = self.host.server.batch(&self.name, batch, &self.patience.stop)?;
            let Err(Stopped { mark, error: Some(error), .. }) =
                program.outcome(&results, |_| false)
            else {
                return Ok(results);
            };
            let busy = mark == Mark::Begin && is_busy(&error);
            if busy && since.elapsed() < self.patience.busy_timeout {
                pause(Duration::from_millis(50), &self.patience.stop);
            } else if error.words().0 == "interrupted" && interrupted < INTERRUPTED_TRIES {
                interrupted += 1;
            } else {
                return Ok(results);
            }
        }
    }

    /// What is known of an order on this schema, learned if need be.
    fn lesson(
        &self,
        (order, expected): (&Order<'_>, &State),
        seen: &Seen,
    ) -> Result<Arc<Lesson>, DatabaseError> {
        if order.effects.is_empty()
            && order.steps.iter().all(|step| step.script.statements.is_empty())
        {
            return Ok(Arc::default());
        }
        let key = key(order, seen);
        let lessons = || self.host.lessons.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lesson) = lessons().get(&key) {
            return Ok(lesson.clone());
        }
        let lesson = Arc::new(self.learn((order, expected), seen)?);
        lessons().insert(key, lesson.clone());
        Ok(lesson)
    }

    /// After an answer that did not come: what the record tells of it.
    fn settle(
        &self,
        (order, expected): (&Order<'_>, &State),
        lost: ServerError,
    ) -> Result<(), DatabaseError> {
        const TRIES: u32 = 4;
        let to = order.steps.iter().rev().find_map(|step| step.entry.as_ref()).map(|e| &e.to);
        let (Ending::Commit, Some(to)) = (order.ending, to) else {
            return match order.ending {
                Ending::Rollback => Err(DatabaseError::NotApplied { lost }),
                Ending::Commit => {
                    let after = "it leaves no record".to_owned();
                    Err(DatabaseError::Unknown { lost, after })
                }
            };
        };
        let mut after = String::new();
        for again in 0..TRIES {
            pause(Duration::from_millis(50 << again), &self.patience.stop);
            match (self.state(), expected) {
                (Ok(State::Recorded(now)), State::Recorded(then)) if now.id > then.id => {
                    return if now.to == *to { Ok(()) } else { Err(DatabaseError::Moved) };
                }
                (Ok(State::Recorded(now)), State::New | State::Unversioned) => {
                    return if now.to == *to { Ok(()) } else { Err(DatabaseError::Moved) };
                }
                (Ok(_), _) => return Err(DatabaseError::NotApplied { lost }),
                (Err(DatabaseError::Interrupted), _) => break,
                (Err(error), _) => after = error.to_string(),
            }
        }
        Err(DatabaseError::Unknown { lost, after })
    }

    /// Sends the batch of an order and reads what came of it.
    fn try_apply(
        &self,
        (order, expected, seen): (&Order<'_>, &State, &Seen),
        lesson: &Lesson,
        check: KeyCheck,
    ) -> Result<Vec<String>, Halt> {
        let (program, counts) = program((order, expected, seen), lesson, check);
        let results = match self.run(&program) {
            Ok(results) => results,
            Err(
                lost @ (ServerError::Lost { .. }
                | ServerError::Refused { .. }
                | ServerError::Strange { .. }),
            ) => {
                self.settle((order, expected), lost)?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(DatabaseError::from(error).into()),
        };
        let mut notes = Vec::new();
        if let Some(counts) = counts {
            counts.read(&results, check, &mut notes)?;
        }
        match program.outcome(&results, |_| false) {
            Ok(()) => Ok(notes),
            Err(stop) => {
                let rows = match stop.mark {
                    Mark::Rows(.., asked) => results.rows(asked).cloned().unwrap_or_default(),
                    _ => Rows::new(),
                };
                if stop.mark == Mark::Keys && stop.error.as_ref().is_some_and(is_raised) {
                    return Err(Halt::Keys);
                }
                Err(stopped(order, stop, &rows).into())
            }
        }
    }
}

/// Why a batch changed nothing.
enum Halt {
    /// A row lacks its parent.
    Keys,
    Error(DatabaseError),
}

impl From<DatabaseError> for Halt {
    fn from(error: DatabaseError) -> Self {
        Self::Error(error)
    }
}

/// What the server would refuse is refused here, with its place, before anything is sent.
fn refuse_unknown(order: &Order<'_>) -> Result<(), DatabaseError> {
    for step in &order.steps {
        for statement in &step.script.statements {
            if let Some((message, range)) = dialect::refused(statement.sql.text()) {
                let (migration, span) = (step.label.clone(), statement.sql.span(range));
                return Err(DatabaseError::Statement { migration, message, span });
            }
        }
    }
    Ok(())
}

/// What makes a lesson another one: the statements, where they lead, and the schema before.
fn key(order: &Order<'_>, seen: &Seen) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut put = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    put(&order.scope.to_string());
    for step in &order.steps {
        put("step");
        if let Some(entry) = &step.entry {
            put(entry.event.name());
            put(&entry.from);
            put(&entry.to);
        }
        for statement in &step.script.statements {
            put(statement.sql.text());
        }
    }
    put(&seen.fingerprint);
    hash.finalize().into()
}
