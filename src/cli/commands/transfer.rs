//! `push` and `pull`: a fleet moves from its files to a server, and back.

use anyhow::{Context, bail};
use tatmig::Scope;
use tatmig::fleet::Fleet;
use tatmig::fleet::FleetConfig;

use crate::cli::command_args::UserArgs;
use crate::cli::commands::CommandContext;

/// Copies the files into namespaces.
pub(crate) fn push(context: CommandContext<'_>, users: &UserArgs) -> anyhow::Result<u8> {
    let (files, namespaces) = both_locations(context)?;
    if !namespaces.server_set.as_ref().is_some_and(|servers| servers.has_admin()) {
        bail!(tatmig::sqld::ServerError::NoAdminUrl);
    }
    transfer(context, users, (&files, &namespaces))
}

/// Copies the namespaces into files.
pub(crate) fn pull(context: CommandContext<'_>, users: &UserArgs) -> anyhow::Result<u8> {
    let (files, namespaces) = both_locations(context)?;
    if !files.users_dir.is_dir() {
        bail!(
            "there is no directory `{}` to put users' databases in; make it first",
            tatmig::text::escape_for_display(files.users_dir.as_os_str())
        );
    }
    transfer(context, users, (&namespaces, &files))
}

/// The fleet's place in files, and that in namespaces.
fn both_locations(context: CommandContext<'_>) -> anyhow::Result<(FleetConfig, FleetConfig)> {
    let namespaces = context.settings.fleet_config.clone();
    let files = FleetConfig { server_set: None, ..namespaces.clone() };
    namespaces.server_set.as_ref().context("this needs a server: `--server URL` names it")?;
    Ok((files, namespaces))
}

fn transfer(
    context: CommandContext<'_>,
    users: &UserArgs,
    (source_config, target_config): (&FleetConfig, &FleetConfig),
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let fleet = Fleet::discover(
        source_config,
        |scope: Scope| changelog.has_scope(scope),
        &users.selection(),
    )?;
    let databases: Vec<_> = fleet.databases().collect();
    let bar = context.report.progress_bar(databases.len());
    let journal_mode = context.settings.policy(None).journal_mode;
    let transfers =
        fleet
            .transfer_to((target_config, journal_mode), &context.run_options(), &mut || bar.inc(1));
    bar.finish_and_clear();
    Ok(context.report.print_transfer((&fleet, &databases), &transfers))
}
