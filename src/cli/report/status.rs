//! What `status`, `history` and `init` tell.

use std::collections::BTreeMap;

use serde_json::json;
use tatmig::database::HistoryEntry;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::{DatabaseStatus, Detection};
use tatmig::plan::Outcome;
use tatmig::{Changelog, DatabaseState, Source};

use crate::cli::output::{OutputFormat, Verbosity};
use crate::cli::report::{
    EXIT_FAILURE, EXIT_PENDING, EXIT_SUCCESS, FleetStats, Report, error_json, plural,
};

/// Up to this many databases are all listed.
const MAX_LISTED: usize = 30;

impl Report {
    /// Tells where databases stand; `exit_code`: what is pending is worth an exit status.
    pub(crate) fn print_statuses(
        &self,
        (changelog, statuses): (&Changelog<'_>, &[(&TargetDatabase, &DatabaseStatus)]),
        stats: Option<&FleetStats>,
        exit_on_pending: ExitOnPending,
    ) -> u8 {
        let count = |state| statuses.iter().filter(|(_, status)| status.state == state).count();
        if self.format == OutputFormat::Json {
            let entry = |(database, status): &(&TargetDatabase, &DatabaseStatus)| {
                json!({
                        "name": database.display_name(),
                        "scope": database.scope,
                        "path": database.location.display(),
                        "version": status.version,
                        "state": status.state,
                        "pending": status.pending.iter().map(ToString::to_string).collect::<Vec<_>>(),
                        "detected": status.detection.as_ref().map(|detection| {
                            let (found, missing) = detection.details();
                            json!({
                                "match": detection.name(),
                                "version": detection.best_version().map(|index| changelog.version(index).to_string()),
                                "there": found,
                                "missing": missing,
                            })
                        }),
                        "error": status.error.as_ref().filter(|_| status.state != DatabaseState::Unversioned).map(|error| error_json(error, changelog.source())),
                })
            };
            let mut output = json!({
                "file": changelog.source().name(),
                "head": changelog.head().to_string(),
                "planned": changelog.planned_versions().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "summary": {
                    "total": statuses.len(),
                    "new": count(DatabaseState::New),
                    "current": count(DatabaseState::Current),
                    "behind": count(DatabaseState::Behind),
                    "unversioned": count(DatabaseState::Unversioned),
                    "ahead": count(DatabaseState::Ahead),
                    "edited": count(DatabaseState::Edited),
                    "error": count(DatabaseState::Error),
                },
            });
            if let Some(holdings) = stats {
                output["stats"] = holdings.to_json();
            }
            Self::print_json_list(output, "databases", || statuses.iter().map(entry));
        } else {
            self.print_status_lines(changelog, statuses);
            if let Some(holdings) = stats {
                self.print_stats(holdings);
            }
        }
        let failing_states = [DatabaseState::Ahead, DatabaseState::Edited, DatabaseState::Error];
        if failing_states.into_iter().any(|state| count(state) > 0) {
            EXIT_FAILURE
        } else if exit_on_pending == ExitOnPending::Yes
            && count(DatabaseState::Current) < statuses.len()
        {
            EXIT_PENDING
        } else {
            EXIT_SUCCESS
        }
    }

    fn print_status_lines(
        &self,
        changelog: &Changelog<'_>,
        statuses: &[(&TargetDatabase, &DatabaseStatus)],
    ) {
        let planned: Vec<String> = changelog
            .planned_versions()
            .iter()
            .map(|version| format!("{version} planned"))
            .collect();
        let mut header =
            vec![format!("{}: head is {}", changelog.source().name(), changelog.head())];
        header.extend(planned);
        self.print_line(header.join(", "));
        let row: Vec<(String, String)> = statuses
            .iter()
            .map(|(_, status)| {
                let version = status.version.clone().unwrap_or_else(|| "-".to_owned());
                (version, describe_state(changelog, status))
            })
            .collect();
        let mut tally: BTreeMap<&(String, String), usize> = BTreeMap::new();
        for row in &row {
            *tally.entry(row).or_default() += 1;
        }
        let lists_all = self.verbosity == Verbosity::Verbose || statuses.len() <= MAX_LISTED;
        let most_common =
            tally.iter().max_by_key(|(_, count)| **count).map(|(row, _)| (*row).clone());
        let listed: Vec<_> = statuses
            .iter()
            .zip(&row)
            .filter(|(_, row)| lists_all || Some(*row) != most_common.as_ref())
            .collect();
        if !lists_all {
            for ((version, state), count) in &tally {
                self.print_line(format!("{}: {version} {state}", plural(*count, "database")));
            }
        }
        // Where a fleet differs in a thousand ways, the counts say it.
        let shown_count = if lists_all { listed.len() } else { MAX_LISTED };
        let width = listed
            .iter()
            .take(shown_count)
            .map(|((database, _), _)| database.display_name().chars().count())
            .max()
            .unwrap_or(0);
        for ((member, _), (version, condition)) in listed.iter().take(shown_count) {
            self.print_line(format!("{:width$}  {version:8}  {condition}", member.display_name()));
        }
        if listed.len() > shown_count {
            self.print_line(format!("and {} more; `-v` lists all", listed.len() - shown_count));
        }
    }

    /// The document's migrations, newest last.
    pub(crate) fn print_changelog(&self, changelog: &Changelog<'_>) -> u8 {
        let source = changelog.source();
        if self.format == OutputFormat::Json {
            let migrations: Vec<_> = changelog
                .forward_migrations()
                .map(|migration| {
                    json!({
                        "from": migration.from,
                        "to": migration.to,
                        "title": migration.title,
                        "date": migration.date,
                        "description": migration.description,
                        "planned": migration.planned,
                        "system": migration.system.is_some(),
                        "user": migration.user.is_some(),
                        "line": source.line_number(migration.tag_span.start),
                    })
                })
                .collect();
            Self::print_json(&json!({
                "file": source.name(),
                "head": changelog.head().to_string(),
                "migrations": migrations,
            }));
            return EXIT_SUCCESS;
        }
        for migration in changelog.forward_migrations() {
            let mut columns = vec![format!("{:20}", migration.to_string())];
            columns.push(format!("{:10}", migration.date.as_deref().unwrap_or("-")));
            columns.extend(migration.planned.then(|| "(planned)".to_owned()));
            let description = migration.description.as_ref().or(migration.title.as_ref());
            columns.extend(description.map(|description| description.clone().into_owned()));
            self.print_line(format!(
                "{}  {}",
                columns.join("  "),
                source_location(source, migration.tag_span.start)
            ));
        }
        EXIT_SUCCESS
    }

    /// What one database went through.
    pub(crate) fn print_history(&self, database: &TargetDatabase, entries: &[HistoryEntry]) -> u8 {
        if self.format == OutputFormat::Json {
            Self::print_json(
                &json!({ "name": database.display_name(), "scope": database.scope, "history": entries }),
            );
            return EXIT_SUCCESS;
        }
        if entries.is_empty() {
            self.print_line(format!(
                "`{}` has no record of any migration",
                database.display_name()
            ));
        }
        for entry in entries {
            let event = format!("{:?}", entry.event).to_lowercase();
            let note = entry.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
            self.print_line(format!(
                "{}  {event:9}  {} → {}  {} ms  tatmig {}{note}",
                entry.applied_at, entry.from, entry.to, entry.duration_ms, entry.tool_version
            ));
        }
        EXIT_SUCCESS
    }

    /// What `init` did, for programs.
    pub(crate) fn print_init_json(&self, outcomes: &[(&TargetDatabase, &str)]) {
        if self.format == OutputFormat::Json {
            let databases: Vec<_> = outcomes
                .iter()
                .map(|(database, outcome)| {
                    json!({
                        "name": database.display_name(),
                        "scope": database.scope,
                        "path": database.location.display(),
                        "outcome": outcome,
                    })
                })
                .collect();
            Self::print_json(&json!({ "databases": databases }));
        }
    }

    /// What `init` did with one database.
    pub(crate) fn print_created(&self, database: &TargetDatabase, outcome: Option<&Outcome>) {
        let path = database.location.display();
        match outcome {
            Some(Outcome::Upgraded(run)) => {
                self.print_line(format!("{path}: made at {}", run.path.to));
            }
            None => self.print_line(format!("{path}: there already, left alone")),
            Some(_) => {}
        }
    }
}

/// Whether `--exit-code` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitOnPending {
    Yes,
    No,
}

fn source_location(source: &Source<'_>, offset: usize) -> String {
    format!("({}:{})", source.name(), source.line_number(offset))
}

fn describe_state(changelog: &Changelog<'_>, status: &DatabaseStatus) -> String {
    let pending = || {
        let listed: Vec<String> = status.pending.iter().take(5).map(ToString::to_string).collect();
        let suffix = status.pending.len().saturating_sub(5);
        let suffix = if suffix > 0 { format!(" and {suffix} more") } else { String::new() };
        format!("pending {}{suffix}", listed.join(", "))
    };
    let error_message = || status.error.as_ref().map(ToString::to_string).unwrap_or_default();
    match status.state {
        DatabaseState::New => format!("new, {}", pending()),
        DatabaseState::Current => "current".to_owned(),
        DatabaseState::Behind => format!("behind, {}", pending()),
        DatabaseState::Unversioned => match status.detection.as_deref() {
            Some(Detection::Match(index)) if status.pending.is_empty() => {
                format!("unversioned, its schema is that of {}", changelog.version(*index))
            }
            Some(Detection::Match(index)) => {
                format!(
                    "unversioned, its schema is that of {}, {}",
                    changelog.version(*index),
                    pending()
                )
            }
            Some(Detection::Partial { best_version: best, found, missing }) => {
                let best_version = best.map_or_else(
                    || "the baseline".to_owned(),
                    |index| changelog.version(index).to_string(),
                );
                format!(
                    "unversioned, torn: {best_version} fits best, {} there, {} missing; `tatmig adopt` accepts it",
                    found.len(),
                    missing.len()
                )
            }
            Some(detection) => format!("unversioned, {}: {}", detection.name(), error_message()),
            None => "unversioned".to_owned(),
        },
        DatabaseState::Ahead => format!("ahead: {}", error_message()),
        DatabaseState::Edited => format!("edited: {}", error_message()),
        _ => format!("error: {}", error_message()),
    }
}
