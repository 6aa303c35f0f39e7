//! The document walked once more, block by block, in the replay's order, with every judge looking
//! on. Only `lint` pays for it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::database::job::CompiledScript;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::{Diagnostic, Severity};
use crate::document::tag::Scope;
use crate::lint::context::{BlockRun, Direction, Origins, StatementRun};
use crate::lint::engine::{Backend, SqliteVersion};
use crate::lint::rules::foreign_keys::BrokenForeignKeys;
use crate::lint::rules::{
    destructive, double_quotes, idempotence, if_not_exists, libsql, pragmas, reverse,
    sqlite_version,
};
use crate::lint::sandbox::Sandbox;
use crate::migrate::replay::Replay;
use crate::schema::Schema;
use crate::source::first_line_span;

pub(crate) struct Runner<'w, 'a> {
    changelog: &'w Changelog<'a>,
    replay: &'w Replay<'a>,
    min_sqlite: Option<SqliteVersion>,
    backend: Backend,
    cancel: &'w Arc<AtomicBool>,
    /// Whether every statement of the document runs.
    is_error_free: bool,
    diagnostics: Vec<Diagnostic>,
}

/// A stage with what the judges remember of it.
struct ScopeState {
    sandbox: Sandbox,
    broken_foreign_keys: BrokenForeignKeys,
    origins: Origins,
}

impl<'w, 'a> Runner<'w, 'a> {
    /// Every problem that the judges find.
    pub(crate) fn check(
        changelog: &'w Changelog<'a>,
        replay: &'w Replay<'a>,
        (min_sqlite, backend): (Option<SqliteVersion>, Backend),
        cancel: &'w Arc<AtomicBool>,
    ) -> rusqlite::Result<Vec<Diagnostic>> {
        let is_error_free =
            !replay.all_diagnostics().any(|diagnostic| diagnostic.severity == Severity::Error);
        let mut runner = Self {
            changelog,
            replay,
            min_sqlite,
            backend,
            cancel,
            is_error_free,
            diagnostics: Vec::new(),
        };
        for scope in Scope::BOTH {
            runner.check_scope(scope)?;
        }
        Ok(runner.diagnostics)
    }

    fn new_scope_state(&self) -> rusqlite::Result<ScopeState> {
        Ok(ScopeState {
            sandbox: Sandbox::new(self.cancel)?,
            broken_foreign_keys: BrokenForeignKeys::default(),
            origins: Origins::new(),
        })
    }

    fn check_scope(&mut self, scope: Scope) -> rusqlite::Result<()> {
        let mut state = self.new_scope_state()?;
        self.check_forward_block(&mut state, scope, StepId::Baseline(0))?;
        for index in 0..self.changelog.chain().len() {
            let has_reverse = self.changelog.step(StepId::Reverse(index)).is_some();
            let before_step = has_reverse
                .then(|| (state.sandbox.schema().clone(), state.broken_foreign_keys.clone()));
            self.check_forward_block(&mut state, scope, StepId::Forward(index))?;
            if let Some((before, known_keys)) = before_step {
                self.check_reverse_block(
                    &mut state,
                    scope,
                    (StepId::Reverse(index), &before, known_keys),
                )?;
            }
        }
        for index in 0..self.changelog.baselines().len() {
            let mut baseline_state = self.new_scope_state()?;
            if index > 0 {
                self.check_forward_block(&mut baseline_state, scope, StepId::Baseline(index))?;
            } else if self.changelog.step(StepId::BaselineReverse(0)).is_some() {
                let diagnostic_count = self.diagnostics.len();
                self.check_forward_block(&mut baseline_state, scope, StepId::Baseline(0))?;
                self.diagnostics.truncate(diagnostic_count);
            }
            let to_empty_schema =
                (StepId::BaselineReverse(index), &Schema::new(), BrokenForeignKeys::default());
            self.check_reverse_block(&mut baseline_state, scope, to_empty_schema)?;
        }
        for (index, seed) in self.changelog.seeds().iter().enumerate() {
            if seed.scope == scope
                && let Some(script) = self.replay.script(scope, StepId::Seed(index))
            {
                let keys_and_origins = (state.broken_foreign_keys.clone(), state.origins.clone());
                self.check_and_roll_back(
                    &mut state.sandbox,
                    keys_and_origins,
                    (script, Direction::Up),
                )?;
            }
        }
        Ok(())
    }

    /// Runs and judges a block on the way up; what it does stays.
    fn check_forward_block(
        &mut self,
        state: &mut ScopeState,
        scope: Scope,
        id: StepId,
    ) -> rusqlite::Result<()> {
        let Some(script) = self.replay.script(scope, id) else { return Ok(()) };
        let ScopeState { sandbox, broken_foreign_keys, origins } = state;
        let mut keys_and_origins = (std::mem::take(broken_foreign_keys), std::mem::take(origins));
        let block_run = sandbox.run_and_commit(|sandbox| {
            self.run_block(sandbox, &mut keys_and_origins, (script, Direction::Up))
        })?;
        (*broken_foreign_keys, *origins) = keys_and_origins;
        idempotence::check(sandbox, &block_run, &mut self.diagnostics)
    }

    /// Runs and judges a reverse block, and takes back what it did.
    fn check_reverse_block(
        &mut self,
        state: &mut ScopeState,
        scope: Scope,
        (id, target, known_keys): (StepId, &Schema, BrokenForeignKeys),
    ) -> rusqlite::Result<()> {
        let Some(migration) = self.changelog.step(id) else { return Ok(()) };
        let Some(script) = self.replay.script(scope, id) else { return Ok(()) };
        let keys_and_origins = (known_keys, state.origins.clone());
        let direction = Direction::Down(migration, scope, target);
        self.check_and_roll_back(&mut state.sandbox, keys_and_origins, (script, direction))
    }

    fn check_and_roll_back(
        &mut self,
        sandbox: &mut Sandbox,
        mut keys_and_origins: (BrokenForeignKeys, Origins),
        (script, direction): (&CompiledScript<'a>, Direction<'_>),
    ) -> rusqlite::Result<()> {
        sandbox.run_and_roll_back(|sandbox| {
            let block_run = self.run_block(sandbox, &mut keys_and_origins, (script, direction))?;
            idempotence::check(sandbox, &block_run, &mut self.diagnostics)
        })
    }

    /// Runs a block in front of the judges.
    fn run_block<'s>(
        &mut self,
        sandbox: &mut Sandbox,
        (broken_foreign_keys, origins): &mut (BrokenForeignKeys, Origins),
        (script, direction): (&'s CompiledScript<'a>, Direction<'s>),
    ) -> rusqlite::Result<BlockRun<'s, 'a>> {
        let mut block_run = BlockRun {
            script,
            direction,
            schema_before: sandbox.schema().clone(),
            statement_runs: Vec::new(),
        };
        for statement in &script.statements {
            double_quotes::check(sandbox, &statement.sql, &mut self.diagnostics)?;
            if_not_exists::check(sandbox, (&statement.sql, origins), &mut self.diagnostics)?;
            let outcome = sandbox.run_statement(statement.sql.text())?;
            for (key, object) in &outcome.object_changes {
                match object {
                    Some(_) => origins.insert(key.clone(), first_line_span(&statement.sql)),
                    None => origins.remove(key),
                };
            }
            double_quotes::check_stored(
                sandbox,
                (&statement.sql, &outcome.object_changes),
                &mut self.diagnostics,
            )?;
            pragmas::check(&statement.sql, &mut self.diagnostics);
            if self.backend == Backend::LibsqlServer {
                libsql::check(&statement.sql, &mut self.diagnostics);
            }
            block_run.statement_runs.push(StatementRun {
                statement,
                object_changes: outcome.object_changes,
                failed: outcome.result.is_err(),
            });
        }
        destructive::check(&block_run, &mut self.diagnostics);
        broken_foreign_keys.check(sandbox, (&block_run, origins), &mut self.diagnostics)?;
        if let Some(min_sqlite) = self.min_sqlite {
            sqlite_version::check(
                (sandbox.schema(), &block_run),
                min_sqlite,
                &mut self.diagnostics,
            );
        }
        if let (Direction::Down(migration, scope, target), true) = (direction, self.is_error_free) {
            self.diagnostics.extend(reverse::check((migration, scope), (target, sandbox.schema())));
        }
        Ok(block_run)
    }
}
