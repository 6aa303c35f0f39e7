//! Runs `tatmig init`.

use std::ffi::OsString;

use tatmig::fleet::{InitPlan, InitRequest, TargetDatabase};
use tatmig::migrate::{CreateOutcome, Migrator};
use tatmig::plan::Outcome;

use crate::cli::command_args::CreateArgs;
use crate::cli::commands::CommandContext;
use crate::cli::report::{EXIT_FAILURE, EXIT_SUCCESS};

pub(crate) fn run(
    context: CommandContext<'_>,
    users: &[OsString],
    create_args: &CreateArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let policy = context.settings.policy(Some(create_args));
    let request = InitRequest {
        config: &context.settings.fleet_config,
        users,
        journal_mode: create_args.journal_mode.map(|_| policy.journal_mode),
    };
    let plan = InitPlan::new(&changelog, &request)?;
    if plan.databases.is_empty() {
        context.report.print_line(
            "the document has no system block; pass `--user NAME` to create a user's database",
        );
        return Ok(EXIT_SUCCESS);
    }
    let target = changelog.head_index();
    let replay = context.replay(&changelog, target)?;
    let migrator = Migrator::new(&changelog, &replay, target).with_policy(policy);
    let mut status = EXIT_SUCCESS;
    let mut outcome_words = Vec::new();
    let mut report = |database: &TargetDatabase, outcome: &CreateOutcome| {
        outcome_words.push(match outcome {
            CreateOutcome::AlreadyExists => {
                context.report.print_created(database, None);
                "there"
            }
            CreateOutcome::Attempted(Outcome::Failed { error, .. }) => {
                status = EXIT_FAILURE;
                context.report.print_database_error(database, error, changelog.source());
                "failed"
            }
            CreateOutcome::Attempted(outcome) => {
                context.report.print_created(database, Some(outcome));
                "made"
            }
        });
    };
    plan.run(&migrator, &context.connect_options(), &mut report);
    let outcomes: Vec<_> = plan.databases.iter().zip(outcome_words).collect();
    context.report.print_init_json(&outcomes);
    Ok(status)
}
