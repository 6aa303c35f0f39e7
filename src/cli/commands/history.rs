//! `stamp` and `adopt`: they write the record of a database, and nothing else of it.

use tatmig::fleet::{Fleet, Options, Selection};
use tatmig::{At, Changelog, Ready};

use crate::cli::command_args::Users;
use crate::cli::commands::Tools;

/// Records a version without looking.
pub(crate) fn stamp(tools: Tools<'_>, version: &str, users: &Users) -> anyhow::Result<u8> {
    run(tools, Some(version), users, |fleet, ready, how| {
        // Who stamps one user does not mean the system database, whose version is another.
        let users_only = Fleet { system: None, ..fleet.clone() };
        match users.selection() {
            Selection::Named(_) => users_only.stamp(ready, how),
            Selection::None | Selection::All => fleet.stamp(ready, how),
        }
    })
}

/// Records the version that the schema tells, or the one given.
pub(crate) fn adopt(tools: Tools<'_>, at: Option<&str>, users: &Users) -> anyhow::Result<u8> {
    run(tools, at, users, tatmig::fleet::Fleet::adopt)
}

fn run(
    tools: Tools<'_>,
    at: Option<&str>,
    users: &Users,
    work: impl FnOnce(&Fleet, &Ready<'_, '_>, (At, &Options)) -> tatmig::fleet::Outcome,
) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let at = position(&changelog, at)?;
    let fleet = tools.fleet(&changelog, &users.selection())?;
    let target = changelog.head_position();
    let replay = tools.replay(&changelog, target)?;
    let ready = tools.ready((&changelog, &replay), target);
    let outcome = work(&fleet, &ready, (at, &tools.options()));
    Ok(tools.report.recorded((&fleet, &outcome), changelog.source()))
}

fn position(changelog: &Changelog<'_>, at: Option<&str>) -> anyhow::Result<At> {
    Ok(match at {
        None => At::Found,
        Some("baseline") => At::Baseline,
        Some(version) => At::Position(changelog.target(Some(version))?),
    })
}
