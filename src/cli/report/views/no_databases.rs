//! Shows that the selected users have no databases, so that a command has nothing to do.

use serde::Serialize;
use tatmig::fleet::Fleet;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::view::View;

/// A fleet without databases; what the users directory holds instead was reported.
#[derive(Serialize)]
pub(crate) struct NoDatabasesView<'r> {
    /// The version that databases would have been brought to.
    pub(crate) target: &'r str,
    #[serde(skip)]
    pub(crate) fleet: &'r Fleet,
}

impl View for NoDatabasesView<'_> {
    fn print_text(&self, console: &Console) {
        for notice in &self.fleet.notices {
            console.note(notice);
        }
        console.line("no user databases found");
    }

    fn exit_status(&self) -> u8 {
        failure_if(!self.fleet.problems.is_empty())
    }
}
