//! Runs `init`: creates missing databases at the latest version.

use tatmig::fleet::{InitPlan, InitRequest};
use tatmig::migrate::Migrator;

use crate::cli::command_args::CreateArgs;
use crate::cli::commands::context::CommandContext;
use crate::cli::report::views::init::InitView;
use crate::cli::selection_args::{DefaultSelection, SelectionArgs};

pub(crate) fn run(
    context: CommandContext<'_>,
    selection_args: &SelectionArgs,
    create_args: &CreateArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let policy = context.settings.policy(Some(create_args));
    let selection = selection_args.resolve_with_system(DefaultSelection::SystemDatabase)?;
    let request = InitRequest {
        config: &context.settings.fleet_config,
        selection: &selection,
        journal_mode: create_args.journal_mode.map(|_| policy.journal_mode),
    };
    let plan = InitPlan::new(&changelog, &request)?;
    if plan.databases.is_empty() {
        return Ok(context.report.emit(&InitView::new(std::iter::empty(), changelog.source())));
    }
    let target = changelog.head_index();
    let replay = context.replay(&changelog, target)?;
    let migrator = Migrator::new(&changelog, &replay, target).with_policy(policy);
    let outcomes = plan.run(&migrator, &context.connect_options());
    let outcomes = plan.databases.iter().zip(&outcomes);
    Ok(context.report.emit(&InitView::new(outcomes, changelog.source())))
}
