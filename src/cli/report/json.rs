//! What a run did, for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tatmig::{Member, Source, Verdict};

use crate::cli::report::backup::copy_of;
use crate::cli::report::upgrade::Aside;
use crate::cli::report::{Report, failure_json};

impl Report {
    /// The outcome of a run for programs.
    pub(crate) fn outcome_json(
        pairs: &[(&Member, &Verdict)],
        (source, target): (&Source<'_>, &str),
        aside: &Aside,
    ) {
        let mut counts: BTreeMap<&str, usize> =
            ["upgraded", "current", "failed", "busy", "skipped", "rehearsed"]
                .into_iter()
                .map(|outcome| (outcome, 0))
                .collect();
        counts.entry(aside.deed.done()).or_default();
        for (_, verdict) in pairs {
            *counts.entry(outcome(verdict)).or_default() += 1;
        }
        let mut summary = json!(counts);
        summary["total"] = json!(pairs.len());
        let mut told = json!({ "file": source.name(), "target": target, "summary": summary });
        if let Some(held) = &aside.held {
            told["held"] = json!(held);
        }
        if let Some(backup) = &aside.copies {
            told["backup"] = json!({
                "id": backup.id,
                "dir": tatmig::shown(backup.dir.as_os_str()),
                "databases": backup.manifest.databases.len(),
                "size": backup.size(),
            });
        }
        let entry = |(member, verdict): &(&Member, &Verdict)| {
            let mut entry = entry_json((member, verdict), source);
            if let Some(backup) = &aside.copies {
                entry["copy"] = json!(copy_of(backup, member).map(|(path, _)| path));
            }
            entry
        };
        Self::json_list(told, "databases", || pairs.iter().map(entry));
    }
}

/// What became of one database.
fn entry_json((member, verdict): (&Member, &Verdict), source: &Source<'_>) -> Value {
    let mut entry = json!({
        "name": member.shown(),
        "scope": member.scope,
        "path": member.home.shown(),
        "from": null, "to": null, "steps": [], "outcome": outcome(verdict), "error": null,
        "notes": [], "duration_ms": 0,
    });
    match verdict {
        Verdict::Upgraded(passage) | Verdict::Downgraded(passage) | Verdict::Rehearsed(passage) => {
            entry["from"] = json!(passage.route.from);
            entry["to"] = json!(passage.route.to);
            entry["steps"] = passage.route.steps.iter().map(|(_, to)| json!(to)).collect();
            entry["notes"] = json!(passage.notes);
            entry["duration_ms"] = json!(passage.duration.as_millis());
        }
        Verdict::Renewed { at } => entry["to"] = json!(at),
        Verdict::Current { at } | Verdict::Above { at } | Verdict::Below { at } => {
            entry["from"] = json!(at);
            entry["to"] = json!(at);
        }
        Verdict::Failed { at, failure } => {
            entry["from"] = json!(at);
            entry["to"] = json!(at);
            entry["error"] = failure_json(failure, source);
        }
        Verdict::Recorded { at, drift } => {
            entry["to"] = json!(at);
            entry["drift"] = json!(drift);
        }
        Verdict::Seeded { notes, duration } => {
            entry["notes"] = json!(notes);
            entry["duration_ms"] = json!(duration.as_millis());
        }
        Verdict::Skipped => {}
    }
    entry
}

fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Upgraded(_) => "upgraded",
        Verdict::Downgraded(_) => "downgraded",
        Verdict::Renewed { .. } => "reset",
        Verdict::Rehearsed(_) => "rehearsed",
        Verdict::Seeded { .. } => "seeded",
        Verdict::Recorded { .. } => "recorded",
        Verdict::Current { .. } | Verdict::Above { .. } | Verdict::Below { .. } => "current",
        verdict @ Verdict::Failed { .. } if verdict.is_busy() => "busy",
        Verdict::Failed { .. } => "failed",
        Verdict::Skipped => "skipped",
    }
}
