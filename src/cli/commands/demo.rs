//! `demo`: a small fleet at the baseline with rows in it, one of them in a state that a migration
//! cannot pass, upgraded before the newcomer's eyes and left to be played with.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rusqlite::{Connection, params};
use tatmig::Changelog;
use tatmig::fleet::{Fleet, UserSelection};
use tatmig::fleet::{FleetConfig, TargetDatabase};
use tatmig::migrate::{CreateOutcome, Migrator, Replay};
use tatmig::plan::Outcome;

use crate::cli::commands::CommandContext;
use crate::cli::report::{EXIT_FAILURE, EXIT_SUCCESS, RunSummary};

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
const CONFLICTING_USER: &str = "grace";

pub(crate) fn run(context: CommandContext<'_>, dir: Option<&Path>) -> anyhow::Result<u8> {
    let report = context.report;
    let dir = match dir {
        Some(dir) => require_empty_dir(dir)?,
        None => next_free_dir()?,
    };
    let users_dir = dir.join("users");
    fs::create_dir_all(&users_dir).with_context(|| {
        format!("`{}` cannot be made", tatmig::text::escape_for_display(users_dir.as_os_str()))
    })?;
    fs::write(dir.join("MIGRATIONS.md"), DOCUMENT)?;
    fs::write(dir.join("tatmig.toml"), SETTINGS)?;
    let fleet_config =
        FleetConfig::from_paths(dir.join("system.db"), users_dir, "{username}.db".parse()?);
    let changelog = Changelog::parse(DOCUMENT)?;
    let replay = Replay::run(&changelog, &context.signals.cancel_flag())?;
    let options = context.connect_options();
    let lowest_version = changelog.versions()[0].to_string();
    let baseline =
        Migrator::new(&changelog, &replay, changelog.target_index(Some(&lowest_version))?);
    let mut databases = vec![fleet_config.system_database()];
    for user in USERS {
        databases.push(fleet_config.user_database(&OsString::from(user))?);
    }
    for database in &databases {
        match baseline.create_database(database, &options) {
            CreateOutcome::Attempted(Outcome::Upgraded(_)) => {}
            CreateOutcome::Attempted(Outcome::Failed { error, .. }) => {
                bail!("`{}`: {error}", database.location.display())
            }
            CreateOutcome::Attempted(_) | CreateOutcome::AlreadyExists => {
                bail!("`{}` was not made", database.location.display())
            }
        }
        insert_demo_rows(database)?;
    }
    report.print_line(format!(
        "made {}: MIGRATIONS.md, system.db and {} user databases at {}, with rows in them",
        tatmig::text::escape_for_display(dir.as_os_str()),
        USERS.len(),
        baseline.target(),
    ));
    let migrator = Migrator::new(&changelog, &replay, changelog.head_index());
    let head = migrator.target().to_string();
    report.print_line(format!("\n$ tatmig upgrade --all-users      (head is {head})\n"));
    let fleet =
        Fleet::discover(&fleet_config, |scope| changelog.has_scope(scope), &UserSelection::All)?;
    let fleet_outcome = fleet.upgrade(&migrator, &context.run_options(), &mut |_, _| {});
    let status = report.print_run(
        (&fleet, &fleet_outcome),
        (changelog.source(), &head),
        &RunSummary::default(),
    );
    // One failure is what the demo shows; anything else is one.
    let failures =
        fleet_outcome.users.iter().filter(|database_outcome| database_outcome.is_failure()).count();
    if failures != 1 || fleet_outcome.system.as_ref().is_none_or(Outcome::is_failure) {
        return Ok(status.max(EXIT_FAILURE));
    }
    let program = command_for_next_steps(&dir);
    report.print_line(format!(
        "\n{CONFLICTING_USER} has tagged a note twice, so that one database was rolled back to what it was; the others are done.\n\n\
         Try next:\n  \
         cd {}\n  \
         {program} status\n  \
         {program} upgrade --all-users --dry-run\n  \
         {program} seed merge-tags --user {CONFLICTING_USER} && {program} upgrade --all-users\n\n\
         The last one mends {CONFLICTING_USER}'s rows and finishes the fleet.",
        tatmig::text::escape_for_display(dir.as_os_str()),
    ));
    Ok(EXIT_SUCCESS)
}

/// A directory of the user's choice: it must not hold anything yet.
fn require_empty_dir(dir: &Path) -> anyhow::Result<PathBuf> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            Some(_) => bail!(
                "`{}` is not empty; the demo makes a directory of its own",
                tatmig::text::escape_for_display(dir.as_os_str())
            ),
            None => Ok(dir.to_owned()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(dir.to_owned()),
        Err(error) => Err(error).context(format!(
            "`{}` cannot be used",
            tatmig::text::escape_for_display(dir.as_os_str())
        )),
    }
}

/// `tatmig-demo`, or the first of `tatmig-demo-2`, `-3` … that is not there.
fn next_free_dir() -> anyhow::Result<PathBuf> {
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
fn command_for_next_steps(dir: &Path) -> String {
    let Ok(program) = std::env::current_exe() else { return "tatmig".to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_installed = std::env::split_paths(&path)
        .find_map(|entry| entry.join("tatmig").canonicalize().ok())
        .is_some_and(|found_path| {
            program.canonicalize().is_ok_and(|program| program == found_path)
        });
    if is_installed {
        return "tatmig".to_owned();
    }
    // `target/release/tatmig` is one directory further up from within the demo.
    let relative = std::env::current_dir()
        .ok()
        .and_then(|current_dir| program.strip_prefix(current_dir).map(Path::to_owned).ok())
        .filter(|_| dir.is_relative() && dir.components().count() == 1)
        .map(|program| Path::new("..").join(program));
    tatmig::text::escape_for_display(relative.unwrap_or(program).as_os_str())
}

/// Puts rows into a database at the baseline.
fn insert_demo_rows(database: &TargetDatabase) -> anyhow::Result<()> {
    let Some(path) = database.location.file_path() else { return Ok(()) };
    let connection = Connection::open(path)?;
    connection.execute_batch("BEGIN")?;
    if database.scope == tatmig::Scope::System {
        for user in USERS {
            connection.execute(
                "INSERT INTO accounts (username, email) VALUES (?1, ?1 || '@example.org')",
                [user],
            )?;
        }
    } else {
        let user = database.display_name();
        for (index, title) in ["Groceries", "Ideas", "To read"].into_iter().enumerate() {
            connection.execute(
                "INSERT INTO notes (title, body) VALUES (?1, ?2)",
                params![title, format!("{user}'s note number {}", index + 1)],
            )?;
            let note_id = connection.last_insert_rowid();
            let tag = if index == 1 { "work" } else { "home" };
            connection.execute(
                "INSERT INTO tags (note_id, tag) VALUES (?1, ?2)",
                params![note_id, tag],
            )?;
            if user == CONFLICTING_USER && index == 1 {
                connection.execute(
                    "INSERT INTO tags (note_id, tag) VALUES (?1, ?2)",
                    params![note_id, tag],
                )?;
            }
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}
