//! `downgrade`: reverse blocks, the users first and the system database last, so that it is never
//! below a user.

use std::collections::BTreeSet;

use anyhow::bail;
use tatmig::document::StepId;
use tatmig::document::VersionIndex;
use tatmig::fleet::{OnFailure, RunOptions, UserSelection};
use tatmig::migrate::{DatabaseStatus, Detection, Migrator};
use tatmig::plan::{MigrateError, PlanError};
use tatmig::{Changelog, Scope};

use crate::cli::command_args;
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::safety_backup::back_up_before_change;
use crate::cli::commands::statement_diffs::collect_statement_diffs;
use crate::cli::report::format::{list_names, plural};
use crate::cli::report::views::dry_run::DryRunView;
use crate::cli::report::views::run::{Operation, RunDetails, RunView};

#[allow(clippy::too_many_lines)] // split with the move of its policy into the library
pub(crate) fn run(
    context: CommandContext<'_>,
    args: &command_args::DowngradeArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = args.users.selection();
    let mut fleet = context.discover_fleet(&changelog, &selection)?;
    let replay = context.unchecked_replay(&changelog)?;
    let options = RunOptions {
        on_failure: if args.fail_fast { OnFailure::Stop } else { OnFailure::Continue },
        ..context.run_options()
    };
    // Those that are left alone count too: the system database must not go below them.
    let whole_fleet = match fleet.total_users {
        Some(1..) => context.discover_fleet(&changelog, &UserSelection::All)?,
        _ => fleet.clone(),
    };
    let head_migrator = Migrator::new(&changelog, &replay, changelog.head_index());
    let current_statuses = whole_fleet.statuses(&head_migrator, &options, &mut || {});
    let standings: Vec<_> = whole_fleet.databases().zip(&current_statuses).collect();
    let is_selected_user =
        |name: &std::ffi::OsStr| fleet.users.iter().any(|user| user.name == name);
    let target = match (&args.to, args.steps()) {
        (Some(target_version), _) if target_version == "baseline" => None,
        (Some(to), _) => Some(changelog.target_index(Some(to))?),
        (None, steps) => {
            let considered = standings.iter().filter(|(database, _)| match &selection {
                UserSelection::None => database.scope == Scope::System,
                UserSelection::All => true,
                UserSelection::Named(_) => {
                    database.scope == Scope::User && is_selected_user(&database.name)
                }
            });
            let highest = considered.filter_map(|(_, status)| status.as_ref()?.position).max();
            version_below(&changelog, highest, steps.unwrap_or(1))?
        }
    };
    let migrator = Migrator::new_downgrade(&changelog, &replay, target)
        .with_policy(context.settings.policy(None));
    let statuses = fleet.statuses(&migrator, &options, &mut || {});
    require_reverse_blocks(&statuses, &migrator)?;
    let steps: BTreeSet<StepId> =
        statuses.iter().flatten().flat_map(|status| status.steps.iter().copied()).collect();
    context.check_document(&changelog, replay.downgrade_diagnostics(&changelog, &steps))?;

    let remaining_users: Vec<String> = standings
        .iter()
        .filter(|(database, _)| database.scope == Scope::User && !is_selected_user(&database.name))
        .filter(|(_, status)| status.as_ref().is_none_or(|status| is_above_target(status, target)))
        .map(|(database, _)| database.display_name())
        .collect();
    let mut system_skip_reason = None;
    let system_has_steps =
        statuses.first().and_then(Option::as_ref).is_some_and(|s| !s.steps.is_empty());
    if !remaining_users.is_empty() && system_has_steps && fleet.system.is_some() {
        let user_list = list_names(&remaining_users);
        let users = plural(remaining_users.len(), "user");
        let verb = if remaining_users.len() == 1 { "stays" } else { "stay" };
        let target = migrator.target();
        if selection == UserSelection::None {
            bail!(
                "the system database would be below {users} that {verb} above {target} ({user_list}); `--all-users` takes them down with it"
            );
        }
        system_skip_reason =
            Some(format!("left where it is, because {users} {verb} above {target} ({user_list})"));
        fleet.system = None;
    }
    let statuses: Vec<Option<DatabaseStatus>> = if system_skip_reason.is_some() {
        statuses.into_iter().skip(1).collect()
    } else {
        statuses
    };
    if args.dry_run {
        if let Some(reason) = &system_skip_reason {
            context.report.print_note(format!("system: {reason}"));
        }
        return Ok(context.report.emit(&DryRunView::new(&migrator, &fleet, &statuses)));
    }
    let mut safety_backup = None;
    if !args.rehearse && !args.no_backup {
        safety_backup =
            back_up_before_change(context, &mut fleet, &statuses, "downgrade", &options)?;
    }
    let rehearsal = Migrator::new_downgrade(&changelog, &replay, target).into_rehearsal();
    let migrator = if args.rehearse { &rehearsal } else { &migrator };
    let bar = context.report.progress_bar(fleet.databases().count());
    let fleet_outcome = fleet.downgrade((migrator, &rehearsal), &options, &mut |_, _| bar.inc(1));
    bar.finish_and_clear();
    let statement_diffs = collect_statement_diffs(&fleet, &fleet_outcome, migrator, &options);
    let details = RunDetails {
        statement_diffs,
        backup: safety_backup,
        system_skip_reason,
        operation: Operation::Downgrade,
        is_abandoned: false,
    };
    let target_version = migrator.target().to_string();
    let view = RunView::new(&fleet, &fleet_outcome, changelog.source(), &target_version, &details);
    Ok(context.report.emit(&view))
}

/// The version that is a number of migrations below the highest one; `None` is `baseline`.
fn version_below(
    changelog: &Changelog<'_>,
    highest: Option<VersionIndex>,
    steps: usize,
) -> anyhow::Result<Option<VersionIndex>> {
    let Some(highest) = highest else {
        bail!(
            "no database that was named stands at a version of the document; there is nothing to go down from"
        );
    };
    let highest = changelog.version(highest);
    let applied = changelog.versions().partition_point(|version| version <= highest);
    let Some(remaining) = applied.checked_sub(steps) else {
        bail!("from {highest} it is only {} down to nothing", plural(applied, "migration"));
    };
    let target = changelog.versions()[..remaining].last();
    Ok(target.and_then(|version| changelog.index_of(version)))
}

/// Refuses a run for which the document lacks a reverse block, with all that are missing.
fn require_reverse_blocks(
    statuses: &[Option<DatabaseStatus>],
    migrator: &Migrator<'_, '_>,
) -> anyhow::Result<()> {
    let mut tags: Vec<&str> = Vec::new();
    for status in statuses.iter().flatten() {
        if let Some(MigrateError::Plan(PlanError::NoReverse { missing_tags: missing })) =
            status.error.as_deref()
        {
            for tag in missing {
                if !tags.contains(&tag.as_str()) {
                    tags.push(tag);
                }
            }
        }
    }
    if tags.is_empty() {
        return Ok(());
    }
    let tag_lines: Vec<String> = tags.iter().map(|tag| format!("\n  -- {tag}")).collect();
    bail!(
        "{} has no {} on the way down to {}:{}\nno database was touched; write what is missing, or put back a backup (`tatmig backup list`)",
        migrator.changelog().source().name(),
        if tags.len() == 1 { "reverse block for a step" } else { "reverse blocks for some steps" },
        migrator.target(),
        tag_lines.concat()
    );
}

/// Whether a user that is left alone is, or may be, above a target.
fn is_above_target(status: &DatabaseStatus, target: Option<VersionIndex>) -> bool {
    match (status.position, &status.error) {
        (Some(position), _) => target.is_none_or(|target| position > target),
        // Another program's database has no version to be below.
        (None, Some(_)) => !matches!(status.detection.as_deref(), Some(Detection::Unrelated)),
        (None, None) => false,
    }
}
