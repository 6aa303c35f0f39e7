//! `init`: makes databases that are not there, at head.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;
use tatmig::{Created, Member, Ready, Scope, Verdict};

use crate::cli::command_args::Making;
use crate::cli::commands::Tools;
use crate::cli::report::{DONE, FAILED};

pub(crate) fn run(tools: Tools<'_>, users: &[OsString], making: &Making) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let layout = &tools.settings.layout;
    if !users.is_empty() && !changelog.has(Scope::User) {
        bail!("the document has no user block, so there are no user databases to make");
    }
    let mut members: Vec<Member> = Vec::new();
    members.extend(changelog.has(Scope::System).then(|| layout.system()));
    for user in users {
        let member = layout.user(user)?;
        let path = member.home.file();
        if path.is_some_and(|path| same_place(path, &layout.system_db)) {
            bail!("`{}` would be the system database's own file", tatmig::shown(user));
        }
        members.push(member);
    }
    for member in &members {
        let parent = member
            .home
            .file()
            .and_then(Path::parent)
            .filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            bail!(
                "there is no directory `{}` to make `{}` in; make it first",
                tatmig::shown(parent.as_os_str()),
                member.home.shown()
            );
        }
    }
    #[cfg(feature = "server")]
    if let Some(servers) = &layout.servers {
        if !servers.has_admin() {
            bail!(tatmig::sqld::ServerError::NoAdmin);
        }
        if making.journal_mode.is_some() {
            bail!(
                "a server keeps every namespace in a journal mode of its own; `--journal-mode` is for files"
            );
        }
        servers.refuse_twins(&mut members);
    }
    if members.is_empty() {
        tools
            .report
            .line("the document has no system block; `--user NAME` makes a user's database");
        return Ok(DONE);
    }
    let target = changelog.head_position();
    let replay = tools.replay(&changelog, target)?;
    let ready = Ready::new(&changelog, &replay, target)
        .with_practice(tools.settings.practice(Some(making)));
    let patience = tools.patience();
    let mut status = DONE;
    let mut told = Vec::new();
    for member in &members {
        match ready.create_member(member, &patience) {
            Created::There => {
                tools.report.made(member, None);
                told.push((member, "there"));
            }
            Created::Tried(Verdict::Failed { failure, .. }) => {
                status = FAILED;
                told.push((member, "failed"));
                tools.report.failed(member, &failure, changelog.source());
                if member.scope == Scope::System {
                    break;
                }
            }
            Created::Tried(verdict) => {
                tools.report.made(member, Some(&verdict));
                told.push((member, "made"));
            }
        }
    }
    tools.report.inited(&told);
    Ok(status)
}

/// Whether two paths name one file, there or not.
fn same_place(left: &Path, right: &Path) -> bool {
    let absolute = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        path.components().collect::<PathBuf>()
    };
    absolute(left) == absolute(right)
}
