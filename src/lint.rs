//! Everything that is wrong or risky in a document, without a database.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::document::changelog;
use crate::document::problem::{Problem, Severity};
use crate::document::source::Source;
use crate::replay::Replay;

/// Reads a document and runs it in memory. Returns its problems in document order, and whether an
/// upgrade to head would refuse the document. `stop`, once set, ends a replay that goes on.
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
    let (changelog, mut problems) = changelog::read(source);
    let Ok(changelog) = changelog else { return (problems, true) };
    let Ok(replay) = Replay::run(&changelog, stop) else { return (problems, true) };
    let unusable = replay
        .problems(changelog.head_position())
        .any(|problem| problem.severity == Severity::Error);
    problems.extend(replay.all_problems());
    problems.sort_by_key(|problem| problem.span.start);
    (problems, unusable)
}
