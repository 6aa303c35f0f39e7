//! Runs `status`, `history` and `verify`: they open databases read-only, and change no byte of
//! them or of their side files.

use std::ffi::OsString;

use anyhow::bail;
use tatmig::fleet::{Fleet, FleetError, UserSelection};
use tatmig::migrate::{DatabaseStatus, Detector, StatusQuery};
use tatmig::{Changelog, DatabaseState, Scope};

use crate::cli::command_args::StatusArgs;
use crate::cli::commands::context::CommandContext;
use crate::cli::report::views::changelog::ChangelogView;
use crate::cli::report::views::history::HistoryView;
use crate::cli::report::views::stats::FleetStats;
use crate::cli::report::views::status::{ExitOnPending, StatusView};
use crate::cli::report::views::verify::VerifyView;

/// Shows the version and the pending migrations of the selected databases.
pub(crate) fn show_status(context: CommandContext<'_>, args: &StatusArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let fleet = selected_fleet(context, &changelog, args)?;
    let statuses = read_statuses(context, &changelog, &fleet);
    let database_statuses = fleet
        .databases()
        .zip(&statuses)
        .filter_map(|(database, status)| Some((database, status.as_ref()?)));
    let exit_on_pending = if args.exit_code { ExitOnPending::Yes } else { ExitOnPending::No };
    let stats = args.stats.then(|| {
        let bar = context.report.progress_bar(fleet.databases().count());
        let stats = fleet.stats(&context.run_options(), &mut || bar.inc(1));
        bar.finish_and_clear();
        FleetStats::new(&fleet, stats)
    });
    Ok(context.report.emit(&StatusView::new(
        &changelog,
        database_statuses,
        &fleet.notices,
        stats,
        exit_on_pending,
    )))
}

/// The status of every database. The document is replayed only if one has no history, since
/// detection alone needs the schemas of the document.
fn read_statuses(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    fleet: &Fleet,
) -> Vec<Option<DatabaseStatus>> {
    let bar = context.report.progress_bar(fleet.databases().count());
    let options = context.run_options();
    let target = changelog.head_index();
    let query = StatusQuery { changelog, detector: None, target };
    let mut statuses = fleet.statuses_at(query, &options, &mut || bar.inc(1));
    let is_unversioned = |status: &Option<DatabaseStatus>| {
        status.as_ref().is_some_and(|status| status.state == DatabaseState::Unversioned)
    };
    // Only a document without errors can detect the version of a schema without a history.
    if statuses.iter().any(is_unversioned)
        && let Some(replay) = context.valid_replay(changelog)
    {
        let detector = Detector::new(changelog, &replay, context.detection_options());
        let query = StatusQuery { detector: Some(&detector), ..query };
        let mut unversioned = statuses.iter().map(is_unversioned);
        let unversioned_fleet = fleet.filtered(|_| unversioned.next() == Some(true));
        let detected = unversioned_fleet.statuses_at(query, &options, &mut || {});
        let unversioned = statuses.iter_mut().filter(|status| is_unversioned(status));
        for (status, detected) in unversioned.zip(detected) {
            *status = detected;
        }
    }
    bar.finish_and_clear();
    statuses
}

/// The selected databases; all databases if none is selected.
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
        return Ok(context.discover(
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
    Ok(context.discover(&context.settings.fleet_config, only_users, &named_users)?)
}

/// Lists the migrations of the document, or the history of one database if one is selected.
pub(crate) fn show_history(
    context: CommandContext<'_>,
    user: Option<OsString>,
    system: bool,
) -> anyhow::Result<u8> {
    let fleet_config = &context.settings.fleet_config;
    let database = match user {
        Some(user) => {
            let only_users = |scope| scope == Scope::User;
            let fleet =
                context.discover(fleet_config, only_users, &UserSelection::Named(vec![user]))?;
            fleet.users.into_iter().next()
        }
        None if system => {
            let only_system = |scope| scope == Scope::System;
            context.discover(fleet_config, only_system, &UserSelection::None)?.system
        }
        None => None,
    };
    let Some(database) = database else {
        let document = context.read_document()?;
        let changelog = context.parse_changelog(&document)?;
        return Ok(context.report.emit(&ChangelogView::new(&changelog)));
    };
    let history = database.history(&context.connect_options());
    Ok(context.report.emit(&HistoryView::new(&database, &history)))
}

/// Checks the integrity, the history and the schema of all databases.
pub(crate) fn verify_fleet(context: CommandContext<'_>) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let fleet = context.discover_fleet(&changelog, &UserSelection::All)?;
    let target = changelog.head_index();
    let replay = context.replay_for_reading(&changelog, target)?;
    let migrator = context.migrator(&changelog, &replay, target);
    let bar = context.report.progress_bar(fleet.databases().count());
    let results = fleet.verify(&migrator, &context.run_options(), &mut || bar.inc(1));
    bar.finish_and_clear();
    let pairs = fleet.databases().zip(&results);
    let results = pairs.filter_map(|(database, result)| Some((database, result.as_ref()?)));
    Ok(context.report.emit(&VerifyView::new(&document.name, results, &fleet.notices)))
}
