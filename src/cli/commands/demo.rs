//! `demo`: a small fleet at the baseline with rows in it, one of them in a state that a migration
//! cannot pass, upgraded before the newcomer's eyes and left to be played with.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rusqlite::{Connection, params};
use tatmig::fleet::{Fleet, Selection};
use tatmig::{Changelog, Created, Layout, Member, Ready, Replay, Verdict};

use crate::cli::commands::Tools;
use crate::cli::report::{Aside, DONE, FAILED};

const DOCUMENT: &str = include_str!("demo.md");

const SETTINGS: &str = "\
# The settings of the demo's fleet. Paths are relative to this file.
users_dir = \"users\"
user_pattern = \"{username}.db\"
";

const USERS: &[&str] = &[
    "ada",
    "alan",
    "barbara",
    "claude",
    "donald",
    "dorothy",
    "edsger",
    "emmy",
    "frances",
    "grace",
    "hedy",
    "ivan",
    "joan",
    "john",
    "katherine",
    "ken",
    "leslie",
    "linus",
    "margaret",
    "niklaus",
    "radia",
    "sophie",
    "tony",
    "vera",
];

/// The user whose rows stand in the way of 1.2.0.
const CONFLICT: &str = "grace";

pub(crate) fn run(tools: Tools<'_>, dir: Option<&Path>) -> anyhow::Result<u8> {
    let report = tools.report;
    let dir = match dir {
        Some(dir) => named(dir)?,
        None => next_free()?,
    };
    let users_dir = dir.join("users");
    fs::create_dir_all(&users_dir)
        .with_context(|| format!("`{}` cannot be made", tatmig::shown(users_dir.as_os_str())))?;
    fs::write(dir.join("MIGRATIONS.md"), DOCUMENT)?;
    fs::write(dir.join("tatmig.toml"), SETTINGS)?;
    let layout = Layout::of_files(dir.join("system.db"), users_dir, "{username}.db".parse()?);
    let changelog = Changelog::parse(DOCUMENT)?;
    let replay = Replay::run(&changelog, &tools.signals.stop())?;
    let patience = tools.patience();
    let baseline = Ready::new(&changelog, &replay, 0);
    let mut members = vec![layout.system()];
    for user in USERS {
        members.push(layout.user(&OsString::from(user))?);
    }
    for member in &members {
        match baseline.create_member(member, &patience) {
            Created::Tried(Verdict::Upgraded(_)) => {}
            Created::Tried(Verdict::Failed { failure, .. }) => {
                bail!("`{}`: {failure}", member.home.shown())
            }
            Created::Tried(_) | Created::There => bail!("`{}` was not made", member.home.shown()),
        }
        fill(member)?;
    }
    report.line(format!(
        "made {}: MIGRATIONS.md, system.db and {} user databases at {}, with rows in them",
        tatmig::shown(dir.as_os_str()),
        USERS.len(),
        baseline.target(),
    ));
    let ready = Ready::new(&changelog, &replay, changelog.head_position());
    let head = ready.target().to_string();
    report.line(format!("\n$ tatmig upgrade --all-users      (head is {head})\n"));
    let fleet = Fleet::discover(&layout, |scope| changelog.has(scope), &Selection::All)?;
    let outcome = fleet.upgrade(&ready, &tools.options(), &mut |_, _| {});
    let status =
        report.upgraded((&fleet, &outcome), (changelog.source(), &head), &Aside::default());
    // One failure is what the demo shows; anything else is one.
    let failures = outcome.users.iter().filter(|verdict| verdict.is_failure()).count();
    if failures != 1 || outcome.system.as_ref().is_none_or(Verdict::is_failure) {
        return Ok(status.max(FAILED));
    }
    let tatmig = own_name(&dir);
    report.line(format!(
        "\n{CONFLICT} has tagged a note twice, so that one database was rolled back to what it was; the others are done.\n\n\
         Try next:\n  \
         cd {}\n  \
         {tatmig} status\n  \
         {tatmig} upgrade --all-users --dry-run\n  \
         {tatmig} seed merge-tags --user {CONFLICT} && {tatmig} upgrade --all-users\n\n\
         The last one mends {CONFLICT}'s rows and finishes the fleet.",
        tatmig::shown(dir.as_os_str()),
    ));
    Ok(DONE)
}

/// A directory of the user's choice: it must not hold anything yet.
fn named(dir: &Path) -> anyhow::Result<PathBuf> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            Some(_) => bail!(
                "`{}` is not empty; the demo makes a directory of its own",
                tatmig::shown(dir.as_os_str())
            ),
            None => Ok(dir.to_owned()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(dir.to_owned()),
        Err(error) => {
            Err(error).context(format!("`{}` cannot be used", tatmig::shown(dir.as_os_str())))
        }
    }
}

/// `tatmig-demo`, or the first of `tatmig-demo-2`, `-3` … that is not there.
fn next_free() -> anyhow::Result<PathBuf> {
    let names = (1..1000).map(|number| match number {
        1 => PathBuf::from("tatmig-demo"),
        number => PathBuf::from(format!("tatmig-demo-{number}")),
    });
    names
        .into_iter()
        .find(|dir| dir.symlink_metadata().is_err())
        .context("there are a thousand demos here; remove some, or name a directory")
}

/// How the newcomer can call this very program from within the demo's directory.
fn own_name(dir: &Path) -> String {
    let Ok(program) = std::env::current_exe() else { return "tatmig".to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path)
        .find_map(|entry| entry.join("tatmig").canonicalize().ok())
        .is_some_and(|found| program.canonicalize().is_ok_and(|program| program == found));
    if installed {
        return "tatmig".to_owned();
    }
    // `target/release/tatmig` is one directory further up from within the demo.
    let relative = std::env::current_dir()
        .ok()
        .and_then(|here| program.strip_prefix(here).map(Path::to_owned).ok())
        .filter(|_| dir.is_relative() && dir.components().count() == 1)
        .map(|program| Path::new("..").join(program));
    tatmig::shown(relative.unwrap_or(program).as_os_str())
}

/// Puts rows into a database at the baseline.
fn fill(member: &Member) -> anyhow::Result<()> {
    let Some(path) = member.home.file() else { return Ok(()) };
    let connection = Connection::open(path)?;
    connection.execute_batch("BEGIN")?;
    if member.scope == tatmig::Scope::System {
        for user in USERS {
            connection.execute(
                "INSERT INTO accounts (username, email) VALUES (?1, ?1 || '@example.org')",
                [user],
            )?;
        }
    } else {
        let user = member.shown();
        for (at, title) in ["Groceries", "Ideas", "To read"].into_iter().enumerate() {
            connection.execute(
                "INSERT INTO notes (title, body) VALUES (?1, ?2)",
                params![title, format!("{user}'s note number {}", at + 1)],
            )?;
            let note = connection.last_insert_rowid();
            let tag = if at == 1 { "work" } else { "home" };
            connection
                .execute("INSERT INTO tags (note_id, tag) VALUES (?1, ?2)", params![note, tag])?;
            if user == CONFLICT && at == 1 {
                connection.execute(
                    "INSERT INTO tags (note_id, tag) VALUES (?1, ?2)",
                    params![note, tag],
                )?;
            }
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}
