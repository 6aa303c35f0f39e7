//! Checks a document without a database: reads and replays it as before every run, then runs it
//! again with its planned migrations uncommented and applies every rule.

pub(crate) mod context;
pub(crate) mod created_tables;
pub(crate) mod engine;
pub(crate) mod findings;
pub(crate) mod probe;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod session;
pub(crate) mod walk;
pub(crate) mod walk_cache;

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::lint::session::LintSession;
use crate::migrate::chain_cache::CacheUse;
use crate::source::Source;

pub use crate::lint::engine::{Backend, LintOptions, SqliteVersion, SqliteVersionError};
pub use crate::lint::report::LintReport;

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
    let mut session = LintSession::new(options, setup.clone(), CacheUse::OneRun);
    Ok(session.lint(source)?.report)
}
