//! Runs `status`, `history` and `verify`: they open databases read-only, and change no byte of
//! them or of their side files.

use tatmig::fleet::Fleet;
use tatmig::migrate::{DatabaseStatus, Detector, StatusQuery};
use tatmig::{Changelog, DatabaseState};

use crate::cli::args::options::{StatusArgs, VerifyArgs};
use crate::cli::args::selection::{DefaultSelection, SelectionArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::changelog::ChangelogView;
use crate::cli::report::views::history::HistoryView;
use crate::cli::report::views::stats::FleetStats;
use crate::cli::report::views::status::{ExitOnPending, StatusView};
use crate::cli::report::views::verify::VerifyView;

/// Shows the version and the pending migrations of the selected databases.
pub(crate) fn show_status(context: CommandContext<'_>, args: &StatusArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = args.selection.resolve(DefaultSelection::Everything)?;
    let fleet = context.discover_fleet(&changelog, &selection)?;
    let statuses = read_statuses(context, &changelog, &fleet);
    let database_statuses = fleet
        .databases()
        .zip(&statuses)
        .filter_map(|(database, status)| Some((database, status.as_ref()?)));
    let exit_on_pending = if args.exit_code { ExitOnPending::Yes } else { ExitOnPending::No };
    let stats = args.stats.then(|| {
        let count = fleet.databases().count();
        let progress = context.report.progress(Stage::ReadingStatistics, Some(count));
        let stats = fleet.stats(&context.run_options(), &mut || progress.inc());
        drop(progress);
        FleetStats::new(&fleet, stats)
    });
    let view =
        StatusView::new(&changelog, database_statuses, &fleet.notices, stats, exit_on_pending);
    let replay = context.replay_for_page(&changelog);
    Ok(context.report.emit_with_document(&view, &changelog, replay.as_ref()))
}

/// The status of every database. The document is replayed only if one has no history, since
/// detection alone needs the schemas of the document.
pub(crate) fn read_statuses(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    fleet: &Fleet,
) -> Vec<Option<DatabaseStatus>> {
    let count = fleet.databases().count();
    let progress = context.report.progress(Stage::ReadingVersions, Some(count));
    let options = context.run_options();
    let target = changelog.head_index();
    let query = StatusQuery {
        changelog,
        detector: None,
        target,
        ahead: context.settings.policy(None).ahead,
    };
    let mut statuses = fleet.statuses_at(query, &options, &mut || progress.inc());
    drop(progress);
    let is_unversioned = |status: &Option<DatabaseStatus>| {
        status.as_ref().is_some_and(|status| status.state == DatabaseState::Unversioned)
    };
    // Only a document without errors can detect the version of a schema without a history.
    if statuses.iter().any(is_unversioned)
        && let Some(replay) = context.valid_replay(changelog)
    {
        let detector = Detector::new(changelog, &replay, context.detection_options());
        let query = StatusQuery { detector: Some(&detector), ..query };
        let mut unversioned = statuses.iter().map(is_unversioned);
        let unversioned_fleet = fleet.filtered(|_| unversioned.next() == Some(true));
        let count = unversioned_fleet.databases().count();
        let progress = context.report.progress(Stage::ReadingVersions, Some(count));
        let detected = unversioned_fleet.statuses_at(query, &options, &mut || progress.inc());
        let unversioned = statuses.iter_mut().filter(|status| is_unversioned(status));
        for (status, detected) in unversioned.zip(detected) {
            *status = detected;
        }
    }
    statuses
}

/// Lists the migrations of the document, or the histories of the databases that are selected.
pub(crate) fn show_history(
    context: CommandContext<'_>,
    selection_args: &SelectionArgs,
) -> anyhow::Result<u8> {
    if selection_args.is_absent() {
        let document = context.read_document()?;
        let changelog = context.parse_changelog(&document)?;
        return Ok(context.report.emit(&ChangelogView::new(&changelog)));
    }
    let selection = selection_args.resolve(DefaultSelection::SystemDatabase)?;
    // A history can be read without its document.
    let document = context.read_document().ok();
    let changelog = context.parse_if_valid(document.as_ref());
    let fleet = context.discover_existing(changelog.as_ref(), &selection)?;
    let count = fleet.databases().count();
    let progress = context.report.progress(Stage::ReadingHistories, Some(count));
    let histories = fleet.histories(&context.run_options(), &mut || progress.inc());
    drop(progress);
    let pairs = fleet.databases().zip(&histories);
    let histories = pairs.filter_map(|(database, history)| Some((database, history.as_ref()?)));
    Ok(context.report.emit(&HistoryView::new(histories, &fleet.notices)))
}

/// Checks the integrity, the history and the schema of the selected databases.
pub(crate) fn verify_fleet(context: CommandContext<'_>, args: &VerifyArgs) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = args.selection.resolve(DefaultSelection::Everything)?;
    let fleet = context.discover_fleet(&changelog, &selection)?;
    let target = changelog.head_index();
    let replay = context.replay_for_reading(&changelog, target)?;
    let migrator = context.migrator(&changelog, &replay, target);
    let progress = context.report.progress(Stage::Verifying, Some(fleet.databases().count()));
    let results = fleet.verify(&migrator, &context.run_options(), &mut || progress.inc());
    drop(progress);
    let view = VerifyView::new(&document.name, &fleet, &results);
    Ok(context.report.emit_with_document(&view, &changelog, Some(&replay)))
}
