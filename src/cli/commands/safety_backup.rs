//! Backs up databases before a command changes or replaces them.

use tatmig::backup::{Backup, BackupDir};
use tatmig::fleet::TargetDatabase;
use tatmig::fleet::{Fleet, RunOptions};
use tatmig::migrate::DatabaseStatus;
use tatmig::plan::MigrateError;

use crate::cli::commands::context::CommandContext;
use crate::cli::report::progress::Stage;

/// The directory of backups according to the settings.
pub(crate) fn backup_dir(context: CommandContext<'_>) -> BackupDir {
    BackupDir::new(context.settings.backups_dir.clone())
}

/// Whether a run with this plan changes the database, or may change it.
pub(crate) fn may_be_changed(status: Option<&DatabaseStatus>) -> bool {
    status.is_none_or(|status| {
        !status.steps.is_empty()
            || matches!(status.error.as_deref(), Some(MigrateError::Database(_)))
    })
}

/// Backs up the databases of a fleet that a run may change, according to their statuses. `reason`
/// is the name of the command. A database that cannot be copied gets a skip reason, so that the run
/// leaves it unchanged.
///
/// # Errors
///
/// The directory of backups cannot be written, or the disk has not enough free space.
pub(crate) fn back_up_before_change(
    context: CommandContext<'_>,
    fleet: &mut Fleet,
    statuses: &[Option<DatabaseStatus>],
    reason: &str,
    options: &RunOptions,
) -> anyhow::Result<Option<Backup>> {
    let mut databases: Vec<&mut TargetDatabase> = fleet
        .system
        .iter_mut()
        .chain(&mut fleet.users)
        .zip(statuses)
        .filter_map(|(database, status)| may_be_changed(status.as_ref()).then_some(database))
        .collect();
    back_up(context, &mut databases, reason, options)
}

/// Backs up databases as [`back_up_before_change`] does.
pub(crate) fn back_up(
    context: CommandContext<'_>,
    databases: &mut [&mut TargetDatabase],
    reason: &str,
    options: &RunOptions,
) -> anyhow::Result<Option<Backup>> {
    let progress = context.report.progress(Stage::BackingUp, Some(databases.len()));
    let sources: Vec<&TargetDatabase> = databases.iter().map(|database| &**database).collect();
    let backup_result =
        backup_dir(context).create(&sources, reason, options, &mut || progress.inc())?;
    drop(progress);
    for notice in &backup_result.notices {
        context.report.print_note(notice);
    }
    let hint = "pass `--no-backup` to change it without a copy";
    for (database, outcome) in databases.iter_mut().zip(&backup_result.results) {
        if let (Some(Err(error)), None) = (outcome, &database.skip_reason) {
            database.skip_without_backup(error, hint);
        }
    }
    Ok(backup_result.backup)
}
