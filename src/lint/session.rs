//! Lints a document, and lints it again after edits from the first migration on that changed. Every
//! call returns what a first call with the same text would return.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::database::connection::ConnectionSetup;
use crate::document::changelog;
use crate::document::changelog::Changelog;
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::migration::{AllowDirective, ScopedSql};
use crate::document::tag::Scope;
use crate::lint::engine::LintOptions;
use crate::lint::findings::{StatementChanges, WalkReport};
use crate::lint::report::LintReport;
use crate::lint::rules::metadata;
use crate::lint::walk::Runner;
use crate::lint::walk_cache::WalkCache;
use crate::migrate::chain_cache::CacheUse;
use crate::migrate::replay::Replay;
use crate::migrate::replay_cache::ReplayCache;
use crate::source::Source;

/// The options of a lint, and what its runs have in common.
pub(crate) struct LintSession {
    options: LintOptions,
    setup: ConnectionSetup,
    /// Of the document as it is.
    plain: ReplayCache,
    /// Of the document with its planned migrations uncommented.
    uncommented: ReplayCache,
    walk: WalkCache,
}

/// The result of linting a document, and the run behind it.
pub(crate) struct LintRun {
    pub(crate) report: LintReport,
    /// The run of the document with its planned migrations uncommented; `None` if the document
    /// cannot be read.
    pub(crate) result: Option<RunResult>,
    /// The text that was run, if it is not that of the document: every byte keeps its position.
    pub(crate) uncommented_text: Option<String>,
}

/// What a run of the document found, apart from diagnostics.
pub(crate) struct RunResult {
    pub(crate) replay: Replay<'static>,
    /// The statements that changed the schema, system database first, each scope in the order of the
    /// run.
    pub(crate) statements: Vec<StatementChanges>,
}

impl LintSession {
    pub(crate) fn new(options: LintOptions, setup: ConnectionSetup, cache_use: CacheUse) -> Self {
        Self {
            options,
            setup,
            plain: ReplayCache::new(cache_use),
            uncommented: ReplayCache::new(cache_use),
            walk: WalkCache::new(cache_use),
        }
    }

    /// Sets the flag that ends the next run.
    pub(crate) fn set_cancel_flag(&mut self, cancel: Arc<AtomicBool>) {
        self.setup.cancel = cancel;
    }

    /// Lints a document.
    ///
    /// # Errors
    ///
    /// An in-memory database cannot be created, or the run was cancelled. The next call starts with
    /// what was done until then.
    pub(crate) fn lint(&mut self, source: Source<'_>) -> rusqlite::Result<LintRun> {
        let (changelog, mut diagnostics) = changelog::parse_source(source);
        let Ok(changelog) = changelog else {
            let report = LintReport { diagnostics, is_unusable: true };
            return Ok(LintRun { report, result: None, uncommented_text: None });
        };
        let replay = Replay::run_cached(&changelog, &self.setup, &mut self.plain)?;
        let is_unusable = replay
            .diagnostics(changelog.head_index())
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        diagnostics.extend(replay.all_diagnostics());
        metadata::check(&changelog, &mut diagnostics);
        let uncommented = uncomment_planned(&changelog)?;
        let planned = uncommented.as_ref().and_then(|text| {
            let source = Source::new(changelog.source().name(), text);
            let (planned, found) = changelog::parse_source(source);
            // A comment that only resembles SQL may make the document invalid. SQL with characters
            // of a word processor is SQL.
            diagnostics.extend(
                found
                    .into_iter()
                    .filter(|diagnostic| diagnostic.rule == Rule::InvisibleCharacter)
                    .map(|diagnostic| diagnostic.severity(Severity::Warning)),
            );
            planned.ok()
        });
        let is_uncommented = planned.is_some();
        let live = match &planned {
            Some(planned) => self.check_planned(planned, &mut diagnostics)?,
            None => {
                let Self { options, setup, walk, .. } = self;
                let walked = Runner::check(&changelog, &replay, *options, setup, walk)?;
                diagnostics.extend(walked.diagnostics);
                RunResult { replay, statements: walked.statements }
            }
        };
        let allowing_blocks = blocks_with_allow_directives(&changelog);
        diagnostics.retain(|diagnostic| !is_allowed(diagnostic, &allowing_blocks));
        diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.rule));
        diagnostics.dedup();
        Ok(LintRun {
            report: LintReport { diagnostics, is_unusable },
            result: Some(live),
            uncommented_text: uncommented.filter(|_| is_uncommented),
        })
    }

    /// Runs and checks a document with its planned migrations uncommented.
    fn check_planned(
        &mut self,
        planned: &Changelog<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> rusqlite::Result<RunResult> {
        let Self { options, setup, walk, uncommented, .. } = self;
        let replay = Replay::run_cached(planned, setup, uncommented)?;
        let known_diagnostics = diagnostics.clone();
        let new_diagnostics =
            replay.all_diagnostics().filter(|diagnostic| !known_diagnostics.contains(diagnostic));
        // An error in a planned migration does not block an upgrade yet.
        diagnostics.extend(new_diagnostics.map(|diagnostic| {
            let severity = diagnostic.severity.min(Severity::Warning);
            diagnostic.severity(severity)
        }));
        let WalkReport { diagnostics: mut rule_diagnostics, statements } =
            Runner::check(planned, &replay, *options, setup, walk)?;
        let planned_ranges = planned_ranges(planned);
        for diagnostic in &mut rule_diagnostics {
            if planned_ranges.iter().any(|range| range.contains(&diagnostic.span.start)) {
                diagnostic.severity = diagnostic.severity.min(Severity::Warning);
            }
        }
        diagnostics.extend(rule_diagnostics);
        Ok(RunResult { replay, statements })
    }
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
    blocks.map(ScopedSql::range).collect()
}

/// The range of each block that allows rules, with its directives.
fn blocks_with_allow_directives<'c>(
    changelog: &'c Changelog<'_>,
) -> Vec<(Range<usize>, &'c [AllowDirective])> {
    let blocks = Scope::BOTH.into_iter().flat_map(|scope| changelog.blocks(scope));
    let allowing = blocks.filter(|block| !block.allow_directives.is_empty());
    allowing.map(|block| (block.range(), block.allow_directives.as_slice())).collect()
}

/// Whether the block that a diagnostic points into allows its rule.
fn is_allowed(
    diagnostic: &Diagnostic,
    allowing_blocks: &[(Range<usize>, &[AllowDirective])],
) -> bool {
    diagnostic.can_be_allowed()
        && allowing_blocks.iter().any(|(range, allows)| {
            range.contains(&diagnostic.span.start)
                && allows.iter().any(|directive| directive.rule == diagnostic.rule)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes a digit, a letter or a line at each of many places in turn.
    #[test]
    fn a_lint_after_edits_is_equal_to_a_first_lint() {
        for path in ["tatlock", "reddit-agent", "synth-mind", "edgesoul"] {
            let path = format!("{}/fixtures/{path}/MIGRATIONS.md", env!("CARGO_MANIFEST_DIR"));
            let mut text = std::fs::read_to_string(&path).unwrap();
            let (options, setup) = (LintOptions::default(), ConnectionSetup::default());
            let mut session = LintSession::new(options, setup.clone(), CacheUse::ManyRuns);
            for step in 1..24 {
                let at = text.floor_char_boundary(text.len() * ((step * 7) % 24) / 24);
                let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end);
                match step % 4 {
                    0 => text.insert_str(line_start, "-- a comment\n"),
                    1 => text.insert_str(line_end, " x"),
                    2 => text.replace_range(line_start..line_end, ""),
                    _ => text.insert_str(line_start, "CREATE TABLE IF NOT EXISTS extra (a);\n"),
                }
                let found = session.lint(Source::new("m.md", &text)).unwrap();
                let mut first = LintSession::new(options, setup.clone(), CacheUse::OneRun);
                let expected = first.lint(Source::new("m.md", &text)).unwrap();
                assert_eq!(found.report.diagnostics, expected.report.diagnostics, "{path} {step}");
                assert_eq!(found.report.is_unusable, expected.report.is_unusable);
                if step % 3 == 0 {
                    text = std::fs::read_to_string(&path).unwrap();
                }
            }
        }
    }
}
