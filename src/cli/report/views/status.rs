//! Shows the version and the pending migrations of databases.

use serde::Serialize;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::DatabaseStatus;
use tatmig::{Changelog, DatabaseState};

use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::exit_status::{EXIT_FAILURE, EXIT_PENDING, EXIT_SUCCESS};
use crate::cli::report::format::plural;
use crate::cli::report::view::View;
use crate::cli::report::views::stats::FleetStats;
use crate::cli::report::views::status_entries::StatusOf;
use crate::cli::report::views::{status_digest, status_text};

/// Whether `--exit-code` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitOnPending {
    Yes,
    No,
}

/// The statuses of databases, in the order in which they are listed.
#[derive(Serialize)]
pub(crate) struct StatusView<'r> {
    #[serde(skip)]
    file: &'r str,
    #[serde(skip)]
    head: String,
    planned: Vec<String>,
    #[serde(skip)]
    databases: Vec<StatusOf<'r>>,
    #[serde(skip)]
    summary: StateCounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<FleetStats>,
    #[serde(skip)]
    notices: &'r [String],
    #[serde(skip)]
    changelog: &'r Changelog<'r>,
    #[serde(skip)]
    exit_on_pending: ExitOnPending,
}

#[derive(Clone, Copy, Serialize)]
struct StateCounts {
    total: usize,
    new: usize,
    current: usize,
    behind: usize,
    unversioned: usize,
    ahead: usize,
    edited: usize,
    error: usize,
}

impl StateCounts {
    fn new(databases: &[StatusOf<'_>]) -> Self {
        let count = |state| databases.iter().filter(|listed| listed.status.state == state).count();
        Self {
            total: databases.len(),
            new: count(DatabaseState::New),
            current: count(DatabaseState::Current),
            behind: count(DatabaseState::Behind),
            unversioned: count(DatabaseState::Unversioned),
            ahead: count(DatabaseState::Ahead),
            edited: count(DatabaseState::Edited),
            error: count(DatabaseState::Error),
        }
    }
}

impl<'r> StatusView<'r> {
    pub(crate) fn new(
        changelog: &'r Changelog<'r>,
        statuses: impl Iterator<Item = (&'r TargetDatabase, &'r DatabaseStatus)>,
        notices: &'r [String],
        stats: Option<FleetStats>,
        exit_on_pending: ExitOnPending,
    ) -> Self {
        let databases: Vec<_> =
            statuses.map(|(database, status)| StatusOf { database, status, changelog }).collect();
        Self {
            file: changelog.source().name(),
            head: changelog.head().to_string(),
            planned: changelog.planned_versions().iter().map(ToString::to_string).collect(),
            summary: StateCounts::new(&databases),
            databases,
            stats,
            notices,
            changelog,
            exit_on_pending,
        }
    }
}

impl View for StatusView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_notices(console);
        let planned = self.planned.iter().map(|version| format!(", {version} planned"));
        let planned: String = planned.collect();
        console.line(format!("{}: head is {}{planned}", self.file, self.head));
        status_text::print_databases(console, self.changelog, &self.databases);
        if let Some(stats) = &self.stats {
            stats.print_text(console);
            stats.print_errors(console);
        }
    }

    fn print_errors(&self, console: &Console) {
        self.print_notices(console);
    }

    fn exit_status(&self) -> u8 {
        // What is ahead here is allowed to be, since it is no problem.
        let StateCounts { total, current, ahead, .. } = self.summary;
        if self.databases.iter().any(|listed| status_text::is_problem(listed.status)) {
            EXIT_FAILURE
        } else if self.exit_on_pending == ExitOnPending::Yes && current + ahead < total {
            EXIT_PENDING
        } else {
            EXIT_SUCCESS
        }
    }

    fn digest(&self, digest: &mut Digest) {
        let StateCounts { total, new, current, behind, unversioned, ahead, edited, error } =
            self.summary;
        let counts = [
            (current, "current"),
            (behind, "behind"),
            (new, "new"),
            (unversioned, "unversioned"),
            (ahead, "ahead"),
            (edited, "edited"),
            (error, "unreadable"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, state)| format!("{count} {state}")).collect();
        digest.verdict = match total {
            0 => "no databases found".to_owned(),
            _ => format!("{}: {}", plural(total, "database"), counts.join(", ")),
        };
        digest.notices.extend(self.notices.iter().cloned());
        status_digest::add_statuses(digest, self.changelog, &self.databases);
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}

impl StatusView<'_> {
    fn print_notices(&self, console: &Console) {
        for notice in self.notices {
            console.note(notice);
        }
    }
}
