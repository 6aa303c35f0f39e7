//! `downgrade`: reverse blocks, the users first and the system database last, so that it is never
//! below a user.

use std::collections::BTreeSet;

use anyhow::bail;
use tatmig::fleet::{OnFailure, Options, Selection};
use tatmig::{Changelog, Failure, Finding, Ready, Refusal, Scope, Status, StepId};

use crate::cli::command_args;
use crate::cli::commands::upgrade::kept;
use crate::cli::commands::{Tools, backup};
use crate::cli::report::{Aside, Deed};

pub(crate) fn run(tools: Tools<'_>, arguments: &command_args::Downgrade) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let selection = arguments.users.selection();
    let mut fleet = tools.fleet(&changelog, &selection)?;
    let replay = tools.unjudged_replay(&changelog)?;
    let options = Options {
        on_failure: if arguments.fail_fast { OnFailure::Stop } else { OnFailure::GoOn },
        ..tools.options()
    };
    // Those that are left alone count too: the system database must not go below them.
    let everyone = match fleet.users_found {
        Some(1..) => tools.fleet(&changelog, &Selection::All)?,
        _ => fleet.clone(),
    };
    let head = Ready::new(&changelog, &replay, changelog.head_position());
    let standings = everyone.standings(&head, &options, &mut || {});
    let standings: Vec<_> = everyone.members().zip(&standings).collect();
    let named = |name: &std::ffi::OsStr| fleet.users.iter().any(|user| user.name == name);
    let target = match (&arguments.to, arguments.steps()) {
        (Some(to), _) if to == "baseline" => None,
        (Some(to), _) => Some(changelog.target(Some(to))?),
        (None, steps) => {
            let concerned = standings.iter().filter(|(member, _)| match &selection {
                Selection::None => member.scope == Scope::System,
                Selection::All => true,
                Selection::Named(_) => member.scope == Scope::User && named(&member.name),
            });
            let highest = concerned.filter_map(|(_, status)| status.as_ref()?.position).max();
            steps_down(&changelog, highest, steps.unwrap_or(1))?
        }
    };
    let ready =
        Ready::down(&changelog, &replay, target).with_practice(tools.settings.practice(None));
    let statuses = fleet.standings(&ready, &options, &mut || {});
    refuse_gaps(&statuses, &ready)?;
    let steps: BTreeSet<StepId> =
        statuses.iter().flatten().flat_map(|status| status.steps.iter().copied()).collect();
    tools.judge(&changelog, replay.problems_down(&changelog, &steps))?;

    let staying: Vec<String> = standings
        .iter()
        .filter(|(member, _)| member.scope == Scope::User && !named(&member.name))
        .filter(|(_, status)| status.as_ref().is_none_or(|status| stays_above(status, target)))
        .map(|(member, _)| member.shown())
        .collect();
    let mut left_out = None;
    let goes = statuses.first().and_then(Option::as_ref).is_some_and(|s| !s.steps.is_empty());
    if !staying.is_empty() && goes && fleet.system.is_some() {
        let who = crate::cli::report::some(&staying);
        let users = crate::cli::report::plural(staying.len(), "user");
        let stay = if staying.len() == 1 { "stays" } else { "stay" };
        let target = ready.target();
        if selection == Selection::None {
            bail!(
                "the system database would be below {users} that {stay} above {target} ({who}); `--all-users` takes them down with it"
            );
        }
        left_out = Some(format!("left where it is, because {users} {stay} above {target} ({who})"));
        fleet.system = None;
    }
    let statuses: Vec<Option<Status>> =
        if left_out.is_some() { statuses.into_iter().skip(1).collect() } else { statuses };
    if arguments.dry_run {
        if let Some(held) = &left_out {
            tools.report.remark(format!("system: {held}"));
        }
        return Ok(tools.report.dry_run(&ready, (&fleet, &statuses)));
    }
    let mut copies = None;
    if !arguments.rehearse && !arguments.no_backup {
        let concerned =
            statuses.iter().map(|status| backup::is_concerned(status.as_ref())).collect::<Vec<_>>();
        copies = backup::before(tools, (&mut fleet, &concerned), ("downgrade", &options))?;
    }
    let trial = Ready::down(&changelog, &replay, target).rolled_back();
    let ready = if arguments.rehearse { &trial } else { &ready };
    let bar = tools.report.progress(fleet.members().count());
    let outcome = fleet.downgrade((ready, &trial), &options, &mut |_, _| bar.inc(1));
    bar.finish_and_clear();
    let kept = kept((&fleet, &outcome), (ready, &options));
    let aside = Aside { kept, copies, held: left_out, deed: Deed::Downgrade };
    let to = ready.target().to_string();
    Ok(tools.report.upgraded((&fleet, &outcome), (changelog.source(), &to), &aside))
}

/// The position so many migrations below the highest one; none below the lowest version.
fn steps_down(
    changelog: &Changelog<'_>,
    highest: Option<usize>,
    steps: usize,
) -> anyhow::Result<Option<usize>> {
    let Some(highest) = highest else {
        bail!(
            "no database that was named stands at a version of the document; there is nothing to go down from"
        );
    };
    if steps > highest + 1 {
        bail!(
            "from {} it is only {} down to nothing",
            changelog.versions()[highest],
            crate::cli::report::plural(highest + 1, "migration")
        );
    }
    Ok((highest + 1 - steps).checked_sub(1))
}

/// Refuses a run for which the document lacks a reverse block, with all that are missing.
fn refuse_gaps(statuses: &[Option<Status>], ready: &Ready<'_, '_>) -> anyhow::Result<()> {
    let mut tags: Vec<&str> = Vec::new();
    for status in statuses.iter().flatten() {
        if let Some(Failure::Refused(Refusal::NoReverse { missing })) = status.failure.as_deref() {
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
    let shown: Vec<String> = tags.iter().map(|tag| format!("\n  -- {tag}")).collect();
    bail!(
        "{} has no {} on the way down to {}:{}\nno database was touched; write what is missing, or put back a backup (`tatmig backup list`)",
        ready.changelog().source().name(),
        if tags.len() == 1 { "reverse block for a step" } else { "reverse blocks for some steps" },
        ready.target(),
        shown.concat()
    );
}

/// Whether a user that is left alone is, or may be, above a target.
fn stays_above(status: &Status, target: Option<usize>) -> bool {
    match (status.position, &status.failure) {
        (Some(position), _) => target.is_none_or(|target| position > target),
        // Another program's database has no version to be below.
        (None, Some(_)) => !matches!(status.finding.as_deref(), Some(Finding::Foreign)),
        (None, None) => false,
    }
}
