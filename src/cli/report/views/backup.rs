//! Shows what `backup` copied.

use serde::Serialize;
use tatmig::backup::BackupResult;
use tatmig::fleet::Fleet;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{describe_unselected_users, format_size};
use crate::cli::report::view::{NOTHING_CHANGED, View};
use crate::cli::report::views::backup_entry::{BackupEntry, describe_backup, version_label};
use crate::cli::report::views::copied_database::{
    CopiedDatabase, CopyCounts, CopyDirection, print_copy_errors,
};

/// The result of `backup`.
#[derive(Serialize)]
pub(crate) struct BackupView<'r> {
    backup: Option<BackupEntry<'r>>,
    #[serde(skip)]
    databases: Vec<CopiedDatabase<'r>>,
    #[serde(skip)]
    summary: CopyCounts,
    #[serde(skip)]
    fleet: &'r Fleet,
    #[serde(skip)]
    result: &'r BackupResult,
    /// The path of a system database that the document needs and that does not exist.
    #[serde(skip)]
    missing_system_database: Option<String>,
}

impl<'r> BackupView<'r> {
    pub(crate) fn new(
        fleet: &'r Fleet,
        result: &'r BackupResult,
        missing_system_database: Option<String>,
    ) -> Self {
        let direction = CopyDirection::Backup;
        let databases = CopiedDatabase::list(fleet.databases(), &result.results, direction);
        let backup = result.backup.as_ref().map(BackupEntry::new);
        let summary = CopyCounts::new(&databases, direction);
        Self { backup, databases, summary, fleet, result, missing_system_database }
    }

    fn print_notices(&self, console: &Console) {
        for notice in self.fleet.notices.iter().chain(&self.result.notices) {
            console.note(notice);
        }
    }

    fn print_copies(&self, console: &Console) {
        for copied in &self.databases {
            if let Some(copy) = copied.manifest_entry() {
                let name = copied.database.display_name();
                let size = format_size(copy.size);
                console.line(format!("{name}: {}, {size}", version_label(copy)));
            }
        }
    }

    fn print_backup_errors(&self, console: &Console) {
        print_copy_errors(console, &self.databases);
        if let Some(path) = &self.missing_system_database {
            console.error(format!(
                "the system database `{path}` does not exist, so it was not copied"
            ));
        }
    }
}

impl View for BackupView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_notices(console);
        if console.is_verbose() {
            self.print_copies(console);
        }
        match &self.result.backup {
            Some(backup) => {
                console.line(describe_backup(backup));
                let pronoun = if backup.manifest.databases.len() == 1 { "it" } else { "them" };
                console.line(format!("`tatmig restore {}` restores {pronoun}", backup.id));
            }
            None => console.line("no backup was created"),
        }
        if let Some(line) = describe_unselected_users(self.fleet) {
            console.line(line);
        }
        self.print_backup_errors(console);
        self.summary.print_incomplete(console, CopyDirection::Backup);
    }

    fn print_errors(&self, console: &Console) {
        self.print_notices(console);
        self.print_backup_errors(console);
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.missing_system_database.is_some()).max(self.summary.exit_status())
    }

    fn changes(&self) -> String {
        match self.result.backup {
            Some(_) => NOTHING_CHANGED.to_owned(),
            None => format!("{NOTHING_CHANGED}, and no backup was created"),
        }
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
