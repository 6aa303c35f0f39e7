//! Runs `init`: creates missing databases at the latest version.

use std::ffi::OsString;
use std::path::Path;

use tatmig::fleet::{InitPlan, InitRequest};
use tatmig::migrate::Migrator;

use crate::cli::command_args::CreateArgs;
use crate::cli::commands::context::CommandContext;
use crate::cli::report::views::init::InitView;

/// The users whose databases are created.
pub(crate) struct NewUsers<'r> {
    pub(crate) names: &'r [OsString],
    /// The path of the only one.
    pub(crate) path: Option<&'r Path>,
}

pub(crate) fn run(
    context: CommandContext<'_>,
    users: NewUsers<'_>,
    create_args: &CreateArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let policy = context.settings.policy(Some(create_args));
    let request = InitRequest {
        config: &context.settings.fleet_config,
        users: users.names,
        path: users.path,
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
