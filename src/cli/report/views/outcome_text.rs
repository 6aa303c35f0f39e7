//! Describes the outcome of a run in words: of one database, or counted over many.

use tatmig::VersionPoint;
use tatmig::plan::{AppliedRun, MigrationPath, Outcome, PathStart};

use crate::cli::report::format::plural;

/// What happened to one database, for example `1.0.0 → 1.2.0`.
pub(crate) fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Upgraded(run) | Outcome::Downgraded(run) => {
            append_notes(describe_run(run), &run.notes)
        }
        Outcome::Redone(run) => append_notes(format!("redone: {}", describe_way(run)), &run.notes),
        Outcome::Reset { version, notes } => {
            append_notes(format!("reset, empty at {version}"), notes)
        }
        Outcome::Rehearsed(run) => {
            append_notes(format!("{}, rehearsed and rolled back", describe_run(run)), &run.notes)
        }
        Outcome::Current { version } => format!("already at {version}"),
        Outcome::AheadOfTarget { version } => {
            format!("at {version}, above the target version; not changed")
        }
        Outcome::BehindTarget { version } => {
            format!("at {version}, below the target version; not changed")
        }
        failed @ Outcome::Failed { .. } if failed.is_busy() => "busy".to_owned(),
        Outcome::Failed { .. } => "failed".to_owned(),
        Outcome::VersionRecorded { version, drift, .. } if drift.is_empty() => {
            format!("recorded at {version}")
        }
        Outcome::VersionRecorded { version, drift, .. } => {
            format!("recorded at {version}, with {}", plural(drift.len(), "difference"))
        }
        Outcome::Seeded { notes, .. } => append_notes("seeded".to_owned(), notes),
        Outcome::Skipped => "not started".to_owned(),
    }
}

fn describe_run(run: &AppliedRun) -> String {
    let MigrationPath { start, from, to, .. } = &*run.path;
    match start {
        PathStart::New if *from == VersionPoint::Baseline => format!("created at {to}"),
        _ if from == to => format!("at {from}"),
        _ => format!("{from} → {to}"),
    }
}

/// Every version of a run, such as `1.1.0 → 1.0.0 → 1.1.0`.
fn describe_way(run: &AppliedRun) -> String {
    let ends = run.path.steps.iter().map(|(_, to)| to);
    let versions: Vec<String> =
        std::iter::once(&run.path.from).chain(ends).map(ToString::to_string).collect();
    versions.join(" → ")
}

fn append_notes(text: String, notes: &[String]) -> String {
    if notes.is_empty() { text } else { format!("{text} ({})", notes.join("; ")) }
}

/// The direction that a run moves databases in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunDirection {
    Up,
    Down,
}

/// `98 upgraded to 0.3.20, 1 already at 0.3.20, 1 failed`.
pub(crate) fn count_outcomes<'r>(
    outcomes: &(impl Iterator<Item = &'r Outcome> + Clone),
    target: &str,
    direction: RunDirection,
) -> String {
    let count = |predicate: fn(&Outcome) -> bool| {
        outcomes.clone().filter(|outcome| predicate(outcome)).count()
    };
    let direction = match direction {
        RunDirection::Up => "up",
        RunDirection::Down => "down",
    };
    let busy = count(Outcome::is_busy);
    [
        (count(|o| matches!(o, Outcome::Upgraded(_))), format!("upgraded to {target}")),
        (count(|o| matches!(o, Outcome::Downgraded(_))), format!("downgraded to {target}")),
        (count(|o| matches!(o, Outcome::Redone(_))), format!("redone at {target}")),
        (count(|o| matches!(o, Outcome::Reset { .. })), format!("reset, empty at {target}")),
        (
            count(|o| matches!(o, Outcome::Rehearsed(_))),
            format!("rehearsed {direction} to {target} and rolled back"),
        ),
        (count(has_notes), "of them with notes (`-v` shows them)".to_owned()),
        (count(|o| matches!(o, Outcome::Current { .. })), format!("already at {target}")),
        (count(|o| matches!(o, Outcome::AheadOfTarget { .. })), format!("above {target}")),
        (count(|o| matches!(o, Outcome::BehindTarget { .. })), format!("below {target}")),
        (count(Outcome::is_failure) - busy, "failed".to_owned()),
        (busy, "busy".to_owned()),
        (count(|o| matches!(o, Outcome::Skipped)), "not started".to_owned()),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, description)| format!("{count} {description}"))
    .collect::<Vec<_>>()
    .join(", ")
}

fn has_notes(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Upgraded(run)
        | Outcome::Downgraded(run)
        | Outcome::Redone(run)
        | Outcome::Rehearsed(run) => !run.notes.is_empty(),
        Outcome::Reset { notes, .. } => !notes.is_empty(),
        _ => false,
    }
}
