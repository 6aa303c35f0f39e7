//! `status`, `history` and `verify`: databases are opened read-only, and not a byte beside them changes.

use std::ffi::OsString;

use anyhow::bail;
use tatmig::fleet::{Fleet, FleetError, UserSelection};
use tatmig::migrate::StatusQuery;
use tatmig::{Changelog, Scope};

use crate::cli::command_args::StatusArgs;
use crate::cli::commands::CommandContext;
use crate::cli::report::{ExitOnPending, FleetStats};

/// Where every database stands.
pub(crate) fn show_status(context: CommandContext<'_>, args: &StatusArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let fleet = selected_fleet(context, &changelog, args)?;
    let databases: Vec<_> = fleet.databases().collect();
    let bar = context.report.progress_bar(databases.len());
    // What a schema without a record tells is only asked of a document that holds together.
    let replay = context.valid_replay(&changelog);
    let query = StatusQuery {
        changelog: &changelog,
        replay: replay.as_ref(),
        target: changelog.head_index(),
    };
    let statuses = fleet.statuses_at(query, &context.run_options(), &mut || bar.inc(1));
    bar.finish_and_clear();
    for notice in &fleet.notices {
        context.report.print_note(notice);
    }
    let database_statuses: Vec<_> = databases
        .into_iter()
        .zip(&statuses)
        .filter_map(|(database, status)| Some((database, status.as_ref()?)))
        .collect();
    let exit_on_pending = if args.exit_code { ExitOnPending::Yes } else { ExitOnPending::No };
    let stats = args.stats.then(|| {
        let bar = context.report.progress_bar(fleet.databases().count());
        let stats = fleet.stats(&context.run_options(), &mut || bar.inc(1));
        bar.finish_and_clear();
        FleetStats::new(&fleet, stats)
    });
    Ok(context.report.print_statuses(
        (&changelog, &database_statuses),
        stats.as_ref(),
        exit_on_pending,
    ))
}

/// The databases that were asked for; all where none is named.
fn selected_fleet(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    args: &StatusArgs,
) -> anyhow::Result<Fleet> {
    if args.system {
        if !changelog.has_scope(Scope::System) {
            bail!("the document has no system block, so there is no system database");
        }
        let only_system = |scope| scope == Scope::System;
        return Ok(Fleet::discover(
            &context.settings.fleet_config,
            only_system,
            &UserSelection::None,
        )?);
    }
    if args.users.is_empty() {
        return Ok(context.discover_fleet(changelog, &UserSelection::All)?);
    }
    if !changelog.has_scope(Scope::User) {
        bail!(FleetError::NoUserBlocks);
    }
    let only_users = |scope| scope == Scope::User;
    let named_users = UserSelection::Named(args.users.clone());
    Ok(Fleet::discover(&context.settings.fleet_config, only_users, &named_users)?)
}

/// The document's migrations, or those of one database.
pub(crate) fn show_history(
    context: CommandContext<'_>,
    (user, system): (Option<OsString>, bool),
) -> anyhow::Result<u8> {
    let fleet_config = &context.settings.fleet_config;
    let database = match user {
        Some(user) => {
            let only_users = |scope| scope == Scope::User;
            let fleet =
                Fleet::discover(fleet_config, only_users, &UserSelection::Named(vec![user]))?;
            fleet.users.into_iter().next()
        }
        None if system => {
            let only_system = |scope| scope == Scope::System;
            Fleet::discover(fleet_config, only_system, &UserSelection::None)?.system
        }
        None => None,
    };
    let Some(member) = database else {
        let document = context.read_document()?;
        return Ok(context.report.print_changelog(&context.parse_changelog(&document)?));
    };
    let options = context.connect_options();
    match member.history(&options) {
        Ok(entries) => Ok(context.report.print_history(&member, &entries)),
        Err(error) => Ok(context.report.print_unreadable_database(&member, &error)),
    }
}

/// Everything that is wrong with any database.
pub(crate) fn verify_fleet(context: CommandContext<'_>) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let fleet = context.discover_fleet(&changelog, &UserSelection::All)?;
    let target = changelog.head_index();
    let replay = context.replay(&changelog, target)?;
    let migrator = context.migrator((&changelog, &replay), target);
    let databases: Vec<_> = fleet.databases().collect();
    let bar = context.report.progress_bar(databases.len());
    let results = fleet.verify(&migrator, &context.run_options(), &mut || bar.inc(1));
    bar.finish_and_clear();
    for notice in &fleet.notices {
        context.report.print_note(notice);
    }
    let reports: Vec<_> = databases
        .into_iter()
        .zip(&results)
        .filter_map(|(database, result)| Some((database, result.as_ref()?)))
        .collect();
    Ok(context.report.print_verification(&changelog, &reports))
}
