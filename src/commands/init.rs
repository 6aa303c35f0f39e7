//! `init`: makes databases that are not there, at head.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::bail;
use tatmig::{Failure, Member, Patience, Ready, Scope, Verdict};

use super::Tools;
use crate::report::{DONE, FAILED};

pub(super) fn run(tools: Tools<'_>, users: &[OsString]) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = match tools.changelog(&text) {
        Ok(changelog) => changelog,
        Err(status) => return Ok(status),
    };
    let layout = &tools.settings.layout;
    if !users.is_empty() && !changelog.has(Scope::User) {
        bail!("the document has no user block, so there are no user databases to make");
    }
    let mut members: Vec<Member> = Vec::new();
    members.extend(changelog.has(Scope::System).then(|| layout.system()));
    for user in users {
        let member = layout.user(user)?;
        if same_place(&member.path, &layout.system_db) {
            bail!("`{}` would be the system database's own file", tatmig::shown(user));
        }
        members.push(member);
    }
    for member in &members {
        let parent = member.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            bail!(
                "there is no directory `{}` to make `{}` in; make it first",
                tatmig::shown(parent.as_os_str()),
                tatmig::shown(member.path.as_os_str())
            );
        }
    }
    if members.is_empty() {
        tools
            .report
            .line("the document has no system block; `--user NAME` makes a user's database");
        return Ok(DONE);
    }
    let target = changelog.head_position();
    let replay = match tools.replay(&changelog, target)? {
        Ok(replay) => replay,
        Err(status) => return Ok(status),
    };
    let ready = Ready::new(&changelog, &replay, target);
    let patience = tools.patience();
    let mut status = DONE;
    let mut told = Vec::new();
    for member in &members {
        match make(&ready, member, &patience) {
            Made::There => {
                tools.report.made(member, None);
                told.push((member, "there"));
            }
            Made::Tried(Verdict::Failed { failure, .. }) => {
                status = FAILED;
                told.push((member, "failed"));
                tools.report.failed(member, &failure, changelog.source());
                if member.scope == Scope::System {
                    break;
                }
            }
            Made::Tried(verdict) => {
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

enum Made {
    There,
    Tried(Verdict),
}

/// Makes an empty file, which nobody else can have made in between, and migrates it. Where that
/// fails the file goes again, unless something was written to it.
fn make(ready: &Ready<'_, '_>, member: &Member, patience: &Patience) -> Made {
    match OpenOptions::new().write(true).create_new(true).open(&member.path) {
        Ok(file) => drop(file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Made::There,
        Err(error) => {
            let failure = Failure::NotOpened(format!("it cannot be made: {error}"));
            return Made::Tried(Verdict::Failed { at: None, failure });
        }
    }
    let verdict = ready.upgrade_member(member, patience);
    let empty = std::fs::metadata(&member.path).is_ok_and(|metadata| metadata.len() == 0);
    if !matches!(verdict, Verdict::Upgraded(_)) && empty {
        let _ = std::fs::remove_file(&member.path);
    }
    Made::Tried(verdict)
}
