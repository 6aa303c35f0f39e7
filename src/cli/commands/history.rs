//! `stamp` and `adopt`: they write the record of a database, and nothing else of it.

use tatmig::Changelog;
use tatmig::fleet::{Fleet, RunOptions, UserSelection};
use tatmig::migrate::{AdoptTarget, Migrator};

use crate::cli::command_args::UserArgs;
use crate::cli::commands::CommandContext;

/// Records a version without looking.
pub(crate) fn stamp(
    context: CommandContext<'_>,
    version: &str,
    users: &UserArgs,
) -> anyhow::Result<u8> {
    run_on_fleet(context, Some(version), users, |fleet, migrator, target_and_options| {
        // Who stamps one user does not mean the system database, whose version is another.
        let users_only = Fleet { system: None, ..fleet.clone() };
        match users.selection() {
            UserSelection::Named(_) => users_only.stamp(migrator, target_and_options),
            UserSelection::None | UserSelection::All => fleet.stamp(migrator, target_and_options),
        }
    })
}

/// Records the version that the schema tells, or the one given.
pub(crate) fn adopt(
    context: CommandContext<'_>,
    version_arg: Option<&str>,
    users: &UserArgs,
) -> anyhow::Result<u8> {
    run_on_fleet(context, version_arg, users, tatmig::fleet::Fleet::adopt)
}

fn run_on_fleet(
    context: CommandContext<'_>,
    version_arg: Option<&str>,
    users: &UserArgs,
    operation: impl FnOnce(
        &Fleet,
        &Migrator<'_, '_>,
        (AdoptTarget, &RunOptions),
    ) -> tatmig::fleet::FleetOutcome,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let version_arg = parse_adopt_target(&changelog, version_arg)?;
    let fleet = context.discover_fleet(&changelog, &users.selection())?;
    let target = changelog.head_index();
    let replay = context.replay(&changelog, target)?;
    let migrator = context.migrator((&changelog, &replay), target);
    let fleet_outcome = operation(&fleet, &migrator, (version_arg, &context.run_options()));
    Ok(context.report.print_recorded_versions((&fleet, &fleet_outcome), changelog.source()))
}

fn parse_adopt_target(
    changelog: &Changelog<'_>,
    version_arg: Option<&str>,
) -> anyhow::Result<AdoptTarget> {
    Ok(match version_arg {
        None => AdoptTarget::Detected,
        Some("baseline") => AdoptTarget::Baseline,
        Some(version) => AdoptTarget::Position(changelog.target_index(Some(version))?),
    })
}
