//! Shows what `restore` restored, and the backup of what it replaced.

use serde::Serialize;
use tatmig::backup::{Backup, ManifestEntry};
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;

use crate::cli::report::console::Console;
use crate::cli::report::format::plural;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::{View, describe_changes};
use crate::cli::report::views::backup_entry::{BackupEntry, describe_backup, version_label};
use crate::cli::report::views::copied_database::{
    CopiedDatabase, CopyCounts, CopyDirection, print_copy_errors,
};

/// The result of `restore`.
#[derive(Serialize)]
pub(crate) struct RestoreView<'r> {
    backup: BackupEntry<'r>,
    /// The backup that was made of the databases before they were replaced.
    replaced: Option<BackupEntry<'r>>,
    #[serde(skip)]
    databases: Vec<CopiedDatabase<'r>>,
    #[serde(skip)]
    summary: CopyCounts,
    #[serde(skip)]
    safety_backup: Option<&'r Backup>,
    #[serde(skip)]
    backup_id: &'r str,
}

impl<'r> RestoreView<'r> {
    /// Takes the backup that was restored, the backup that was made first, and the result of each
    /// database.
    pub(crate) fn new(
        backup: &'r Backup,
        safety_backup: Option<&'r Backup>,
        databases: &'r [TargetDatabase],
        results: &'r [Option<Result<ManifestEntry, MigrateError>>],
    ) -> Self {
        let direction = CopyDirection::Restore;
        let databases = CopiedDatabase::list(databases.iter(), results, direction);
        Self {
            backup: BackupEntry::new(backup),
            replaced: safety_backup.map(BackupEntry::new),
            summary: CopyCounts::new(&databases, direction),
            databases,
            safety_backup,
            backup_id: &backup.id,
        }
    }
}

impl View for RestoreView<'_> {
    fn print_text(&self, console: &Console) {
        let backup_id = self.backup_id;
        let restored: Vec<_> = self
            .databases
            .iter()
            .filter_map(|restored| Some((restored.database, restored.manifest_entry()?)))
            .collect();
        if let Some(backup) = self.safety_backup {
            console.line(describe_backup(backup).text(" before the restore"));
        }
        if restored.len() == 1 || console.is_verbose() {
            for (database, copy) in &restored {
                let (name, version) = (database.display_name(), version_label(copy));
                let line = StyledLine::from(format!("{name}: ")).state(State::Restored, "restored");
                console.line(line.text(format!(" from {backup_id}, {version}")));
            }
        }
        if restored.len() != 1 {
            let count = plural(restored.len(), "database");
            let line = StyledLine::from_state(State::Restored, format!("{count} restored"));
            console.line(line.text(format!(" from {backup_id}")));
        }
        if let Some(backup) = self.safety_backup.filter(|_| !restored.is_empty()) {
            console.line(format!("`tatmig restore {}` undoes this", backup.id));
        }
        self.print_errors(console);
        self.summary.print_incomplete(console, CopyDirection::Restore);
    }

    fn print_errors(&self, console: &Console) {
        print_copy_errors(console, &self.databases);
    }

    fn exit_status(&self) -> u8 {
        self.summary.exit_status()
    }

    fn changes(&self) -> String {
        let restored = self.databases.iter().filter(|found| found.manifest_entry().is_some());
        describe_changes(restored.count(), self.databases.len(), "restored")
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
