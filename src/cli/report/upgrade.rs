//! What an upgrade tells: a line for each scope, every failure with its place in the document,
//! and what to do next.

use std::cmp::Reverse as Other;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;
use tatmig::backup::Backup;
use tatmig::database::DatabaseError;
use tatmig::document::StepId;
use tatmig::fleet::TargetDatabase;
use tatmig::fleet::{Fleet, FleetOutcome};
use tatmig::migrate::{DatabaseStatus, Direction, Migrator};
use tatmig::plan::{AppliedRun, MigrateError, Outcome, PlanError};
use tatmig::{Diagnostic, Rule, Scope, Source, VersionPoint};

use crate::cli::output::{OutputFormat, Verbosity};
use crate::cli::report::backup::{backup_line, copy_and_restore_command};
use crate::cli::report::{
    EXIT_FAILURE, EXIT_SUCCESS, Report, error_json, escape_for_terminal, list_names, plural,
};

/// What ran, where the system database kept it, by checksum: shown beside an edited migration.
pub(crate) type StatementDiffs = BTreeMap<String, (Vec<String>, Vec<String>)>;

/// What a run was asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Operation {
    #[default]
    Upgrade,
    Downgrade,
    Reset,
}

impl Operation {
    /// What a database is then for which it was done.
    pub(crate) fn outcome_name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgraded",
            Self::Downgrade => "downgraded",
            Self::Reset => "reset",
        }
    }
}

/// What is told beside the outcome of a run.
#[derive(Debug, Default)]
pub(crate) struct RunSummary {
    pub(crate) statement_diffs: StatementDiffs,
    /// The copies that were made first.
    pub(crate) backup: Option<Backup>,
    /// Why the system database was left out.
    pub(crate) system_skip_reason: Option<String>,
    pub(crate) operation: Operation,
}

impl Report {
    /// Tells what became of a fleet and returns the exit status.
    pub(crate) fn print_run(
        &self,
        (fleet, fleet_outcome): (&Fleet, &FleetOutcome),
        (source, target): (&Source<'_>, &str),
        summary: &RunSummary,
    ) -> u8 {
        let pairs: Vec<(&TargetDatabase, &Outcome)> = fleet_outcome.by_database(fleet).collect();
        let has_failures = pairs.iter().any(|(_, database_outcome)| database_outcome.is_failure());
        if self.format == OutputFormat::Json {
            Self::print_outcomes_json(&pairs, (source, target), summary);
        } else {
            self.print_summary(fleet, &pairs, (target, summary));
        }
        self.print_failures(&pairs, source, &summary.statement_diffs);
        if self.format == OutputFormat::Text {
            self.print_next_steps(&pairs, (target, summary));
        }
        if has_failures { EXIT_FAILURE } else { EXIT_SUCCESS }
    }

    /// Tells what became of seeds and returns the exit status.
    pub(crate) fn print_seeds(
        &self,
        (fleet, fleet_outcome): (&Fleet, &FleetOutcome),
        source: &Source<'_>,
    ) -> u8 {
        let pairs: Vec<(&TargetDatabase, &Outcome)> = fleet_outcome.by_database(fleet).collect();
        if self.format == OutputFormat::Json {
            Self::print_outcomes_json(&pairs, (source, ""), &RunSummary::default());
        }
        for (database, database_outcome) in &pairs {
            self.print_line(format!("{}: {}", database.display_name(), describe(database_outcome)));
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.total_users) {
            self.print_line(format!(
                "{} left alone; `--all-users` or `--user NAME` seeds them",
                plural(count, "user database")
            ));
        }
        self.print_failures(&pairs, source, &StatementDiffs::new());
        if pairs.iter().any(|(_, database_outcome)| database_outcome.is_failure()) {
            EXIT_FAILURE
        } else {
            EXIT_SUCCESS
        }
    }

    /// Tells what was written into records, databases of one shape once.
    pub(crate) fn print_recorded_versions(
        &self,
        (fleet, fleet_outcome): (&Fleet, &FleetOutcome),
        source: &Source<'_>,
    ) -> u8 {
        let pairs: Vec<(&TargetDatabase, &Outcome)> = fleet_outcome.by_database(fleet).collect();
        if self.format == OutputFormat::Json {
            Self::print_outcomes_json(&pairs, (source, ""), &RunSummary::default());
        }
        let mut groups: BTreeMap<(Scope, String, &[String]), Vec<String>> = BTreeMap::new();
        for (database, database_outcome) in &pairs {
            let drift = match database_outcome {
                Outcome::VersionRecorded { drift, .. } => drift.as_slice(),
                Outcome::Failed { .. } => continue,
                _ => &[],
            };
            let group = (database.scope, describe(database_outcome), drift);
            groups.entry(group).or_default().push(database.display_name());
        }
        for ((scope, description, drift), names) in groups {
            match scope {
                Scope::System => self.print_line(format!("system: {description}")),
                Scope::User => {
                    self.print_line(format!(
                        "{} ({}): {description}",
                        plural(names.len(), "user"),
                        list_names(&names)
                    ));
                }
            }
            for difference in drift {
                self.print_line(format!("  {difference}"));
            }
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.total_users) {
            self.print_line(format!(
                "{} left alone; `--all-users` or `--user NAME` includes them",
                plural(count, "user database")
            ));
        }
        self.print_failures(&pairs, source, &StatementDiffs::new());
        if pairs.iter().any(|(_, database_outcome)| database_outcome.is_failure()) {
            EXIT_FAILURE
        } else {
            EXIT_SUCCESS
        }
    }

    /// A database that cannot be made or read.
    pub(crate) fn print_database_error(
        &self,
        database: &TargetDatabase,
        error: &MigrateError,
        source: &Source<'_>,
    ) {
        self.print_failure(
            (error, &error.to_string()),
            &[database],
            (source, &StatementDiffs::new()),
        );
    }

    /// A database whose record was asked for and cannot be read.
    pub(crate) fn print_unreadable_database(
        &self,
        database: &TargetDatabase,
        error: &MigrateError,
    ) -> u8 {
        let path = database.location.display();
        self.print_error(format!("`{}` ({path}): {error}", database.display_name()));
        if self.format == OutputFormat::Json {
            Self::print_json(&json!({ "error": error.to_string() }));
        }
        EXIT_FAILURE
    }

    /// Prints the SQL that would run: each migration once for each scope, with the databases
    /// that it would run on.
    pub(crate) fn print_dry_run(
        &self,
        migrator: &Migrator<'_, '_>,
        (fleet, statuses): (&Fleet, &[Option<DatabaseStatus>]),
    ) -> u8 {
        let changelog = migrator.changelog();
        let source = changelog.source();
        let databases: Vec<&TargetDatabase> = fleet.databases().collect();
        let mut planned_runs: BTreeMap<(Scope, StepId), Vec<String>> = BTreeMap::new();
        let mut database_errors = Vec::new();
        for (database, status) in databases.iter().zip(statuses) {
            let Some(status) = status else { continue };
            for step in &status.steps {
                planned_runs
                    .entry((database.scope, *step))
                    .or_default()
                    .push(database.display_name());
            }
            database_errors.extend(status.error.as_ref().map(|error| (*database, error)));
        }
        let mut runs: Vec<_> = planned_runs.into_iter().collect();
        if migrator.direction() == Direction::Down {
            runs.sort_by_key(|((scope, step_id), _)| match step_id {
                StepId::Reverse(index) => (Other(*scope), 0, Other(*index)),
                _ => (Other(*scope), 1, Other(0)),
            });
        }
        if self.format == OutputFormat::Json {
            let migrations: Vec<_> = runs
                .iter()
                .filter_map(|((scope, step_id), names)| {
                    let (from, to) = changelog.endpoints(*step_id)?;
                    let migration = changelog.step(*step_id);
                    let part = migration.and_then(|migration| migration.block(*scope));
                    let start_offset = migration
                        .map(|m| part.map_or(m.tag_span.start, |part| part.tag_span().start));
                    Some(json!({
                        "scope": scope,
                        "from": from,
                        "to": to,
                        "line": start_offset.map(|start_offset| source.line_number(start_offset)),
                        "databases": names,
                        "sql": part.map(|part| part.sql().text().to_owned()),
                    }))
                })
                .collect();
            let errors: Vec<_> = database_errors
                .iter()
                .map(|(database, error)| {
                    json!({ "name": database.display_name(), "scope": database.scope, "error": error_json(error, source) })
                })
                .collect();
            Self::print_json(&json!({
                "file": source.name(),
                "target": migrator.target().to_string(),
                "dry_run": true,
                "migrations": migrations,
                "errors": errors,
            }));
        }
        for notice in &fleet.notices {
            self.print_note(notice);
        }
        for ((scope, step_id), names) in &runs {
            let Some((from, to)) = changelog.endpoints(*step_id) else { continue };
            let migration = changelog.step(*step_id);
            let part = migration.and_then(|migration| migration.block(*scope));
            let start_offset =
                migration.map(|m| part.map_or(m.tag_span.start, |part| part.tag_span().start));
            let location = start_offset.map(|start_offset| {
                format!(" ({}:{})", source.name(), source.line_number(start_offset))
            });
            self.print_line(format!(
                "-- {scope} {from} → {to}{}: {}, {}",
                location.unwrap_or_default(),
                plural(names.len(), "database"),
                list_names(names).replace('`', "")
            ));
            match part {
                Some(part) => self.print_verbatim(part.sql().text().trim_end_matches(['\n', '\r'])),
                None => self.print_line("-- nothing for this scope: recorded only"),
            }
            self.print_line("");
        }
        if runs.is_empty() && database_errors.is_empty() {
            let description = match migrator.direction() {
                Direction::Up => "nothing is pending up to",
                Direction::Down => "nothing stands above",
            };
            self.print_line(format!("-- {description} {}", migrator.target()));
        }
        for (database, error) in &database_errors {
            self.print_database_error(database, error, source);
        }
        if database_errors.is_empty() { EXIT_SUCCESS } else { EXIT_FAILURE }
    }

    fn print_summary(
        &self,
        fleet: &Fleet,
        pairs: &[(&TargetDatabase, &Outcome)],
        (target, summary): (&str, &RunSummary),
    ) {
        for notice in &fleet.notices {
            self.print_note(notice);
        }
        if let Some(backup) = &summary.backup {
            self.print_line(backup_line(backup));
        }
        if let Some(skip_reason) = &summary.system_skip_reason {
            self.print_line(format!("system: {skip_reason}"));
        }
        if let Some((_, outcome)) =
            pairs.iter().find(|(database, _)| database.scope == Scope::System)
        {
            self.print_line(format!("system: {}", describe(outcome)));
        }
        let users: Vec<_> =
            pairs.iter().filter(|(database, _)| database.scope == Scope::User).copied().collect();
        if self.verbosity == Verbosity::Verbose || users.len() == 1 {
            for (database, outcome) in &users {
                self.print_line(format!("{}: {}", database.display_name(), describe(outcome)));
            }
        }
        if users.len() > 1 {
            self.print_line(format!(
                "{}: {}",
                plural(users.len(), "user"),
                count_outcomes(&users, (target, summary.operation))
            ));
        }
        for (word, has_outcome) in [
            (
                "above",
                (|outcome| matches!(outcome, Outcome::AheadOfTarget { .. }))
                    as fn(&Outcome) -> bool,
            ),
            ("below", |outcome| matches!(outcome, Outcome::BehindTarget { .. })),
        ] {
            let matching_users = users.iter().filter(|(_, outcome)| has_outcome(outcome));
            let names: Vec<String> =
                matching_users.map(|(database, _)| database.display_name()).collect();
            if !names.is_empty() && users.len() > 1 {
                self.print_line(format!(
                    "{word} {target} already, left alone: {}",
                    list_names(&names)
                ));
            }
        }
        match (fleet.users.is_empty(), fleet.total_users) {
            (true, Some(0)) => self.print_line("no user databases found"),
            (true, Some(count)) => self.print_line(format!(
                "{} left alone; `--all-users` or `--user NAME` {}",
                plural(count, "user database"),
                match summary.operation {
                    Operation::Upgrade => "migrates them",
                    Operation::Downgrade => "takes them down",
                    Operation::Reset => "resets them",
                }
            )),
            _ => {}
        }
    }

    /// Every failure, those with one cause told once.
    fn print_failures(
        &self,
        pairs: &[(&TargetDatabase, &Outcome)],
        source: &Source<'_>,
        statement_diffs: &StatementDiffs,
    ) {
        let mut causes: Vec<(&MigrateError, String, Vec<&TargetDatabase>)> = Vec::new();
        for (database, outcome) in pairs {
            let Outcome::Failed { error, .. } = outcome else { continue };
            let message = error.to_string();
            match causes.iter_mut().find(|(known_error, known_message, _)| {
                *known_message == message && known_error.span() == error.span()
            }) {
                Some((.., databases)) => databases.push(database),
                None => causes.push((error, message, vec![database])),
            }
        }
        for (error, message, databases) in causes {
            self.print_failure((error, &message), &databases, (source, statement_diffs));
        }
    }

    pub(crate) fn print_failure(
        &self,
        (error, message): (&MigrateError, &str),
        databases: &[&TargetDatabase],
        (source, statement_diffs): (&Source<'_>, &StatementDiffs),
    ) {
        let names: Vec<String> = databases.iter().map(|database| database.display_name()).collect();
        let subject = match databases {
            [only] => format!("`{}` ({})", only.display_name(), only.location.display()),
            _ => format!("{} databases ({})", databases.len(), list_names(&names)),
        };
        let Some(span) = error.span() else {
            self.print_error(format!("{subject}: {message}"));
            return;
        };
        let mut diagnostic = Diagnostic::new(
            rule_for_error(error),
            span,
            escape_for_terminal(&format!("{subject}: {message}")),
        );
        if let MigrateError::Plan(PlanError::ChecksumMismatch { changed_migrations }) = error {
            let mut help = String::new();
            for changed_migration in changed_migrations {
                if let Some((applied, current)) =
                    statement_diffs.get(&changed_migration.applied_checksum)
                {
                    for (label, statements) in [("ran then", applied), ("reads now", current)] {
                        for statement in statements {
                            let (from, to) = (&changed_migration.from, &changed_migration.to);
                            let _ = writeln!(help, "{from} → {to} {label}: {statement}");
                        }
                    }
                }
            }
            help.push_str(
                "put the statements back as they were and write the change as a new migration; or, where the databases have what it makes now, `tatmig adopt` accepts it",
            );
            diagnostic.help = Some(escape_for_terminal(&help));
        }
        self.print_diagnostics(source, &[diagnostic]);
    }

    /// What to do after a failure.
    fn print_next_steps(
        &self,
        pairs: &[(&TargetDatabase, &Outcome)],
        (target, summary): (&str, &RunSummary),
    ) {
        const MAX_LISTED: usize = 5;
        let failed_databases = pairs.iter().filter(|(_, outcome)| outcome.is_failure());
        let copies: Vec<_> = failed_databases
            .filter_map(|(database, _)| {
                Some((database, copy_and_restore_command(summary.backup.as_ref()?, database)?))
            })
            .collect();
        for (database, (path, restore)) in copies.iter().take(MAX_LISTED) {
            self.print_line(format!(
                "`{}` was copied to {path} before; `{restore}` puts that back",
                database.display_name()
            ));
        }
        if copies.len() > MAX_LISTED {
            self.print_line(format!("and so were {} more", copies.len() - MAX_LISTED));
        }
        let failed = pairs.iter().filter(|(_, outcome)| outcome.is_failure()).count();
        let skipped =
            pairs.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped)).count();
        if failed > 0 {
            let indeterminate = pairs.iter().filter(|(_, outcome)| {
                matches!(outcome, Outcome::Failed { error, .. } if error.is_indeterminate())
            });
            let result = match (failed, indeterminate.count()) {
                (1, 0) => "failed and was left as it was".to_owned(),
                (_, 0) => "failed and were left as they were".to_owned(),
                (_, indeterminate_count) => format!(
                    "failed; whether {indeterminate_count} of them changed is not known, and any other was left as it was"
                ),
            };
            self.print_line(format!(
                "{} {result}; mend the cause and run the same command again{}",
                plural(failed, "database"),
                match summary.operation {
                    Operation::Upgrade | Operation::Downgrade => {
                        format!(": what is at {target} already is left alone")
                    }
                    Operation::Reset => " for what is left".to_owned(),
                }
            ));
        }
        if skipped > 0 {
            self.print_line(format!(
                "{} not begun; run the same command again",
                plural(skipped, "database")
            ));
        }
    }
}

fn rule_for_error(error: &MigrateError) -> Rule {
    match error {
        MigrateError::Plan(_) => Rule::Edited,
        MigrateError::Database(DatabaseError::EndedTransaction { .. }) => Rule::EndedTransaction,
        _ => Rule::Sql,
    }
}

/// What became of one database, in words.
fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Upgraded(run) | Outcome::Downgraded(run) => {
            append_notes(describe_run(run), &run.notes)
        }
        Outcome::Reset { version } => format!("made anew at {version}"),
        Outcome::Rehearsed(passage) => append_notes(
            format!("{}, rehearsed and rolled back", describe_run(passage)),
            &passage.notes,
        ),
        Outcome::Current { version: at } => format!("already at {at}"),
        Outcome::AheadOfTarget { version: at } => format!("at {at}, above the target, left alone"),
        Outcome::BehindTarget { version: at } => format!("at {at}, below the target, left alone"),
        verdict @ Outcome::Failed { .. } if verdict.is_busy() => "busy".to_owned(),
        Outcome::Failed { .. } => "failed".to_owned(),
        Outcome::VersionRecorded { version: at, drift } if drift.is_empty() => {
            format!("recorded at {at}")
        }
        Outcome::VersionRecorded { version: at, drift } => {
            format!("recorded at {at}, with {}", plural(drift.len(), "difference"))
        }
        Outcome::Seeded { notes, .. } => append_notes("seeded".to_owned(), notes),
        Outcome::Skipped => "not begun".to_owned(),
    }
}

fn describe_run(run: &AppliedRun) -> String {
    match &run.path.from {
        VersionPoint::Baseline => format!("made at {}", run.path.to),
        from @ VersionPoint::Version(_) if *from == run.path.to => format!("at {from}"),
        from @ VersionPoint::Version(_) => format!("{from} → {}", run.path.to),
    }
}

fn append_notes(text: String, notes: &[String]) -> String {
    if notes.is_empty() { text } else { format!("{text} ({})", notes.join("; ")) }
}

/// `98 upgraded to 0.3.20, 1 already there, 1 failed`.
fn count_outcomes(
    users: &[(&TargetDatabase, &Outcome)],
    (target, operation): (&str, Operation),
) -> String {
    let count = |predicate: fn(&Outcome) -> bool| {
        users.iter().filter(|(_, outcome)| predicate(outcome)).count()
    };
    let upgraded = count(|database_outcome| matches!(database_outcome, Outcome::Upgraded(_)));
    let downgraded = count(|database_outcome| matches!(database_outcome, Outcome::Downgraded(_)));
    let reset = count(|database_outcome| matches!(database_outcome, Outcome::Reset { .. }));
    let rehearsed = count(|database_outcome| matches!(database_outcome, Outcome::Rehearsed(_)));
    let noted_count = count(
        |database_outcome| matches!(database_outcome, Outcome::Upgraded(run) | Outcome::Downgraded(run) | Outcome::Rehearsed(run) if !run.notes.is_empty()),
    );
    let direction = if operation == Operation::Downgrade { "down" } else { "up" };
    let counts_with_descriptions = [
        (upgraded, format!("upgraded to {target}")),
        (downgraded, format!("downgraded to {target}")),
        (reset, format!("made anew at {target}")),
        (rehearsed, format!("rehearsed {direction} to {target} and rolled back")),
        (noted_count, "of them with notes (`-v` shows them)".to_owned()),
        (
            count(|database_outcome| matches!(database_outcome, Outcome::Current { .. })),
            "already there".to_owned(),
        ),
        (
            count(|database_outcome| matches!(database_outcome, Outcome::AheadOfTarget { .. })),
            "above it".to_owned(),
        ),
        (
            count(|database_outcome| matches!(database_outcome, Outcome::BehindTarget { .. })),
            "below it".to_owned(),
        ),
        (count(tatmig::plan::Outcome::is_failure) - count(Outcome::is_busy), "failed".to_owned()),
        (count(Outcome::is_busy), "busy".to_owned()),
        (
            count(|database_outcome| matches!(database_outcome, Outcome::Skipped)),
            "not begun".to_owned(),
        ),
    ];
    let parts: Vec<String> = counts_with_descriptions
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, counts_with_descriptions)| format!("{count} {counts_with_descriptions}"))
        .collect();
    parts.join(", ")
}
