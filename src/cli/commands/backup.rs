//! Runs `backup` and `restore`: copies databases, and replaces databases with their copies.

use std::path::Path;

use anyhow::bail;
use tatmig::Scope;
use tatmig::backup::{
    Backup, BackupError, BackupResult, ManifestEntry, Restored, reject_open_databases,
};
use tatmig::fleet::{
    DatabaseName, Fleet, Selection, SystemSelection, TargetDatabase, UserSelection,
};

use crate::cli::args::copy::CopyRule;
use crate::cli::args::options::RestoreArgs;
use crate::cli::args::selection::{DefaultSelection, SelectionArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::commands::safety_backup::{back_up, backup_dir};
use crate::cli::report::progress::Stage;
use crate::cli::report::views::backup::BackupView;
use crate::cli::report::views::backup_list::{BackupListView, PruneView};
use crate::cli::report::views::restore::RestoreView;

/// Copies the selected databases. The document decides which scopes have databases. If it cannot be
/// read, the files that exist decide, since a broken document is when a backup is needed most.
pub(crate) fn create_backup(
    context: CommandContext<'_>,
    selection_args: &SelectionArgs,
) -> anyhow::Result<u8> {
    let selection = selection_args.resolve(DefaultSelection::SystemDatabase)?;
    let document = context.read_document().ok();
    let changelog = context.parse_if_valid(document.as_ref());
    if changelog.is_none() {
        context
            .report
            .print_note("the document cannot be used; copying every database that exists");
    }
    let system_database = context.settings.fleet_config.system_database();
    let needs_system_database = selection.system == SystemSelection::Implied
        && selection.includes_users()
        && changelog.as_ref().is_some_and(|changelog| changelog.has_scope(Scope::System));
    // The users are copied all the same.
    let is_system_missing = needs_system_database && !system_database.location.exists();
    let system = if is_system_missing { SystemSelection::Excluded } else { selection.system };
    let selection = Selection { system, ..selection };
    let fleet = context.discover_existing(changelog.as_ref(), &selection)?;
    if selection.includes_users() && fleet.databases().next().is_none() {
        return Ok(context.report.emit(&BackupView::new(&fleet, &BackupResult::default(), None)));
    }
    let databases: Vec<&TargetDatabase> = fleet.databases().collect();
    if databases.is_empty() {
        bail!("no database to copy; select user databases with `--all-users` or `--user NAME`");
    }
    let progress = context.report.progress(Stage::BackingUp, Some(databases.len()));
    let options = context.run_options();
    let backup_result =
        backup_dir(context).create(&databases, "backup", &options, &mut || progress.inc())?;
    drop(progress);
    let missing_system_database = is_system_missing.then(|| system_database.location.display());
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
    Ok(context.report.emit(&PruneView::new(&context.settings.backups_dir, &prune_result)))
}

/// Replaces databases with their copies in a backup. Everything that can fail for all of them is
/// checked before the first one is replaced.
pub(crate) fn restore_backup(
    context: CommandContext<'_>,
    args: &RestoreArgs,
) -> anyhow::Result<u8> {
    let backup = backup_dir(context).find(&args.id)?;
    let selected = selected_databases(context, &backup, args)?;
    if selected.is_empty() {
        bail!("the backup `{}` holds none of the selected databases", backup.id);
    }
    let fleet_config = &context.settings.fleet_config;
    let mut databases = Fleet::resolve(fleet_config, &selected, |name| {
        backup.entry_named(name).map(|entry| Path::new(&entry.file))
    })?;
    let missing: Vec<String> = databases
        .iter()
        .filter(|database| backup.entry_for(database).is_none())
        .map(|database| format!("`{}`", database.display_name()))
        .collect();
    if !missing.is_empty() {
        let mut newest_first = backup_dir(context).list()?.into_iter().rev().flatten();
        let other = newest_first
            .find(|other| databases.iter().all(|database| other.entry_for(database).is_some()));
        let (id, users, other) = (backup.id, missing.join(", "), other.map(|other| other.id));
        bail!(BackupError::NoCopyOfUser { id, users, other });
    }
    let options = context.run_options();
    let progress = context.report.progress(Stage::CheckingCopies, None);
    backup.check_copies(&databases, &options)?;
    drop(progress);
    backup.check_free_space(&databases)?;
    reject_open_databases(&mut databases);
    let mut safety_backup = None;
    if args.copies.wanted(CopyRule::Always) {
        let mut existing: Vec<&mut TargetDatabase> = databases
            .iter_mut()
            .filter(|database| database.skip_reason.is_none() && database.location.exists())
            .collect();
        safety_backup = back_up(context, &mut existing, "restore", &options)?;
    }
    let progress = RunProgress::start(context, Stage::Restoring, &databases);
    let results = backup.restore(&databases, &options, &mut progress.on_done());
    drop(progress);
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

/// The selected databases of a backup: everything in it if none is selected.
fn selected_databases(
    context: CommandContext<'_>,
    backup: &Backup,
    args: &RestoreArgs,
) -> anyhow::Result<Vec<DatabaseName>> {
    let selection = args.selection.resolve(DefaultSelection::Everything)?;
    let shard = context.settings.fleet_config.shard;
    // What the options imply, of what the backup holds.
    let is_implied = |copy: &&ManifestEntry| match copy.scope {
        Scope::System => selection.system == SystemSelection::Implied,
        Scope::User => {
            selection.users == UserSelection::All
                && shard.is_none_or(|shard| shard.contains(&copy.user))
        }
    };
    let name = |copy: &ManifestEntry| DatabaseName { scope: copy.scope, name: copy.user.clone() };
    let mut selected: Vec<DatabaseName> =
        backup.manifest.databases.iter().filter(is_implied).map(name).collect();
    if selection.system == SystemSelection::Named {
        selected.push(DatabaseName::system());
    }
    if let UserSelection::Named(names) = &selection.users {
        selected.extend(names.iter().cloned().map(DatabaseName::user));
    }
    selected.sort();
    selected.dedup();
    Ok(selected)
}
