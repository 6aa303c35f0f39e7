//! Shows the history of one database.

use serde::Serialize;
use tatmig::Scope;
use tatmig::database::HistoryEntry;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::EXIT_FAILURE;
use crate::cli::report::view::View;
use crate::cli::report::views::failures::name_and_location;

/// The result of `history` for one database.
#[derive(Serialize)]
pub(crate) struct HistoryView<'r> {
    name: String,
    scope: Scope,
    history: &'r [HistoryEntry],
}

impl<'r> HistoryView<'r> {
    pub(crate) fn new(database: &TargetDatabase, history: &'r [HistoryEntry]) -> Self {
        Self { name: database.display_name(), scope: database.scope, history }
    }
}

impl View for HistoryView<'_> {
    fn print_text(&self, console: &Console) {
        if self.history.is_empty() {
            console.line(format!("`{}` has no history", self.name));
        }
        for entry in self.history {
            let event = format!("{:?}", entry.event).to_lowercase();
            let note = entry.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
            console.line(format!(
                "{}  {event:9}  {} → {}  {} ms  tatmig {}{note}",
                entry.applied_at, entry.from, entry.to, entry.duration_ms, entry.tool_version
            ));
        }
    }
}

/// A database whose history cannot be read.
#[derive(Serialize)]
pub(crate) struct UnreadableHistoryView {
    error: String,
    #[serde(skip)]
    subject: String,
}

impl UnreadableHistoryView {
    pub(crate) fn new(database: &TargetDatabase, error: &MigrateError) -> Self {
        Self { error: error.to_string(), subject: name_and_location(database) }
    }
}

impl View for UnreadableHistoryView {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        console.error(format!("{}: {}", self.subject, self.error));
    }

    fn exit_status(&self) -> u8 {
        EXIT_FAILURE
    }
}
