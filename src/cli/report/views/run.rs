//! Shows what an upgrade, a downgrade, a redo or a reset did: a line for each scope, every failure with its
//! position in the document, and what to do next.

use std::collections::BTreeMap;

use serde::Serialize;
use tatmig::backup::Backup;
use tatmig::fleet::{Fleet, FleetOutcome};
use tatmig::plan::Outcome;
use tatmig::text::{MAX_LISTED, list_names};
use tatmig::{Scope, Source, VersionPoint};

use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{describe_unselected_users, plural};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::{View, describe_changes};
use crate::cli::report::views::backup_entry::{BackupEntry, describe_backup, restore_command};
use crate::cli::report::views::failures::{StatementDiffs, print_failures};
use crate::cli::report::views::outcome_text::{RunDirection, count_outcomes, describe};
use crate::cli::report::views::run_digest::add_runs;
use crate::cli::report::views::run_entries::{DatabaseRun, count_by_outcome, in_scope};

/// The command that ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Operation {
    #[default]
    Upgrade,
    Downgrade,
    Redo,
    Reset,
}

impl Operation {
    /// The outcome of a database for which the command succeeded.
    fn success(self) -> State {
        match self {
            Self::Upgrade => State::Upgraded,
            Self::Downgrade => State::Downgraded,
            Self::Redo => State::Redone,
            Self::Reset => State::Reset,
        }
    }
}

/// What happened in a run besides the outcomes of its databases.
#[derive(Debug, Default)]
pub(crate) struct RunDetails {
    pub(crate) operation: Operation,
    pub(crate) statement_diffs: StatementDiffs,
    /// The backup that was made first.
    pub(crate) backup: Option<Backup>,
    /// Why the system database was left out.
    pub(crate) system_skip_reason: Option<String>,
    /// Of a redo: whether the migration was edited after some database applied it.
    pub(crate) is_edited: Option<bool>,
    /// Whether `--all-or-nothing` ended the run after the rehearsal, since a database failed it.
    pub(crate) is_abandoned: bool,
}

/// The outcome of `upgrade`, `downgrade`, `redo` or `reset`.
#[derive(Serialize)]
pub(crate) struct RunView<'r> {
    target: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_skip_reason: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<BackupEntry<'r>>,
    #[serde(skip)]
    databases: Vec<DatabaseRun<'r>>,
    #[serde(skip)]
    summary: BTreeMap<&'static str, usize>,
    #[serde(skip)]
    fleet: &'r Fleet,
    #[serde(skip)]
    source: &'r Source<'r>,
    #[serde(skip)]
    details: &'r RunDetails,
}

impl<'r> RunView<'r> {
    pub(crate) fn new(
        fleet: &'r Fleet,
        outcome: &'r FleetOutcome,
        source: &'r Source<'r>,
        target: &'r str,
        details: &'r RunDetails,
    ) -> Self {
        let databases = DatabaseRun::list(fleet, outcome, source, details.backup.as_ref());
        Self {
            target,
            system_skip_reason: details.system_skip_reason.as_deref(),
            edited: details.is_edited,
            backup: details.backup.as_ref().map(BackupEntry::new),
            summary: count_by_outcome(&databases, details.operation.success()),
            databases,
            fleet,
            source,
            details,
        }
    }

    fn count(&self, predicate: fn(&Outcome) -> bool) -> usize {
        self.databases.iter().filter(|run| predicate(run.outcome)).count()
    }

    fn direction(&self) -> RunDirection {
        match self.details.operation {
            Operation::Downgrade => RunDirection::Down,
            Operation::Upgrade | Operation::Redo | Operation::Reset => RunDirection::Up,
        }
    }

    fn print_notices(&self, console: &Console) {
        for notice in &self.fleet.notices {
            console.note(notice);
        }
    }

    fn print_run_failures(&self, console: &Console) {
        let failures = self.databases.iter().filter_map(DatabaseRun::failure);
        print_failures(console, failures, self.source, &self.details.statement_diffs);
    }

    fn print_summary(&self, console: &Console) {
        if let Some(backup) = &self.details.backup {
            console.line(describe_backup(backup));
        }
        if let Some(reason) = self.system_skip_reason {
            console.line(format!("system: {reason}"));
        }
        if let Some(run) = in_scope(&self.databases, Scope::System).next() {
            console.line(StyledLine::from("system: ").line(describe(run.outcome)));
        }
        self.print_users(console);
        match self.fleet.total_users {
            Some(0) if self.fleet.users.is_empty() => console.line("no user databases found"),
            _ => {
                if let Some(line) = describe_unselected_users(self.fleet) {
                    console.line(line);
                }
            }
        }
    }

    fn print_users(&self, console: &Console) {
        let users = in_scope(&self.databases, Scope::User);
        let user_count = users.clone().count();
        if console.is_verbose() || user_count == 1 {
            for user in users.clone() {
                console.line(
                    StyledLine::from(format!("{}: ", user.name())).line(describe(user.outcome)),
                );
            }
        }
        if user_count <= 1 {
            return;
        }
        let outcomes = users.map(|run| run.outcome);
        let counts = count_outcomes(&outcomes, self.target, self.direction());
        console.line(StyledLine::from(format!("{}: ", plural(user_count, "user"))).line(counts));
        self.print_unchanged_users(console, "above", |outcome| {
            matches!(outcome, Outcome::AheadOfTarget { .. })
        });
        self.print_unchanged_users(console, "below", |outcome| {
            matches!(outcome, Outcome::BehindTarget { .. })
        });
    }

    fn print_unchanged_users(
        &self,
        console: &Console,
        position: &str,
        is_unchanged: fn(&Outcome) -> bool,
    ) {
        let users = in_scope(&self.databases, Scope::User);
        let names: Vec<String> =
            users.filter(|run| is_unchanged(run.outcome)).map(DatabaseRun::name).collect();
        if !names.is_empty() {
            console.line(format!(
                "already {position} {}, not changed: {}",
                self.target,
                list_names(&names)
            ));
        }
    }

    /// What to do after a failure or an interrupt.
    fn print_next_steps(&self, console: &Console) {
        self.print_restore_commands(console);
        let failed_count = self.count(Outcome::is_failure);
        if failed_count > 0 {
            let indeterminate_count = self.count(|outcome| {
                matches!(outcome, Outcome::Failed { error, .. } if error.is_indeterminate())
            });
            let is_rehearsal =
                self.count(|outcome| matches!(outcome, Outcome::Rehearsed { .. })) > 0;
            let result = match (failed_count, indeterminate_count) {
                _ if is_rehearsal => "; a rehearsal changes no database".to_owned(),
                (1, 0) => " and was not changed".to_owned(),
                (_, 0) => " and were not changed".to_owned(),
                (1, _) => "; whether the server changed it is unknown".to_owned(),
                (_, count) => format!(
                    "; whether the server changed {count} of them is unknown, the others were not changed"
                ),
            };
            let next_run = match self.details.operation {
                Operation::Upgrade | Operation::Downgrade if is_rehearsal => {
                    "run the command again".to_owned()
                }
                Operation::Upgrade | Operation::Downgrade => {
                    format!(
                        "run the command again; databases at {} are left unchanged",
                        self.target
                    )
                }
                Operation::Redo | Operation::Reset => {
                    "run the command again for the databases that failed".to_owned()
                }
            };
            let failed = format!("{} failed", plural(failed_count, "database"));
            console.line(
                StyledLine::from_state(State::Failed, failed)
                    .text(format!("{result}. Fix the cause and {next_run}")),
            );
        }
        let skipped_count = self.count(|outcome| matches!(outcome, Outcome::Skipped));
        if skipped_count > 0 {
            let skipped = format!("{} skipped", plural(skipped_count, "database"));
            let line = StyledLine::from_state(State::Skipped, skipped);
            let mut system_runs = in_scope(&self.databases, Scope::System);
            let reason = if system_runs.any(|run| run.outcome.is_failure()) {
                ", since the system database failed"
            } else {
                ""
            };
            console.line(line.text(format!("{reason}; run the command again")));
        }
    }

    /// For each failed database that was copied first, the command that restores the copy.
    fn print_restore_commands(&self, console: &Console) {
        let Some(backup) = &self.details.backup else { return };
        let failed = self.databases.iter().filter(|run| run.outcome.is_failure());
        let mut copied = failed.filter_map(|run| Some((run, backup.entry_for(run.database)?)));
        for (run, copy) in copied.by_ref().take(MAX_LISTED) {
            console.line(format!(
                "`{}` was copied to {} before the run; `{}` restores it",
                run.name(),
                backup.copy_location(copy),
                restore_command(backup, run.database)
            ));
        }
        match copied.count() {
            0 => {}
            more => console.line(format!("{more} more failed databases were copied as well")),
        }
    }
}

impl View for RunView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_notices(console);
        self.print_summary(console);
        self.print_run_failures(console);
        self.print_next_steps(console);
        if self.details.is_abandoned {
            console.line(
                StyledLine::from_state(State::Failed, "nothing was committed")
                    .text(": not every database passed the rehearsal"),
            );
        }
    }

    fn print_errors(&self, console: &Console) {
        self.print_notices(console);
        self.print_run_failures(console);
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.count(Outcome::is_failure) > 0)
    }

    fn digest(&self, digest: &mut Digest) {
        let outcomes = self.databases.iter().map(|run| run.outcome);
        let counts = count_outcomes(&outcomes, self.target, self.direction());
        let abandoned = if self.details.is_abandoned {
            "; nothing was committed, since not every database passed the rehearsal"
        } else {
            ""
        };
        digest.verdict =
            format!("{}: {counts}{abandoned}", plural(self.databases.len(), "database"));
        digest.target = VersionPoint::parse(self.target);
        digest.notices.extend(self.fleet.notices.iter().cloned());
        let backup = self.details.backup.as_ref();
        digest.notices.extend(backup.map(|backup| describe_backup(backup).to_string()));
        let skipped = self.system_skip_reason.map(|reason| format!("system: {reason}"));
        digest.notices.extend(skipped);
        add_runs(digest, &self.databases, &self.details.statement_diffs);
    }

    fn changes(&self) -> String {
        let indeterminate = self.count(
            |outcome| matches!(outcome, Outcome::Failed { error, .. } if error.is_indeterminate()),
        );
        let changed = self.count(Outcome::changes_database);
        let total = self.databases.len() - indeterminate;
        let text = describe_changes(changed, total, self.details.operation.success().name());
        match indeterminate {
            0 => text,
            count => format!("{text}; whether the server changed {count} more is unknown"),
        }
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
