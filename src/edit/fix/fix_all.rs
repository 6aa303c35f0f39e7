//! Applies the safe changes to a document until none is left, and checks the result: lint finds
//! nothing worse, and no released migration has other SQL.

use std::collections::BTreeMap;

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::document::changelog::parse_source;
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::migration::Checksum;
use crate::document::tag::Tag;
use crate::edit::fix::find::find_fixes;
use crate::edit::fix::proposal::{Fix, FixSafety, apply_fixes};
use crate::edit::page::DocumentView;
use crate::lint::{LintOptions, LintReport, lint_with};
use crate::source::Source;
use crate::sql::lexer;

/// How often the document is linted and changed again. Each round removes findings, so that few are
/// needed.
const MAX_ROUNDS: usize = 20;

/// How to find and apply changes.
#[derive(Clone, Copy)]
pub struct FixRequest<'r> {
    /// The options of lint.
    pub options: LintOptions,
    /// What the application adds to SQLite.
    pub setup: &'r ConnectionSetup,
    /// The date for migrations that lack one, such as `2026-01-31`.
    pub today: &'r str,
    /// Whether a finding is to be removed.
    pub is_wanted: &'r dyn Fn(&Diagnostic) -> bool,
}

impl std::fmt::Debug for FixRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FixRequest").field("today", &self.today).finish_non_exhaustive()
    }
}

/// A change that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedFix {
    /// What the change does.
    pub title: String,
    /// The rule of the finding.
    pub rule: Rule,
    /// The line of the finding, in the document as it was in its round.
    pub line: usize,
}

/// The result of [`fix_document`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FixedDocument {
    /// The new text; the old one if no change was applied.
    pub text: String,
    /// The changes, in the order in which they were applied.
    pub applied: Vec<AppliedFix>,
}

/// Why the changes are not applied. The document is left unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixError {
    /// The document cannot be run in memory.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The changed document would be worse.
    #[error(
        "the changed document would have {found}, so the document is left unchanged; apply the changes one by one in an editor, or report this with the document"
    )]
    Worse {
        /// What lint would find that it does not find now.
        found: String,
    },
    /// The SQL of a migration would change that databases may have applied.
    #[error(
        "the block `{tag}` would change, so the document is left unchanged; report this with the document"
    )]
    ReleasedChanged {
        /// The tag of the block.
        tag: String,
    },
}

/// Applies the safe changes for the wanted findings of lint until none is left.
///
/// ````
/// use tatmig::edit::{FixRequest, fix_document};
///
/// let text = "## Baseline: 1.0.0\n\n```postgresql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n-- [user:baseline→1.0.0:end]\n```\n";
/// let setup = Default::default();
/// let request = FixRequest {
///     options: Default::default(),
///     setup: &setup,
///     today: "2026-05-04",
///     is_wanted: &|found| found.rule.name() == "wrong-fence-label",
/// };
/// let fixed = fix_document(&tatmig::Source::new("m.md", text), &request)?;
/// assert!(fixed.text.contains("```sql\n"));
/// assert_eq!(fixed.applied[0].line, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
///
/// # Errors
///
/// The document cannot be run in memory, the changed document would be worse, or a released
/// migration would change.
pub fn fix_document(
    source: &Source<'_>,
    request: &FixRequest<'_>,
) -> Result<FixedDocument, FixError> {
    let FixRequest { options, setup, today, is_wanted } = *request;
    let lint = |text: &str| lint_with(Source::new(source.name(), text), options, setup);
    let before = lint(source.text())?;
    let mut report = before.clone();
    let mut text = source.text().to_owned();
    let mut applied = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let current = Source::new(source.name(), &text);
        report.diagnostics.retain(is_wanted);
        let fixes = find_fixes(&current, &report.diagnostics, today, setup);
        let mut safe: Vec<&Fix> = Vec::new();
        for fix in fixes.iter().filter(|fix| fix.safety == FixSafety::Safe) {
            // Of several changes for one finding, the first is the best.
            if safe.iter().all(|other| (other.rule, &other.span) != (fix.rule, &fix.span)) {
                safe.push(fix);
            }
        }
        let changed = apply_fixes(&text, safe.iter().copied());
        if changed.text == text {
            break;
        }
        applied.extend(changed.indexes.iter().map(|index| AppliedFix {
            title: safe[*index].title.clone(),
            rule: safe[*index].rule,
            line: current.line_number(safe[*index].span.start),
        }));
        report = lint(&changed.text)?;
        text = changed.text;
    }
    if applied.is_empty() {
        return Ok(FixedDocument { text, applied });
    }
    refuse_worse(source, &before, &lint(&text)?, &text)?;
    refuse_changed_releases(source.text(), &text)?;
    Ok(FixedDocument { text, applied })
}

/// Refuses a document in which lint finds more. Findings that a document with errors hides do not
/// count: it cannot be run.
fn refuse_worse(
    source: &Source<'_>,
    before: &LintReport,
    after: &LintReport,
    text: &str,
) -> Result<(), FixError> {
    let is_readable = |text: &str| parse_source(Source::new(source.name(), text)).0.is_ok();
    if !is_readable(source.text()) && is_readable(text) {
        return Ok(());
    }
    let count = |report: &LintReport, severity: Severity| {
        report.diagnostics.iter().filter(|found| found.severity == severity).count()
    };
    for (severity, name) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let (old, new) = (count(before, severity), count(after, severity));
        if new > old {
            let plural = if new == 1 { "" } else { "s" };
            return Err(FixError::Worse {
                found: format!("{new} {name}{plural} instead of {old}"),
            });
        }
    }
    Ok(())
}

/// Refuses a document in which a block that is not planned has other SQL than before.
fn refuse_changed_releases(before: &str, after: &str) -> Result<(), FixError> {
    let released = |text: &str| -> BTreeMap<Tag, Checksum> {
        let view = DocumentView::parse(text);
        let blocks = view.blocks.list.iter();
        let blocks = blocks.filter(|block| {
            matches!(block.tag, Tag::Migration { .. })
                && view.blocks.planned_section(block.section).is_none()
        });
        let checksum = |sql: &str| Checksum::from_text(&lexer::normalize(sql));
        blocks.map(|block| (block.tag.clone(), checksum(block.sql.text()))).collect()
    };
    let (before, after) = (released(before), released(after));
    match before.into_iter().find(|(tag, sum)| after.get(tag).is_some_and(|new| new != sum)) {
        Some((tag, _)) => Err(FixError::ReleasedChanged { tag: tag.to_string() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document with a released and a planned migration of this SQL.
    fn document(released: &str, planned: &str) -> String {
        format!(
            "## Baseline: 1.0.0\n\n```sql\n-- [user:baseline→1.0.0:start]\n{released}\n-- [user:baseline→1.0.0:end]\n```\n\n\
             ## 1.0.0 → 1.1.0 (Planned)\n\n```sql\n-- [user:1.0.0→1.1.0:start]\n{planned}\n-- [user:1.0.0→1.1.0:end]\n```\n"
        )
    }

    #[test]
    fn other_sql_in_a_released_migration_is_refused() {
        let before = document("CREATE TABLE t (a);", "-- DROP TABLE t;");
        let refused = |released: &str, planned: &str| {
            refuse_changed_releases(&before, &document(released, planned))
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(
            refused("CREATE TABLE IF NOT EXISTS t (a);", "-- DROP TABLE t;").as_deref(),
            Some(
                "the block `user:baseline→1.0.0` would change, so the document is left unchanged; report this with the document"
            )
        );
        assert_eq!(refused("-- why\nCREATE TABLE t(a);", "-- DROP TABLE t;"), None, "layout");
        for planned in ["-- DROP TABLE IF EXISTS t;", "DROP TABLE t;"] {
            assert_eq!(refused("CREATE TABLE t (a);", planned), None, "{planned}");
        }
    }

    #[test]
    fn a_document_with_more_errors_or_more_warnings_is_refused() {
        let report = |errors: usize, warnings: usize| {
            let found = |severity, count| {
                let found = Diagnostic::new(Rule::Sql, 0..1, "x");
                std::iter::repeat_n(Diagnostic { severity, ..found }, count)
            };
            let diagnostics =
                found(Severity::Error, errors).chain(found(Severity::Warning, warnings)).collect();
            LintReport { diagnostics, is_unusable: false }
        };
        let readable = document("CREATE TABLE t (a);", "-- x");
        let unreadable = readable.replace("user:baseline→1.0.0:end", "user:baseline→1.0.0");
        let worse = |before: &LintReport, after: &LintReport, [old, new]: [&str; 2]| {
            let source = Source::new("m.md", old);
            refuse_worse(&source, before, after, new).err().map(|error| match error {
                FixError::Worse { found } => found,
                other => panic!("{other}"),
            })
        };
        let same = [readable.as_str(); 2];
        assert_eq!(worse(&report(1, 1), &report(1, 1), same), None);
        assert_eq!(worse(&report(2, 1), &report(0, 1), same), None);
        let found = worse(&report(1, 0), &report(2, 0), same);
        assert_eq!(found.as_deref(), Some("2 errors instead of 1"));
        let found = worse(&report(1, 0), &report(0, 1), same);
        assert_eq!(found.as_deref(), Some("1 warning instead of 0"));
        // What the errors of a document hide does not count.
        assert_eq!(worse(&report(1, 0), &report(2, 3), [&unreadable, &readable]), None);
        for texts in [[&readable, &unreadable], [&unreadable, &unreadable]] {
            let found = worse(&report(1, 0), &report(2, 3), texts.map(String::as_str));
            assert_eq!(found.as_deref(), Some("2 errors instead of 1"));
        }
    }
}
