//! Describes a backup: in one line of text, as a JSON object, and as the command that restores one
//! database of it.

use serde::Serialize;
use tatmig::Scope;
use tatmig::backup::{Backup, ManifestEntry};
use tatmig::fleet::TargetDatabase;
use tatmig::text::escape_for_display;

use crate::cli::report::format::{format_size, plural};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;

/// The JSON object of a backup.
#[derive(Serialize)]
pub(crate) struct BackupEntry<'r> {
    id: &'r str,
    dir: String,
    databases: usize,
    size: u64,
}

impl<'r> BackupEntry<'r> {
    pub(crate) fn new(backup: &'r Backup) -> Self {
        Self {
            id: &backup.id,
            dir: escape_for_display(backup.dir.as_os_str()),
            databases: backup.manifest.databases.len(),
            size: backup.size(),
        }
    }
}

/// `2 databases copied to backups/20261121T114500Z (36.9 kB)`.
pub(crate) fn describe_backup(backup: &Backup) -> StyledLine {
    let copies = &backup.manifest.databases;
    let count = plural(copies.len(), "database");
    let dir = escape_for_display(backup.dir.as_os_str());
    let size = format_size(backup.size());
    if copies.iter().all(|copy| copy.server.is_some()) {
        StyledLine::from_state(State::Copied, format!("{count} forked"))
            .text(format!(" on the server ({size}); the manifest is in {dir}"))
    } else {
        StyledLine::from_state(State::Copied, format!("{count} copied"))
            .text(format!(" to {dir} ({size})"))
    }
}

/// `at 1.2.0`, for a copy of a database.
pub(crate) fn version_label(copy: &ManifestEntry) -> String {
    match &copy.version {
        Some(version) => format!("at {version}"),
        None => "without a history".to_owned(),
    }
}

/// The command that restores one database from a backup.
pub(crate) fn restore_command(backup: &Backup, database: &TargetDatabase) -> String {
    let selection = match database.scope {
        Scope::System => "--system".to_owned(),
        Scope::User => format!("--user {}", database.display_name()),
    };
    format!("tatmig restore {} {selection}", backup.id)
}
