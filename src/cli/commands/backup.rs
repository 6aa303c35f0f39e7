//! `backup`, `restore` and `reset`: whole databases are moved, and what is replaced is copied
//! first.

use std::ffi::OsString;

use anyhow::bail;
use tatmig::backup::{Backup, Store, refuse_those_in_use};
use tatmig::fleet::{Fleet, Options, Selection};
use tatmig::{Changelog, Failure, Member, Scope, Status};

use crate::cli::command_args;
use crate::cli::command_args::Users;
use crate::cli::commands::{Text, Tools};
use crate::cli::report::{Aside, Deed, FAILED, Report};

fn store(tools: Tools<'_>) -> Store {
    Store::new(tools.settings.backups_dir.clone())
}

/// Copies the databases named. The document tells which there are; without one that can be read,
/// the files do, since that is when a backup is wanted most.
pub(crate) fn make(tools: Tools<'_>, users: &Users) -> anyhow::Result<u8> {
    let text = Text::read(&tools.settings.file).ok();
    let changelog =
        text.as_ref().and_then(|text| Changelog::parse_named(&text.name, &text.text).ok());
    let layout = &tools.settings.layout;
    let selection = users.selection();
    let system_is_there = layout.system().home.is_there();
    let has = |scope| match (&changelog, scope) {
        (changelog, Scope::System) => {
            changelog.as_ref().is_none_or(|changelog| changelog.has(Scope::System))
                && (system_is_there || selection == Selection::None)
        }
        (Some(changelog), Scope::User) => changelog.has(Scope::User),
        (None, Scope::User) => true,
    };
    if changelog.is_none() {
        tools.report.remark("the document cannot be used; the databases that are there are copied");
    }
    let fleet = Fleet::discover(layout, has, &selection)?;
    let members: Vec<&Member> = fleet.members().collect();
    if members.is_empty() {
        bail!("there is nothing to copy; `--all-users` or `--user NAME` names user databases");
    }
    let bar = tools.report.progress(members.len());
    let options = tools.options();
    let made = store(tools).make((&members, "backup"), &options, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    let status = tools.report.backed_up(&fleet, &made);
    let misses_system = changelog.as_ref().is_some_and(|changelog| changelog.has(Scope::System));
    if misses_system && !system_is_there {
        let path = layout.system().home.shown();
        tools
            .report
            .error(format!("there is no system database at `{path}`, so it was not copied"));
        return Ok(FAILED);
    }
    Ok(status)
}

pub(crate) fn list(tools: Tools<'_>) -> anyhow::Result<u8> {
    let all = store(tools).list()?;
    Ok(tools.report.backups(&tools.settings.backups_dir, &all))
}

pub(crate) fn prune(tools: Tools<'_>, keep: usize) -> anyhow::Result<u8> {
    let pruned = store(tools).prune(keep, (&tools.settings.layout, &tools.patience()))?;
    Ok(tools.report.pruned(&pruned))
}

/// Whether a database is about to be changed, or may be.
pub(crate) fn is_concerned(status: Option<&Status>) -> bool {
    status.is_none_or(|status| {
        !status.steps.is_empty() || matches!(status.failure.as_deref(), Some(Failure::Database(_)))
    })
}

/// Copies databases that are about to be changed. One that cannot be copied is marked to be left
/// alone.
pub(crate) fn before(
    tools: Tools<'_>,
    (fleet, concerned): (&mut Fleet, &[bool]),
    (reason, options): (&str, &Options),
) -> anyhow::Result<Option<Backup>> {
    let mut members: Vec<&mut Member> = fleet
        .system
        .iter_mut()
        .chain(&mut fleet.users)
        .zip(concerned)
        .filter_map(|(member, concerned)| concerned.then_some(member))
        .collect();
    copy_first(tools, &mut members, (reason, options))
}

fn copy_first(
    tools: Tools<'_>,
    members: &mut [&mut Member],
    (reason, options): (&str, &Options),
) -> anyhow::Result<Option<Backup>> {
    let bar = tools.report.progress(members.len());
    let sources: Vec<&Member> = members.iter().map(|member| &**member).collect();
    let made = store(tools).make((&sources, reason), options, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    for (member, verdict) in members.iter_mut().zip(&made.verdicts) {
        if let (Some(Err(failure)), None) = (verdict, &member.refused) {
            member.refuse_without_copy(failure);
        }
    }
    Ok(made.backup)
}

/// Puts databases back as a backup holds them.
pub(crate) fn restore(tools: Tools<'_>, arguments: &command_args::Restore) -> anyhow::Result<u8> {
    let backup = store(tools).find(&arguments.id)?;
    let all = arguments.users.is_empty() && !arguments.system;
    let mut wanted: Vec<(Scope, OsString)> = Vec::new();
    if all {
        let copies = backup.manifest.databases.iter();
        wanted.extend(copies.map(|copy| (copy.scope, copy.user.clone())));
    } else {
        wanted.extend(arguments.system.then(|| (Scope::System, "system".into())));
        wanted.extend(arguments.users.iter().map(|user| (Scope::User, user.clone())));
        wanted.sort();
        wanted.dedup();
    }
    let mut members = Fleet::places(&tools.settings.layout, &wanted)?;
    let mut lacking = Vec::new();
    for member in &members {
        if backup.copy_of(member).is_none() {
            lacking.push(format!("`{}`", member.shown()));
        }
    }
    if !lacking.is_empty() {
        let (id, users) = (backup.id, lacking.join(", "));
        bail!(tatmig::backup::BackupError::NotInIt { id, users });
    }
    let options = tools.options();
    backup.check(&members, &options)?;
    backup.find_room(&members)?;
    refuse_those_in_use(&mut members);
    let mut first = None;
    if !arguments.no_backup {
        let mut there: Vec<&mut Member> = members
            .iter_mut()
            .filter(|member| member.refused.is_none() && member.home.is_there())
            .collect();
        first = copy_first(tools, &mut there, ("restore", &options))?;
    }
    let bar = tools.report.progress(members.len());
    let results = backup.restore(&members, &options, &mut || bar.inc(1));
    bar.finish_and_clear();
    let results: Vec<_> = members.iter().zip(&results).collect();
    Ok(tools.report.restored((&backup, first.as_ref()), &results))
}

/// Puts new databases in the place of those named.
pub(crate) fn reset(tools: Tools<'_>, arguments: &command_args::Reset) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let selection = arguments.users.selection();
    // Who resets one user does not mean the system database.
    let named = matches!(selection, Selection::Named(_));
    let has = |scope| changelog.has(scope) && !(named && scope == Scope::System);
    let mut fleet = Fleet::discover(&tools.settings.layout, has, &selection)?;
    if fleet.members().next().is_none() {
        bail!("there is nothing to reset; `--all-users` or `--user NAME` names user databases");
    }
    let replay = tools.replay(&changelog, changelog.head_position())?;
    let ready = tools.ready((&changelog, &replay), changelog.head_position());
    if !arguments.yes {
        Report::confirm_reset(&fleet)?;
    }
    let options = tools.options();
    let mut members: Vec<Member> = fleet.members().cloned().collect();
    refuse_those_in_use(&mut members);
    let mut copies = None;
    if !arguments.no_backup {
        let mut whole: Vec<&mut Member> =
            members.iter_mut().filter(|member| member.refused.is_none()).collect();
        copies = copy_first(tools, &mut whole, ("reset", &options))?;
    }
    let mut members = members.into_iter();
    fleet.system = fleet.system.and_then(|_| members.next());
    fleet.users = members.collect();
    let bar = tools.report.progress(fleet.members().count());
    let outcome = fleet.reset(&ready, &options, &mut |_, _| bar.inc(1));
    bar.finish_and_clear();
    let aside = Aside { copies, deed: Deed::Reset, ..Aside::default() };
    let to = ready.target().to_string();
    Ok(tools.report.upgraded((&fleet, &outcome), (changelog.source(), &to), &aside))
}
