//! Shows what `seed` did: how many databases were seeded, and every failure.

use serde::Serialize;
use tatmig::fleet::{Fleet, FleetOutcome};
use tatmig::{Scope, Source};

use crate::cli::report::console::Console;
use crate::cli::report::format::plural;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;
use crate::cli::report::views::outcome_text::{RunDirection, count_outcomes, describe};
use crate::cli::report::views::run_entries::in_scope;
use crate::cli::report::views::run_results::RunResults;

/// The outcome of `seed`.
#[derive(Serialize)]
pub(crate) struct SeedsView<'r> {
    #[serde(skip)]
    results: RunResults<'r>,
}

impl<'r> SeedsView<'r> {
    pub(crate) fn new(fleet: &'r Fleet, outcome: &'r FleetOutcome, source: &'r Source<'r>) -> Self {
        Self { results: RunResults::new(fleet, outcome, source, State::Seeded) }
    }
}

impl View for SeedsView<'_> {
    fn print_text(&self, console: &Console) {
        let users: Vec<_> = in_scope(&self.results.databases, Scope::User).collect();
        let is_listed = console.is_verbose() || users.len() == 1;
        let listed_users = users.iter().copied().filter(|_| is_listed);
        for run in in_scope(&self.results.databases, Scope::System).chain(listed_users) {
            console.line(StyledLine::from(format!("{}: ", run.name())).line(describe(run.outcome)));
        }
        if users.len() > 1 {
            let outcomes = users.iter().map(|run| run.outcome);
            // A seed moves no database to a version.
            let counts = count_outcomes(&outcomes, "", RunDirection::Up);
            let label = format!("{}: ", plural(users.len(), "user"));
            console.line(StyledLine::from(label).line(counts));
        }
        self.results.print_unselected_users(console);
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        self.results.print_failures(console);
    }

    fn exit_status(&self) -> u8 {
        self.results.exit_status()
    }

    fn changes(&self) -> String {
        self.results.describe_changes("given its seeds")
    }

    fn databases(&self) -> impl Serialize {
        &self.results.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.results.summary
    }
}
