//! Describes the outcome of a run in words: of one database, or counted over many.

use tatmig::VersionPoint;
use tatmig::plan::{AppliedRun, MigrationPath, Outcome, PathStart};

use crate::cli::report::format::plural;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::views::run_entries::outcome_state;

/// What happened to one database, for example `1.0.0 → 1.2.0`.
pub(crate) fn describe(outcome: &Outcome) -> StyledLine {
    let line = StyledLine::from_state(outcome_state(outcome), describe_state(outcome));
    match outcome_notes(outcome) {
        [] => line,
        notes => line.text(format!(" ({})", notes.join("; "))),
    }
}

fn describe_state(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Upgraded(run) | Outcome::Downgraded(run) => describe_run(run),
        Outcome::Redone(run) => format!("redone: {}", describe_way(run)),
        Outcome::Reset { version, .. } => format!("reset, empty at {version}"),
        Outcome::Rehearsed(run) => format!("{}, rehearsed and rolled back", describe_run(run)),
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
        Outcome::Seeded { .. } => "seeded".to_owned(),
        Outcome::Skipped => "skipped".to_owned(),
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

/// The notes that one line has room for.
fn outcome_notes(outcome: &Outcome) -> &[String] {
    match outcome {
        Outcome::Upgraded(run)
        | Outcome::Downgraded(run)
        | Outcome::Redone(run)
        | Outcome::Rehearsed(run) => &run.notes,
        Outcome::Reset { notes, .. } | Outcome::Seeded { notes, .. } => notes,
        _ => &[],
    }
}

/// The direction that a run moves databases in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunDirection {
    Up,
    Down,
}

impl RunDirection {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// `98 upgraded to 0.3.20, 1 already at 0.3.20, 1 failed`.
pub(crate) fn count_outcomes<'r>(
    outcomes: &(impl Iterator<Item = &'r Outcome> + Clone),
    target: &str,
    direction: RunDirection,
) -> StyledLine {
    let count = |predicate: fn(&Outcome) -> bool| {
        outcomes.clone().filter(|outcome| predicate(outcome)).count()
    };
    let busy = count(Outcome::is_busy);
    StyledLine::join(
        [
            (
                State::Upgraded,
                count(|o| matches!(o, Outcome::Upgraded(_))),
                format!("upgraded to {target}"),
            ),
            (
                State::Downgraded,
                count(|o| matches!(o, Outcome::Downgraded(_))),
                format!("downgraded to {target}"),
            ),
            (
                State::Redone,
                count(|o| matches!(o, Outcome::Redone(_))),
                format!("redone at {target}"),
            ),
            (
                State::Reset,
                count(|o| matches!(o, Outcome::Reset { .. })),
                format!("reset, empty at {target}"),
            ),
            (
                State::Rehearsed,
                count(|o| matches!(o, Outcome::Rehearsed(_))),
                format!("rehearsed {} to {target} and rolled back", direction.name()),
            ),
            (State::Seeded, count(|o| matches!(o, Outcome::Seeded { .. })), "seeded".to_owned()),
            (State::Note, count(has_notes), "of them with notes (`-v` shows them)".to_owned()),
            (
                State::Current,
                count(|o| matches!(o, Outcome::Current { .. })),
                format!("already at {target}"),
            ),
            (
                State::Current,
                count(|o| matches!(o, Outcome::AheadOfTarget { .. })),
                format!("above {target}"),
            ),
            (
                State::Current,
                count(|o| matches!(o, Outcome::BehindTarget { .. })),
                format!("below {target}"),
            ),
            (State::Failed, count(Outcome::is_failure) - busy, "failed".to_owned()),
            (State::Busy, busy, "busy".to_owned()),
            (State::Skipped, count(|o| matches!(o, Outcome::Skipped)), "skipped".to_owned()),
        ]
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(state, count, description)| {
            StyledLine::from_state(state, format!("{count} {description}"))
        }),
    )
}

fn has_notes(outcome: &Outcome) -> bool {
    !outcome_notes(outcome).is_empty()
}
