//! Runs every block of the document in the sandbox, in the order of the replay, and checks each
//! block with every rule. Only lint pays for this second run; upgrades do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::database::connection::ConnectionSetup;
use crate::database::job::{ColumnChange, CompiledScript, Statement};
use crate::database::usable_references::DanglingReferences;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::Severity;
use crate::document::tag::Scope;
use crate::lint::context::{BlockRun, Direction, StatementRun};
use crate::lint::engine::{Backend, LintOptions};
use crate::lint::findings::{Findings, StatementChanges, WalkReport};
use crate::lint::rules::dangling_references::{BlockReferences, DanglingCheck};
use crate::lint::rules::{
    counter_reset, destructive, double_quotes, fts_row_ids, full_text_writes, idempotence,
    if_not_exists, libsql, needs_empty_table, object_loss, positional_copy, pragmas, reverse,
    sqlite_version,
};
use crate::lint::walk_cache::{RuleMemory, ScopeCache, ScopeState, WalkCache};
use crate::migrate::chain_cache::StepInput;
use crate::migrate::replay::Replay;
use crate::migrate::sandbox::Sandbox;
use crate::schema::changes::ObjectChange;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::source::first_line_span;

/// One run over the document, and the diagnostics found so far.
pub(crate) struct Runner<'w, 'a> {
    changelog: &'w Changelog<'a>,
    replay: &'w Replay<'a>,
    options: LintOptions,
    setup: &'w ConnectionSetup,
    findings: Findings,
}

impl<'w, 'a> Runner<'w, 'a> {
    /// Returns every diagnostic of every rule that runs statements, from the first step on that differs
    /// from the last run with this cache, whose options and setup must have been the same. Fails only
    /// if the sandbox fails or the run was cancelled.
    pub(crate) fn check(
        changelog: &'w Changelog<'a>,
        replay: &'w Replay<'a>,
        options: LintOptions,
        setup: &'w ConnectionSetup,
        cache: &mut WalkCache,
    ) -> rusqlite::Result<WalkReport> {
        let has_errors =
            replay.all_diagnostics().any(|diagnostic| diagnostic.severity == Severity::Error);
        let findings = Findings::default();
        let mut runner = Self { changelog, replay, options, setup, findings };
        for scope in Scope::BOTH {
            runner.check_scope(scope, cache.scope(scope))?;
        }
        let mut findings = runner.findings;
        if has_errors {
            findings.remove_conditional();
        }
        Ok(WalkReport { diagnostics: findings.diagnostics, statements: findings.statements })
    }

    fn check_scope(&mut self, scope: Scope, cache: &mut ScopeCache) -> rusqlite::Result<()> {
        let inputs = StepInput::from_chain(self.changelog, scope);
        let step_count = inputs.len();
        cache.keep_common(&inputs);
        for findings in cache.results() {
            self.findings.extend(findings);
        }
        let mut state = match cache.state() {
            Some(copy) => ScopeState::from_copy(copy, self.setup)?,
            None => ScopeState::new(self.setup)?,
        };
        for (step, input) in inputs.into_iter().enumerate().skip(cache.len()) {
            cache.keep_state(step_count, || state.copy())?;
            self.setup.require_not_cancelled()?;
            let mark = self.findings.mark();
            self.check_chain_step(&mut state, scope, step)?;
            cache.push(input, self.findings.since(&mark));
        }
        self.check_baselines(scope)?;
        for (index, seed) in self.changelog.seeds().iter().enumerate() {
            if seed.scope == scope
                && let Some(script) = self.replay.script(scope, StepId::Seed(index))
            {
                self.check_and_roll_back(&mut state, script, Direction::Up)?;
            }
        }
        Ok(())
    }

    /// Checks the lowest baseline (0) or a migration of the chain (from 1 on) with its reverse.
    fn check_chain_step(
        &mut self,
        state: &mut ScopeState,
        scope: Scope,
        step: usize,
    ) -> rusqlite::Result<()> {
        let Some(index) = step.checked_sub(1) else {
            return self.check_forward_block(state, scope, StepId::Baseline(0));
        };
        let has_reverse = self.changelog.step(StepId::Reverse(index)).is_some();
        let before_step = has_reverse
            .then(|| (state.sandbox.schema().clone(), state.memory.references.dangling()));
        self.check_forward_block(state, scope, StepId::Forward(index))?;
        if let Some((schema, known_references)) = before_step {
            let id = StepId::Reverse(index);
            self.check_reverse_block(state, scope, id, &schema, &known_references)?;
        }
        Ok(())
    }

    /// Checks the later baselines, and the reverse blocks of all baselines.
    fn check_baselines(&mut self, scope: Scope) -> rusqlite::Result<()> {
        for index in 0..self.changelog.baselines().len() {
            let mut state = ScopeState::new(self.setup)?;
            if index > 0 {
                self.check_forward_block(&mut state, scope, StepId::Baseline(index))?;
            } else if self.changelog.step(StepId::BaselineReverse(0)).is_some() {
                // The first baseline was checked as the start of the chain.
                let mark = self.findings.mark();
                self.check_forward_block(&mut state, scope, StepId::Baseline(0))?;
                self.findings.truncate(&mark);
            }
            self.check_reverse_block(
                &mut state,
                scope,
                StepId::BaselineReverse(index),
                &Schema::new(),
                &DanglingReferences::new(),
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
        let diagnostics = &mut self.findings.diagnostics;
        memory.lost_counters.follow(&block_run, sandbox.schema(), diagnostics);
        idempotence::check(sandbox, &block_run, diagnostics)
    }

    /// Runs and checks a reverse block, if the step has one, and undoes its changes.
    fn check_reverse_block(
        &mut self,
        state: &mut ScopeState,
        scope: Scope,
        id: StepId,
        target_schema: &Schema,
        known_references: &DanglingReferences,
    ) -> rusqlite::Result<()> {
        let Some(migration) = self.changelog.step(id) else { return Ok(()) };
        let Some(script) = self.replay.script(scope, id) else { return Ok(()) };
        let direction = Direction::Down { migration, scope, target_schema, known_references };
        self.check_and_roll_back(state, script, direction)
    }

    fn check_and_roll_back(
        &mut self,
        state: &mut ScopeState,
        script: &CompiledScript<'a>,
        direction: Direction<'_>,
    ) -> rusqlite::Result<()> {
        let ScopeState { sandbox, memory } = state;
        let origins_before = memory.origins.clone();
        let block_run = sandbox.run_and_roll_back(|sandbox| {
            let block_run = self.run_block(sandbox, memory, script, direction)?;
            idempotence::check(sandbox, &block_run, &mut self.findings.diagnostics)?;
            Ok(block_run)
        })?;
        memory.origins = origins_before;
        let changed_keys: BTreeSet<&ObjectKey> = block_run.changed_keys().collect();
        let schema = sandbox.schema();
        let restored_objects: Vec<ObjectChange> =
            changed_keys.into_iter().map(|key| (key.clone(), schema.get(key).cloned())).collect();
        memory.references.update(sandbox.connection(), &restored_objects)?;
        Ok(())
    }

    /// Runs a block and checks it with every rule except `not-rerunnable`, which runs it again.
    fn run_block<'s>(
        &mut self,
        sandbox: &mut Sandbox,
        memory: &mut RuleMemory,
        script: &'s CompiledScript<'a>,
        direction: Direction<'s>,
    ) -> rusqlite::Result<BlockRun<'s, 'a>> {
        let diagnostics = &mut self.findings.diagnostics;
        counter_reset::check(sandbox, script, diagnostics)?;
        let mut block_run = BlockRun {
            script,
            direction,
            schema_before: sandbox.schema().clone(),
            statement_runs: Vec::new(),
        };
        let mut block_references = BlockReferences::default();
        for (index, statement) in script.statements.iter().enumerate() {
            let RuleMemory { references, origins, .. } = memory;
            double_quotes::check(sandbox, &statement.sql, diagnostics)?;
            if_not_exists::check(sandbox, &statement.sql, origins, diagnostics)?;
            let table_before = altered_table(sandbox, statement);
            let outcome = sandbox.run_statement(statement.sql.text())?;
            for (key, object) in &outcome.object_changes {
                match object {
                    Some(_) => origins.insert(key.clone(), first_line_span(&statement.sql)),
                    None => origins.remove(key),
                };
            }
            let object_changes = outcome.object_changes;
            let changes = references.update(sandbox.connection(), &object_changes)?;
            block_references.add(index, changes);
            double_quotes::check_stored(sandbox, &statement.sql, &object_changes, diagnostics)?;
            if !object_changes.is_empty() {
                self.findings.statements.push(StatementChanges {
                    span: statement.sql.full_span(),
                    object_changes: object_changes.clone(),
                });
            }
            pragmas::check(&statement.sql, diagnostics);
            if self.options.backend == Backend::LibsqlServer {
                libsql::check(&statement.sql, diagnostics);
            }
            block_run.statement_runs.push(StatementRun {
                statement,
                object_changes,
                has_failed: outcome.result.is_err(),
                written_tables: sandbox.authorizer().effects().modified_tables,
                table_before,
            });
        }
        self.check_block(sandbox, memory, &block_run, &block_references)?;
        Ok(block_run)
    }

    /// Checks a block that has run.
    fn check_block(
        &mut self,
        sandbox: &Sandbox,
        memory: &mut RuleMemory,
        block_run: &BlockRun<'_, 'a>,
        block_references: &BlockReferences,
    ) -> rusqlite::Result<()> {
        let diagnostics = &mut self.findings.diagnostics;
        destructive::check(block_run, diagnostics);
        positional_copy::check(block_run, diagnostics);
        needs_empty_table::check(&memory.probe, block_run, diagnostics)?;
        fts_row_ids::check(&memory.probe, block_run, sandbox.schema(), diagnostics)?;
        full_text_writes::check(block_run, sandbox.schema(), diagnostics);
        object_loss::check(block_run, sandbox.schema(), diagnostics);
        let no_references = DanglingReferences::new();
        let direction = block_run.direction;
        let check = DanglingCheck {
            references: &memory.references,
            known: match direction {
                Direction::Up => &no_references,
                Direction::Down { known_references, .. } => known_references,
            },
            origins: &memory.origins,
        };
        let first = diagnostics.len();
        check.check(block_run, block_references, diagnostics);
        self.findings.make_errors_conditional(first);
        if let Some(min_sqlite) = self.options.oldest_sqlite() {
            let diagnostics = &mut self.findings.diagnostics;
            sqlite_version::check(sandbox.schema(), block_run, min_sqlite, diagnostics);
        }
        if let Direction::Down { migration, scope, target_schema, .. } = direction {
            let found = reverse::check(migration, scope, target_schema, sandbox.schema());
            self.findings.add_conditional(found);
        }
        Ok(())
    }
}

/// The table that a statement adds a column to, as the table was before.
fn altered_table(sandbox: &Sandbox, statement: &Statement<'_>) -> Option<Arc<Object>> {
    let ColumnChange::Add { table, .. } = statement.column_change.as_ref()? else { return None };
    sandbox.schema().get(&ObjectKey::new(ObjectKind::Table, table)).cloned()
}
