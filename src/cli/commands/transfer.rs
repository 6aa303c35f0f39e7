//! Runs `push` and `pull`: copies a fleet from its files to a server, and back.

use anyhow::{Context, bail};
use tatmig::fleet::{FleetConfig, TransferDestination};

use crate::cli::args::selection::{DefaultSelection, SelectionArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::transfer::TransferView;

/// The same fleet in files and in namespaces.
struct FleetLocations {
    files: FleetConfig,
    namespaces: FleetConfig,
}

impl FleetLocations {
    fn new(context: CommandContext<'_>) -> anyhow::Result<Self> {
        let namespaces = context.settings.fleet_config.clone();
        let files = FleetConfig { server_set: None, ..namespaces.clone() };
        namespaces.server_set.as_ref().context("no server is set; pass `--server URL`")?;
        Ok(Self { files, namespaces })
    }
}

/// Copies the files into namespaces.
pub(crate) fn push(
    context: CommandContext<'_>,
    selection_args: &SelectionArgs,
) -> anyhow::Result<u8> {
    let FleetLocations { files, namespaces } = FleetLocations::new(context)?;
    if !namespaces.server_set.as_ref().is_some_and(|servers| servers.has_admin()) {
        bail!(tatmig::sqld::ServerError::NoAdminUrl);
    }
    transfer(context, selection_args, &files, &namespaces)
}

/// Copies the namespaces into files.
pub(crate) fn pull(
    context: CommandContext<'_>,
    selection_args: &SelectionArgs,
) -> anyhow::Result<u8> {
    let FleetLocations { files, namespaces } = FleetLocations::new(context)?;
    if !files.users_dir.is_dir() {
        bail!(
            "the directory `{}` for user databases does not exist; create it first",
            tatmig::text::escape_for_display(files.users_dir.as_os_str())
        );
    }
    transfer(context, selection_args, &namespaces, &files)
}

fn transfer(
    context: CommandContext<'_>,
    selection_args: &SelectionArgs,
    source_config: &FleetConfig,
    target_config: &FleetConfig,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let selection = selection_args.resolve(DefaultSelection::SystemDatabase)?;
    let fleet = context.discover(source_config, &selection, |scope| changelog.has_scope(scope))?;
    let progress = RunProgress::start(context, Stage::Copying, fleet.databases());
    let destination = TransferDestination {
        config: target_config,
        journal_mode: context.settings.policy(None).journal_mode,
    };
    let options = context.run_options();
    let transfers = fleet.transfer_to(destination, &options, &mut progress.on_done());
    drop(progress);
    Ok(context.report.emit(&TransferView::new(&fleet, &transfers)))
}
