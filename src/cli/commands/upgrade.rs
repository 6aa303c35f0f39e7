//! `upgrade` and `seed`: run the document's SQL on the fleet.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use semver::Version;
use tatmig::document::VersionIndex;
use tatmig::fleet::{Fleet, FleetOutcome, OnFailure, RunOptions, UserSelection};
use tatmig::migrate::Migrator;
use tatmig::migrate::StatusQuery;
use tatmig::plan::{MigrateError, Outcome, PlanError};
use tatmig::{Changelog, Diagnostic, Scope};

use crate::cli::command_args::{UpgradeArgs, UserArgs};
use crate::cli::commands::{CommandContext, DocumentFile, backup};
use crate::cli::report::{EXIT_SUCCESS, Operation, RunSummary, StatementDiffs};

pub(crate) fn run(context: CommandContext<'_>, args: &UpgradeArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let Some(version) = &args.planned else {
        let target = changelog.target_index(args.to.as_deref())?;
        return migrate(context, args, (&changelog, target));
    };
    let version = Version::parse(version)
        .with_context(|| format!("`--planned {version}` is not a version"))?;
    let position = changelog
        .index_of(&version)
        .with_context(|| format!("version `{version}` is not in {}", document.name))?;
    let document = DocumentFile { text: changelog.uncomment_planned(&version)?, ..document };
    let changelog = context.parse_changelog(&document)?;
    migrate(context, args, (&changelog.with_released_up_to(position), position))
}

/// Brings the fleet to the version at a position, in the way that was asked for.
fn migrate(
    context: CommandContext<'_>,
    args: &UpgradeArgs,
    (changelog, target_position): (&Changelog<'_>, VersionIndex),
) -> anyhow::Result<u8> {
    let mut fleet = context.discover_fleet(changelog, &args.users.selection())?;
    let replay = context.replay(changelog, target_position)?;
    let options = RunOptions {
        on_failure: if args.fail_fast { OnFailure::Stop } else { OnFailure::Continue },
        canary: args.canary,
        ..context.run_options()
    };
    let bar = context.report.progress_bar(fleet.databases().count());
    if args.dry_run {
        let query = StatusQuery { changelog, replay: Some(&replay), target: target_position };
        let statuses = fleet.statuses_at(query, &options, &mut || {
            bar.inc(1);
        });
        bar.finish_and_clear();
        let migrator = context.migrator((changelog, &replay), target_position);
        return Ok(context.report.print_dry_run(&migrator, (&fleet, &statuses)));
    }
    let migrator = context.migrator((changelog, &replay), target_position);
    let rehearsal = context.migrator((changelog, &replay), target_position).into_rehearsal();
    let mut fleet_outcome = None;
    if args.rehearse || args.all_or_nothing {
        fleet_outcome = Some(fleet.upgrade(&rehearsal, &options, &mut |_, _| bar.inc(1)));
    }
    let mut is_clean = fleet_outcome.as_ref().is_none_or(FleetOutcome::is_success);
    let mut safety_backup = None;
    if args.backup && is_clean {
        let statuses = fleet.statuses(&migrator, &options, &mut || {});
        let may_be_changed = statuses
            .iter()
            .map(|status| backup::may_be_changed(status.as_ref()))
            .collect::<Vec<_>>();
        bar.suspend(|| {
            safety_backup = backup::back_up_before_change(
                context,
                (&mut fleet, &may_be_changed),
                ("upgrade", &options),
            )?;
            anyhow::Ok(())
        })?;
        if args.all_or_nothing && fleet.databases().any(|database| database.skip_reason.is_some()) {
            fleet_outcome = Some(fleet.upgrade(&rehearsal, &options, &mut |_, _| {}));
            is_clean = false;
        }
    }
    if !args.rehearse && is_clean {
        bar.reset();
        fleet_outcome = Some(fleet.upgrade(&migrator, &options, &mut |_, _| bar.inc(1)));
    }
    bar.finish_and_clear();
    // One of the two has run.
    let Some(outcome) = fleet_outcome else { return Ok(EXIT_SUCCESS) };
    let statement_diffs = collect_statement_diffs((&fleet, &outcome), (&migrator, &options));
    let target_version = migrator.target().to_string();
    let summary = RunSummary {
        statement_diffs,
        backup: safety_backup,
        system_skip_reason: None,
        operation: Operation::Upgrade,
    };
    let status = context.report.print_run(
        (&fleet, &outcome),
        (changelog.source(), &target_version),
        &summary,
    );
    if args.all_or_nothing && !is_clean {
        context.report.print_line("nothing was committed: not every database passed the rehearsal");
    }
    Ok(status)
}

/// What the system database kept of migrations that were edited since, beside what they are now.
pub(crate) fn collect_statement_diffs(
    (fleet, outcome): (&Fleet, &FleetOutcome),
    (migrator, options): (&Migrator<'_, '_>, &RunOptions),
) -> StatementDiffs {
    let mut statement_diffs = StatementDiffs::new();
    let Some(system_database) = &fleet.system else { return statement_diffs };
    let mut seen_checksums = BTreeSet::new();
    for (database, database_outcome) in outcome.by_database(fleet) {
        let Outcome::Failed { error, .. } = database_outcome else { continue };
        let MigrateError::Plan(PlanError::ChecksumMismatch { changed_migrations }) = &**error
        else {
            continue;
        };
        for changed_migration in changed_migrations {
            if seen_checksums.insert(changed_migration.applied_checksum.clone())
                && let Some(statement_diff) = migrator.statement_diff(
                    changed_migration,
                    database.scope,
                    system_database,
                    &options.connect_options,
                )
            {
                statement_diffs.insert(changed_migration.applied_checksum.clone(), statement_diff);
            }
        }
    }
    statement_diffs
}

/// Runs seed blocks, in the order named: each on the system database, then on the users.
pub(crate) fn run_seeds(
    context: CommandContext<'_>,
    names: &[String],
    users: &UserArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    for name in names {
        if !changelog.seeds().iter().any(|seed| seed.name == *name) {
            let mut known: Vec<&str> =
                changelog.seeds().iter().map(|seed| seed.name.as_str()).collect();
            known.dedup();
            match known.as_slice() {
                [] => bail!(
                    "the document has no seed block; one is tagged `-- [user:seed:{name}:start]`"
                ),
                known => {
                    bail!("the document has no seed `{name}`; it has `{}`", known.join("`, `"))
                }
            }
        }
    }
    let has_requested_seed = |scope: Scope| {
        changelog.seeds().iter().any(|seed| seed.scope == scope && names.contains(&seed.name))
    };
    if matches!(users.selection(), UserSelection::Named(_)) && !has_requested_seed(Scope::User) {
        let (noun, verb) = if names.len() == 1 { ("seed", "puts") } else { ("seeds", "put") };
        let names = names.join("`, `");
        bail!("the {noun} `{names}` {verb} nothing into user databases; leave `--user` out");
    }
    let fleet =
        Fleet::discover(&context.settings.fleet_config, has_requested_seed, &users.selection())?;
    let target = changelog.head_index();
    // What fails in a seed stands in the way of that seed alone.
    let requested_seeds = changelog.seeds().iter().filter(|seed| names.contains(&seed.name));
    let block_spans: Vec<_> = requested_seeds
        .map(|seed| seed.block.sql().document_span(0..seed.block.sql().text().len()))
        .collect();
    let is_in_requested_seed = |diagnostic: &Diagnostic| {
        block_spans.iter().any(|block| block.contains(&diagnostic.span.start))
    };
    let replay = context.unchecked_replay(&changelog)?;
    let diagnostic_pairs = replay.diagnostics(target).zip(replay.all_diagnostics());
    let diagnostics =
        diagnostic_pairs.map(
            |(limited, complete)| if is_in_requested_seed(&complete) { complete } else { limited },
        );
    context.check_document(&changelog, diagnostics)?;
    let migrator = context.migrator((&changelog, &replay), target);
    let fleet_outcome = fleet.seed(&migrator, (names, &context.run_options()), &mut |_, _| {});
    Ok(context.report.print_seeds((&fleet, &fleet_outcome), changelog.source()))
}
