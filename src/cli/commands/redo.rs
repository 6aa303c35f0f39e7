//! Runs `redo`: undoes the last migration as it was applied, and applies it as the document has it
//! now.

use anyhow::bail;
use tatmig::Changelog;
use tatmig::fleet::{RedoCandidates, RedoPlan, RedoRequest};
use tatmig::text::list_names;

use crate::cli::args::copy::CopyRule;
use crate::cli::args::options::RedoArgs;
use crate::cli::args::selection::DefaultSelection;
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::commands::safety_backup::back_up_before_change;
use crate::cli::report::format::plural;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::dry_run::DryRunView;
use crate::cli::report::views::run::{Operation, RunDetails, RunView};

pub(crate) fn run(context: CommandContext<'_>, args: &RedoArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = args.selection.resolve(DefaultSelection::SystemDatabase)?;
    let fleet = context.discover_fleet(&changelog, &selection)?;
    if let Some(status) =
        context.report_no_databases(&fleet, &selection, &changelog.head().to_string())
    {
        return Ok(status);
    }
    let replay = context.unchecked_replay(&changelog)?;
    let options = context.run_options();
    let detection = context.detection_options();
    let request = RedoRequest {
        changelog: &changelog,
        replay: &replay,
        config: &context.settings.fleet_config,
        detection: &detection,
        policy: context.settings.policy(None),
        options: &options,
    };
    let candidates = RedoCandidates::find(fleet, &request)?;
    let steps =
        candidates.statuses.iter().flatten().flat_map(|status| status.steps.iter().copied());
    context
        .check_document(&changelog, replay.downgrade_diagnostics(&changelog, &steps.collect()))?;
    check_count(args, &changelog, &candidates)?;
    let plan = RedoPlan::new(&candidates, &request)?;
    note_edits(context, &changelog, &candidates, &plan);
    if args.dry_run {
        return Ok(context.report.emit(&DryRunView::redo(&changelog, &candidates, &plan)));
    }
    let mut fleet = candidates.fleet.clone();
    let mut safety_backup = None;
    if args.copies.wanted(CopyRule::Always) {
        let statuses = &candidates.statuses;
        safety_backup = back_up_before_change(context, &mut fleet, statuses, "redo", &options)?;
    }
    let progress = RunProgress::start(context, Stage::SystemDatabase, fleet.databases());
    if !args.selection.excludes_system() {
        plan.store_sources(&request)?;
    }
    let outcome = plan.run(&fleet, &options, &mut progress.on_done());
    drop(progress);
    let details = RunDetails {
        operation: Operation::Redo,
        backup: safety_backup,
        is_edited: Some(candidates.is_edited()),
        ..RunDetails::default()
    };
    let target = candidates.target(&changelog);
    let view = RunView::new(&fleet, &outcome, changelog.source(), &target, &details);
    Ok(context.report.emit(&view))
}

/// Refuses a fleet that is larger than one for development.
fn check_count(
    args: &RedoArgs,
    changelog: &Changelog<'_>,
    candidates: &RedoCandidates,
) -> anyhow::Result<()> {
    let count = candidates.redone_names().len();
    if count > args.max && !args.yes && !args.dry_run {
        bail!(
            "`{}` would be redone on {}, more than {}; `redo` is for development: in production, restore the original SQL and add a new migration; or pass `--yes` or a higher `--max`",
            candidates.migration(changelog),
            plural(count, "database"),
            args.max
        );
    }
    Ok(())
}

/// Reports that nothing was edited, or that `adopt` would do.
fn note_edits(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    candidates: &RedoCandidates,
    plan: &RedoPlan<'_>,
) {
    let migration = candidates.migration(changelog);
    if !candidates.is_edited() {
        context.report.print_note(format!(
            "`{migration}` was not edited after these databases applied it; it is redone all the same"
        ));
    }
    let names = plan.names_with_same_schema();
    if !names.is_empty() {
        context.report.print_note(format!(
            "the edit of `{migration}` does not change the schema of {}; `adopt` would accept it without running anything",
            list_names(&names)
        ));
    }
}
