//! `backup`, `restore` and `reset`: whole databases are moved, and what is replaced is copied
//! first.

use std::ffi::OsString;

use anyhow::bail;
use tatmig::backup::{Backup, BackupDir, reject_open_databases};
use tatmig::fleet::TargetDatabase;
use tatmig::fleet::{Fleet, RunOptions, UserSelection};
use tatmig::migrate::DatabaseStatus;
use tatmig::plan::MigrateError;
use tatmig::{Changelog, Scope};

use crate::cli::command_args;
use crate::cli::command_args::UserArgs;
use crate::cli::commands::{CommandContext, DocumentFile};
use crate::cli::report::{EXIT_FAILURE, Operation, Report, RunSummary};

fn backup_dir(context: CommandContext<'_>) -> BackupDir {
    BackupDir::new(context.settings.backups_dir.clone())
}

/// Copies the databases named. The document tells which there are; without one that can be read,
/// the files do, since that is when a backup is wanted most.
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
            .print_note("the document cannot be used; the databases that are there are copied");
    }
    let fleet = Fleet::discover(fleet_config, includes_scope, &selection)?;
    let databases: Vec<&TargetDatabase> = fleet.databases().collect();
    if databases.is_empty() {
        bail!("there is nothing to copy; `--all-users` or `--user NAME` names user databases");
    }
    let bar = context.report.progress_bar(databases.len());
    let options = context.run_options();
    let backup_result =
        backup_dir(context).create((&databases, "backup"), &options, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    let status = context.report.print_backup(&fleet, &backup_result);
    let expects_system_database =
        changelog.as_ref().is_some_and(|changelog| changelog.has_scope(Scope::System));
    if expects_system_database && !has_system_database {
        let path = fleet_config.system_database().location.display();
        context
            .report
            .print_error(format!("there is no system database at `{path}`, so it was not copied"));
        return Ok(EXIT_FAILURE);
    }
    Ok(status)
}

pub(crate) fn list_backups(context: CommandContext<'_>) -> anyhow::Result<u8> {
    let backups = backup_dir(context).list()?;
    Ok(context.report.print_backup_list(&context.settings.backups_dir, &backups))
}

pub(crate) fn prune_backups(context: CommandContext<'_>, keep: usize) -> anyhow::Result<u8> {
    let prune_result = backup_dir(context)
        .prune(keep, (&context.settings.fleet_config, &context.connect_options()))?;
    Ok(context.report.print_prune(&prune_result))
}

/// Whether a database is about to be changed, or may be.
pub(crate) fn may_be_changed(status: Option<&DatabaseStatus>) -> bool {
    status.is_none_or(|status| {
        !status.steps.is_empty()
            || matches!(status.error.as_deref(), Some(MigrateError::Database(_)))
    })
}

/// Copies databases that are about to be changed. One that cannot be copied is marked to be left
/// alone.
pub(crate) fn back_up_before_change(
    context: CommandContext<'_>,
    (fleet, selected): (&mut Fleet, &[bool]),
    (reason, options): (&str, &RunOptions),
) -> anyhow::Result<Option<Backup>> {
    let mut databases: Vec<&mut TargetDatabase> = fleet
        .system
        .iter_mut()
        .chain(&mut fleet.users)
        .zip(selected)
        .filter_map(|(database, selected)| selected.then_some(database))
        .collect();
    back_up(context, &mut databases, (reason, options))
}

fn back_up(
    context: CommandContext<'_>,
    databases: &mut [&mut TargetDatabase],
    (reason, options): (&str, &RunOptions),
) -> anyhow::Result<Option<Backup>> {
    let bar = context.report.progress_bar(databases.len());
    let sources: Vec<&TargetDatabase> = databases.iter().map(|database| &**database).collect();
    let backup_result =
        backup_dir(context).create((&sources, reason), options, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    for (database, outcome) in databases.iter_mut().zip(&backup_result.results) {
        if let (Some(Err(error)), None) = (outcome, &database.skip_reason) {
            database.skip_without_backup(error);
        }
    }
    Ok(backup_result.backup)
}

/// Puts databases back as a backup holds them.
pub(crate) fn restore_backup(
    context: CommandContext<'_>,
    args: &command_args::RestoreArgs,
) -> anyhow::Result<u8> {
    let backup = backup_dir(context).find(&args.id)?;
    let is_whole_backup = args.users.is_empty() && !args.system;
    let mut requested: Vec<(Scope, OsString)> = Vec::new();
    if is_whole_backup {
        let copies = backup.manifest.databases.iter();
        requested.extend(copies.map(|copy| (copy.scope, copy.user.clone())));
    } else {
        requested.extend(args.system.then(|| (Scope::System, "system".into())));
        requested.extend(args.users.iter().map(|user| (Scope::User, user.clone())));
        requested.sort();
        requested.dedup();
    }
    let mut databases = Fleet::resolve(&context.settings.fleet_config, &requested)?;
    let mut missing = Vec::new();
    for database in &databases {
        if backup.entry_for(database).is_none() {
            missing.push(format!("`{}`", database.display_name()));
        }
    }
    if !missing.is_empty() {
        let (id, users) = (backup.id, missing.join(", "));
        bail!(tatmig::backup::BackupError::NoCopyOfUser { id, users });
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
        safety_backup = back_up(context, &mut existing, ("restore", &options))?;
    }
    let bar = context.report.progress_bar(databases.len());
    let results = backup.restore(&databases, &options, &mut || bar.inc(1));
    bar.finish_and_clear();
    let results: Vec<_> = databases.iter().zip(&results).collect();
    Ok(context.report.print_restore((&backup, safety_backup.as_ref()), &results))
}

/// Puts new databases in the place of those named.
pub(crate) fn reset_databases(
    context: CommandContext<'_>,
    args: &command_args::ResetArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = args.users.selection();
    // Who resets one user does not mean the system database.
    let is_named_selection = matches!(selection, UserSelection::Named(_));
    let includes_scope =
        |scope| changelog.has_scope(scope) && !(is_named_selection && scope == Scope::System);
    let mut fleet = Fleet::discover(&context.settings.fleet_config, includes_scope, &selection)?;
    if fleet.databases().next().is_none() {
        bail!("there is nothing to reset; `--all-users` or `--user NAME` names user databases");
    }
    let replay = context.replay(&changelog, changelog.head_index())?;
    let migrator = context.migrator((&changelog, &replay), changelog.head_index());
    if !args.yes {
        Report::confirm_reset(&fleet)?;
    }
    let options = context.run_options();
    let mut databases: Vec<TargetDatabase> = fleet.databases().cloned().collect();
    reject_open_databases(&mut databases);
    let mut safety_backup = None;
    if !args.no_backup {
        let mut openable: Vec<&mut TargetDatabase> =
            databases.iter_mut().filter(|database| database.skip_reason.is_none()).collect();
        safety_backup = back_up(context, &mut openable, ("reset", &options))?;
    }
    let mut databases = databases.into_iter();
    fleet.system = fleet.system.and_then(|_| databases.next());
    fleet.users = databases.collect();
    let bar = context.report.progress_bar(fleet.databases().count());
    let fleet_outcome = fleet.reset(&migrator, &options, &mut |_, _| bar.inc(1));
    bar.finish_and_clear();
    let summary =
        RunSummary { backup: safety_backup, operation: Operation::Reset, ..RunSummary::default() };
    let target = migrator.target().to_string();
    Ok(context.report.print_run((&fleet, &fleet_outcome), (changelog.source(), &target), &summary))
}
