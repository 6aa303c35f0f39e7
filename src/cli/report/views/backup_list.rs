//! Lists backups, oldest first, and shows which of them `backup prune` removed.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use tatmig::backup::{Backup, BackupError, ManifestEntry, PruneResult};
use tatmig::text::{escape_for_display, list_names};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{format_size, plural};
use crate::cli::report::json::ErrorEntry;
use crate::cli::report::view::View;
use crate::cli::report::views::backup_entry::{BackupEntry, version_label};

/// The result of `backup list`.
#[derive(Serialize)]
pub(crate) struct BackupListView<'r> {
    dir: String,
    backups: Vec<ListedBackup<'r>>,
    #[serde(skip)]
    results: &'r [Result<Backup, BackupError>],
}

/// The JSON object of one backup.
#[derive(Serialize)]
#[serde(untagged)]
enum ListedBackup<'r> {
    Readable {
        #[serde(flatten)]
        backup: BackupEntry<'r>,
        created_at: &'r str,
        reason: &'r str,
        copies: &'r [ManifestEntry],
    },
    Unreadable {
        error: ErrorEntry<'r>,
    },
}

impl<'r> BackupListView<'r> {
    pub(crate) fn new(dir: &Path, results: &'r [Result<Backup, BackupError>]) -> Self {
        let backups = results.iter().map(|result| match result {
            Ok(backup) => ListedBackup::Readable {
                backup: BackupEntry::new(backup),
                created_at: &backup.manifest.created_at,
                reason: &backup.manifest.reason,
                copies: &backup.manifest.databases,
            },
            Err(error) => {
                ListedBackup::Unreadable { error: ErrorEntry::from_message(error.to_string()) }
            }
        });
        Self { dir: escape_for_display(dir.as_os_str()), backups: backups.collect(), results }
    }

    fn readable(&self) -> impl Iterator<Item = &'r Backup> {
        self.results.iter().flatten()
    }
}

impl View for BackupListView<'_> {
    fn print_text(&self, console: &Console) {
        if self.results.is_empty() {
            let dir = &self.dir;
            console.line(format!("no backups in `{dir}`; `tatmig backup --all-users` creates one"));
        }
        let width = self.readable().map(|backup| backup.id.len()).max().unwrap_or_default();
        for backup in self.readable() {
            console.line(format!("{:width$}  {}", backup.id, describe(backup)));
            if console.is_verbose() {
                for copy in &backup.manifest.databases {
                    let user = escape_for_display(&copy.user);
                    let (version, size) = (version_label(copy), format_size(copy.size));
                    console.line(format!("  {user}: {version}, {size} from {}", copy.path));
                }
            }
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        for error in self.results.iter().filter_map(|result| result.as_ref().err()) {
            console.error(error);
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.results.iter().any(Result::is_err))
    }
}

/// `2 databases, 36.9 kB, at 1.2.0, before an upgrade`.
fn describe(backup: &Backup) -> String {
    let copies = &backup.manifest.databases;
    let reason = match backup.manifest.reason.as_str() {
        "backup" => "by `tatmig backup`".to_owned(),
        "upgrade" => "before an upgrade".to_owned(),
        reason => format!("before a {reason}"),
    };
    format!(
        "{}, {}, at {}, {reason}",
        plural(copies.len(), "database"),
        format_size(backup.size()),
        list_versions(copies)
    )
}

fn list_versions(copies: &[ManifestEntry]) -> String {
    let versions: BTreeSet<&str> =
        copies.iter().map(|copy| copy.version.as_deref().unwrap_or("no version")).collect();
    let versions: Vec<String> = versions.into_iter().map(str::to_owned).collect();
    list_names(&versions).replace('`', "")
}

/// The result of `backup prune`.
#[derive(Serialize)]
pub(crate) struct PruneView<'r> {
    removed: Vec<&'r str>,
    kept: Vec<&'r str>,
    /// Old backups that were kept since they hold the only copy of a database at its version.
    kept_as_only_copy: &'r [String],
    /// The bytes that the removed backups held.
    freed: u64,
    #[serde(skip)]
    dir: String,
}

impl<'r> PruneView<'r> {
    pub(crate) fn new(dir: &Path, result: &'r PruneResult) -> Self {
        let ids = |backups: &'r [Backup]| backups.iter().map(|b| b.id.as_str()).collect();
        Self {
            removed: ids(&result.removed),
            kept: ids(&result.kept),
            kept_as_only_copy: &result.kept_as_only_copy,
            freed: result.removed.iter().map(Backup::size).sum(),
            dir: escape_for_display(dir.as_os_str()),
        }
    }
}

impl View for PruneView<'_> {
    fn print_text(&self, console: &Console) {
        console.line(format!(
            "{} removed ({}), {} kept",
            plural(self.removed.len(), "backup"),
            format_size(self.freed),
            self.kept.len()
        ));
        if !self.kept_as_only_copy.is_empty() {
            console.line(format!(
                "older backups kept, each the only backup of a database at that version: {}; `--keep` never removes these; to remove one all the same, delete its directory in `{}`",
                list_names(self.kept_as_only_copy),
                self.dir
            ));
        }
    }
}
