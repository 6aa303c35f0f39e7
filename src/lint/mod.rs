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
use crate::document::diagnostic::{Diagnostic, Severity};
use crate::document::migration::{AllowDirective, ScopedSql};
use crate::document::tag::Scope;
use crate::lint::walk::Runner;
use crate::migrate::replay::Replay;
use crate::source::Source;

pub use crate::lint::engine::{Backend, SqliteVersion, SqliteVersionError};

/// What was found out about a document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LintReport {
    /// Every problem, in document order.
    pub diagnostics: Vec<Diagnostic>,
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
/// let (problems, unusable) = tatmig::lint::lint(source, &Arc::default());
/// assert!(unusable);
/// assert_eq!(problems[0].rule.name(), "tag-outside-code");
/// ```
#[must_use]
pub fn lint(source: Source<'_>, cancel: &Arc<AtomicBool>) -> (Vec<Diagnostic>, bool) {
    match lint_with(source, (None, Backend::SqliteFiles), cancel) {
        Ok(LintReport { diagnostics: problems, unusable }) => (problems, unusable),
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
/// let oldest = (Some("3.31.0".parse()?), tatmig::lint::Backend::SqliteFiles);
/// let report = tatmig::lint::lint_with(source, oldest, &Arc::default())?;
/// assert!(report.diagnostics.iter().any(|found| found.rule.name() == "needs-newer-sqlite"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// # Errors
///
/// SQLite's, if not even an empty database in memory can be made, or if `stop` was set.
pub fn lint_with(
    source: Source<'_>,
    (min_sqlite, backend): (Option<SqliteVersion>, Backend),
    cancel: &Arc<AtomicBool>,
) -> Result<LintReport, DatabaseError> {
    let compatibility = (backend.oldest_sqlite(min_sqlite), backend);
    let (changelog, mut diagnostics) = changelog::parse_source(source);
    let Ok(changelog) = changelog else { return Ok(LintReport { diagnostics, unusable: true }) };
    let replay = Replay::run(&changelog, cancel)?;
    let unusable = replay
        .diagnostics(changelog.head_index())
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    diagnostics.extend(replay.all_diagnostics());
    crate::lint::rules::metadata::check(&changelog, &mut diagnostics);
    match uncomment_planned(&changelog)? {
        Some(uncommented_text) => {
            let (uncommented_changelog, _) =
                changelog::parse_source(Source::new(changelog.source().name(), &uncommented_text));
            // Comments that only look like SQL may make a document that is none.
            if let Ok(planned) = uncommented_changelog {
                let uncommented_replay = Replay::run(&planned, cancel)?;
                let known_diagnostics = diagnostics.clone();
                let new_diagnostics = uncommented_replay
                    .all_diagnostics()
                    .filter(|diagnostic| !known_diagnostics.contains(diagnostic));
                // A plan stands in nobody's way yet.
                diagnostics.extend(new_diagnostics.map(|diagnostic| {
                    let severity = diagnostic.severity.min(Severity::Warning);
                    diagnostic.severity(severity)
                }));
                diagnostics.extend(Runner::check(
                    &planned,
                    &uncommented_replay,
                    compatibility,
                    cancel,
                )?);
            } else {
                diagnostics.extend(Runner::check(&changelog, &replay, compatibility, cancel)?);
            }
        }
        None => diagnostics.extend(Runner::check(&changelog, &replay, compatibility, cancel)?),
    }
    let allowing_blocks = blocks_with_allow_directives(&changelog);
    diagnostics.retain(|diagnostic| !is_allowed(diagnostic, &allowing_blocks));
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.rule));
    diagnostics.dedup();
    Ok(LintReport { diagnostics, unusable })
}

/// The document with all of its planned migrations uncommented, if it has any.
fn uncomment_planned(changelog: &Changelog<'_>) -> rusqlite::Result<Option<String>> {
    changelog
        .planned_versions()
        .last()
        .map(|version| changelog.uncomment_planned(version))
        .transpose()
}

/// Where each block that lifts rules stands, and which.
fn blocks_with_allow_directives<'c>(
    changelog: &'c Changelog<'_>,
) -> Vec<(Range<usize>, &'c [AllowDirective])> {
    let chain_steps = (0..changelog.chain().len())
        .flat_map(|index| [StepId::Forward(index), StepId::Reverse(index)]);
    let baseline_steps = (0..changelog.baselines().len())
        .flat_map(|index| [StepId::Baseline(index), StepId::BaselineReverse(index)]);
    let migrations = baseline_steps.chain(chain_steps).filter_map(|id| changelog.step(id));
    let parts = migrations
        .flat_map(|migration| Scope::BOTH.map(|scope| migration.block(scope)))
        .flatten()
        .chain(changelog.seeds().iter().map(|seed| &seed.block));
    let span_and_allows = |part: &'c ScopedSql<'_>| {
        let sql = part.sql();
        let end = sql.document_span(0..sql.text().len()).end;
        (part.tag_span().start..end.max(part.tag_span().end), part.allow_directives.as_slice())
    };
    parts.filter(|part| !part.allow_directives.is_empty()).map(span_and_allows).collect()
}

/// Whether the block that a problem stands in lifts its rule. No block lifts an error.
fn is_allowed(
    diagnostic: &Diagnostic,
    allowing_blocks: &[(Range<usize>, &[AllowDirective])],
) -> bool {
    diagnostic.severity < Severity::Error
        && allowing_blocks.iter().any(|(range, allows)| {
            range.contains(&diagnostic.span.start)
                && allows.iter().any(|directive| directive.rule == diagnostic.rule)
        })
}
