//! Shows the histories of databases.

use serde::Serialize;
use tatmig::database::HistoryEntry;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::json::{DatabaseKeys, ErrorEntry};
use crate::cli::report::view::View;
use crate::cli::report::views::failures::name_and_location;

type ReadHistory = Result<Vec<HistoryEntry>, MigrateError>;

/// The result of `history` with a selection.
#[derive(Serialize)]
pub(crate) struct HistoryView<'r> {
    #[serde(skip)]
    databases: Vec<DatabaseHistory<'r>>,
    #[serde(skip)]
    summary: HistoryCounts,
    #[serde(skip)]
    notices: &'r [String],
}

/// One database and its history. It is turned into a [`DatabaseHistoryEntry`] as it is written.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "DatabaseHistoryEntry<'r>")]
struct DatabaseHistory<'r> {
    database: &'r TargetDatabase,
    history: &'r ReadHistory,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct DatabaseHistoryEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    history: &'r [HistoryEntry],
    error: Option<ErrorEntry<'r>>,
}

#[derive(Clone, Copy, Serialize)]
struct HistoryCounts {
    total: usize,
    /// How many databases have no history.
    without: usize,
    /// How many databases could not be read.
    failed: usize,
}

impl<'r> From<DatabaseHistory<'r>> for DatabaseHistoryEntry<'r> {
    fn from(DatabaseHistory { database, history }: DatabaseHistory<'r>) -> Self {
        Self {
            database: DatabaseKeys::new(database),
            history: history.as_deref().unwrap_or_default(),
            error: history.as_ref().err().map(ErrorEntry::without_position),
        }
    }
}

impl<'r> HistoryView<'r> {
    pub(crate) fn new(
        histories: impl Iterator<Item = (&'r TargetDatabase, &'r ReadHistory)>,
        notices: &'r [String],
    ) -> Self {
        let databases: Vec<_> =
            histories.map(|(database, history)| DatabaseHistory { database, history }).collect();
        let count = |predicate: fn(&ReadHistory) -> bool| {
            databases.iter().filter(|database| predicate(database.history)).count()
        };
        let summary = HistoryCounts {
            total: databases.len(),
            without: count(|history| history.as_ref().is_ok_and(Vec::is_empty)),
            failed: count(Result::is_err),
        };
        Self { databases, summary, notices }
    }

    fn print_history(
        &self,
        console: &Console,
        database: &TargetDatabase,
        history: &[HistoryEntry],
    ) {
        let name = database.display_name();
        let indent = if self.databases.len() > 1 { "  " } else { "" };
        if history.is_empty() {
            console.line(format!("`{name}` has no history"));
        } else if self.databases.len() > 1 {
            console.line(format!("{name}:"));
        }
        for entry in history {
            let event = format!("{:?}", entry.event).to_lowercase();
            let note = entry.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
            console.line(format!(
                "{indent}{}  {event:9}  {} → {}  {} ms  tatmig {}{note}",
                entry.applied_at, entry.from, entry.to, entry.duration_ms, entry.tool_version
            ));
        }
    }
}

impl View for HistoryView<'_> {
    fn print_text(&self, console: &Console) {
        for DatabaseHistory { database, history } in &self.databases {
            if let Ok(history) = history {
                self.print_history(console, database, history);
            }
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        for notice in self.notices {
            console.note(notice);
        }
        for DatabaseHistory { database, history } in &self.databases {
            if let Err(error) = history {
                console.error(format!("{}: {error}", name_and_location(database)));
            }
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.summary.failed > 0)
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        self.summary
    }
}
