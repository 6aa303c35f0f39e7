//! Runs `reset`: replaces databases with empty ones at head.

use anyhow::bail;
use tatmig::backup::reject_open_databases;
use tatmig::fleet::TargetDatabase;

use crate::cli::args::copy::CopyRule;
use crate::cli::args::options::ResetArgs;
use crate::cli::args::selection::DefaultSelection;
use crate::cli::commands::context::{AlreadyReported, CommandContext};
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::commands::safety_backup::back_up;
use crate::cli::report::confirm::{Confirmation, confirm_reset};
use crate::cli::report::exit_status::EXIT_INVALID_INPUT;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::run::{Operation, RunDetails, RunView};

pub(crate) fn run(context: CommandContext<'_>, args: &ResetArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = args.selection.resolve(DefaultSelection::SystemDatabase)?;
    let mut fleet = context.discover_fleet(&changelog, &selection)?;
    let head = changelog.head().to_string();
    if let Some(status) = context.report_no_databases(&fleet, &selection, &head) {
        return Ok(status);
    }
    if fleet.databases().next().is_none() {
        bail!("no database to reset; select user databases with `--all-users` or `--user NAME`");
    }
    let replay = context.replay(&changelog, changelog.head_index())?;
    let migrator = context.migrator(&changelog, &replay, changelog.head_index());
    if !args.yes && confirm_reset(&fleet, context.signals)? == Confirmation::Interrupted {
        // The signal decides the exit status.
        bail!(AlreadyReported(EXIT_INVALID_INPUT));
    }
    let options = context.run_options();
    let mut databases: Vec<TargetDatabase> = fleet.databases().cloned().collect();
    reject_open_databases(&mut databases);
    let mut safety_backup = None;
    if args.copies.wanted(CopyRule::Always) {
        let mut openable: Vec<&mut TargetDatabase> =
            databases.iter_mut().filter(|database| database.skip_reason.is_none()).collect();
        safety_backup = back_up(context, &mut openable, "reset", &options)?;
    }
    let mut databases = databases.into_iter();
    fleet.system = fleet.system.and_then(|_| databases.next());
    fleet.users = databases.collect();
    let progress = RunProgress::start(context, Stage::SystemDatabase, fleet.databases());
    let fleet_outcome = fleet.reset(&migrator, &options, &mut progress.on_done());
    drop(progress);
    let details =
        RunDetails { backup: safety_backup, operation: Operation::Reset, ..RunDetails::default() };
    let target = migrator.target().to_string();
    let view = RunView::new(&fleet, &fleet_outcome, changelog.source(), &target, &details);
    Ok(context.report.emit(&view))
}
