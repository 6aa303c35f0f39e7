//! Runs `downgrade`: undoes migrations with their reverse blocks.

use tatmig::fleet::{
    DowngradePlan, DowngradeRequest, DowngradeTarget, OnFailure, RunOptions, UsersAboveTarget,
};

use crate::cli::args::copy::CopyRule;
use crate::cli::args::options::DowngradeArgs;
use crate::cli::args::selection::DefaultSelection;
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::commands::safety_backup::back_up_before_change;
use crate::cli::commands::statement_diffs::{collect_statement_diffs, diffs_of_statuses};
use crate::cli::report::progress::Stage;
use crate::cli::report::views::dry_run::DryRunView;
use crate::cli::report::views::run::{Operation, RunDetails, RunView};

pub(crate) fn run(context: CommandContext<'_>, args: &DowngradeArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = args.selection.resolve(DefaultSelection::SystemDatabase)?;
    let fleet = context.discover_fleet(&changelog, &selection)?;
    let head = changelog.head().to_string();
    let target = args.to.as_deref().unwrap_or(&head);
    if let Some(status) = context.report_no_databases(&fleet, &selection, target) {
        return Ok(status);
    }
    let replay = context.unchecked_replay(&changelog)?;
    let options = RunOptions {
        on_failure: if args.fail_fast { OnFailure::Stop } else { OnFailure::Continue },
        ..context.run_options()
    };
    let detection = context.detection_options();
    let request = DowngradeRequest {
        changelog: &changelog,
        replay: &replay,
        config: &context.settings.fleet_config,
        selection: &selection,
        target: &downgrade_target(args),
        policy: context.settings.policy(None),
        detection: &detection,
        options: &options,
    };
    let mut plan = DowngradePlan::new(fleet, &request)?;
    context.check_document(&changelog, replay.downgrade_diagnostics(&changelog, &plan.steps()))?;
    let system_skip_reason = plan.hold_system_back(&selection)?.map(|above| skip_reason(&above));
    if args.dry_run {
        if let Some(reason) = &system_skip_reason {
            context.report.print_note(format!("system: {reason}"));
        }
        let (fleet, statuses) = (&plan.fleet, &plan.statuses);
        let diffs = diffs_of_statuses(fleet, statuses, plan.migrator(), &options);
        let view = DryRunView::new(plan.migrator(), fleet, statuses).with_statement_diffs(diffs);
        return Ok(context.report.emit_with_document(&view, &changelog, Some(&replay)));
    }
    let mut safety_backup = None;
    if !args.rehearse && args.copies.wanted(CopyRule::Always) {
        let (fleet, statuses) = (&mut plan.fleet, &plan.statuses);
        safety_backup = back_up_before_change(context, fleet, statuses, "downgrade", &options)?;
    }
    let migrator = if args.rehearse { plan.rehearsal() } else { plan.migrator() };
    let fleet = &plan.fleet;
    let stage = if args.rehearse { Stage::RehearsingUsers } else { Stage::Users };
    let progress = RunProgress::start(context, stage, fleet.databases());
    let outcome = fleet.downgrade(migrator, plan.rehearsal(), &options, &mut progress.on_done());
    drop(progress);
    let details = RunDetails {
        statement_diffs: collect_statement_diffs(fleet, &outcome, migrator, &options),
        backup: safety_backup,
        system_skip_reason,
        operation: Operation::Downgrade,
        is_edited: None,
        is_abandoned: false,
    };
    let target = migrator.target().to_string();
    let view = RunView::new(fleet, &outcome, changelog.source(), &target, &details);
    Ok(context.report.emit_with_document(&view, &changelog, Some(&replay)))
}

fn downgrade_target(args: &DowngradeArgs) -> DowngradeTarget {
    match args.to.as_deref() {
        Some("baseline") => DowngradeTarget::Baseline,
        Some(version) => DowngradeTarget::Version(version.to_owned()),
        None => DowngradeTarget::Steps(args.steps().unwrap_or(1)),
    }
}

fn skip_reason(users_above_target: &UsersAboveTarget) -> String {
    format!("not downgraded, because it would be below {users_above_target}")
}
