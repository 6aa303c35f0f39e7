//! The document run in memory, before any database is opened for writing: every block is tried on
//! what the document itself makes. Verdicts, expectations and statements of the real runs all come
//! from here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::database::job::Script;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::{Problem, Rule, Severity};
use crate::document::migration::Migration;
use crate::document::tag::Scope;
use crate::migrate::sandbox::Scratch;
use crate::plan::Standing;
use crate::schema::effects::{Deeds, Effects};
use crate::schema::{Schema, effects, tracker};

/// What the replay found out.
#[derive(Debug)]
pub struct Replay<'a> {
    scripts: [BTreeMap<StepId, Script<'a>>; 2],
    /// Problems, with the position of the version that they stand in the way of.
    problems: Vec<(usize, Problem)>,
}

/// No target is so far that a reverse block or a seed stands in its way.
const NEVER: usize = usize::MAX;

impl<'a> Replay<'a> {
    /// Runs the whole document.
    ///
    /// # Errors
    ///
    /// SQLite's, if not even an empty database in memory can be made, or if `stop` was set.
    pub fn run(changelog: &Changelog<'a>, stop: &Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let mut replay = Self { scripts: Default::default(), problems: Vec::new() };
        for scope in Scope::BOTH {
            if changelog.has(scope) || changelog.seeds().iter().any(|seed| seed.scope == scope) {
                replay.track(changelog, scope, stop)?;
            }
        }
        replay.problems.sort_by_key(|(_, problem)| problem.span.start);
        Ok(replay)
    }

    fn track(
        &mut self,
        changelog: &Changelog<'a>,
        scope: Scope,
        stop: &Arc<AtomicBool>,
    ) -> rusqlite::Result<()> {
        let mut scratch = Scratch::new(stop)?;
        let lowest = &changelog.baselines()[0];
        self.step(&mut scratch, scope, (StepId::Baseline(0), lowest, 0))?;
        for (at, migration) in changelog.chain().iter().enumerate() {
            self.step(&mut scratch, scope, (StepId::Forward(at), migration, at + 1))?;
            if let Some(reverse) = changelog.step(StepId::Reverse(at)) {
                self.aside(&mut scratch, scope, (StepId::Reverse(at), reverse))?;
            }
        }
        for (at, baseline) in changelog.baselines().iter().enumerate() {
            let mut scratch = Scratch::new(stop)?;
            let position = baseline.to.version().and_then(|to| changelog.position(to)).unwrap_or(0);
            if at > 0 {
                self.step(&mut scratch, scope, (StepId::Baseline(at), baseline, position))?;
                let chain = self.schema_at(scope, position);
                let broken = self.problems.iter().any(|(_, p)| p.severity == Severity::Error);
                if baseline.part(scope).is_some() && !broken {
                    let differences = effects::differences(&chain, scratch.schema());
                    if !differences.is_empty() {
                        let problem = baselines_differ(baseline, scope, &differences);
                        self.problems.push((position, problem));
                    }
                }
            }
            if let Some(reverse) = changelog.step(StepId::Unbaseline(at)) {
                if at == 0 {
                    let mut ignored = Self { scripts: Default::default(), problems: Vec::new() };
                    ignored.step(&mut scratch, scope, (StepId::Baseline(0), baseline, 0))?;
                }
                self.aside(&mut scratch, scope, (StepId::Unbaseline(at), reverse))?;
            }
        }
        let seeds = changelog.seeds().iter().enumerate();
        for (at, seed) in seeds.filter(|(_, seed)| seed.scope == scope) {
            scratch.set_aside()?;
            let run = scratch.run(&seed.part.sql)?;
            self.problems.extend(run.problems.into_iter().map(|problem| (NEVER, problem)));
            self.scripts[scope as usize].insert(StepId::Seed(at), run.script);
            scratch.take_back()?;
        }
        Ok(())
    }

    /// Runs one migration's part and keeps its script.
    fn step(
        &mut self,
        scratch: &mut Scratch,
        scope: Scope,
        (id, migration, position): (StepId, &Migration<'a>, usize),
    ) -> rusqlite::Result<()> {
        let Some(part) = migration.part(scope) else {
            self.scripts[scope as usize].insert(id, Script::default());
            return Ok(());
        };
        let mut run = scratch.run(&part.sql)?;
        run.script.allowed = part.allows.iter().map(|allowance| allowance.rule).collect();
        run.problems.retain(|problem| {
            problem.severity == Severity::Error || !run.script.allows(problem.rule)
        });
        self.problems.extend(run.problems.into_iter().map(|problem| (position, problem)));
        self.scripts[scope as usize].insert(id, run.script);
        Ok(())
    }

    /// Runs a reverse block and takes back what it did.
    fn aside(
        &mut self,
        scratch: &mut Scratch,
        scope: Scope,
        (id, migration): (StepId, &Migration<'a>),
    ) -> rusqlite::Result<()> {
        scratch.set_aside()?;
        self.step(scratch, scope, (id, migration, NEVER))?;
        scratch.take_back()
    }

    /// The problems for a run up to a position: what fails beyond it is a warning.
    pub fn problems(&self, target: usize) -> impl Iterator<Item = Problem> + '_ {
        self.problems.iter().map(move |(position, problem)| {
            let severity = problem.severity;
            let beyond = *position > target && severity == Severity::Error;
            problem.clone().severity(if beyond { Severity::Warning } else { severity })
        })
    }

    /// The problems for a run of some steps down from head: what fails in another reverse block or
    /// in a seed is a warning.
    pub fn problems_down<'r>(
        &'r self,
        changelog: &'r Changelog<'_>,
        ids: &'r BTreeSet<StepId>,
    ) -> impl Iterator<Item = Problem> + 'r {
        let concerned = move |problem: &Problem| {
            let mut steps = ids.iter().filter_map(|id| changelog.step(*id));
            steps.any(|step| {
                let parts = Scope::BOTH.into_iter().filter_map(|scope| step.part(scope));
                parts
                    .map(|part| part.sql.span(0..part.sql.text().len()))
                    .any(|span| span.start <= problem.span.start && problem.span.start <= span.end)
            })
        };
        let head = changelog.head_position();
        self.problems
            .iter()
            .zip(self.problems(head))
            .map(move |((_, full), problem)| if concerned(full) { full.clone() } else { problem })
    }

    /// Every problem with its full weight.
    pub fn all_problems(&self) -> impl Iterator<Item = Problem> + '_ {
        self.problems.iter().map(|(_, problem)| problem.clone())
    }

    /// The script of a step; each step of the changelog has one.
    pub(crate) fn script(&self, scope: Scope, id: StepId) -> Option<&Script<'a>> {
        self.scripts[scope as usize].get(&id)
    }

    /// The schema that the document describes at a position.
    pub(crate) fn schema_at(&self, scope: Scope, position: usize) -> Schema {
        let mut schema = Schema::new();
        let ids = std::iter::once(StepId::Baseline(0)).chain((0..position).map(StepId::Forward));
        self.follow(&mut schema, scope, ids);
        schema
    }

    /// What a schema lacks of what the document makes up to a position, each in words.
    pub(crate) fn missing(&self, scope: Scope, (position, is): (usize, &Schema)) -> Vec<String> {
        let effects = Effects::between(&Schema::new(), &self.schema_at(scope, position));
        effects.missing_in(|key| is.get(key).map(AsRef::as_ref))
    }

    fn follow(&self, schema: &mut Schema, scope: Scope, ids: impl Iterator<Item = StepId>) {
        for script in ids.filter_map(|id| self.script(scope, id)) {
            tracker::apply(schema, &script.changes);
        }
    }

    /// What steps must have done to a database that stood somewhere.
    pub(crate) fn effects(&self, scope: Scope, standing: Standing, steps: &[StepId]) -> Effects {
        let before = match standing {
            Standing::At(position) => self.schema_at(scope, position),
            Standing::New | Standing::BelowBaseline | Standing::Matched(_) => Schema::new(),
        };
        let mut after = match standing {
            Standing::Matched(position) => self.schema_at(scope, position),
            _ => before.clone(),
        };
        self.follow(&mut after, scope, steps.iter().copied());
        let scripts = steps.iter().filter_map(|id| self.script(scope, *id));
        let mut deeds = Deeds::default();
        for script in scripts.clone() {
            deeds.renames.extend(script.deeds.renames.iter().cloned());
            deeds.renamed_columns.extend(script.deeds.renamed_columns.iter().cloned());
            deeds.made.extend(script.deeds.made.iter().cloned());
        }
        let rebuilt = scripts.flat_map(|script| &script.rebuilt);
        Effects::of(&deeds, &before, &after).with_rebuilt(rebuilt, &after)
    }
}

fn baselines_differ(baseline: &Migration<'_>, scope: Scope, differences: &[String]) -> Problem {
    let span = baseline.part(scope).map_or(baseline.span.clone(), |part| part.span.clone());
    Problem::new(
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
