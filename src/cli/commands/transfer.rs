//! `push` and `pull`: a fleet moves from its files to a server, and back.

use anyhow::{Context, bail};
use tatmig::fleet::Fleet;
use tatmig::{Layout, Scope};

use crate::cli::command_args::Users;
use crate::cli::commands::Tools;

/// Copies the files into namespaces.
pub(crate) fn push(tools: Tools<'_>, users: &Users) -> anyhow::Result<u8> {
    let (files, namespaces) = both(tools)?;
    if !namespaces.servers.as_ref().is_some_and(|servers| servers.has_admin()) {
        bail!(tatmig::sqld::ServerError::NoAdmin);
    }
    carry(tools, users, (&files, &namespaces))
}

/// Copies the namespaces into files.
pub(crate) fn pull(tools: Tools<'_>, users: &Users) -> anyhow::Result<u8> {
    let (files, namespaces) = both(tools)?;
    if !files.users_dir.is_dir() {
        bail!(
            "there is no directory `{}` to put users' databases in; make it first",
            tatmig::shown(files.users_dir.as_os_str())
        );
    }
    carry(tools, users, (&namespaces, &files))
}

/// The fleet's place in files, and that in namespaces.
fn both(tools: Tools<'_>) -> anyhow::Result<(Layout, Layout)> {
    let namespaces = tools.settings.layout.clone();
    let files = Layout { servers: None, ..namespaces.clone() };
    namespaces.servers.as_ref().context("this needs a server: `--server URL` names it")?;
    Ok((files, namespaces))
}

fn carry(tools: Tools<'_>, users: &Users, (from, to): (&Layout, &Layout)) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let fleet = Fleet::discover(from, |scope: Scope| changelog.has(scope), &users.selection())?;
    let members: Vec<_> = fleet.members().collect();
    let bar = tools.report.progress(members.len());
    let made_in = tools.settings.practice(None).journal_mode;
    let places = fleet.move_to((to, made_in), &tools.options(), &mut || bar.inc(1));
    bar.finish_and_clear();
    Ok(tools.report.moved((&fleet, &members), &places))
}
