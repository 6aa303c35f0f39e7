//! The document run in memory, before any database is opened for writing: every block is tried on
//! what the document itself makes. Verdicts, expectations and statements of the real runs all come
//! from here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::database::job::CompiledScript;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::migration::Migration;
use crate::document::tag::Scope;
use crate::migrate::sandbox::ShadowDatabase;
use crate::plan::ChainPosition;
use crate::schema::effects::{ExpectedChanges, SchemaOperations};
use crate::schema::{Schema, effects, tracker};

/// What the replay found out.
#[derive(Debug)]
pub struct Replay<'a> {
    scripts: [BTreeMap<StepId, CompiledScript<'a>>; 2],
    /// Problems, with the position of the version that they stand in the way of.
    diagnostics: Vec<(usize, Diagnostic)>,
}

/// No target is so far that a reverse block or a seed stands in its way.
const UNREACHABLE_POSITION: usize = usize::MAX;

impl<'a> Replay<'a> {
    /// Runs the whole document.
    ///
    /// # Errors
    ///
    /// SQLite's, if not even an empty database in memory can be made, or if `stop` was set.
    pub fn run(changelog: &Changelog<'a>, cancel: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut replay = Self { scripts: Default::default(), diagnostics: Vec::new() };
        for scope in Scope::BOTH {
            if changelog.has_scope(scope)
                || changelog.seeds().iter().any(|seed| seed.scope == scope)
            {
                replay.replay_scope(changelog, scope, cancel)?;
            }
        }
        replay.diagnostics.sort_by_key(|(_, diagnostic)| diagnostic.span.start);
        Ok(replay)
    }

    fn replay_scope(
        &mut self,
        changelog: &Changelog<'a>,
        scope: Scope,
        cancel: &Arc<AtomicBool>,
    ) -> rusqlite::Result<()> {
        let mut shadow = ShadowDatabase::new(cancel)?;
        let lowest = &changelog.baselines()[0];
        self.run_step(&mut shadow, scope, (StepId::Baseline(0), lowest, 0))?;
        for (at, migration) in changelog.chain().iter().enumerate() {
            self.run_step(&mut shadow, scope, (StepId::Forward(at), migration, at + 1))?;
            if let Some(reverse) = changelog.step(StepId::Reverse(at)) {
                self.run_and_undo(&mut shadow, scope, (StepId::Reverse(at), reverse))?;
            }
        }
        for (at, baseline) in changelog.baselines().iter().enumerate() {
            let mut scratch = ShadowDatabase::new(cancel)?;
            let position = baseline.to.version().and_then(|to| changelog.position(to)).unwrap_or(0);
            if at > 0 {
                self.run_step(&mut scratch, scope, (StepId::Baseline(at), baseline, position))?;
                let chain_schema = self.schema_at(scope, position);
                let has_errors =
                    self.diagnostics.iter().any(|(_, p)| p.severity == Severity::Error);
                if baseline.block(scope).is_some() && !has_errors {
                    let differences = effects::differences(&chain_schema, scratch.schema());
                    if !differences.is_empty() {
                        let diagnostic = baselines_differ(baseline, scope, &differences);
                        self.diagnostics.push((position, diagnostic));
                    }
                }
            }
            if let Some(reverse) = changelog.step(StepId::BaselineReverse(at)) {
                if at == 0 {
                    let mut discarded =
                        Self { scripts: Default::default(), diagnostics: Vec::new() };
                    discarded.run_step(&mut scratch, scope, (StepId::Baseline(0), baseline, 0))?;
                }
                self.run_and_undo(&mut scratch, scope, (StepId::BaselineReverse(at), reverse))?;
            }
        }
        let seeds = changelog.seeds().iter().enumerate();
        for (at, seed) in seeds.filter(|(_, seed)| seed.scope == scope) {
            shadow.savepoint()?;
            let run = shadow.run_block(&seed.block.sql)?;
            self.diagnostics
                .extend(run.diagnostics.into_iter().map(|problem| (UNREACHABLE_POSITION, problem)));
            self.scripts[scope as usize].insert(StepId::Seed(at), run.script);
            shadow.rollback()?;
        }
        Ok(())
    }

    /// Runs one migration's part and keeps its script.
    fn run_step(
        &mut self,
        shadow: &mut ShadowDatabase,
        scope: Scope,
        (id, migration, position): (StepId, &Migration<'a>, usize),
    ) -> rusqlite::Result<()> {
        let Some(block) = migration.block(scope) else {
            self.scripts[scope as usize].insert(id, CompiledScript::default());
            return Ok(());
        };
        let mut run = shadow.run_block(&block.sql)?;
        run.script.allowed_rules =
            block.allow_directives.iter().map(|allowance| allowance.rule).collect();
        run.diagnostics.retain(|diagnostic| {
            diagnostic.severity == Severity::Error || !run.script.allows(diagnostic.rule)
        });
        self.diagnostics.extend(run.diagnostics.into_iter().map(|problem| (position, problem)));
        self.scripts[scope as usize].insert(id, run.script);
        Ok(())
    }

    /// Runs a reverse block and takes back what it did.
    fn run_and_undo(
        &mut self,
        shadow: &mut ShadowDatabase,
        scope: Scope,
        (id, migration): (StepId, &Migration<'a>),
    ) -> rusqlite::Result<()> {
        shadow.savepoint()?;
        self.run_step(shadow, scope, (id, migration, UNREACHABLE_POSITION))?;
        shadow.rollback()
    }

    /// The problems for a run up to a position: what fails beyond it is a warning.
    pub fn diagnostics(&self, target: usize) -> impl Iterator<Item = Diagnostic> + '_ {
        self.diagnostics.iter().map(move |(position, diagnostic)| {
            let severity = diagnostic.severity;
            let is_beyond_target = *position > target && severity == Severity::Error;
            diagnostic.clone().severity(if is_beyond_target { Severity::Warning } else { severity })
        })
    }

    /// The problems for a run of some steps down from head: what fails in another reverse block or
    /// in a seed is a warning.
    pub fn downgrade_diagnostics<'r>(
        &'r self,
        changelog: &'r Changelog<'_>,
        ids: &'r BTreeSet<StepId>,
    ) -> impl Iterator<Item = Diagnostic> + 'r {
        let is_relevant = move |diagnostic: &Diagnostic| {
            let mut steps = ids.iter().filter_map(|id| changelog.step(*id));
            steps.any(|step| {
                let blocks = Scope::BOTH.into_iter().filter_map(|scope| step.block(scope));
                blocks.map(|part| part.sql.document_span(0..part.sql.text().len())).any(|span| {
                    span.start <= diagnostic.span.start && diagnostic.span.start <= span.end
                })
            })
        };
        let head = changelog.head_position();
        self.diagnostics.iter().zip(self.diagnostics(head)).map(
            move |((_, unadjusted), problem)| {
                if is_relevant(unadjusted) { unadjusted.clone() } else { problem }
            },
        )
    }

    /// Every problem with its full weight.
    pub fn all_diagnostics(&self) -> impl Iterator<Item = Diagnostic> + '_ {
        self.diagnostics.iter().map(|(_, diagnostic)| diagnostic.clone())
    }

    /// The script of a step; each step of the changelog has one.
    pub(crate) fn script(&self, scope: Scope, id: StepId) -> Option<&CompiledScript<'a>> {
        self.scripts[scope as usize].get(&id)
    }

    /// The schema that the document describes at a position.
    pub(crate) fn schema_at(&self, scope: Scope, position: usize) -> Schema {
        let mut schema = Schema::new();
        let ids = std::iter::once(StepId::Baseline(0)).chain((0..position).map(StepId::Forward));
        self.apply_steps(&mut schema, scope, ids);
        schema
    }

    /// What a schema lacks of what the document makes up to a position, each in words.
    pub(crate) fn missing_objects(
        &self,
        scope: Scope,
        (position, schema): (usize, &Schema),
    ) -> Vec<String> {
        let expected = ExpectedChanges::between(&Schema::new(), &self.schema_at(scope, position));
        expected.unmet_in(|key| schema.get(key).map(AsRef::as_ref))
    }

    fn apply_steps(&self, schema: &mut Schema, scope: Scope, ids: impl Iterator<Item = StepId>) {
        for script in ids.filter_map(|id| self.script(scope, id)) {
            tracker::apply_changes(schema, &script.object_changes);
        }
    }

    /// What steps must have done to a database that stood somewhere.
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
        let mut after = match chain_position {
            ChainPosition::Detected(position) => self.schema_at(scope, position),
            _ => before.clone(),
        };
        self.apply_steps(&mut after, scope, steps.iter().copied());
        let scripts = steps.iter().filter_map(|id| self.script(scope, *id));
        let mut operations = SchemaOperations::default();
        for script in scripts.clone() {
            operations.table_renames.append(&script.operations.table_renames);
            operations.renamed_columns.extend(script.operations.renamed_columns.iter().cloned());
            operations.created_objects.extend(script.operations.created_objects.iter().cloned());
        }
        let rebuilt = scripts.flat_map(|script| &script.rebuilt_tables);
        ExpectedChanges::from_operations(&operations, &before, &after)
            .including_rebuilt(rebuilt, &after)
    }
}

fn baselines_differ(baseline: &Migration<'_>, scope: Scope, differences: &[String]) -> Diagnostic {
    let span =
        baseline.block(scope).map_or(baseline.tag_span.clone(), |part| part.tag_span.clone());
    Diagnostic::new(
        Rule::BaselinesDiffer,
        span,
        format!(
            "this baseline does not end in the schema that the {scope} migrations up to `{}` end in: {}",
            baseline.to,
            differences.join("; ")
        ),
    )
    .help("databases made from it would differ from migrated ones; make the two agree")
}
