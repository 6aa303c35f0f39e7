//! Checks a document without a database: reads and replays it as before every run, then runs it
//! again with its planned migrations uncommented and applies every rule.

pub(crate) mod context;
pub(crate) mod created_tables;
pub(crate) mod engine;
pub(crate) mod probe;
pub(crate) mod rules;
pub(crate) mod walk;

use std::ops::Range;

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::document::changelog;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::migration::{AllowDirective, ScopedSql};
use crate::document::tag::Scope;
use crate::lint::rules::metadata;
use crate::lint::walk::Runner;
use crate::migrate::replay::Replay;
use crate::source::Source;

pub use crate::lint::engine::{Backend, LintOptions, SqliteVersion, SqliteVersionError};

/// The result of linting a document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LintReport {
    /// Every diagnostic, in document order.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether an upgrade to head would refuse the document.
    pub is_unusable: bool,
}

/// Checks a document for SQLite files with no oldest version. A document that could not be run
/// counts as one that an upgrade refuses. A cancellation ends the work.
///
/// ```
/// let source = tatmig::Source::new("m.md", "-- [user:baseline→1.0.0:start]\n");
/// let report = tatmig::lint::lint(source, &Default::default());
/// assert!(report.is_unusable);
/// assert_eq!(report.diagnostics[0].rule.name(), "tag-outside-code");
/// ```
#[must_use]
pub fn lint(source: Source<'_>, setup: &ConnectionSetup) -> LintReport {
    lint_with(source, LintOptions::default(), setup)
        .unwrap_or_else(|_| LintReport { diagnostics: Vec::new(), is_unusable: true })
}

/// Checks a document for an oldest SQLite version and a backend: what that version cannot read in
/// the schema, and what a libSQL server refuses, is reported as well.
///
/// ````
/// let text = "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a TEXT) STRICT;\n-- [user:baseline→1.0.0:end]\n```\n";
/// let source = tatmig::Source::new("m.md", text);
/// let mut options = tatmig::lint::LintOptions::default();
/// options.min_sqlite = Some("3.31.0".parse()?);
/// let report = tatmig::lint::lint_with(source, options, &Default::default())?;
/// assert!(report.diagnostics.iter().any(|found| found.rule.name() == "needs-newer-sqlite"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// # Errors
///
/// An SQLite error if an in-memory database cannot be created, or if the run was cancelled.
pub fn lint_with(
    source: Source<'_>,
    options: LintOptions,
    setup: &ConnectionSetup,
) -> Result<LintReport, DatabaseError> {
    let (changelog, mut diagnostics) = changelog::parse_source(source);
    let Ok(changelog) = changelog else { return Ok(LintReport { diagnostics, is_unusable: true }) };
    let replay = Replay::run(&changelog, setup)?;
    let is_unusable = replay
        .diagnostics(changelog.head_index())
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    diagnostics.extend(replay.all_diagnostics());
    metadata::check(&changelog, &mut diagnostics);
    let uncommented = uncomment_planned(&changelog)?;
    let uncommented_changelog = uncommented.as_ref().and_then(|text| {
        let source = Source::new(changelog.source().name(), text);
        let (uncommented, found) = changelog::parse_source(source);
        // A comment that only resembles SQL may make the document invalid. SQL with characters of
        // a word processor is SQL.
        diagnostics.extend(
            found
                .into_iter()
                .filter(|diagnostic| diagnostic.rule == Rule::InvisibleCharacter)
                .map(|diagnostic| diagnostic.severity(Severity::Warning)),
        );
        uncommented.ok()
    });
    match &uncommented_changelog {
        Some(planned) => {
            let uncommented_replay = Replay::run(planned, setup)?;
            let known_diagnostics = diagnostics.clone();
            let new_diagnostics = uncommented_replay
                .all_diagnostics()
                .filter(|diagnostic| !known_diagnostics.contains(diagnostic));
            // An error in a planned migration does not block an upgrade yet.
            diagnostics.extend(new_diagnostics.map(|diagnostic| {
                let severity = diagnostic.severity.min(Severity::Warning);
                diagnostic.severity(severity)
            }));
            let mut rule_diagnostics = Runner::check(planned, &uncommented_replay, options, setup)?;
            let planned_ranges = planned_ranges(planned);
            for diagnostic in &mut rule_diagnostics {
                if planned_ranges.iter().any(|range| range.contains(&diagnostic.span.start)) {
                    diagnostic.severity = diagnostic.severity.min(Severity::Warning);
                }
            }
            diagnostics.extend(rule_diagnostics);
        }
        None => diagnostics.extend(Runner::check(&changelog, &replay, options, setup)?),
    }
    let allowing_blocks = blocks_with_allow_directives(&changelog);
    diagnostics.retain(|diagnostic| !is_allowed(diagnostic, &allowing_blocks));
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.rule));
    diagnostics.dedup();
    Ok(LintReport { diagnostics, is_unusable })
}

/// The document with all of its planned migrations uncommented, as lint runs it; `None` if it has none
/// or would then have errors.
pub(crate) fn uncommented_text(changelog: &Changelog<'_>) -> rusqlite::Result<Option<String>> {
    let text = uncomment_planned(changelog)?;
    Ok(text.filter(|text| changelog::parse_source(Source::new("", text)).0.is_ok()))
}

/// The document with all of its planned migrations uncommented, if it has any.
fn uncomment_planned(changelog: &Changelog<'_>) -> rusqlite::Result<Option<String>> {
    changelog
        .planned_versions()
        .last()
        .map(|version| changelog.uncomment_planned(version))
        .transpose()
}

/// The range of each block of a planned migration, with its start tag.
fn planned_ranges(changelog: &Changelog<'_>) -> Vec<Range<usize>> {
    let migrations = changelog.baselines().iter().chain(changelog.chain());
    let planned = migrations.filter(|migration| migration.planned);
    let blocks =
        planned.flat_map(|migration| Scope::BOTH.map(|scope| migration.block(scope))).flatten();
    blocks.map(block_range).collect()
}

/// The range of a block, with its start tag.
fn block_range(block: &ScopedSql<'_>) -> Range<usize> {
    let sql = block.sql();
    let end = sql.document_span(0..sql.text().len()).end;
    block.tag_span().start..end.max(block.tag_span().end)
}

/// The range of each block that allows rules, with its directives.
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
    let span_and_allows =
        |part: &'c ScopedSql<'_>| (block_range(part), part.allow_directives.as_slice());
    parts.filter(|part| !part.allow_directives.is_empty()).map(span_and_allows).collect()
}

/// Whether the block that a diagnostic points into allows its rule. Of the errors, a block can allow
/// those of a safety rule only.
fn is_allowed(
    diagnostic: &Diagnostic,
    allowing_blocks: &[(Range<usize>, &[AllowDirective])],
) -> bool {
    (diagnostic.severity < Severity::Error || diagnostic.rule.is_safety_rule())
        && allowing_blocks.iter().any(|(range, allows)| {
            range.contains(&diagnostic.span.start)
                && allows.iter().any(|directive| directive.rule == diagnostic.rule)
        })
}
