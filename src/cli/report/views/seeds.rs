//! Shows what `seed` did: one line for each database, and every failure.

use serde::Serialize;
use tatmig::Source;
use tatmig::fleet::{Fleet, FleetOutcome};

use crate::cli::report::console::Console;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;
use crate::cli::report::views::outcome_text::describe;
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
        for run in &self.results.databases {
            console.line(StyledLine::from(format!("{}: ", run.name())).line(describe(run.outcome)));
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
