//! Runs `init`: creates missing databases at the latest version.

use std::path::Path;

use tatmig::fleet::{InitPlan, InitRequest};
use tatmig::migrate::Migrator;

use crate::cli::args::options::CreateArgs;
use crate::cli::args::selection::{DefaultSelection, SelectionArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::init::InitView;

/// The databases that are to be created.
#[derive(Clone, Copy)]
pub(crate) struct NewDatabases<'r> {
    pub(crate) selection: &'r SelectionArgs,
    /// The path of the only user's database.
    pub(crate) path: Option<&'r Path>,
}

pub(crate) fn run(
    context: CommandContext<'_>,
    new_databases: NewDatabases<'_>,
    create_args: &CreateArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let policy = context.settings.policy(Some(create_args));
    let selection =
        new_databases.selection.resolve_with_system(DefaultSelection::SystemDatabase)?;
    let request = InitRequest {
        config: &context.settings.fleet_config,
        selection: &selection,
        path: new_databases.path,
        journal_mode: create_args.journal_mode.map(|_| policy.journal_mode),
    };
    let plan = InitPlan::new(&changelog, &request)?;
    if plan.databases.is_empty() {
        return Ok(context.report.emit(&InitView::new(std::iter::empty(), changelog.source())));
    }
    let target = changelog.head_index();
    let replay = context.replay(&changelog, target)?;
    let migrator = Migrator::new(&changelog, &replay, target).with_policy(policy);
    let progress = RunProgress::start(context, Stage::Creating, &plan.databases);
    let outcomes = plan.run(&migrator, &context.connect_options(), &mut progress.on_done());
    drop(progress);
    let outcomes = plan.databases.iter().zip(&outcomes);
    Ok(context.report.emit(&InitView::new(outcomes, changelog.source())))
}
