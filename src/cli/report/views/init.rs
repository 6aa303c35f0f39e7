//! Shows which databases `init` created.

use serde::Serialize;
use tatmig::Source;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::CreateOutcome;
use tatmig::plan::{MigrateError, Outcome};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::json::{DatabaseKeys, ErrorEntry};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::{View, describe_changes};
use crate::cli::report::views::failures::{StatementDiffs, print_failures};

/// The result of `init`.
#[derive(Serialize)]
pub(crate) struct InitView<'r> {
    #[serde(skip)]
    databases: Vec<CreatedDatabase<'r>>,
    #[serde(skip)]
    source: &'r Source<'r>,
}

/// One database and whether it was created.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "CreatedEntry<'r>")]
struct CreatedDatabase<'r> {
    database: &'r TargetDatabase,
    outcome: &'r CreateOutcome,
    source: &'r Source<'r>,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct CreatedEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    outcome: State,
    error: Option<ErrorEntry<'r>>,
}

/// How many databases have each outcome.
#[derive(Serialize)]
struct CreateCounts {
    total: usize,
    created: usize,
    exists: usize,
    failed: usize,
    skipped: usize,
}

impl<'r> CreatedDatabase<'r> {
    fn outcome_state(&self) -> State {
        match self.outcome {
            CreateOutcome::AlreadyExists => State::Exists,
            CreateOutcome::Attempted(Outcome::Failed { .. }) => State::Failed,
            CreateOutcome::Attempted(Outcome::Skipped) => State::Skipped,
            CreateOutcome::Attempted(_) => State::Created,
        }
    }

    fn error(&self) -> Option<&'r MigrateError> {
        match self.outcome {
            CreateOutcome::Attempted(Outcome::Failed { error, .. }) => Some(error),
            _ => None,
        }
    }
}

impl<'r> From<CreatedDatabase<'r>> for CreatedEntry<'r> {
    fn from(created: CreatedDatabase<'r>) -> Self {
        Self {
            database: DatabaseKeys::new(created.database),
            outcome: created.outcome_state(),
            error: created.error().map(|error| ErrorEntry::new(error, created.source)),
        }
    }
}

impl<'r> InitView<'r> {
    /// Takes the databases that `init` tried to create. A document without system blocks and
    /// `init` without `--user` give none.
    pub(crate) fn new(
        outcomes: impl Iterator<Item = (&'r TargetDatabase, &'r CreateOutcome)>,
        source: &'r Source<'r>,
    ) -> Self {
        let databases =
            outcomes.map(|(database, outcome)| CreatedDatabase { database, outcome, source });
        Self { databases: databases.collect(), source }
    }

    fn count(&self, state: State) -> usize {
        self.databases.iter().filter(|created| created.outcome_state() == state).count()
    }
}

impl View for InitView<'_> {
    fn print_text(&self, console: &Console) {
        if self.databases.is_empty() {
            console.line("the document has no system block; `--user NAME` creates a user database");
        }
        for CreatedDatabase { database, outcome, .. } in &self.databases {
            let path = database.location.display();
            match outcome {
                CreateOutcome::Attempted(Outcome::Upgraded(run)) => {
                    let text = format!("created at {}", run.path.to);
                    console.line(StyledLine::from(format!("{path}: ")).state(State::Created, text));
                }
                CreateOutcome::AlreadyExists => {
                    let line = StyledLine::from(format!("{path}: "));
                    console.line(line.state(State::Exists, "already exists").text(", not changed"));
                }
                CreateOutcome::Attempted(Outcome::Skipped) => {
                    let line = StyledLine::from(format!("{path}: "));
                    console.line(line.state(State::Skipped, "skipped"));
                }
                CreateOutcome::Attempted(_) => {}
            }
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        let failures =
            self.databases.iter().filter_map(|created| Some((created.database, created.error()?)));
        print_failures(console, failures, self.source, &StatementDiffs::new());
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.count(State::Failed) > 0)
    }

    fn changes(&self) -> String {
        let missing = self.databases.len() - self.count(State::Exists);
        describe_changes(self.count(State::Created), missing, "created")
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        CreateCounts {
            total: self.databases.len(),
            created: self.count(State::Created),
            exists: self.count(State::Exists),
            failed: self.count(State::Failed),
            skipped: self.count(State::Skipped),
        }
    }
}
