//! Shows which databases `init` created.

use serde::Serialize;
use tatmig::Source;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::CreateOutcome;
use tatmig::plan::Outcome;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::json::DatabaseKeys;
use crate::cli::report::view::View;
use crate::cli::report::views::failures::print_failure;

/// The result of `init`.
#[derive(Serialize)]
pub(crate) struct InitView<'r> {
    databases: Vec<CreatedDatabase<'r>>,
    #[serde(skip)]
    source: &'r Source<'r>,
}

/// One database and whether it was created.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "CreatedEntry")]
struct CreatedDatabase<'r> {
    database: &'r TargetDatabase,
    outcome: &'r CreateOutcome,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct CreatedEntry {
    #[serde(flatten)]
    database: DatabaseKeys,
    outcome: &'static str,
}

impl From<CreatedDatabase<'_>> for CreatedEntry {
    fn from(CreatedDatabase { database, outcome }: CreatedDatabase<'_>) -> Self {
        let outcome = match outcome {
            CreateOutcome::AlreadyExists => "there",
            CreateOutcome::Attempted(Outcome::Failed { .. }) => "failed",
            CreateOutcome::Attempted(_) => "made",
        };
        Self { database: DatabaseKeys::new(database), outcome }
    }
}

impl<'r> InitView<'r> {
    /// Takes the databases that `init` tried to create. A document without system blocks and
    /// `init` without `--user` give none.
    pub(crate) fn new(
        outcomes: impl Iterator<Item = (&'r TargetDatabase, &'r CreateOutcome)>,
        source: &'r Source<'r>,
    ) -> Self {
        let databases = outcomes.map(|(database, outcome)| CreatedDatabase { database, outcome });
        Self { databases: databases.collect(), source }
    }
}

impl View for InitView<'_> {
    fn print_text(&self, console: &Console) {
        if self.databases.is_empty() {
            console.line("the document has no system block; `--user NAME` creates a user database");
        }
        for CreatedDatabase { database, outcome } in &self.databases {
            let path = database.location.display();
            match outcome {
                CreateOutcome::Attempted(Outcome::Upgraded(run)) => {
                    console.line(format!("{path}: created at {}", run.path.to));
                }
                CreateOutcome::AlreadyExists => {
                    console.line(format!("{path}: already exists, not changed"));
                }
                CreateOutcome::Attempted(_) => {}
            }
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        for CreatedDatabase { database, outcome } in &self.databases {
            if let CreateOutcome::Attempted(Outcome::Failed { error, .. }) = outcome {
                print_failure(console, database, error, self.source);
            }
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.databases.iter().any(|created| {
            matches!(created.outcome, CreateOutcome::Attempted(Outcome::Failed { .. }))
        }))
    }
}
