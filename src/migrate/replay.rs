//! Replays the document in memory before any database is opened for writing: every block runs on
//! the schema that the blocks before it create. The replay yields the diagnostics of the SQL, the
//! schema at every version, and the statements as SQLite split them; the runs on databases use all
//! three.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::database::job::CompiledScript;
use crate::document::changelog::{Changelog, ChangelogId, StepId};
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::directive::unfinished_parts;
use crate::document::migration::Migration;
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::chain_cache::{CacheUse, StepInput};
use crate::migrate::compile::BlockCompiler;
use crate::migrate::replay_cache::{ReplayCache, ScopeCache, StepResult};
use crate::plan::position::ChainPosition;
use crate::schema::difference::Difference;
use crate::schema::effects::{ExpectedChanges, SchemaOperations};
use crate::schema::{ObjectKey, Schema, changes, compare};

/// The result of running a document in memory.
#[derive(Debug)]
pub struct Replay<'a> {
    /// The changelog that was run.
    changelog_id: ChangelogId,
    /// The script of every step, by scope.
    scripts: [BTreeMap<StepId, Arc<CompiledScript<'a>>>; 2],
    /// The diagnostics, each with the position of the lowest target version that it affects.
    diagnostics: Vec<(usize, Diagnostic)>,
}

/// The position of diagnostics in reverse blocks and seed blocks: they affect no upgrade.
const UNREACHABLE_POSITION: usize = usize::MAX;

impl<'a> Replay<'a> {
    /// Runs the whole document, for both scopes. A cancellation ends the run.
    ///
    /// # Errors
    ///
    /// SQLite cannot open a database in memory, or the run was cancelled. A statement that fails is a
    /// diagnostic, not an error.
    pub fn run(changelog: &Changelog<'a>, setup: &ConnectionSetup) -> rusqlite::Result<Self> {
        Replay::run_owned(changelog, setup)
    }

    /// The replay that the changelog keeps; the first call runs it.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run). The next call runs the document again.
    pub(crate) fn kept<'c>(
        changelog: &'c Changelog<'a>,
        run: impl FnOnce() -> Result<Replay<'static>, DatabaseError>,
    ) -> Result<&'c Self, DatabaseError> {
        let kept = changelog.kept_replay();
        let replay = match kept.get() {
            Some(replay) => replay,
            None => {
                let replay = run()?;
                kept.get_or_init(|| Box::new(replay))
            }
        };
        #[allow(clippy::expect_used, reason = "nothing else fills this place")]
        Ok(replay.downcast_ref::<Replay<'static>>().expect("a replay"))
    }

    /// Whether this is the replay of a changelog.
    pub(crate) fn is_of(&self, changelog: &Changelog<'_>) -> bool {
        self.changelog_id == changelog.id()
    }

    /// The diagnostics for a run up to a version: an error beyond that version becomes a warning.
    pub fn diagnostics(&self, target: VersionIndex) -> impl Iterator<Item = Diagnostic> + '_ {
        self.diagnostics.iter().map(move |(position, diagnostic)| {
            let severity = diagnostic.severity;
            let is_beyond_target = *position > target.get() && severity == Severity::Error;
            diagnostic.clone().severity(if is_beyond_target { Severity::Warning } else { severity })
        })
    }

    /// The diagnostics for a run of some steps down from head: an error in another reverse block or
    /// in a seed block becomes a warning.
    pub fn downgrade_diagnostics<'r>(
        &'r self,
        changelog: &'r Changelog<'_>,
        ids: &'r BTreeSet<StepId>,
    ) -> impl Iterator<Item = Diagnostic> + 'r {
        let is_relevant = move |diagnostic: &Diagnostic| {
            let mut steps = ids.iter().filter_map(|id| changelog.step(*id));
            steps.any(|step| {
                let blocks = Scope::BOTH.into_iter().filter_map(|scope| step.block(scope));
                blocks.map(|block| block.sql.full_span()).any(|span| {
                    span.start <= diagnostic.span.start && diagnostic.span.start <= span.end
                })
            })
        };
        let head = changelog.head_index();
        self.diagnostics.iter().zip(self.diagnostics(head)).map(move |((_, original), adjusted)| {
            if is_relevant(original) { original.clone() } else { adjusted }
        })
    }

    /// All diagnostics with their original severity.
    pub fn all_diagnostics(&self) -> impl Iterator<Item = Diagnostic> + '_ {
        self.diagnostics.iter().map(|(_, diagnostic)| diagnostic.clone())
    }

    /// The script of a step. Every step of the changelog has one, an empty one if need be.
    pub(crate) fn script(&self, scope: Scope, id: StepId) -> Option<&CompiledScript<'a>> {
        self.scripts[scope as usize].get(&id).map(AsRef::as_ref)
    }

    /// The schema that the document describes at a position of the chain; beyond the last version,
    /// the schema at the last version.
    pub(crate) fn schema_at(&self, scope: Scope, position: usize) -> Schema {
        let mut schema = Schema::new();
        let ids = std::iter::once(StepId::Baseline(0)).chain((0..position).map(StepId::Forward));
        self.apply_steps(&mut schema, scope, ids);
        schema
    }

    /// The names of the objects that the document's migrations create, planned ones included.
    pub(crate) fn created_objects(
        &self,
        changelog: &Changelog<'_>,
        scope: Scope,
    ) -> BTreeSet<ObjectKey> {
        let baselines = (0..changelog.baselines().len()).map(StepId::Baseline);
        let ids = baselines.chain((0..changelog.chain().len()).map(StepId::Forward));
        let scripts = ids.filter_map(|id| self.script(scope, id));
        let changes = scripts.flat_map(|script| &script.object_changes);
        changes.filter(|(_, object)| object.is_some()).map(|(key, _)| key.clone()).collect()
    }

    /// What the document creates up to a position and a schema does not have.
    pub(crate) fn missing_objects(
        &self,
        scope: Scope,
        position: usize,
        schema: &Schema,
    ) -> Vec<Difference> {
        let expected = ExpectedChanges::between(&Schema::new(), &self.schema_at(scope, position));
        expected.unmet_in(|key| schema.get(key).map(AsRef::as_ref))
    }

    fn apply_steps(&self, schema: &mut Schema, scope: Scope, ids: impl Iterator<Item = StepId>) {
        for script in ids.filter_map(|id| self.script(scope, id)) {
            changes::apply_changes(schema, &script.object_changes);
        }
    }

    /// The changes that some steps must make to the schema of a database, beginning at its
    /// position.
    pub(crate) fn expected_changes(
        &self,
        scope: Scope,
        chain_position: ChainPosition,
        steps: &[StepId],
    ) -> ExpectedChanges {
        let before = match chain_position {
            ChainPosition::AtVersion(position) => self.schema_at(scope, position),
            ChainPosition::Empty | ChainPosition::BelowBaseline | ChainPosition::Detected(_) => {
                Schema::new()
            }
        };
        let start = match chain_position {
            ChainPosition::Detected(position) => self.schema_at(scope, position),
            _ => before.clone(),
        };
        let scripts: Vec<_> = steps.iter().filter_map(|id| self.script(scope, *id)).collect();
        changes_of_scripts(&before, start, &scripts)
    }
}

/// The changes that scripts make between the schema `before` and the one to which they lead from
/// `start`.
pub(crate) fn changes_of_scripts(
    before: &Schema,
    start: Schema,
    scripts: &[&CompiledScript<'_>],
) -> ExpectedChanges {
    let mut after = start;
    let mut operations = SchemaOperations::default();
    for script in scripts {
        changes::apply_changes(&mut after, &script.object_changes);
        operations.table_renames.append(&script.operations.table_renames);
        operations.renamed_columns.extend(script.operations.renamed_columns.iter().cloned());
        operations.created_objects.extend(script.operations.created_objects.iter().cloned());
    }
    let rebuilt = scripts.iter().flat_map(|script| &script.rebuilt_tables);
    ExpectedChanges::from_operations(&operations, before, &after).including_rebuilt(rebuilt, &after)
}

impl Replay<'static> {
    /// Runs the whole document, and copies the SQL of its statements.
    pub(crate) fn run_owned(
        changelog: &Changelog<'_>,
        setup: &ConnectionSetup,
    ) -> rusqlite::Result<Self> {
        Self::run_cached(changelog, setup, &mut ReplayCache::new(CacheUse::OneRun))
    }

    /// Runs the document from the first step on that differs from the last run with this cache, whose
    /// setup must have been the same.
    pub(crate) fn run_cached(
        changelog: &Changelog<'_>,
        setup: &ConnectionSetup,
        cache: &mut ReplayCache,
    ) -> rusqlite::Result<Self> {
        let changelog_id = changelog.id();
        let mut replay =
            Self { changelog_id, scripts: Default::default(), diagnostics: Vec::new() };
        for scope in Scope::BOTH {
            if changelog.has_scope(scope)
                || changelog.seeds().iter().any(|seed| seed.scope == scope)
            {
                let cache = &mut cache.0[scope as usize];
                ScopeReplay { replay: &mut replay, changelog, scope }.run(setup, cache)?;
            }
        }
        replay.diagnostics.sort_by_key(|(_, diagnostic)| diagnostic.span.start);
        Ok(replay)
    }
}

/// Replays the steps of one scope.
struct ScopeReplay<'r, 'c, 'a> {
    replay: &'r mut Replay<'static>,
    changelog: &'c Changelog<'a>,
    scope: Scope,
}

impl<'a> ScopeReplay<'_, '_, 'a> {
    fn run(&mut self, setup: &ConnectionSetup, cache: &mut ScopeCache) -> rusqlite::Result<()> {
        let mut compiler = self.run_chain(setup, cache)?;
        for index in 0..self.changelog.baselines().len() {
            self.run_baseline(&mut BlockCompiler::new(setup)?, index)?;
        }
        self.run_seeds(&mut compiler)
    }

    /// Runs the lowest baseline and the chain, as far as the cache does not have their results.
    /// Returns the compiler in the state after the last step.
    fn run_chain(
        &mut self,
        setup: &ConnectionSetup,
        cache: &mut ScopeCache,
    ) -> rusqlite::Result<BlockCompiler> {
        let inputs = StepInput::from_chain(self.changelog, self.scope);
        let step_count = inputs.len();
        cache.keep_common(&inputs);
        for StepResult { scripts, diagnostics } in cache.results() {
            self.replay.scripts[self.scope as usize].extend(scripts.iter().cloned());
            self.replay.diagnostics.extend(diagnostics.iter().cloned());
        }
        let mut compiler = match cache.state() {
            Some(copy) => BlockCompiler::from_copy(copy, setup)?,
            None => BlockCompiler::new(setup)?,
        };
        for (step, input) in inputs.into_iter().enumerate().skip(cache.len()) {
            cache.keep_state(step_count, || compiler.copy())?;
            setup.require_not_cancelled()?;
            let diagnostic_count = self.replay.diagnostics.len();
            let ids = self.run_chain_step(&mut compiler, step)?;
            let scripts = &self.replay.scripts[self.scope as usize];
            let scripts = ids.into_iter().filter_map(|id| Some((id, scripts.get(&id)?.clone())));
            let diagnostics = self.replay.diagnostics[diagnostic_count..].to_vec();
            cache.push(input, StepResult { scripts: scripts.collect(), diagnostics });
        }
        Ok(compiler)
    }

    /// Runs the lowest baseline (0) or a migration of the chain (from 1 on). Its reverse block runs
    /// on the schema that the migration leaves, and is undone.
    fn run_chain_step(
        &mut self,
        compiler: &mut BlockCompiler,
        step: usize,
    ) -> rusqlite::Result<Vec<StepId>> {
        let changelog = self.changelog;
        let Some(index) = step.checked_sub(1) else {
            self.run_step(compiler, StepId::Baseline(0), &changelog.baselines()[0], 0)?;
            return Ok(vec![StepId::Baseline(0)]);
        };
        self.run_step(compiler, StepId::Forward(index), &changelog.chain()[index], step)?;
        self.run_reverse(compiler, StepId::Reverse(index))?;
        Ok(vec![StepId::Forward(index), StepId::Reverse(index)])
    }

    /// Runs a later baseline on an empty database and compares its schema with that of the chain;
    /// then the baseline's reverse block.
    fn run_baseline(&mut self, compiler: &mut BlockCompiler, index: usize) -> rusqlite::Result<()> {
        let changelog = self.changelog;
        let baseline = &changelog.baselines()[index];
        if index > 0 {
            let position = changelog.baseline_position(index).unwrap_or(0);
            self.run_step(compiler, StepId::Baseline(index), baseline, position)?;
            self.compare_with_chain(compiler, baseline, position);
        } else if changelog.step(StepId::BaselineReverse(0)).is_some()
            && let Some(block) = baseline.block(self.scope)
        {
            // `run_chain` has recorded the lowest baseline; here it only prepares its reverse.
            compiler.compile_block(&block.sql)?;
        }
        self.run_reverse(compiler, StepId::BaselineReverse(index))
    }

    fn compare_with_chain(
        &mut self,
        compiler: &BlockCompiler,
        baseline: &Migration<'a>,
        position: usize,
    ) {
        let has_errors = self
            .replay
            .diagnostics
            .iter()
            .any(|(_, diagnostic)| diagnostic.severity == Severity::Error);
        if baseline.block(self.scope).is_none() || has_errors {
            return;
        }
        let chain_schema = self.replay.schema_at(self.scope, position);
        let differences = compare::significant_differences(&chain_schema, compiler.schema());
        if !differences.is_empty() {
            let diagnostic = baselines_differ(baseline, self.scope, &differences);
            self.replay.diagnostics.push((position, diagnostic));
        }
    }

    /// Runs every seed block at head and undoes it.
    fn run_seeds(&mut self, compiler: &mut BlockCompiler) -> rusqlite::Result<()> {
        for (index, seed) in self.changelog.seeds().iter().enumerate() {
            if seed.scope != self.scope {
                continue;
            }
            let run =
                compiler.run_and_roll_back(|compiler| compiler.compile_block(&seed.block.sql))?;
            self.add_diagnostics(run.diagnostics, UNREACHABLE_POSITION);
            self.add_diagnostics(unfinished_parts(&seed.block.sql), UNREACHABLE_POSITION);
            self.insert_script(StepId::Seed(index), run.script);
        }
        Ok(())
    }

    /// Runs the block of a step and stores its script.
    fn run_step(
        &mut self,
        compiler: &mut BlockCompiler,
        id: StepId,
        migration: &Migration<'a>,
        position: usize,
    ) -> rusqlite::Result<()> {
        let Some(block) = migration.block(self.scope) else {
            self.insert_script(id, CompiledScript::default());
            return Ok(());
        };
        let mut run = compiler.compile_block(&block.sql)?;
        run.script.allowed_rules =
            block.allow_directives.iter().map(|directive| directive.rule).collect();
        run.diagnostics.retain(|diagnostic| {
            diagnostic.severity == Severity::Error || !run.script.allows(diagnostic.rule)
        });
        if !migration.planned {
            run.diagnostics.extend(unfinished_parts(&block.sql));
        }
        self.add_diagnostics(run.diagnostics, position);
        self.insert_script(id, run.script);
        Ok(())
    }

    /// Runs a reverse block, if the step has one, and undoes its changes.
    fn run_reverse(&mut self, compiler: &mut BlockCompiler, id: StepId) -> rusqlite::Result<()> {
        let Some(reverse) = self.changelog.step(id) else { return Ok(()) };
        compiler.run_and_roll_back(|compiler| {
            self.run_step(compiler, id, reverse, UNREACHABLE_POSITION)
        })
    }

    fn add_diagnostics(&mut self, diagnostics: Vec<Diagnostic>, position: usize) {
        self.replay
            .diagnostics
            .extend(diagnostics.into_iter().map(|diagnostic| (position, diagnostic)));
    }

    fn insert_script(&mut self, id: StepId, script: CompiledScript<'static>) {
        self.replay.scripts[self.scope as usize].insert(id, Arc::new(script));
    }
}

fn baselines_differ(baseline: &Migration<'_>, scope: Scope, differences: &[String]) -> Diagnostic {
    let span =
        baseline.block(scope).map_or(baseline.tag_span.clone(), |block| block.tag_span.clone());
    Diagnostic::new(
        Rule::BaselinesDiffer,
        span,
        format!(
            "the schema of this baseline differs from that of the {scope} migrations up to `{}`: {}",
            baseline.to,
            differences.join("; ")
        ),
    )
    .help("databases created from this baseline would differ from migrated ones; make the two schemas equal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn a_changelog_is_replayed_once() {
        let text = "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n-- [user:baseline→1.0.0:end]\n```\n";
        let changelog = Changelog::from_source(Source::new("m.md", text)).unwrap();
        let mut runs = 0;
        let mut run = |result: Option<DatabaseError>| {
            let kept = Replay::kept(&changelog, || {
                runs += 1;
                let replay = Replay::run_owned(&changelog, &ConnectionSetup::default())?;
                result.map_or(Ok(replay), Err)
            });
            kept.map(std::ptr::from_ref)
        };
        // A failure is not kept.
        assert!(run(Some(DatabaseError::Interrupted)).is_err());
        assert_eq!(run(None).unwrap(), run(None).unwrap());
        assert_eq!(runs, 2);
    }

    #[test]
    fn a_replay_belongs_to_one_changelog() {
        let text = "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n-- [user:baseline→1.0.0:end]\n```\n";
        let parse = || Changelog::from_source(Source::new("m.md", text)).unwrap();
        let (changelog, other) = (parse(), parse());
        let replay = Replay::run(&changelog, &ConnectionSetup::default()).unwrap();
        assert!(replay.is_of(&changelog));
        assert!(!replay.is_of(&other));
        let head = changelog.head_index();
        assert!(!replay.is_of(&changelog.with_released_up_to(head)));
    }
}
