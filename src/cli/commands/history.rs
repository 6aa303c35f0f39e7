//! Runs `stamp` and `adopt`: they write the history of a database and change nothing else in it.

use tatmig::Changelog;
use tatmig::fleet::{Fleet, FleetOutcome, RunOptions, UserSelection};
use tatmig::migrate::{AdoptTarget, Migrator};

use crate::cli::command_args::UserArgs;
use crate::cli::commands::context::CommandContext;
use crate::cli::report::views::recorded_versions::RecordedVersionsView;

/// Records a version without checking the schema.
pub(crate) fn stamp(
    context: CommandContext<'_>,
    version: &str,
    users: &UserArgs,
) -> anyhow::Result<u8> {
    run_on_fleet(context, Some(version), users, |fleet, migrator, version, options| {
        // `--user X` leaves the system database out, since its version is another.
        let users_only = Fleet { system: None, ..fleet.clone() };
        match users.selection() {
            UserSelection::Named(_) => users_only.stamp(migrator, version, options),
            UserSelection::None | UserSelection::All => fleet.stamp(migrator, version, options),
        }
    })
}

/// Records the given version, or the version that is detected from the schema.
pub(crate) fn adopt(
    context: CommandContext<'_>,
    version_arg: Option<&str>,
    users: &UserArgs,
) -> anyhow::Result<u8> {
    run_on_fleet(context, version_arg, users, Fleet::adopt)
}

fn run_on_fleet(
    context: CommandContext<'_>,
    version_arg: Option<&str>,
    users: &UserArgs,
    operation: impl FnOnce(&Fleet, &Migrator<'_, '_>, AdoptTarget, &RunOptions) -> FleetOutcome,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let adopt_target = parse_adopt_target(&changelog, version_arg)?;
    let fleet = context.discover_fleet(&changelog, &users.selection())?;
    let target = changelog.head_index();
    // What is recorded must be finished; later migrations need not be.
    let last_recorded = match adopt_target {
        AdoptTarget::Position(position) => position,
        _ => target,
    };
    let replay = context.replay(&changelog, last_recorded)?;
    let migrator = context.migrator(&changelog, &replay, target);
    let fleet_outcome = operation(&fleet, &migrator, adopt_target, &context.run_options());
    let view = RecordedVersionsView::new(&fleet, &fleet_outcome, changelog.source());
    Ok(context.report.emit(&view))
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
