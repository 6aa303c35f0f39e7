//! Describes databases that were copied or restored, for the views of `backup` and `restore`: the
//! JSON object of each database, the counts, and the errors.

use serde::Serialize;
use tatmig::backup::ManifestEntry;
use tatmig::database::DatabaseError;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;
use tatmig::text::escape_for_display;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::plural;
use crate::cli::report::json::{DatabaseKeys, ErrorEntry};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::views::failures::describe_databases;

/// The result of copying or restoring one database; `None` if it was not started before an
/// interrupt, or if an interrupt removed its copy.
type CopyResult = Option<Result<ManifestEntry, MigrateError>>;

/// Whether databases were copied or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyDirection {
    Backup,
    Restore,
}

impl CopyDirection {
    /// The outcome of a database without an error, and its key in the summary.
    fn success(self) -> State {
        match self {
            Self::Backup => State::Copied,
            Self::Restore => State::Restored,
        }
    }
}

/// One database that was to be copied or restored. Serialization converts it to a [`CopiedEntry`],
/// one database at a time.
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
    outcome: State,
    version: Option<&'r str>,
    file: Option<String>,
    size: Option<u64>,
    sha256: Option<&'r str>,
    error: Option<ErrorEntry<'r>>,
}

impl<'r> CopiedDatabase<'r> {
    /// Pairs databases with their results, which must be in the same order.
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

    /// The manifest entry of the copy that was created or restored; `None` without success.
    pub(crate) fn manifest_entry(&self) -> Option<&'r ManifestEntry> {
        self.result?.as_ref().ok()
    }

    fn error(&self) -> Option<&'r MigrateError> {
        self.result?.as_ref().err()
    }

    fn outcome_state(&self) -> State {
        match self.result {
            Some(Ok(_)) => self.direction.success(),
            Some(Err(MigrateError::Database(
                DatabaseError::Busy { .. } | DatabaseError::InUse { .. },
            ))) => State::Busy,
            Some(Err(_)) => State::Failed,
            None => State::Skipped,
        }
    }
}

impl<'r> From<CopiedDatabase<'r>> for CopiedEntry<'r> {
    fn from(copied: CopiedDatabase<'r>) -> Self {
        let copy = copied.manifest_entry();
        Self {
            database: DatabaseKeys::new(copied.database),
            outcome: copied.outcome_state(),
            version: copy.and_then(|copy| copy.version.as_deref()),
            file: copy.map(|copy| escape_for_display(&copy.file)),
            size: copy.map(|copy| copy.size),
            sha256: copy.map(|copy| copy.sha256.as_str()),
            error: copied.error().map(ErrorEntry::without_position),
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
        let count =
            |state| databases.iter().filter(|copied| copied.outcome_state() == state).count();
        let succeeded = count(direction.success());
        Self {
            copied: (direction == CopyDirection::Backup).then_some(succeeded),
            restored: (direction == CopyDirection::Restore).then_some(succeeded),
            failed: count(State::Failed),
            busy: count(State::Busy),
            skipped: count(State::Skipped),
            total: databases.len(),
        }
    }

    /// The exit status of the command. Databases that were not started do not count.
    pub(crate) fn exit_status(&self) -> u8 {
        failure_if(self.failed + self.busy > 0)
    }

    /// Prints how many databases failed and how many were skipped; nothing if all succeeded.
    pub(crate) fn print_incomplete(&self, console: &Console, direction: CopyDirection) {
        let failed = self.failed + self.busy;
        if failed > 0 {
            let verb = if failed == 1 { "was" } else { "were" };
            let failed = format!("{} failed", plural(failed, "database"));
            let result = format!(" and {verb} not {}", direction.success());
            console.line(StyledLine::from_state(State::Failed, failed).text(result));
        }
        if self.skipped > 0 {
            let skipped = format!("{} skipped", plural(self.skipped, "database"));
            console.line(StyledLine::from_state(State::Skipped, skipped));
        }
    }
}

/// Prints each distinct error once, with the databases that were not copied or restored for it.
pub(crate) fn print_copy_errors(console: &Console, databases: &[CopiedDatabase<'_>]) {
    let mut groups: Vec<(String, Vec<&TargetDatabase>)> = Vec::new();
    for copied in databases {
        let Some(error) = copied.error().map(ToString::to_string) else { continue };
        match groups.iter_mut().find(|(message, _)| *message == error) {
            Some((_, databases)) => databases.push(copied.database),
            None => groups.push((error, vec![copied.database])),
        }
    }
    for (message, databases) in groups {
        console.error(format!("{}: {message}", describe_databases(&databases)));
    }
}
