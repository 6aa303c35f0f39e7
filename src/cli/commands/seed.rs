//! Runs `seed`: seed blocks in the order in which they are named, each on the system database and
//! then on the users.

use anyhow::bail;
use tatmig::fleet::{Selection, SystemSelection, UserSelection};
use tatmig::migrate::Replay;
use tatmig::text::nearest_name;
use tatmig::{Changelog, Diagnostic, Scope};

use crate::cli::args::selection::{DefaultSelection, SelectionArgs};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::seeds::SeedsView;

pub(crate) fn run(
    context: CommandContext<'_>,
    names: &[String],
    selection_args: &SelectionArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    check_names(&changelog, names)?;
    let has_requested_seed = |scope: Scope| {
        changelog.seeds().iter().any(|seed| seed.scope == scope && names.contains(&seed.name))
    };
    let selection = selection_args.resolve(DefaultSelection::SystemDatabase)?;
    let missing = match &selection {
        Selection { users: UserSelection::Named(_), .. } if !has_requested_seed(Scope::User) => {
            Some(("user", "--user"))
        }
        Selection { system: SystemSelection::Named, .. } if !has_requested_seed(Scope::System) => {
            Some(("system", "--system"))
        }
        _ => None,
    };
    if let Some((scope, flag)) = missing {
        let mut names = names.to_vec();
        names.dedup();
        let (noun, verb) = if names.len() == 1 { ("seed", "has") } else { ("seeds", "have") };
        bail!("the {noun} `{}` {verb} no {scope} block; remove `{flag}`", names.join("`, `"));
    }
    let fleet = context.discover(&context.settings.fleet_config, &selection, has_requested_seed)?;
    let target = changelog.head_index();
    let replay = context.unchecked_replay(&changelog)?;
    context.check_document(&changelog, seed_diagnostics(&changelog, &replay, names).into_iter())?;
    let migrator = context.migrator(&changelog, &replay, target);
    let progress = RunProgress::start(context, Stage::SystemDatabase, fleet.databases());
    let options = context.run_options();
    let fleet_outcome = fleet.seed(&migrator, names, &options, &mut progress.on_done());
    drop(progress);
    Ok(context.report.emit(&SeedsView::new(&fleet, &fleet_outcome, changelog.source())))
}

/// Requires a seed block for every name.
fn check_names(changelog: &Changelog<'_>, names: &[String]) -> anyhow::Result<()> {
    let seeds = changelog.seeds();
    let Some(unknown) = names.iter().find(|name| !seeds.iter().any(|seed| seed.name == **name))
    else {
        return Ok(());
    };
    let mut known: Vec<&str> = seeds.iter().map(|seed| seed.name.as_str()).collect();
    known.dedup();
    if known.is_empty() {
        bail!("the document has no seed block; tag one with `-- [user:seed:{unknown}:start]`");
    }
    let suggestion = nearest_name(unknown, known.iter().copied());
    let suggestion = suggestion.map(|nearest| format!("did you mean `{nearest}`? "));
    bail!(
        "the document has no seed `{unknown}`; {}it has `{}`",
        suggestion.unwrap_or_default(),
        known.join("`, `")
    )
}

/// The diagnostics of the replay up to head. An error in a seed counts only if that seed was
/// requested; otherwise it is a warning.
fn seed_diagnostics(
    changelog: &Changelog<'_>,
    replay: &Replay<'_>,
    names: &[String],
) -> Vec<Diagnostic> {
    let requested_seeds = changelog.seeds().iter().filter(|seed| names.contains(&seed.name));
    let block_spans: Vec<_> = requested_seeds.map(|seed| seed.block.sql().full_span()).collect();
    let is_in_requested_seed = |diagnostic: &Diagnostic| {
        block_spans.iter().any(|block| block.contains(&diagnostic.span.start))
    };
    let pairs = replay.diagnostics(changelog.head_index()).zip(replay.all_diagnostics());
    pairs
        .map(
            |(up_to_head, complete)| {
                if is_in_requested_seed(&complete) { complete } else { up_to_head }
            },
        )
        .collect()
}
