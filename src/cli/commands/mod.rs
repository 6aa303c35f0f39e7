//! Runs the commands: one file for each, or for a few that share their work. A command returns its
//! exit status; an error means that no database was changed.

pub(crate) mod backup;
pub(crate) mod context;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod downgrade;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lint;
pub(crate) mod lint_fix;
pub(crate) mod lint_watch;
#[cfg(feature = "lsp")]
pub(crate) mod lsp;
pub(crate) mod man;
pub(crate) mod missing_users;
pub(crate) mod new;
pub(crate) mod new_from_db;
pub(crate) mod promote;
pub(crate) mod query;
pub(crate) mod redo;
pub(crate) mod renumber;
pub(crate) mod reset;
pub(crate) mod run_progress;
pub(crate) mod safety_backup;
pub(crate) mod schema;
pub(crate) mod schema_diff;
pub(crate) mod seed;
pub(crate) mod standalone;
pub(crate) mod statement_diffs;
pub(crate) mod test;
#[cfg(feature = "server")]
pub(crate) mod transfer;
pub(crate) mod upgrade;
pub(crate) mod write_document;

use crate::cli::args::Command;
use crate::cli::args::document_commands::DocumentCommand;
use crate::cli::args::options::BackupAction;
use crate::cli::commands::context::{AlreadyReported, CommandContext};
use crate::cli::report::Report;
use crate::cli::report::exit_status::{EXIT_FAILURE, EXIT_PENDING, EXIT_SUCCESS};
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;

/// Runs a command that uses the settings, and returns its exit status.
pub(crate) fn run(
    command: Command,
    settings: &Settings,
    report: &Report,
    signals: &Signals,
) -> anyhow::Result<u8> {
    let context = CommandContext { settings, report, signals };
    #[cfg(feature = "server")]
    note_extensions_on_servers(context);
    let result = run_command(context, command);
    #[cfg(feature = "server")]
    report_server_evictions(context);
    match result {
        Ok(EXIT_SUCCESS | EXIT_PENDING) if report.has_failed() => Ok(EXIT_FAILURE),
        Err(error) => error.downcast().map(|AlreadyReported(status)| status),
        success => success,
    }
}

fn run_command(context: CommandContext<'_>, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Upgrade(args) => upgrade::run(context, &args),
        Command::Status(args) => inspect::show_status(context, &args),
        Command::Downgrade(args) => downgrade::run(context, &args),
        Command::Redo(args) => redo::run(context, &args),
        Command::Backup { selection, action: None } => backup::create_backup(context, &selection),
        Command::Backup { action: Some(BackupAction::List), .. } => backup::list_backups(context),
        Command::Backup { action: Some(BackupAction::Prune { keep }), .. } => {
            backup::prune_backups(context, keep)
        }
        Command::Restore(args) => backup::restore_backup(context, &args),
        Command::Reset(args) => reset::run(context, &args),
        Command::History { selection } => inspect::show_history(context, &selection),
        Command::Lint(args) => lint::run(context, &args),
        Command::Verify(args) => inspect::verify_fleet(context, &args),
        Command::Doctor => Ok(doctor::run(context)),
        Command::Test(_) => test::run(context),
        Command::Init { selection, path, create_args } => {
            let path = path.as_deref();
            init::run(context, init::NewDatabases { selection: &selection, path }, &create_args)
        }
        Command::Stamp { version, selection } => history::stamp(context, &version, &selection),
        Command::Adopt(args) => history::adopt(context, &args),
        Command::Query(args) => query::run(context, &args),
        Command::Seed { names, selection } => seed::run(context, &names, &selection),
        #[cfg(feature = "server")]
        Command::Push { selection } => transfer::push(context, &selection),
        #[cfg(feature = "server")]
        Command::Pull { selection } => transfer::pull(context, &selection),
        Command::Document(command) => run_document_command(context, command),
        Command::Demo { dir } => demo::run(context, dir.as_deref()),
    }
}

fn run_document_command(
    context: CommandContext<'_>,
    command: DocumentCommand,
) -> anyhow::Result<u8> {
    match command {
        DocumentCommand::New(args) => new::run(context, &args),
        DocumentCommand::Import(args) => import::run(context, &args),
        DocumentCommand::Promote { version } => promote::run(context, &version),
        DocumentCommand::Renumber(args) => renumber::run(context, &args),
        DocumentCommand::Schema(args) if args.is_diff() => schema_diff::run(context, &args),
        DocumentCommand::Schema(args) => schema::run(context, &args),
    }
}

/// Reports that servers do not get what tatmig.toml adds to SQLite.
#[cfg(feature = "server")]
fn note_extensions_on_servers(context: CommandContext<'_>) {
    let has_servers = context.settings.fleet_config.server_set.is_some();
    if has_servers && !context.settings.connection_setup.extensions.is_empty() {
        context.report.print_note(
            "the extensions, functions and collations of tatmig.toml are used in memory only; each server needs its own (docs/server.md)",
        );
    }
}

/// Warns if a server closed namespaces of the fleet during the run, which costs time.
#[cfg(feature = "server")]
fn report_server_evictions(context: CommandContext<'_>) {
    let server_sets = context.settings.fleet_config.server_set.iter();
    for server in server_sets.flat_map(|servers| servers.servers()) {
        if server.missing_retries() > 0 {
            context.report.print_note(format!(
                "warning: {} closed namespaces of this fleet to make room for others ({} requests were repeated); start the server with a `--max-active-namespaces` above the number of databases",
                server.url(),
                server.missing_retries()
            ));
        }
    }
}
