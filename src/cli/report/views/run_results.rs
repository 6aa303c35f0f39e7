//! Holds the databases of a run with their outcomes, and shows what the views of simple runs have in
//! common: failures, counts and the exit status.

use std::collections::BTreeMap;

use tatmig::Source;
use tatmig::fleet::{Fleet, FleetOutcome};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::describe_unselected_users;
use crate::cli::report::state::State;
use crate::cli::report::view::describe_changes;
use crate::cli::report::views::failures::{StatementDiffs, print_failures};
use crate::cli::report::views::run_entries::{DatabaseRun, count_by_outcome};

/// The outcome of a command that does one thing with every database.
pub(crate) struct RunResults<'r> {
    pub(crate) databases: Vec<DatabaseRun<'r>>,
    pub(crate) summary: BTreeMap<&'static str, usize>,
    fleet: &'r Fleet,
    source: &'r Source<'r>,
}

impl<'r> RunResults<'r> {
    /// `success` is counted even if no database has that outcome.
    pub(crate) fn new(
        fleet: &'r Fleet,
        outcome: &'r FleetOutcome,
        source: &'r Source<'r>,
        success: State,
    ) -> Self {
        let databases = DatabaseRun::list(fleet, outcome, source, None);
        let summary = count_by_outcome(&databases, success);
        Self { databases, summary, fleet, source }
    }

    /// Prints how many users were not selected.
    pub(crate) fn print_unselected_users(&self, console: &Console) {
        if let Some(line) = describe_unselected_users(self.fleet) {
            console.line(line);
        }
    }

    pub(crate) fn print_failures(&self, console: &Console) {
        let failures = self.databases.iter().filter_map(DatabaseRun::failure);
        print_failures(console, failures, self.source, &StatementDiffs::new());
    }

    pub(crate) fn exit_status(&self) -> u8 {
        failure_if(self.databases.iter().any(|run| run.outcome.is_failure()))
    }

    /// How many databases were changed. `verb` says in which way.
    pub(crate) fn describe_changes(&self, verb: &str) -> String {
        let changed = self.databases.iter().filter(|run| run.outcome.changes_database()).count();
        describe_changes(changed, self.databases.len(), verb)
    }
}
