//! Runs `demo`: creates a small fleet at the baseline, with rows in it, and upgrades it. The rows of
//! one user make a migration fail. The files stay, so that the user can experiment.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rusqlite::{Connection, params};
use tatmig::Changelog;
use tatmig::database::ConnectOptions;
use tatmig::fleet::{Fleet, Selection};
use tatmig::fleet::{FleetConfig, TargetDatabase};
use tatmig::migrate::{CreateOutcome, Migrator, Replay};
use tatmig::plan::Outcome;

use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::demo::{DemoFleet, DemoView, NextCommands};
use crate::cli::report::views::run::{RunDetails, RunView};

const DOCUMENT: &str = include_str!("demo.md");

const SETTINGS: &str = "\
# The settings of the demo's fleet. Paths are relative to this file.
users_dir = \"users\"
user_pattern = \"{username}.db\"
";

/// One name a line.
const USERS: &str = include_str!("demo_users.txt");

/// The user whose rows make the migration to 1.2.0 fail.
const CONFLICTING_USER: &str = "grace";

pub(crate) fn run(context: CommandContext<'_>, dir: Option<&Path>) -> anyhow::Result<u8> {
    let dir = match dir {
        Some(dir) => require_empty_dir(dir)?,
        None => next_free_dir()?,
    };
    let fleet_config = write_files(&dir)?;
    let changelog = Changelog::parse(DOCUMENT)?;
    context.report.set_head(changelog.head());
    let replay = Replay::run(&changelog, &context.settings.connection_setup)?;
    let lowest_version = changelog.versions()[0].to_string();
    let baseline =
        Migrator::new(&changelog, &replay, changelog.target_index(Some(&lowest_version))?);
    let progress = context.report.progress(Stage::Creating, None);
    context.signals.begin_writing();
    create_databases(&fleet_config, &baseline, &context.connect_options())?;
    drop(progress);
    let migrator = Migrator::new(&changelog, &replay, changelog.head_index());
    let fleet = Fleet::discover(&fleet_config, &Selection::everything(), |scope| {
        changelog.has_scope(scope)
    })?;
    let progress = RunProgress::start(context, Stage::SystemDatabase, fleet.databases());
    let options = context.run_options();
    let fleet_outcome = fleet.upgrade(&migrator, &options, &mut progress.on_done());
    drop(progress);
    let failures = fleet_outcome.users.iter().filter(|outcome| outcome.is_failure()).count();
    let is_system_upgraded = fleet_outcome.system.as_ref().is_some_and(|o| !o.is_failure());
    let head = migrator.target().to_string();
    let details = RunDetails::default();
    let view = DemoView {
        run: RunView::new(&fleet, &fleet_outcome, changelog.source(), &head, &details),
        fleet: DemoFleet {
            dir: &dir,
            user_count: USERS.lines().count(),
            baseline: baseline.target().to_string(),
            head: &head,
        },
        // The demo intends exactly one failure.
        next: (failures == 1 && is_system_upgraded).then(|| NextCommands {
            program: command_for_next_steps(&dir),
            conflicting_user: CONFLICTING_USER,
        }),
    };
    Ok(context.report.emit(&view))
}

/// Writes the document and the settings, and creates the users directory.
fn write_files(dir: &Path) -> anyhow::Result<FleetConfig> {
    let users_dir = dir.join("users");
    fs::create_dir_all(&users_dir).with_context(|| {
        format!("`{}` cannot be created", tatmig::text::escape_for_display(users_dir.as_os_str()))
    })?;
    fs::write(dir.join("MIGRATIONS.md"), DOCUMENT)?;
    fs::write(dir.join("tatmig.toml"), SETTINGS)?;
    Ok(FleetConfig::from_paths(dir.join("system.db"), users_dir, "{username}.db".parse()?))
}

/// Creates all databases at the baseline and inserts rows into them.
fn create_databases(
    fleet_config: &FleetConfig,
    baseline: &Migrator<'_, '_>,
    options: &ConnectOptions,
) -> anyhow::Result<()> {
    let mut databases = vec![fleet_config.system_database()];
    for user in USERS.lines() {
        databases.push(fleet_config.user_database(&OsString::from(user))?);
    }
    for database in &databases {
        match baseline.create_database(database, options) {
            CreateOutcome::Attempted(Outcome::Upgraded(_)) => {}
            CreateOutcome::Attempted(Outcome::Failed { error, .. }) => {
                bail!("`{}`: {error}", database.location.display())
            }
            CreateOutcome::Attempted(_) | CreateOutcome::AlreadyExists => {
                bail!("`{}` was not created", database.location.display())
            }
        }
        insert_demo_rows(database)?;
    }
    Ok(())
}

/// The given directory, if it is empty or does not exist.
fn require_empty_dir(dir: &Path) -> anyhow::Result<PathBuf> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            Some(_) => bail!(
                "`{}` is not empty; name a directory that does not exist",
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

/// The first of `tatmig-demo`, `tatmig-demo-2`, `tatmig-demo-3` … that does not exist.
fn next_free_dir() -> anyhow::Result<PathBuf> {
    let names = (1..1000).map(|number| match number {
        1 => PathBuf::from("tatmig-demo"),
        number => PathBuf::from(format!("tatmig-demo-{number}")),
    });
    names
        .into_iter()
        .find(|dir| dir.symlink_metadata().is_err())
        .context("a thousand demo directories exist here; remove some, or name a directory")
}

/// How to call this program from the demo's directory.
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
    // A relative path such as `target/release/tatmig` needs one more `..` in the demo's directory.
    let relative = std::env::current_dir()
        .ok()
        .and_then(|current_dir| program.strip_prefix(current_dir).map(Path::to_owned).ok())
        .filter(|_| dir.is_relative() && dir.components().count() == 1)
        .map(|program| Path::new("..").join(program));
    tatmig::text::escape_for_display(relative.unwrap_or(program).as_os_str())
}

/// Inserts rows into a database at the baseline.
fn insert_demo_rows(database: &TargetDatabase) -> anyhow::Result<()> {
    let Some(path) = database.location.file_path() else { return Ok(()) };
    let connection = Connection::open(path)?;
    connection.execute_batch("BEGIN")?;
    if database.scope == tatmig::Scope::System {
        for user in USERS.lines() {
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
