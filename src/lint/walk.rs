//! Runs every block of the document in the sandbox, in the order of the replay, and checks each
//! block with every rule. Only lint pays for this second run; upgrades do not.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::database::job::CompiledScript;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::{Diagnostic, Severity};
use crate::document::tag::Scope;
use crate::lint::context::{BlockRun, Direction, Origins, StatementRun};
use crate::lint::engine::{Backend, LintOptions};
use crate::lint::rules::foreign_keys::BrokenForeignKeys;
use crate::lint::rules::{
    destructive, double_quotes, idempotence, if_not_exists, libsql, pragmas, reverse,
    sqlite_version,
};
use crate::migrate::replay::Replay;
use crate::migrate::sandbox::Sandbox;
use crate::schema::Schema;
use crate::source::first_line_span;

/// One run over the document, and the diagnostics found so far.
pub(crate) struct Runner<'w, 'a> {
    changelog: &'w Changelog<'a>,
    replay: &'w Replay<'a>,
    options: LintOptions,
    cancel: &'w Arc<AtomicBool>,
    /// Whether every statement of the document ran without an error in the replay.
    is_error_free: bool,
    diagnostics: Vec<Diagnostic>,
}

/// A sandbox, and what the rules remember about the blocks that ran in it.
struct ScopeState {
    sandbox: Sandbox,
    memory: RuleMemory,
}

/// What the rules remember from block to block.
#[derive(Clone, Default)]
struct RuleMemory {
    broken_foreign_keys: BrokenForeignKeys,
    origins: Origins,
}

impl<'w, 'a> Runner<'w, 'a> {
    /// Returns every diagnostic of every rule that runs statements. Fails only if the sandbox
    /// fails or `cancel` was set.
    pub(crate) fn check(
        changelog: &'w Changelog<'a>,
        replay: &'w Replay<'a>,
        options: LintOptions,
        cancel: &'w Arc<AtomicBool>,
    ) -> rusqlite::Result<Vec<Diagnostic>> {
        let is_error_free =
            !replay.all_diagnostics().any(|diagnostic| diagnostic.severity == Severity::Error);
        let mut runner =
            Self { changelog, replay, options, cancel, is_error_free, diagnostics: Vec::new() };
        for scope in Scope::BOTH {
            runner.check_scope(scope)?;
        }
        Ok(runner.diagnostics)
    }

    fn new_scope_state(&self) -> rusqlite::Result<ScopeState> {
        Ok(ScopeState { sandbox: Sandbox::new(self.cancel)?, memory: RuleMemory::default() })
    }

    fn check_scope(&mut self, scope: Scope) -> rusqlite::Result<()> {
        let mut state = self.new_scope_state()?;
        self.check_forward_block(&mut state, scope, StepId::Baseline(0))?;
        for index in 0..self.changelog.chain().len() {
            let has_reverse = self.changelog.step(StepId::Reverse(index)).is_some();
            let before_step = has_reverse.then(|| {
                (state.sandbox.schema().clone(), state.memory.broken_foreign_keys.clone())
            });
            self.check_forward_block(&mut state, scope, StepId::Forward(index))?;
            if let Some((schema, known_keys)) = before_step {
                let id = StepId::Reverse(index);
                self.check_reverse_block(&mut state, scope, id, &schema, known_keys)?;
            }
        }
        self.check_baselines(scope)?;
        for (index, seed) in self.changelog.seeds().iter().enumerate() {
            if seed.scope == scope
                && let Some(script) = self.replay.script(scope, StepId::Seed(index))
            {
                let memory = state.memory.clone();
                self.check_and_roll_back(&mut state.sandbox, memory, script, Direction::Up)?;
            }
        }
        Ok(())
    }

    /// Checks the later baselines, and the reverse blocks of all baselines.
    fn check_baselines(&mut self, scope: Scope) -> rusqlite::Result<()> {
        for index in 0..self.changelog.baselines().len() {
            let mut state = self.new_scope_state()?;
            if index > 0 {
                self.check_forward_block(&mut state, scope, StepId::Baseline(index))?;
            } else if self.changelog.step(StepId::BaselineReverse(0)).is_some() {
                // The first baseline was checked as the start of the chain.
                let diagnostic_count = self.diagnostics.len();
                self.check_forward_block(&mut state, scope, StepId::Baseline(0))?;
                self.diagnostics.truncate(diagnostic_count);
            }
            self.check_reverse_block(
                &mut state,
                scope,
                StepId::BaselineReverse(index),
                &Schema::new(),
                BrokenForeignKeys::default(),
            )?;
        }
        Ok(())
    }

    /// Runs and checks a block that leads up the chain, and keeps its changes.
    fn check_forward_block(
        &mut self,
        state: &mut ScopeState,
        scope: Scope,
        id: StepId,
    ) -> rusqlite::Result<()> {
        let Some(script) = self.replay.script(scope, id) else { return Ok(()) };
        let ScopeState { sandbox, memory } = state;
        let block_run = sandbox
            .run_and_commit(|sandbox| self.run_block(sandbox, memory, script, Direction::Up))?;
        idempotence::check(sandbox, &block_run, &mut self.diagnostics)
    }

    /// Runs and checks a reverse block, if the step has one, and undoes its changes.
    fn check_reverse_block(
        &mut self,
        state: &mut ScopeState,
        scope: Scope,
        id: StepId,
        target_schema: &Schema,
        known_keys: BrokenForeignKeys,
    ) -> rusqlite::Result<()> {
        let Some(migration) = self.changelog.step(id) else { return Ok(()) };
        let Some(script) = self.replay.script(scope, id) else { return Ok(()) };
        let memory =
            RuleMemory { broken_foreign_keys: known_keys, origins: state.memory.origins.clone() };
        let direction = Direction::Down { migration, scope, target_schema };
        self.check_and_roll_back(&mut state.sandbox, memory, script, direction)
    }

    fn check_and_roll_back(
        &mut self,
        sandbox: &mut Sandbox,
        mut memory: RuleMemory,
        script: &CompiledScript<'a>,
        direction: Direction<'_>,
    ) -> rusqlite::Result<()> {
        sandbox.run_and_roll_back(|sandbox| {
            let block_run = self.run_block(sandbox, &mut memory, script, direction)?;
            idempotence::check(sandbox, &block_run, &mut self.diagnostics)
        })
    }

    /// Runs a block and checks it with every rule except `not-rerunnable`, which runs it again.
    fn run_block<'s>(
        &mut self,
        sandbox: &mut Sandbox,
        memory: &mut RuleMemory,
        script: &'s CompiledScript<'a>,
        direction: Direction<'s>,
    ) -> rusqlite::Result<BlockRun<'s, 'a>> {
        let RuleMemory { broken_foreign_keys, origins } = memory;
        let diagnostics = &mut self.diagnostics;
        let mut block_run = BlockRun {
            script,
            direction,
            schema_before: sandbox.schema().clone(),
            statement_runs: Vec::new(),
        };
        for statement in &script.statements {
            double_quotes::check(sandbox, &statement.sql, diagnostics)?;
            if_not_exists::check(sandbox, &statement.sql, origins, diagnostics)?;
            let outcome = sandbox.run_statement(statement.sql.text())?;
            for (key, object) in &outcome.object_changes {
                match object {
                    Some(_) => origins.insert(key.clone(), first_line_span(&statement.sql)),
                    None => origins.remove(key),
                };
            }
            let object_changes = outcome.object_changes;
            double_quotes::check_stored(sandbox, &statement.sql, &object_changes, diagnostics)?;
            pragmas::check(&statement.sql, diagnostics);
            if self.options.backend == Backend::LibsqlServer {
                libsql::check(&statement.sql, diagnostics);
            }
            let has_failed = outcome.result.is_err();
            block_run.statement_runs.push(StatementRun { statement, object_changes, has_failed });
        }
        destructive::check(&block_run, diagnostics);
        broken_foreign_keys.check(sandbox, &block_run, origins, diagnostics)?;
        if let Some(min_sqlite) = self.options.oldest_sqlite() {
            sqlite_version::check(sandbox.schema(), &block_run, min_sqlite, diagnostics);
        }
        if let Direction::Down { migration, scope, target_schema } = direction
            && self.is_error_free
        {
            diagnostics.extend(reverse::check(migration, scope, target_schema, sandbox.schema()));
        }
        Ok(block_run)
    }
}
