//! Everything that is wrong or risky in a document, without a database. Here the judges' findings
//! come together: the document is read and replayed as before every run, then walked once more
//! with its planned migrations uncommented.

pub(crate) mod context;
pub(crate) mod engine;
pub(crate) mod rules;
pub(crate) mod sandbox;
pub(crate) mod walk;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::database::error::DatabaseError;
use crate::document::changelog;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::{Problem, Severity};
use crate::document::migration::{Allowance, Part};
use crate::document::tag::Scope;
use crate::lint::engine::{Engine, SqliteVersion};
use crate::lint::walk::Walk;
use crate::migrate::replay::Replay;
use crate::source::Source;

/// What was found out about a document.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Every problem, in document order.
    pub problems: Vec<Problem>,
    /// Whether an upgrade to head would refuse the document.
    pub unusable: bool,
}

/// Reads a document and runs it in memory, again and again. Returns its problems in document
/// order, and whether an upgrade to head would refuse the document; one that could not be run is
/// refused. `stop`, once set, ends the work.
///
/// ```
/// use std::sync::Arc;
///
/// let source = tatmig::Source::new("m.md", "-- [user:baseline→1.0.0:start]\n");
/// let (problems, unusable) = tatmig::lint(source, &Arc::default());
/// assert!(unusable);
/// assert_eq!(problems[0].rule.name(), "tag-outside-code");
/// ```
#[must_use]
pub fn lint(source: Source<'_>, stop: &Arc<AtomicBool>) -> (Vec<Problem>, bool) {
    match judge(source, (None, Engine::SqliteFiles), stop) {
        Ok(Judgement { problems, unusable }) => (problems, unusable),
        Err(_) => (Vec::new(), true),
    }
}

/// The same for databases that a SQLite as old as `minimum` reads, or that a libSQL server keeps:
/// what in the schema the one could not read, and what the other would refuse, is a problem too.
///
/// ````
/// use std::sync::Arc;
///
/// let text = "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a TEXT) STRICT;\n-- [user:baseline→1.0.0:end]\n```\n";
/// let source = tatmig::Source::new("m.md", text);
/// let oldest = (Some("3.31.0".parse()?), tatmig::Engine::SqliteFiles);
/// let judgement = tatmig::judge(source, oldest, &Arc::default())?;
/// assert!(judgement.problems.iter().any(|found| found.rule.name() == "needs-newer-sqlite"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// # Errors
///
/// SQLite's, if not even an empty database in memory can be made, or if `stop` was set.
pub fn judge(
    source: Source<'_>,
    (minimum, engine): (Option<SqliteVersion>, Engine),
    stop: &Arc<AtomicBool>,
) -> Result<Judgement, DatabaseError> {
    let readers = (engine.oldest(minimum), engine);
    let (changelog, mut problems) = changelog::read(source);
    let Ok(changelog) = changelog else { return Ok(Judgement { problems, unusable: true }) };
    let replay = Replay::run(&changelog, stop)?;
    let unusable = replay
        .problems(changelog.head_position())
        .any(|problem| problem.severity == Severity::Error);
    problems.extend(replay.all_problems());
    crate::lint::rules::metadata::judge(&changelog, &mut problems);
    match uncommented(&changelog)? {
        Some(text) => {
            let (planned, _) = changelog::read(Source::new(changelog.source().name(), &text));
            // Comments that only look like SQL may make a document that is none.
            if let Ok(planned) = planned {
                let live = Replay::run(&planned, stop)?;
                let known = problems.clone();
                let new = live.all_problems().filter(|problem| !known.contains(problem));
                // A plan stands in nobody's way yet.
                problems.extend(new.map(|problem| {
                    let severity = problem.severity.min(Severity::Warning);
                    problem.severity(severity)
                }));
                problems.extend(Walk::judge(&planned, &live, readers, stop)?);
            } else {
                problems.extend(Walk::judge(&changelog, &replay, readers, stop)?);
            }
        }
        None => problems.extend(Walk::judge(&changelog, &replay, readers, stop)?),
    }
    let blocks = blocks(&changelog);
    problems.retain(|problem| !is_allowed(problem, &blocks));
    problems.sort_by_key(|problem| (problem.span.start, problem.rule));
    problems.dedup();
    Ok(Judgement { problems, unusable })
}

/// The document with all of its planned migrations uncommented, if it has any.
fn uncommented(changelog: &Changelog<'_>) -> rusqlite::Result<Option<String>> {
    changelog.planned().last().map(|version| changelog.uncommented(version)).transpose()
}

/// Where each block that lifts rules stands, and which.
fn blocks<'c>(changelog: &'c Changelog<'_>) -> Vec<(Range<usize>, &'c [Allowance])> {
    let steps =
        (0..changelog.chain().len()).flat_map(|at| [StepId::Forward(at), StepId::Reverse(at)]);
    let baselines = (0..changelog.baselines().len())
        .flat_map(|at| [StepId::Baseline(at), StepId::Unbaseline(at)]);
    let migrations = baselines.chain(steps).filter_map(|id| changelog.step(id));
    let parts = migrations
        .flat_map(|migration| Scope::BOTH.map(|scope| migration.part(scope)))
        .flatten()
        .chain(changelog.seeds().iter().map(|seed| &seed.part));
    let lifted = |part: &'c Part<'_>| {
        let sql = part.sql();
        let end = sql.span(0..sql.text().len()).end;
        (part.span().start..end.max(part.span().end), part.allows.as_slice())
    };
    parts.filter(|part| !part.allows.is_empty()).map(lifted).collect()
}

/// Whether the block that a problem stands in lifts its rule. No block lifts an error.
fn is_allowed(problem: &Problem, blocks: &[(Range<usize>, &[Allowance])]) -> bool {
    problem.severity < Severity::Error
        && blocks.iter().any(|(range, allows)| {
            range.contains(&problem.span.start)
                && allows.iter().any(|allowance| allowance.rule == problem.rule)
        })
}
