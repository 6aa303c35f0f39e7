//! Runs `doctor`: checks, without changing anything, what an upgrade of the whole fleet needs.

use std::collections::BTreeMap;
use std::path::Path;

use tatmig::fleet::{
    FileHealth, Fleet, NearMisses, Selection, can_create_files, free_space, worker_count,
};
use tatmig::migrate::Replay;
use tatmig::plan::MigrateError;
use tatmig::text::{escape_for_display, list_names};
use tatmig::{Changelog, DatabaseState, Severity};

use crate::cli::commands::context::CommandContext;
use crate::cli::commands::inspect::read_statuses;
use crate::cli::document_file::DocumentFile;
use crate::cli::report::format::{error_chain, format_size, plural};
use crate::cli::report::progress::Stage;
use crate::cli::report::views::doctor::{Check, CheckResult, DoctorView};

/// What was found about the files of a fleet; `None` for a database that is not a file.
type FileResults = Vec<Option<Result<FileHealth, MigrateError>>>;

/// Runs every check. Returns the exit status.
pub(crate) fn run(context: CommandContext<'_>) -> u8 {
    let mut checks = Vec::new();
    let document = context.read_document();
    let changelog = match &document {
        Ok(document) => check_document(context, document, &mut checks),
        Err(error) => {
            checks.push(failed("document", error_chain(error)));
            None
        }
    };
    let mut database_count = 0;
    if let Some(changelog) = &changelog {
        match Fleet::discover(&context.settings.fleet_config, &Selection::everything(), |scope| {
            changelog.has_scope(scope)
        }) {
            Ok(fleet) => {
                database_count = fleet.databases().count();
                check_fleet(context, changelog, &fleet, &mut checks);
            }
            Err(error) => checks.push(failed("databases", error_chain(&error.into()))),
        }
    }
    checks.push(check_backups_dir(&context.settings.backups_dir));
    checks.push(check_workers(context.settings.jobs));
    let sqlite = tatmig::rusqlite::version();
    checks.push(ok("SQLite", format!("{sqlite}, bundled; `tatmig lint --min-sqlite` checks what an older SQLite of an application can read")));
    context.report.emit(&DoctorView::new(&context.settings.origins, checks, database_count))
}

fn ok(name: &'static str, detail: String) -> Check {
    Check { name, result: CheckResult::Ok, detail }
}

fn note(name: &'static str, detail: String) -> Check {
    Check { name, result: CheckResult::Note, detail }
}

fn failed(name: &'static str, detail: String) -> Check {
    Check { name, result: CheckResult::Failed, detail }
}

/// Parses the document and runs it in memory. `None` if it cannot be parsed.
fn check_document<'a>(
    context: CommandContext<'_>,
    document: &'a DocumentFile,
    checks: &mut Vec<Check>,
) -> Option<Changelog<'a>> {
    let changelog = match Changelog::parse_named(&document.name, &document.text) {
        Ok(changelog) => changelog,
        Err(error) => {
            let errors = error.diagnostics().iter();
            let count = errors.filter(|found| found.severity == Severity::Error).count();
            let detail = format!("{}; run `tatmig lint`", plural(count, "error"));
            checks.push(failed("document", detail));
            return None;
        }
    };
    context.report.set_head(changelog.head());
    let progress = context.report.progress(Stage::Replaying, None);
    let replay = Replay::run(&changelog, &context.settings.connection_setup);
    drop(progress);
    let errors = match replay {
        Ok(replay) => {
            let diagnostics = replay.diagnostics(changelog.head_index());
            diagnostics.filter(|found| found.severity == Severity::Error).count()
        }
        Err(error) => {
            checks.push(failed("document", format!("it cannot be run in memory: {error}")));
            return Some(changelog);
        }
    };
    checks.push(match errors {
        0 => ok("document", format!("{} runs in memory up to {}", document.name, changelog.head())),
        count => failed("document", format!("{}; run `tatmig lint`", plural(count, "error"))),
    });
    Some(changelog)
}

fn check_fleet(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    fleet: &Fleet,
    checks: &mut Vec<Check>,
) {
    let users = plural(fleet.users.len(), "user database");
    if fleet.total_users == Some(0) {
        let near_misses = NearMisses::find(&context.settings.fleet_config);
        let check = if near_misses.has_databases { failed } else { note };
        checks.push(check("databases", near_misses.to_string()));
    } else {
        let system = fleet.system.as_ref().map_or("no system database", |_| "the system database");
        checks.push(ok("databases", format!("{system} and {users}")));
    }
    checks.extend(fleet.notices.iter().map(|notice| note("databases", notice.clone())));
    check_versions(context, changelog, fleet, checks);
    let progress = context.report.progress(Stage::Checking, None);
    let results = fleet.health(&context.run_options());
    drop(progress);
    check_files(context, fleet, &results, checks);
}

/// Reports databases that an upgrade would refuse, and how many it would migrate.
fn check_versions(
    context: CommandContext<'_>,
    changelog: &Changelog<'_>,
    fleet: &Fleet,
    checks: &mut Vec<Check>,
) {
    let statuses = read_statuses(context, changelog, fleet);
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut pending, mut unversioned) = (0, Vec::new());
    for (database, status) in fleet.databases().zip(statuses) {
        let Some(status) = status else { continue };
        // Without a document that runs, the version of a schema is not known, and neither is
        // whether an upgrade would refuse it.
        let is_undetected =
            status.state == DatabaseState::Unversioned && status.detection.is_none();
        match status.error {
            Some(error) if !is_undetected => {
                refused.entry(error.to_string()).or_default().push(database.display_name());
            }
            _ => {
                pending += usize::from(!status.steps.is_empty());
                if status.state == DatabaseState::Unversioned {
                    unversioned.push(database.display_name());
                }
            }
        }
    }
    let head = changelog.head();
    match pending {
        // What is pending in a database that is refused is not known.
        0 if !refused.is_empty() => {}
        0 => checks.push(ok("versions", format!("nothing is pending up to {head}"))),
        count => {
            checks.push(ok("versions", format!("{} below {head}", plural(count, "database"))));
        }
    }
    if !unversioned.is_empty() {
        let detail = format!(
            "without a history: {}; `tatmig status` shows the detected version",
            list_names(&unversioned)
        );
        checks.push(note("versions", detail));
    }
    for (error, names) in refused {
        checks.push(failed("versions", format!("{}: {error}", list_names(&names))));
    }
}

/// Reports journal modes, permissions, processes, and the space that a backup needs.
fn check_files(
    context: CommandContext<'_>,
    fleet: &Fleet,
    results: &FileResults,
    checks: &mut Vec<Check>,
) {
    let examined = fleet.databases().zip(results).filter_map(|(database, result)| {
        Some((database.display_name(), result.as_ref()?.as_ref().ok()?))
    });
    let files: Vec<(String, &FileHealth)> = examined.collect();
    if files.is_empty() {
        return;
    }
    let names_of = |is_listed: fn(&FileHealth) -> bool| -> Vec<String> {
        let listed = files.iter().filter(|(_, health)| is_listed(health));
        listed.map(|(name, _)| name.clone()).collect()
    };
    let wal = names_of(|health| health.is_wal).len();
    let journal = files.len() - wal;
    checks
        .push(ok("journal modes", format!("{wal} in WAL mode, {journal} with a rollback journal")));
    let read_only = names_of(|health| !health.is_writable);
    checks.push(if read_only.is_empty() {
        ok("permissions", "every database can be written".to_owned())
    } else {
        let names = list_names(&read_only);
        failed("permissions", format!("{names}: the file or its directory cannot be written"))
    });
    let in_use: Vec<String> = files
        .iter()
        .filter_map(|(name, health)| Some(format!("{name} by {}", health.open_by.as_ref()?)))
        .collect();
    if !in_use.is_empty() {
        let limit = if context.settings.is_verbose() { in_use.len() } else { 3 };
        let shown: Vec<&str> = in_use.iter().take(limit).map(String::as_str).collect();
        let more = match in_use.len() - shown.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        checks.push(note(
            "in use",
            format!("{}{more}; a locked database is waited for", shown.join(", ")),
        ));
    }
    let total: u64 = files.iter().map(|(_, health)| health.size).sum();
    checks.push(check_space(
        &context.settings.fleet_config.users_dir,
        &context.settings.backups_dir,
        total,
    ));
}

/// A backup of everything needs as much space as the databases; a migration about as much as the
/// largest one, in its journal.
fn check_space(users_dir: &Path, backups_dir: &Path, total: u64) -> Check {
    let total_size = format_size(total);
    match free_space(backups_dir).into_iter().chain(free_space(users_dir)).min() {
        Some(free) if free < total => note(
            "disk space",
            format!("{} free; a backup of all databases needs {total_size}", format_size(free)),
        ),
        Some(free) => {
            ok("disk space", format!("{} free; the databases hold {total_size}", format_size(free)))
        }
        None => note("disk space", "the operating system does not report it".to_owned()),
    }
}

fn check_backups_dir(dir: &Path) -> Check {
    let name = escape_for_display(dir.as_os_str());
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let existing = absolute.ancestors().find(|dir| dir.exists());
    if existing.is_some_and(|dir| dir.is_dir() && can_create_files(dir)) {
        ok("backups", format!("`{name}` can be written"))
    } else {
        failed("backups", format!("`{name}` cannot be created or written"))
    }
}

fn check_workers(jobs: usize) -> Check {
    match worker_count(jobs) {
        workers if workers < jobs => note(
            "workers",
            format!(
                "{workers} databases at once instead of {jobs}: the limit of open files or of memory is low (`ulimit -n`, `ulimit -v`)"
            ),
        ),
        workers => ok("workers", format!("{} at once", plural(workers, "database"))),
    }
}
