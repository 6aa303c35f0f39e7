//! The document walked once more, block by block, in the replay's order, with every judge looking
//! on. Only `lint` pays for it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::database::job::Script;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::{Problem, Severity};
use crate::document::tag::Scope;
use crate::lint::context::{Act, Direction, Made, Turn};
use crate::lint::engine::{Engine, SqliteVersion};
use crate::lint::rules::foreign_keys::Keys;
use crate::lint::rules::{
    destructive, double_quotes, idempotence, if_not_exists, libsql, pragmas, reverse,
    sqlite_version,
};
use crate::lint::sandbox::Stage;
use crate::migrate::replay::Replay;
use crate::schema::Schema;
use crate::source::whole_span;

pub(crate) struct Walk<'w, 'a> {
    changelog: &'w Changelog<'a>,
    replay: &'w Replay<'a>,
    minimum: Option<SqliteVersion>,
    engine: Engine,
    stop: &'w Arc<AtomicBool>,
    /// Whether every statement of the document runs.
    whole: bool,
    problems: Vec<Problem>,
}

/// A stage with what the judges remember of it.
struct Place {
    stage: Stage,
    keys: Keys,
    made: Made,
}

impl<'w, 'a> Walk<'w, 'a> {
    /// Every problem that the judges find.
    pub(crate) fn judge(
        changelog: &'w Changelog<'a>,
        replay: &'w Replay<'a>,
        (minimum, engine): (Option<SqliteVersion>, Engine),
        stop: &'w Arc<AtomicBool>,
    ) -> rusqlite::Result<Vec<Problem>> {
        let whole = !replay.all_problems().any(|problem| problem.severity == Severity::Error);
        let mut walk =
            Self { changelog, replay, minimum, engine, stop, whole, problems: Vec::new() };
        for scope in Scope::BOTH {
            walk.scope(scope)?;
        }
        Ok(walk.problems)
    }

    fn place(&self) -> rusqlite::Result<Place> {
        Ok(Place { stage: Stage::new(self.stop)?, keys: Keys::default(), made: Made::new() })
    }

    fn scope(&mut self, scope: Scope) -> rusqlite::Result<()> {
        let mut place = self.place()?;
        self.block(&mut place, scope, StepId::Baseline(0))?;
        for at in 0..self.changelog.chain().len() {
            let returns = self.changelog.step(StepId::Reverse(at)).is_some();
            let before = returns.then(|| (place.stage.schema().clone(), place.keys.clone()));
            self.block(&mut place, scope, StepId::Forward(at))?;
            if let Some((before, known)) = before {
                self.down(&mut place, scope, (StepId::Reverse(at), &before, known))?;
            }
        }
        for at in 0..self.changelog.baselines().len() {
            let mut own = self.place()?;
            if at > 0 {
                self.block(&mut own, scope, StepId::Baseline(at))?;
            } else if self.changelog.step(StepId::Unbaseline(0)).is_some() {
                let kept = self.problems.len();
                self.block(&mut own, scope, StepId::Baseline(0))?;
                self.problems.truncate(kept);
            }
            let nothing = (StepId::Unbaseline(at), &Schema::new(), Keys::default());
            self.down(&mut own, scope, nothing)?;
        }
        for (at, seed) in self.changelog.seeds().iter().enumerate() {
            if seed.scope == scope
                && let Some(script) = self.replay.script(scope, StepId::Seed(at))
            {
                let judges = (place.keys.clone(), place.made.clone());
                self.aside(&mut place.stage, judges, (script, Direction::Up))?;
            }
        }
        Ok(())
    }

    /// Runs and judges a block on the way up; what it does stays.
    fn block(&mut self, place: &mut Place, scope: Scope, id: StepId) -> rusqlite::Result<()> {
        let Some(script) = self.replay.script(scope, id) else { return Ok(()) };
        let Place { stage, keys, made } = place;
        let mut judges = (std::mem::take(keys), std::mem::take(made));
        let act = stage.keep(|stage| self.act(stage, &mut judges, (script, Direction::Up)))?;
        (*keys, *made) = judges;
        idempotence::judge(stage, &act, &mut self.problems)
    }

    /// Runs and judges a reverse block, and takes back what it did.
    fn down(
        &mut self,
        place: &mut Place,
        scope: Scope,
        (id, target, known): (StepId, &Schema, Keys),
    ) -> rusqlite::Result<()> {
        let Some(migration) = self.changelog.step(id) else { return Ok(()) };
        let Some(script) = self.replay.script(scope, id) else { return Ok(()) };
        let judges = (known, place.made.clone());
        let direction = Direction::Down(migration, scope, target);
        self.aside(&mut place.stage, judges, (script, direction))
    }

    fn aside(
        &mut self,
        stage: &mut Stage,
        mut judges: (Keys, Made),
        (script, direction): (&Script<'a>, Direction<'_>),
    ) -> rusqlite::Result<()> {
        stage.aside(|stage| {
            let act = self.act(stage, &mut judges, (script, direction))?;
            idempotence::judge(stage, &act, &mut self.problems)
        })
    }

    /// Runs a block in front of the judges.
    fn act<'s>(
        &mut self,
        stage: &mut Stage,
        (keys, made): &mut (Keys, Made),
        (script, direction): (&'s Script<'a>, Direction<'s>),
    ) -> rusqlite::Result<Act<'s, 'a>> {
        let mut act = Act { script, direction, before: stage.schema().clone(), turns: Vec::new() };
        for statement in &script.statements {
            double_quotes::judge(stage, &statement.sql, &mut self.problems)?;
            if_not_exists::judge(stage, (&statement.sql, made), &mut self.problems)?;
            let outcome = stage.run(statement.sql.text())?;
            for (key, object) in &outcome.changes {
                match object {
                    Some(_) => made.insert(key.clone(), whole_span(&statement.sql)),
                    None => made.remove(key),
                };
            }
            double_quotes::judge_stored(
                stage,
                (&statement.sql, &outcome.changes),
                &mut self.problems,
            )?;
            pragmas::judge(&statement.sql, &mut self.problems);
            if self.engine == Engine::LibsqlServer {
                libsql::judge(&statement.sql, &mut self.problems);
            }
            act.turns.push(Turn {
                statement,
                changes: outcome.changes,
                failed: outcome.result.is_err(),
            });
        }
        destructive::judge(&act, &mut self.problems);
        keys.judge(stage, (&act, made), &mut self.problems)?;
        if let Some(minimum) = self.minimum {
            sqlite_version::judge((stage.schema(), &act), minimum, &mut self.problems);
        }
        if let (Direction::Down(migration, scope, target), true) = (direction, self.whole) {
            self.problems.extend(reverse::judge((migration, scope), (target, stage.schema())));
        }
        Ok(act)
    }
}
