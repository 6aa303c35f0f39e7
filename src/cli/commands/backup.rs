//! Runs `backup` and `restore`: copies databases, and replaces databases with their copies.

use std::path::Path;

use anyhow::bail;
use tatmig::backup::{Backup, BackupError, ManifestEntry, Restored, reject_open_databases};
use tatmig::fleet::{DatabaseName, Fleet, TargetDatabase, UserSelection};
use tatmig::{Changelog, Scope};

use crate::cli::command_args::{RestoreArgs, UserArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::document_file::DocumentFile;
use crate::cli::commands::safety_backup::{back_up, backup_dir};
use crate::cli::report::views::backup::BackupView;
use crate::cli::report::views::backup_list::{BackupListView, PruneView};
use crate::cli::report::views::restore::RestoreView;

/// Copies the selected databases. The document decides which scopes have databases. If it cannot be
/// read, the files that exist decide, since a broken document is when a backup is needed most.
pub(crate) fn create_backup(context: CommandContext<'_>, users: &UserArgs) -> anyhow::Result<u8> {
    let document = DocumentFile::read(&context.settings.file).ok();
    let changelog = document
        .as_ref()
        .and_then(|document| Changelog::parse_named(&document.name, &document.text).ok());
    let fleet_config = &context.settings.fleet_config;
    let selection = users.selection();
    let has_system_database = fleet_config.system_database().location.exists();
    let includes_scope = |scope| match (&changelog, scope) {
        (changelog, Scope::System) => {
            changelog.as_ref().is_none_or(|changelog| changelog.has_scope(Scope::System))
                && (has_system_database || selection == UserSelection::None)
        }
        (Some(changelog), Scope::User) => changelog.has_scope(Scope::User),
        (None, Scope::User) => true,
    };
    if changelog.is_none() {
        context
            .report
            .print_note("the document cannot be used; copying every database that exists");
    }
    let fleet = context.discover(fleet_config, includes_scope, &selection)?;
    let databases: Vec<&TargetDatabase> = fleet.databases().collect();
    if databases.is_empty() {
        bail!("no database to copy; select user databases with `--all-users` or `--user NAME`");
    }
    let bar = context.report.progress_bar(databases.len());
    let options = context.run_options();
    let backup_result =
        backup_dir(context).create(&databases, "backup", &options, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    let needs_system_database =
        changelog.as_ref().is_some_and(|changelog| changelog.has_scope(Scope::System));
    let missing_system_database = (needs_system_database && !has_system_database)
        .then(|| fleet_config.system_database().location.display());
    Ok(context.report.emit(&BackupView::new(&fleet, &backup_result, missing_system_database)))
}

pub(crate) fn list_backups(context: CommandContext<'_>) -> anyhow::Result<u8> {
    let backups = backup_dir(context).list()?;
    Ok(context.report.emit(&BackupListView::new(&context.settings.backups_dir, &backups)))
}

pub(crate) fn prune_backups(context: CommandContext<'_>, keep: usize) -> anyhow::Result<u8> {
    let prune_result = backup_dir(context).prune(
        keep,
        &context.settings.fleet_config,
        &context.connect_options(),
    )?;
    Ok(context.report.emit(&PruneView::new(&prune_result)))
}

/// Replaces databases with their copies in a backup. Everything that can fail for all of them is
/// checked before the first one is replaced.
pub(crate) fn restore_backup(
    context: CommandContext<'_>,
    args: &RestoreArgs,
) -> anyhow::Result<u8> {
    let backup = backup_dir(context).find(&args.id)?;
    let mut databases = Fleet::resolve(
        &context.settings.fleet_config,
        &selected_databases(&backup, args),
        |name| backup.entry_named(name).map(|entry| Path::new(&entry.file)),
    )?;
    let missing: Vec<String> = databases
        .iter()
        .filter(|database| backup.entry_for(database).is_none())
        .map(|database| format!("`{}`", database.display_name()))
        .collect();
    if !missing.is_empty() {
        let (id, users) = (backup.id, missing.join(", "));
        bail!(BackupError::NoCopyOfUser { id, users });
    }
    let options = context.run_options();
    backup.check_copies(&databases, &options)?;
    backup.check_free_space(&databases)?;
    reject_open_databases(&mut databases);
    let mut safety_backup = None;
    if !args.no_backup {
        let mut existing: Vec<&mut TargetDatabase> = databases
            .iter_mut()
            .filter(|database| database.skip_reason.is_none() && database.location.exists())
            .collect();
        safety_backup = back_up(context, &mut existing, "restore", &options)?;
    }
    let bar = context.report.progress_bar(databases.len());
    let results = backup.restore(&databases, &options, &mut || bar.inc(1));
    bar.finish_and_clear();
    for (database, result) in databases.iter().zip(&results) {
        if let Some(Ok(Restored { note: Some(note), .. })) = result {
            context.report.print_note(format!("{}: {note}", database.display_name()));
        }
    }
    let results: Vec<_> = results
        .into_iter()
        .map(|result| result.map(|restored| restored.map(|restored| restored.entry)))
        .collect();
    let safety_backup = safety_backup.as_ref();
    Ok(context.report.emit(&RestoreView::new(&backup, safety_backup, &databases, &results)))
}

/// The selected databases: everything in the backup if none is selected.
fn selected_databases(backup: &Backup, args: &RestoreArgs) -> Vec<DatabaseName> {
    if args.users.is_empty() && !args.system {
        let copies = backup.manifest.databases.iter();
        let name =
            |copy: &ManifestEntry| DatabaseName { scope: copy.scope, name: copy.user.clone() };
        return copies.map(name).collect();
    }
    let mut selected: Vec<DatabaseName> = Vec::new();
    selected.extend(args.system.then(DatabaseName::system));
    selected.extend(args.users.iter().cloned().map(DatabaseName::user));
    selected.sort();
    selected.dedup();
    selected
}
