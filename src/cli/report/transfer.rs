//! What `push` and `pull` tell: how many databases are at their new place, and which are not.

use serde_json::json;
use tatmig::Scope;
use tatmig::fleet::Fleet;
use tatmig::fleet::{TargetDatabase, TransferOutcome};

use crate::cli::output::{OutputFormat, Verbosity};
use crate::cli::report::{EXIT_FAILURE, EXIT_SUCCESS, Report, plural};

impl Report {
    /// Tells what became of databases that were to be moved, and returns the exit status.
    pub(crate) fn print_transfer(
        &self,
        (fleet, target_databases): (&Fleet, &[&TargetDatabase]),
        transfers: &[(TargetDatabase, Option<TransferOutcome>)],
    ) -> u8 {
        for notice in &fleet.notices {
            self.print_note(notice);
        }
        let pairs: Vec<_> = target_databases.iter().zip(transfers).collect();
        let has_failures = transfers
            .iter()
            .any(|(_, outcome)| matches!(outcome, Some(TransferOutcome::Failed(_))));
        if self.format == OutputFormat::Json {
            let databases: Vec<_> = pairs
                .iter()
                .map(|(database, (target_database, outcome))| {
                    json!({
                        "name": database.display_name(),
                        "scope": database.scope,
                        "from": database.location.display(),
                        "to": target_database.location.display(),
                        "outcome": outcome_name(outcome.as_ref()),
                        "error": match outcome {
                            Some(TransferOutcome::Failed(error)) => Some(error.to_string()),
                            _ => None,
                        },
                    })
                })
                .collect();
            Self::print_json(&json!({ "databases": databases }));
        }
        let users: Vec<_> =
            pairs.iter().filter(|(database, _)| database.scope == Scope::User).collect();
        for (database, (place, outcome)) in &pairs {
            let is_listed = database.scope == Scope::System || users.len() == 1;
            if is_listed || self.verbosity == Verbosity::Verbose {
                let (name, to) = (database.display_name(), place.location.display());
                self.print_line(format!("{name}: {} {to}", describe(outcome.as_ref())));
            }
        }
        if users.len() > 1 {
            let count = |expected: &str| {
                users
                    .iter()
                    .filter(|(_, (_, outcome))| outcome_name(outcome.as_ref()) == expected)
                    .count()
            };
            let parts: Vec<String> = [
                ("copied", "copied and compared"),
                ("there", "there already, the same"),
                ("failed", "failed"),
                ("skipped", "not begun"),
            ]
            .iter()
            .filter_map(|(key, description)| {
                Some((count(key), description)).filter(|(count, _)| *count > 0)
            })
            .map(|(count, description)| format!("{count} {description}"))
            .collect();
            self.print_line(format!("{}: {}", plural(users.len(), "user"), parts.join(", ")));
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.total_users) {
            self.print_line(format!(
                "{} left alone; `--all-users` or `--user NAME` includes them",
                plural(count, "user database")
            ));
        }
        for (database, (place, outcome)) in &pairs {
            if let Some(TransferOutcome::Failed(failure)) = outcome {
                let (name, to) = (database.display_name(), place.location.display());
                self.print_error(format!("`{name}` ({to}): {failure}"));
            }
        }
        if has_failures { EXIT_FAILURE } else { EXIT_SUCCESS }
    }
}

fn outcome_name(outcome: Option<&TransferOutcome>) -> &'static str {
    match outcome {
        Some(TransferOutcome::Copied) => "copied",
        Some(TransferOutcome::AlreadyIdentical) => "there",
        Some(TransferOutcome::Failed(_)) => "failed",
        None => "skipped",
    }
}

fn describe(outcome: Option<&TransferOutcome>) -> &'static str {
    match outcome {
        Some(TransferOutcome::Copied) => "copied and compared:",
        Some(TransferOutcome::AlreadyIdentical) => "there already, the same:",
        Some(TransferOutcome::Failed(_)) => "failed:",
        None => "not begun:",
    }
}
