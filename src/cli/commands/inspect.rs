//! `status`, `history` and `verify`: databases are opened read-only, and not a byte beside them changes.

use std::ffi::OsString;

use anyhow::bail;
use tatmig::fleet::{Fleet, FleetError, Selection};
use tatmig::{Changelog, Scope};

use crate::cli::command_args::Status;
use crate::cli::commands::Tools;
use crate::cli::report::{ExitCodeAsked, Holdings};

/// Where every database stands.
pub(crate) fn status(tools: Tools<'_>, arguments: &Status) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let fleet = chosen(tools, &changelog, arguments)?;
    let members: Vec<_> = fleet.members().collect();
    let bar = tools.report.progress(members.len());
    // What a schema without a record tells is only asked of a document that holds together.
    let replay = tools.quiet_replay(&changelog);
    let head = (&changelog, replay.as_ref(), changelog.head_position());
    let statuses = fleet.status(head, &tools.options(), &mut || bar.inc(1));
    bar.finish_and_clear();
    for remark in &fleet.remarks {
        tools.report.remark(remark);
    }
    let told: Vec<_> = members
        .into_iter()
        .zip(&statuses)
        .filter_map(|(member, status)| Some((member, status.as_ref()?)))
        .collect();
    let asked = if arguments.exit_code { ExitCodeAsked::Yes } else { ExitCodeAsked::No };
    let stats = arguments.stats.then(|| {
        let bar = tools.report.progress(fleet.members().count());
        let stats = fleet.stats(&tools.options(), &mut || bar.inc(1));
        bar.finish_and_clear();
        Holdings::of(&fleet, stats)
    });
    Ok(tools.report.statuses((&changelog, &told), stats.as_ref(), asked))
}

/// The databases that were asked for; all where none is named.
fn chosen(
    tools: Tools<'_>,
    changelog: &Changelog<'_>,
    arguments: &Status,
) -> anyhow::Result<Fleet> {
    if arguments.system {
        if !changelog.has(Scope::System) {
            bail!("the document has no system block, so there is no system database");
        }
        let only_system = |scope| scope == Scope::System;
        return Ok(Fleet::discover(&tools.settings.layout, only_system, &Selection::None)?);
    }
    if arguments.users.is_empty() {
        return Ok(tools.fleet(changelog, &Selection::All)?);
    }
    if !changelog.has(Scope::User) {
        bail!(FleetError::NoUserBlocks);
    }
    let only_users = |scope| scope == Scope::User;
    let named = Selection::Named(arguments.users.clone());
    Ok(Fleet::discover(&tools.settings.layout, only_users, &named)?)
}

/// The document's migrations, or those of one database.
pub(crate) fn history(
    tools: Tools<'_>,
    (user, system): (Option<OsString>, bool),
) -> anyhow::Result<u8> {
    let layout = &tools.settings.layout;
    let member = match user {
        Some(user) => {
            let only_users = |scope| scope == Scope::User;
            let fleet = Fleet::discover(layout, only_users, &Selection::Named(vec![user]))?;
            fleet.users.into_iter().next()
        }
        None if system => {
            let only_system = |scope| scope == Scope::System;
            Fleet::discover(layout, only_system, &Selection::None)?.system
        }
        None => None,
    };
    let Some(member) = member else {
        let text = tools.text()?;
        return Ok(tools.report.changelog(&tools.changelog(&text)?));
    };
    let patience = tools.patience();
    match member.records(&patience) {
        Ok(records) => Ok(tools.report.records(&member, &records)),
        Err(failure) => Ok(tools.report.unreadable(&member, &failure)),
    }
}

/// Everything that is wrong with any database.
pub(crate) fn verify(tools: Tools<'_>) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let fleet = tools.fleet(&changelog, &Selection::All)?;
    let target = changelog.head_position();
    let replay = tools.replay(&changelog, target)?;
    let ready = tools.ready((&changelog, &replay), target);
    let members: Vec<_> = fleet.members().collect();
    let bar = tools.report.progress(members.len());
    let results = fleet.verify(&ready, &tools.options(), &mut || bar.inc(1));
    bar.finish_and_clear();
    for remark in &fleet.remarks {
        tools.report.remark(remark);
    }
    let told: Vec<_> = members
        .into_iter()
        .zip(&results)
        .filter_map(|(member, result)| Some((member, result.as_ref()?)))
        .collect();
    Ok(tools.report.verified(&changelog, &told))
}
