//! `status`, `history` and `verify`: databases are opened read-only, and not a byte beside them changes.

use std::ffi::OsString;

use tatmig::Scope;
use tatmig::fleet::{Fleet, Selection};

use super::Tools;
use crate::report::ExitCodeAsked;

/// Where every database stands.
pub(super) fn status(tools: Tools<'_>, exit_code: bool) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let fleet = tools.fleet(&changelog, &Selection::All)?;
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
    let asked = if exit_code { ExitCodeAsked::Yes } else { ExitCodeAsked::No };
    Ok(tools.report.statuses(&changelog, &told, asked))
}

/// The document's migrations, or those of one database.
pub(super) fn history(
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
pub(super) fn verify(tools: Tools<'_>) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let fleet = tools.fleet(&changelog, &Selection::All)?;
    let replay = tools.replay(&changelog, changelog.head_position())?;
    let members: Vec<_> = fleet.members().collect();
    let bar = tools.report.progress(members.len());
    let results = fleet.verify((&changelog, &replay), &tools.options(), &mut || bar.inc(1));
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
