//! Shows the fleet that `demo` created, its upgrade, and what to try next.

use std::path::Path;

use serde::Serialize;
use tatmig::text::escape_for_display;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::{EXIT_FAILURE, EXIT_SUCCESS};
use crate::cli::report::view::View;
use crate::cli::report::views::run::RunView;

/// The result of `demo`. Its JSON document is that of the upgrade.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct DemoView<'r> {
    pub(crate) run: RunView<'r>,
    #[serde(skip)]
    pub(crate) fleet: DemoFleet<'r>,
    /// What to try next; `None` if the upgrade did not end as the demo intends.
    #[serde(skip)]
    pub(crate) next: Option<NextCommands<'r>>,
}

/// The fleet that the demo created.
pub(crate) struct DemoFleet<'r> {
    pub(crate) dir: &'r Path,
    pub(crate) user_count: usize,
    pub(crate) baseline: String,
    pub(crate) head: &'r str,
}

/// The commands that repair the failing database.
pub(crate) struct NextCommands<'r> {
    /// How to call tatmig from the demo's directory.
    pub(crate) program: String,
    /// The user whose rows make a migration fail.
    pub(crate) conflicting_user: &'r str,
}

impl View for DemoView<'_> {
    fn print_text(&self, console: &Console) {
        let DemoFleet { dir, user_count, baseline, head } = &self.fleet;
        let dir = escape_for_display(dir.as_os_str());
        console.line(format!(
            "created {dir}: MIGRATIONS.md, system.db and {user_count} user databases at {baseline}, with rows in them"
        ));
        console.line(format!("\n$ tatmig upgrade --all-users      (head is {head})\n"));
        self.run.print_text(console);
        let Some(NextCommands { program, conflicting_user }) = &self.next else { return };
        console.line(format!(
            "\n{conflicting_user} has tagged a note twice, so this database was rolled back; all others were upgraded.\n\n\
             Try next:\n  \
             cd {dir}\n  \
             {program} status\n  \
             {program} upgrade --all-users --dry-run\n  \
             {program} seed merge-tags --user {conflicting_user} && {program} upgrade --all-users\n\n\
             The last line fixes {conflicting_user}'s rows and upgrades the last database.",
        ));
    }

    fn print_errors(&self, console: &Console) {
        self.run.print_errors(console);
    }

    fn changes(&self) -> String {
        self.run.changes()
    }

    fn exit_status(&self) -> u8 {
        match self.next {
            // The demo intends one failure.
            Some(_) => EXIT_SUCCESS,
            None => self.run.exit_status().max(EXIT_FAILURE),
        }
    }
}
