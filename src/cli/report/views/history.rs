//! Shows the history of one database.

use serde::Serialize;
use tatmig::database::HistoryEntry;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::json::{DatabaseCount, DatabaseKeys, ErrorEntry};
use crate::cli::report::view::View;
use crate::cli::report::views::failures::name_and_location;

/// The result of `history` for one database.
#[derive(Serialize)]
pub(crate) struct HistoryView<'r> {
    #[serde(skip)]
    database: &'r TargetDatabase,
    #[serde(skip)]
    result: Result<&'r [HistoryEntry], &'r MigrateError>,
}

/// The JSON object of the database.
#[derive(Serialize)]
struct HistoryOf<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    history: &'r [HistoryEntry],
    error: Option<ErrorEntry<'r>>,
}

impl<'r> HistoryView<'r> {
    pub(crate) fn new(
        database: &'r TargetDatabase,
        result: &'r Result<Vec<HistoryEntry>, MigrateError>,
    ) -> Self {
        Self { database, result: result.as_deref() }
    }
}

impl View for HistoryView<'_> {
    fn print_text(&self, console: &Console) {
        let history = self.result.unwrap_or_default();
        if history.is_empty() && self.result.is_ok() {
            console.line(format!("`{}` has no history", self.database.display_name()));
        }
        for entry in history {
            let event = format!("{:?}", entry.event).to_lowercase();
            let note = entry.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
            console.line(format!(
                "{}  {event:9}  {} → {}  {} ms  tatmig {}{note}",
                entry.applied_at, entry.from, entry.to, entry.duration_ms, entry.tool_version
            ));
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        if let Err(error) = self.result {
            console.error(format!("{}: {error}", name_and_location(self.database)));
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.result.is_err())
    }

    fn databases(&self) -> impl Serialize {
        [HistoryOf {
            database: DatabaseKeys::new(self.database),
            history: self.result.unwrap_or_default(),
            error: self.result.err().map(ErrorEntry::without_position),
        }]
    }

    fn summary(&self) -> impl Serialize {
        DatabaseCount { total: 1 }
    }
}
