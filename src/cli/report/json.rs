//! What a run did, for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tatmig::Source;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::Outcome;

use crate::cli::report::backup::copy_and_restore_command;
use crate::cli::report::upgrade::RunSummary;
use crate::cli::report::{Report, error_json};

impl Report {
    /// The outcome of a run for programs.
    pub(crate) fn print_outcomes_json(
        pairs: &[(&TargetDatabase, &Outcome)],
        (source, target): (&Source<'_>, &str),
        run_summary: &RunSummary,
    ) {
        let mut counts: BTreeMap<&str, usize> =
            ["upgraded", "current", "failed", "busy", "skipped", "rehearsed"]
                .into_iter()
                .map(|outcome| (outcome, 0))
                .collect();
        counts.entry(run_summary.operation.outcome_name()).or_default();
        for (_, database_outcome) in pairs {
            *counts.entry(outcome_name(database_outcome)).or_default() += 1;
        }
        let mut summary = json!(counts);
        summary["total"] = json!(pairs.len());
        let mut output = json!({ "file": source.name(), "target": target, "summary": summary });
        if let Some(skip_reason) = &run_summary.system_skip_reason {
            output["held"] = json!(skip_reason);
        }
        if let Some(backup) = &run_summary.backup {
            output["backup"] = json!({
                "id": backup.id,
                "dir": tatmig::text::escape_for_display(backup.dir.as_os_str()),
                "databases": backup.manifest.databases.len(),
                "size": backup.size(),
            });
        }
        let entry = |(database, database_outcome): &(&TargetDatabase, &Outcome)| {
            let mut entry = database_json((database, database_outcome), source);
            if let Some(backup) = &run_summary.backup {
                entry["copy"] =
                    json!(copy_and_restore_command(backup, database).map(|(path, _)| path));
            }
            entry
        };
        Self::print_json_list(output, "databases", || pairs.iter().map(entry));
    }
}

/// What became of one database.
fn database_json(
    (database, database_outcome): (&TargetDatabase, &Outcome),
    source: &Source<'_>,
) -> Value {
    let mut entry = json!({
        "name": database.display_name(),
        "scope": database.scope,
        "path": database.location.display(),
        "from": null, "to": null, "steps": [], "outcome": outcome_name(database_outcome), "error": null,
        "notes": [], "duration_ms": 0,
    });
    match database_outcome {
        Outcome::Upgraded(run) | Outcome::Downgraded(run) | Outcome::Rehearsed(run) => {
            entry["from"] = json!(run.path.from);
            entry["to"] = json!(run.path.to);
            entry["steps"] = run.path.steps.iter().map(|(_, to)| json!(to)).collect();
            entry["notes"] = json!(run.notes);
            entry["duration_ms"] = json!(run.duration.as_millis());
        }
        Outcome::Reset { version } => entry["to"] = json!(version),
        Outcome::Current { version: at }
        | Outcome::AheadOfTarget { version: at }
        | Outcome::BehindTarget { version: at } => {
            entry["from"] = json!(at);
            entry["to"] = json!(at);
        }
        Outcome::Failed { version: at, error } => {
            entry["from"] = json!(at);
            entry["to"] = json!(at);
            entry["error"] = error_json(error, source);
        }
        Outcome::VersionRecorded { version: at, drift } => {
            entry["to"] = json!(at);
            entry["drift"] = json!(drift);
        }
        Outcome::Seeded { notes, duration } => {
            entry["notes"] = json!(notes);
            entry["duration_ms"] = json!(duration.as_millis());
        }
        Outcome::Skipped => {}
    }
    entry
}

fn outcome_name(database_outcome: &Outcome) -> &'static str {
    match database_outcome {
        Outcome::Upgraded(_) => "upgraded",
        Outcome::Downgraded(_) => "downgraded",
        Outcome::Reset { .. } => "reset",
        Outcome::Rehearsed(_) => "rehearsed",
        Outcome::Seeded { .. } => "seeded",
        Outcome::VersionRecorded { .. } => "recorded",
        Outcome::Current { .. } | Outcome::AheadOfTarget { .. } | Outcome::BehindTarget { .. } => {
            "current"
        }
        verdict @ Outcome::Failed { .. } if verdict.is_busy() => "busy",
        Outcome::Failed { .. } => "failed",
        Outcome::Skipped => "skipped",
    }
}
