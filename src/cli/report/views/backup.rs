//! Shows what `backup` copied.

use serde::Serialize;
use tatmig::backup::{BackupResult, ManifestEntry};
use tatmig::database::DatabaseError;
use tatmig::fleet::Fleet;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;
use tatmig::text::escape_for_display;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{describe_unselected_users, format_size, plural};
use crate::cli::report::json::DatabaseKeys;
use crate::cli::report::view::View;
use crate::cli::report::views::copies::{BackupEntry, describe_backup, version_label};
use crate::cli::report::views::failures::name_and_location;

/// The result of copying or restoring one database; `None` if it was not started.
type CopyResult = Option<Result<ManifestEntry, MigrateError>>;

/// Whether databases were copied or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyDirection {
    Backup,
    Restore,
}

impl CopyDirection {
    fn success_name(self) -> &'static str {
        match self {
            Self::Backup => "copied",
            Self::Restore => "restored",
        }
    }
}

/// One database that was to be copied or restored. It is turned into a [`CopiedEntry`] as it is
/// written.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "CopiedEntry<'r>")]
pub(crate) struct CopiedDatabase<'r> {
    pub(crate) database: &'r TargetDatabase,
    result: Option<&'r Result<ManifestEntry, MigrateError>>,
    direction: CopyDirection,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct CopiedEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    outcome: &'static str,
    version: Option<&'r str>,
    file: Option<String>,
    size: Option<u64>,
    sha256: Option<&'r str>,
    error: Option<MessageEntry>,
}

#[derive(Serialize)]
struct MessageEntry {
    message: String,
}

impl<'r> CopiedDatabase<'r> {
    pub(crate) fn list(
        databases: impl Iterator<Item = &'r TargetDatabase>,
        results: &'r [CopyResult],
        direction: CopyDirection,
    ) -> Vec<Self> {
        let pairs = databases.zip(results);
        let copied =
            pairs.map(|(database, result)| Self { database, result: result.as_ref(), direction });
        copied.collect()
    }

    /// The entry of the manifest, if the database was copied or restored.
    pub(crate) fn copy(&self) -> Option<&'r ManifestEntry> {
        self.result?.as_ref().ok()
    }

    fn error(&self) -> Option<&'r MigrateError> {
        self.result?.as_ref().err()
    }

    fn outcome_name(&self) -> &'static str {
        match self.result {
            Some(Ok(_)) => self.direction.success_name(),
            Some(Err(MigrateError::Database(
                DatabaseError::Busy { .. } | DatabaseError::InUse { .. },
            ))) => "busy",
            Some(Err(_)) => "failed",
            None => "skipped",
        }
    }
}

impl<'r> From<CopiedDatabase<'r>> for CopiedEntry<'r> {
    fn from(copied: CopiedDatabase<'r>) -> Self {
        let copy = copied.copy();
        Self {
            database: DatabaseKeys::new(copied.database),
            outcome: copied.outcome_name(),
            version: copy.and_then(|copy| copy.version.as_deref()),
            file: copy.map(|copy| escape_for_display(&copy.file)),
            size: copy.map(|copy| copy.size),
            sha256: copy.map(|copy| copy.sha256.as_str()),
            error: copied.error().map(|error| MessageEntry { message: error.to_string() }),
        }
    }
}

/// How many databases have each outcome.
#[derive(Serialize)]
pub(crate) struct CopyCounts {
    #[serde(skip_serializing_if = "Option::is_none")]
    copied: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<usize>,
    failed: usize,
    busy: usize,
    skipped: usize,
    total: usize,
}

impl CopyCounts {
    pub(crate) fn new(databases: &[CopiedDatabase<'_>], direction: CopyDirection) -> Self {
        let count = |name| databases.iter().filter(|copied| copied.outcome_name() == name).count();
        let succeeded = count(direction.success_name());
        Self {
            copied: (direction == CopyDirection::Backup).then_some(succeeded),
            restored: (direction == CopyDirection::Restore).then_some(succeeded),
            failed: count("failed"),
            busy: count("busy"),
            skipped: count("skipped"),
            total: databases.len(),
        }
    }

    pub(crate) fn exit_status(&self) -> u8 {
        failure_if(self.failed + self.busy > 0)
    }

    /// Counts the databases that were not copied or not restored.
    pub(crate) fn print_incomplete(&self, console: &Console, direction: CopyDirection) {
        let failed = self.failed + self.busy;
        if failed > 0 {
            let verb = if failed == 1 { "was" } else { "were" };
            let failed = plural(failed, "database");
            console.line(format!("{failed} failed and {verb} not {}", direction.success_name()));
        }
        if self.skipped > 0 {
            console.line(format!("{} not started", plural(self.skipped, "database")));
        }
    }
}

/// Prints the error of each database that was not copied or restored.
pub(crate) fn print_copy_errors(console: &Console, databases: &[CopiedDatabase<'_>]) {
    for copied in databases {
        if let Some(error) = copied.error() {
            console.error(format!("{}: {error}", name_and_location(copied.database)));
        }
    }
}

/// The result of `backup`.
#[derive(Serialize)]
pub(crate) struct BackupView<'r> {
    backup: Option<BackupEntry<'r>>,
    databases: Vec<CopiedDatabase<'r>>,
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
        for notice in &self.fleet.notices {
            console.note(notice);
        }
    }

    fn print_copies(&self, console: &Console) {
        for copied in &self.databases {
            if let Some(copy) = copied.copy() {
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
}
