//! Shows which databases `push` and `pull` copied, and which they did not.

use std::collections::BTreeMap;

use serde::Serialize;
use tatmig::Scope;
use tatmig::fleet::Fleet;
use tatmig::fleet::{TargetDatabase, TransferOutcome, Transferred};
use tatmig::plan::MigrateError;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{describe_unselected_users, plural};
use crate::cli::report::json::{DatabaseKeys, ErrorEntry};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::{View, describe_changes};

/// The outcomes, with their names in JSON and in text, in the order in which text counts them.
const OUTCOMES: [(State, &str); 4] = [
    (State::Copied, "copied and compared"),
    (State::Identical, "already identical"),
    (State::Failed, "failed"),
    (State::Skipped, "skipped"),
];

/// The result of `push` or `pull`.
#[derive(Serialize)]
pub(crate) struct TransferView<'r> {
    #[serde(skip)]
    databases: Vec<Transfer<'r>>,
    #[serde(skip)]
    fleet: &'r Fleet,
}

/// One database, where it was copied to, and the outcome. It is turned into a [`TransferEntry`] as
/// it is written.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "TransferEntry<'r>")]
struct Transfer<'r> {
    database: &'r TargetDatabase,
    destination: &'r TargetDatabase,
    /// `None` if the database was not started.
    outcome: Option<&'r TransferOutcome>,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct TransferEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    /// The path or the URL of the copy.
    destination: String,
    outcome: State,
    error: Option<ErrorEntry<'r>>,
}

impl<'r> Transfer<'r> {
    fn error(&self) -> Option<&'r MigrateError> {
        match self.outcome {
            Some(TransferOutcome::Failed(error)) => Some(error),
            _ => None,
        }
    }

    fn outcome_state(&self) -> State {
        match self.outcome {
            Some(TransferOutcome::Copied) => State::Copied,
            Some(TransferOutcome::AlreadyIdentical) => State::Identical,
            Some(TransferOutcome::Failed(_)) => State::Failed,
            None => State::Skipped,
        }
    }

    /// `system: copied and compared: back/system.db`.
    fn describe(&self) -> StyledLine {
        let state = self.outcome_state();
        let known = OUTCOMES.iter().find(|(outcome, _)| *outcome == state);
        let text = known.map_or(state.name(), |(_, text)| *text);
        let destination = self.destination.location.display();
        StyledLine::from(format!("{}: ", self.database.display_name()))
            .state(state, text)
            .text(format!(": {destination}"))
    }
}

impl<'r> From<Transfer<'r>> for TransferEntry<'r> {
    fn from(transfer: Transfer<'r>) -> Self {
        Self {
            database: DatabaseKeys::new(transfer.database),
            destination: transfer.destination.location.display(),
            outcome: transfer.outcome_state(),
            error: transfer.error().map(ErrorEntry::without_position),
        }
    }
}

impl<'r> TransferView<'r> {
    /// Takes the destination and the outcome of each database of the fleet, in its order.
    pub(crate) fn new(fleet: &'r Fleet, transfers: &'r [Transferred]) -> Self {
        let databases = fleet.databases().zip(transfers);
        let databases = databases.map(|(database, transferred)| Transfer {
            database,
            destination: &transferred.destination,
            outcome: transferred.outcome.as_ref(),
        });
        Self { databases: databases.collect(), fleet }
    }

    fn print_user_counts(&self, console: &Console) {
        let users = self.databases.iter().filter(|transfer| transfer.database.scope == Scope::User);
        let user_count = users.clone().count();
        if user_count <= 1 {
            return;
        }
        let counts = OUTCOMES.map(|(state, text)| {
            let count = users.clone().filter(|transfer| transfer.outcome_state() == state).count();
            (state, count, text)
        });
        let parts = counts
            .into_iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(state, count, text)| StyledLine::from_state(state, format!("{count} {text}")));
        let users = StyledLine::from(format!("{}: ", plural(user_count, "user")));
        console.line(users.line(StyledLine::join(parts)));
    }

    fn print_failures(&self, console: &Console) {
        for transfer in &self.databases {
            if let Some(error) = transfer.error() {
                console.error(format!(
                    "`{}` ({} → {}): {error}",
                    transfer.database.display_name(),
                    transfer.database.location.display(),
                    transfer.destination.location.display()
                ));
            }
        }
    }

    fn print_notices(&self, console: &Console) {
        for notice in &self.fleet.notices {
            console.note(notice);
        }
    }
}

impl View for TransferView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_notices(console);
        let has_one_user = self.fleet.users.len() == 1;
        for transfer in &self.databases {
            let is_system = transfer.database.scope == Scope::System;
            if is_system || has_one_user || console.is_verbose() {
                console.line(transfer.describe());
            }
        }
        self.print_user_counts(console);
        if let Some(line) = describe_unselected_users(self.fleet) {
            console.line(line);
        }
        self.print_failures(console);
    }

    fn print_errors(&self, console: &Console) {
        self.print_notices(console);
        self.print_failures(console);
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.databases.iter().any(|transfer| transfer.error().is_some()))
    }

    fn changes(&self) -> String {
        let transfers = self.databases.iter();
        let copied = transfers.filter(|transfer| transfer.outcome_state() == State::Copied).count();
        describe_changes(copied, self.databases.len(), "copied")
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        let count = |state| {
            self.databases.iter().filter(|transfer| transfer.outcome_state() == state).count()
        };
        let counts = OUTCOMES.iter().map(|(state, _)| (state.name(), count(*state)));
        counts.chain([("total", self.databases.len())]).collect::<BTreeMap<_, _>>()
    }
}
