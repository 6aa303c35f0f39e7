//! Adds the databases of an upgrade or a downgrade to what `--report` and `--metrics` write.

use std::collections::HashMap;
use std::sync::Arc;

use tatmig::plan::{AppliedRun, MigrationPath, Outcome, PathStart};
use tatmig::{Scope, VersionPoint};

use crate::cli::report::digest::Digest;
use crate::cli::report::digest::databases::GroupKey;
use crate::cli::report::digest::steps::ScopePath;
use crate::cli::report::views::failures::{StatementDiffs, edited_help};
use crate::cli::report::views::run_entries::{DatabaseRun, outcome_state};

/// The paths of the databases, each with the number of databases that share it.
type PathCounts<'r> = HashMap<PathId, CountedPath<'r>>;

/// Databases at one version share the path, so its address identifies it.
#[derive(PartialEq, Eq, Hash)]
struct PathId {
    scope: Scope,
    address: *const MigrationPath,
}

struct CountedPath<'r> {
    path: &'r MigrationPath,
    count: usize,
}

/// Adds the databases with their outcomes, durations, failures and steps.
pub(crate) fn add_runs(
    digest: &mut Digest,
    runs: &[DatabaseRun<'_>],
    statement_diffs: &StatementDiffs,
) {
    let mut paths = PathCounts::new();
    digest.steps.have_run = true;
    for run in runs {
        let scope = run.database.scope;
        let name = run.name();
        let mut key = GroupKey::new(scope, outcome_state(run.outcome));
        match run.outcome {
            Outcome::Upgraded(applied)
            | Outcome::Downgraded(applied)
            | Outcome::Redone(applied)
            | Outcome::Rehearsed(applied) => {
                digest.durations.add(|| name.clone(), applied.duration);
                describe_applied(&mut key, applied);
                let address = Arc::as_ptr(&applied.path);
                let counted = paths
                    .entry(PathId { scope, address })
                    .or_insert(CountedPath { path: &applied.path, count: 0 });
                counted.count += 1;
            }
            Outcome::Current { version } => key.version = Some(version.to_string()),
            Outcome::AheadOfTarget { version } => {
                key.version = Some(version.to_string());
                "above the target version; not changed".clone_into(&mut key.detail);
            }
            Outcome::BehindTarget { version } => {
                key.version = Some(version.to_string());
                "below the target version; not changed".clone_into(&mut key.detail);
            }
            Outcome::Failed { version, error } => {
                key.version = version.as_ref().map(VersionPoint::to_string);
                let cause = digest.causes.add(run.database, error, run.source);
                digest.causes.set_help(cause, || edited_help(error, statement_diffs));
                key.cause = Some(cause);
            }
            Outcome::Reset { .. }
            | Outcome::VersionRecorded { .. }
            | Outcome::Seeded { .. }
            | Outcome::Skipped => {}
        }
        digest.databases.add(key, &name);
    }
    for (PathId { scope, .. }, CountedPath { path, count }) in paths {
        let from =
            if path.start == PathStart::New { VersionPoint::Baseline } else { path.from.clone() };
        digest.steps.add(ScopePath { scope, from, steps: path.steps.clone() }, count);
    }
}

fn describe_applied(key: &mut GroupKey, applied: &AppliedRun) {
    let MigrationPath { start, from, to, .. } = &*applied.path;
    key.before = match start {
        PathStart::New => Some("new".to_owned()),
        _ => Some(from.to_string()),
    };
    key.version = Some(to.to_string());
    key.detail = applied.notes.join("; ");
}
