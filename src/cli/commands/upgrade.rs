//! Runs `upgrade`: applies the pending migrations of a fleet, rehearses them, or prints their SQL.

use anyhow::bail;
use tatmig::Changelog;
use tatmig::backup::Backup;
use tatmig::document::VersionIndex;
use tatmig::fleet::{Fleet, FleetOutcome, OnFailure, RunOptions, Selection, UserSelection};
use tatmig::migrate::{DatabaseStatus, Migrator};

use crate::cli::args::options::UpgradeArgs;
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::missing_users::MissingUsers;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::commands::safety_backup::back_up_before_change;
use crate::cli::commands::statement_diffs::{collect_statement_diffs, diffs_of_statuses};
use crate::cli::document_file::DocumentFile;
use crate::cli::report::exit_status::EXIT_SUCCESS;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::dry_run::DryRunView;
use crate::cli::report::views::run::{Operation, RunDetails, RunView};
use crate::cli::report::views::run_entries::DatabaseRun;
use crate::cli::value_parsers::parse_version;

pub(crate) fn run(context: CommandContext<'_>, args: &UpgradeArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let Some(version) = &args.planned else {
        let target = changelog.target_index(args.to.as_deref())?;
        return migrate(context, args, &changelog, target);
    };
    let version = parse_version(version)?;
    let position = match changelog.index_of(&version) {
        Some(position) => position,
        None => changelog.target_index(Some(&version.to_string()))?,
    };
    let document = DocumentFile { text: changelog.uncomment_planned(&version)?, ..document };
    let changelog = context.parse_changelog(&document)?;
    migrate(context, args, &changelog.with_released_up_to(position), position)
}

/// Upgrades, rehearses or plans up to the version at a position.
fn migrate(
    context: CommandContext<'_>,
    args: &UpgradeArgs,
    changelog: &Changelog<'_>,
    target: VersionIndex,
) -> anyhow::Result<u8> {
    let missing = MissingUsers::find(context, changelog, &args.create)?;
    let selection = if args.create.is_empty() {
        args.selection.resolve_with_system(context.settings.upgrade_default)?
    } else {
        args.selection.resolve_with_created(&missing.existing)
    };
    check_canary(args, &selection)?;
    let mut fleet = context.discover_fleet(changelog, &selection)?;
    let options = RunOptions {
        on_failure: if args.fail_fast { OnFailure::Stop } else { OnFailure::Continue },
        canary: args.canary,
        ..context.run_options()
    };
    let progress = context.report.progress(Stage::ReadingVersions, None);
    let has_work = args.dry_run || !missing.databases().is_empty();
    let outcome = if has_work { None } else { fleet.outcome_at(changelog, target, &options) };
    drop(progress);
    if let Some(outcome) = outcome {
        context.check_document(changelog, std::iter::empty())?;
        let target = changelog.version(target).to_string();
        return Ok(show_nothing_pending(context, changelog, &fleet, &outcome, &target));
    }
    let replay = context.replay(changelog, target)?;
    let migrator = context.migrator(changelog, &replay, target);
    if args.dry_run {
        let mut statuses = read_statuses(context, &fleet, &migrator, &options);
        let diffs = diffs_of_statuses(&fleet, &statuses, &migrator, &options);
        statuses.extend(missing.statuses(&migrator, &options)?);
        fleet.notices.extend(missing.databases().iter().map(|database| {
            let (name, path) = (database.display_name(), database.location.display());
            format!("`{name}` has no database; the run would create `{path}`")
        }));
        fleet.users.extend_from_slice(missing.databases());
        let view = DryRunView::new(&migrator, &fleet, &statuses).with_statement_diffs(diffs);
        return Ok(context.report.emit_with_document(&view, changelog, Some(&replay)));
    }
    let run = FleetRun { context, args, migrator: &migrator, options: &options };
    let result = run.execute(&mut fleet)?;
    // Without an outcome, neither the rehearsal nor the upgrade was asked for.
    let Some(mut outcome) = result.outcome else { return Ok(EXIT_SUCCESS) };
    let created = missing.create(context, &migrator, &options, &outcome);
    for (database, outcome) in missing.databases().iter().zip(&created) {
        let source = changelog.source();
        context.report.emit_outcome(DatabaseRun { database, outcome, source, backup: None });
    }
    fleet.users.extend_from_slice(missing.databases());
    outcome.users.extend(created);
    let details = RunDetails {
        operation: Operation::Upgrade,
        statement_diffs: collect_statement_diffs(&fleet, &outcome, &migrator, &options),
        backup: result.safety_backup,
        system_skip_reason: None,
        is_edited: None,
        is_abandoned: args.all_or_nothing && !result.rehearsal_succeeded,
    };
    let runs = DatabaseRun::list(&fleet, &outcome, changelog.source(), details.backup.as_ref());
    context.report.emit_unstarted(runs.into_iter());
    let target = migrator.target().to_string();
    let view = RunView::new(&fleet, &outcome, changelog.source(), &target, &details);
    Ok(context.report.emit_with_document(&view, changelog, Some(&replay)))
}

/// Reports a fleet whose databases are all at the target. Only a page needs the replay.
fn show_nothing_pending(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    fleet: &Fleet,
    outcome: &FleetOutcome,
    target: &str,
) -> u8 {
    let details = RunDetails::default();
    for run in DatabaseRun::list(fleet, outcome, changelog.source(), None) {
        context.report.emit_outcome(run);
    }
    let view = RunView::new(fleet, outcome, changelog.source(), target, &details);
    let replay = context.replay_for_page(changelog);
    context.report.emit_with_document(&view, changelog, replay.as_ref())
}

/// Refuses a `--canary` that no user would have to wait for.
fn check_canary(args: &UpgradeArgs, selection: &Selection) -> anyhow::Result<()> {
    let Some(canary) = args.canary else { return Ok(()) };
    match &selection.users {
        UserSelection::All => Ok(()),
        UserSelection::Named(names) if canary.get() < names.len() => Ok(()),
        UserSelection::Named(names) => bail!(
            "`--canary {canary}` migrates {canary} of the selected users first, and {} selected; use `--all-users`, or a lower number",
            if names.len() == 1 { "1 is".to_owned() } else { format!("{} are", names.len()) }
        ),
        _ => bail!("`--canary` migrates some of the selected users first; add `--all-users`"),
    }
}

/// Reads the version and the steps of every database.
fn read_statuses(
    context: CommandContext<'_>,
    fleet: &Fleet,
    migrator: &Migrator<'_, '_>,
    options: &RunOptions,
) -> Vec<Option<DatabaseStatus>> {
    let count = fleet.databases().count();
    let progress = context.report.progress(Stage::ReadingVersions, Some(count));
    fleet.statuses(migrator, options, &mut || progress.inc())
}

/// A run of `upgrade` on a fleet.
struct FleetRun<'r, 'c, 'a> {
    context: CommandContext<'r>,
    args: &'r UpgradeArgs,
    migrator: &'r Migrator<'c, 'a>,
    options: &'r RunOptions,
}

/// What happened in a [`FleetRun`].
struct FleetRunResult {
    /// The outcome of the last pass over the fleet: the upgrade, or the rehearsal if that was the
    /// last one.
    outcome: Option<FleetOutcome>,
    /// False if a database failed the rehearsal, so that nothing was committed.
    rehearsal_succeeded: bool,
    safety_backup: Option<Backup>,
}

impl FleetRun<'_, '_, '_> {
    /// Rehearses, backs up and upgrades, as far as the arguments ask for each.
    fn execute(&self, fleet: &mut Fleet) -> anyhow::Result<FleetRunResult> {
        let Self { context, args, migrator, options } = *self;
        let rehearsal = migrator.rehearsal();
        let mut result =
            FleetRunResult { outcome: None, rehearsal_succeeded: true, safety_backup: None };
        if args.rehearse || args.all_or_nothing {
            let stage = Stage::RehearsingSystemDatabase;
            let outcome = self.pass(fleet, &rehearsal, stage, None);
            result.rehearsal_succeeded = outcome.is_success();
            result.outcome = Some(outcome);
        }
        let wants_backup = args.copies.wanted(context.settings.upgrade_copies);
        if wants_backup && !args.rehearse && result.rehearsal_succeeded {
            let statuses = read_statuses(context, fleet, migrator, options);
            result.safety_backup =
                back_up_before_change(context, fleet, &statuses, "upgrade", options)?;
            // A database that cannot be backed up is not upgraded, so that not all would be.
            let has_skipped = fleet.databases().any(|database| database.skip_reason.is_some());
            if args.all_or_nothing && has_skipped {
                let stage = Stage::RehearsingSystemDatabase;
                let backup = result.safety_backup.as_ref();
                result.outcome = Some(self.pass(fleet, &rehearsal, stage, backup));
                result.rehearsal_succeeded = false;
            }
        }
        if !args.rehearse && result.rehearsal_succeeded {
            let stage = if args.all_or_nothing {
                Stage::CommittingSystemDatabase
            } else {
                Stage::SystemDatabase
            };
            let backup = result.safety_backup.as_ref();
            result.outcome = Some(self.pass(fleet, migrator, stage, backup));
        }
        Ok(result)
    }

    /// Works through the fleet once with a migrator, which may be one that rehearses, and reports
    /// each database as it ends.
    fn pass(
        &self,
        fleet: &Fleet,
        migrator: &Migrator<'_, '_>,
        stage: Stage,
        backup: Option<&Backup>,
    ) -> FleetOutcome {
        let source = migrator.changelog().source();
        let progress = RunProgress::start(self.context, stage, fleet.databases());
        fleet.upgrade(migrator, self.options, &mut |database, outcome| {
            progress.advance(database, outcome);
            self.context.report.emit_outcome(DatabaseRun { database, outcome, source, backup });
        })
    }
}
