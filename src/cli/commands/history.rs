//! Runs `stamp` and `adopt`: they write the history of a database and change nothing else in it.

use tatmig::Changelog;
use tatmig::fleet::{Fleet, FleetOutcome, RunOptions, TargetDatabase};
use tatmig::migrate::{AdoptRequest, AdoptTarget, Migrator, PresentDrift, RecordedVersion};
use tatmig::plan::Outcome;

use crate::cli::args::options::AdoptArgs;
use crate::cli::args::selection::{DefaultSelection, SelectionArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::recorded_versions::RecordedVersionsView;

/// Records a version without checking the schema.
pub(crate) fn stamp(
    context: CommandContext<'_>,
    version: &str,
    selection_args: &SelectionArgs,
) -> anyhow::Result<u8> {
    run_on_fleet(context, Some(version), selection_args, &Fleet::stamp)
}

/// Records the given version, or the version that is detected from the schema.
pub(crate) fn adopt(context: CommandContext<'_>, args: &AdoptArgs) -> anyhow::Result<u8> {
    let recorded_version = if args.selection.names_databases() {
        RecordedVersion::Overrule
    } else {
        RecordedVersion::Keep
    };
    let present_drift = if args.accept_drift { PresentDrift::Accept } else { PresentDrift::Report };
    run_on_fleet(
        context,
        args.at.as_deref(),
        &args.selection,
        &|fleet, migrator, target, options, on_done| {
            let request = AdoptRequest { target, recorded_version, present_drift };
            fleet.adopt(migrator, request, options, on_done)
        },
    )
}

/// Writes the histories of a fleet.
type WriteHistories<'w> = dyn Fn(
        &Fleet,
        &Migrator<'_, '_>,
        AdoptTarget,
        &RunOptions,
        &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome
    + 'w;

fn run_on_fleet(
    context: CommandContext<'_>,
    version_arg: Option<&str>,
    selection_args: &SelectionArgs,
    write_histories: &WriteHistories<'_>,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let adopt_target = parse_adopt_target(&changelog, version_arg)?;
    let selection = selection_args.resolve(DefaultSelection::SystemDatabase)?;
    let fleet = context.discover_fleet(&changelog, &selection)?;
    let target = changelog.head_index();
    // What is recorded must be finished; later migrations need not be.
    let last_recorded = match adopt_target {
        AdoptTarget::Position(position) => position,
        _ => target,
    };
    let replay = context.replay(&changelog, last_recorded)?;
    let migrator = context.migrator(&changelog, &replay, target);
    let progress = RunProgress::start(context, Stage::RecordingVersions, fleet.databases());
    let options = context.run_options();
    let fleet_outcome =
        write_histories(&fleet, &migrator, adopt_target, &options, &mut progress.on_done());
    drop(progress);
    let view = RecordedVersionsView::new(&fleet, &fleet_outcome, &changelog);
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
