//! Shows what `seed` did: how many databases were seeded, and every failure.

use std::collections::BTreeMap;

use serde::Serialize;
use tatmig::fleet::{Fleet, FleetOutcome};
use tatmig::{Scope, Source};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{describe_unselected_users, plural};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::{View, describe_changes};
use crate::cli::report::views::failures::{StatementDiffs, print_failures};
use crate::cli::report::views::outcome_text::{RunDirection, count_outcomes, describe};
use crate::cli::report::views::run_entries::{DatabaseRun, count_by_outcome, in_scope};

/// The outcome of `seed`.
#[derive(Serialize)]
pub(crate) struct SeedsView<'r> {
    #[serde(skip)]
    databases: Vec<DatabaseRun<'r>>,
    #[serde(skip)]
    summary: BTreeMap<&'static str, usize>,
    #[serde(skip)]
    fleet: &'r Fleet,
    #[serde(skip)]
    source: &'r Source<'r>,
}

impl<'r> SeedsView<'r> {
    pub(crate) fn new(fleet: &'r Fleet, outcome: &'r FleetOutcome, source: &'r Source<'r>) -> Self {
        let databases = DatabaseRun::list(fleet, outcome, source, None);
        let summary = count_by_outcome(&databases, State::Seeded);
        Self { databases, summary, fleet, source }
    }
}

impl View for SeedsView<'_> {
    fn print_text(&self, console: &Console) {
        let users: Vec<_> = in_scope(&self.databases, Scope::User).collect();
        let is_listed = console.is_verbose() || users.len() == 1;
        let listed_users = users.iter().copied().filter(|_| is_listed);
        for run in in_scope(&self.databases, Scope::System).chain(listed_users) {
            console.line(StyledLine::from(format!("{}: ", run.name())).line(describe(run.outcome)));
        }
        if users.len() > 1 {
            let outcomes = users.iter().map(|run| run.outcome);
            // A seed moves no database to a version.
            let counts = count_outcomes(&outcomes, "", RunDirection::Up);
            let label = format!("{}: ", plural(users.len(), "user"));
            console.line(StyledLine::from(label).line(counts));
        }
        if let Some(line) = describe_unselected_users(self.fleet) {
            console.line(line);
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        let failures = self.databases.iter().filter_map(DatabaseRun::failure);
        print_failures(console, failures, self.source, &StatementDiffs::new());
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.databases.iter().any(|run| run.outcome.is_failure()))
    }

    fn changes(&self) -> String {
        let changed = self.databases.iter().filter(|run| run.outcome.changes_database()).count();
        describe_changes(changed, self.databases.len(), "given its seeds")
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
