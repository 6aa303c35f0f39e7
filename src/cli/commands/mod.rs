//! One file a verb, or a family of verbs with one permission. Each returns its exit status; an
//! error means that nothing was touched.

pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod downgrade;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lint;
pub(crate) mod new;
pub(crate) mod promote;
pub(crate) mod schema;
pub(crate) mod test;
#[cfg(feature = "server")]
pub(crate) mod transfer;
pub(crate) mod upgrade;
pub(crate) mod write_document;

use std::path::Path;

use anyhow::{Context, bail};
use tatmig::database::{ConnectOptions, DatabaseError};
use tatmig::document::VersionIndex;
use tatmig::fleet::{Fleet, FleetError, OnFailure, RunOptions, UserSelection, worker_count};
use tatmig::lint::Backend;
use tatmig::migrate::{Migrator, Replay};
use tatmig::{Changelog, Diagnostic, Severity};

use crate::cli::args::Command;
use crate::cli::command_args::BackupAction;
use crate::cli::report::{EXIT_INVALID_INPUT, Report};
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;

pub(crate) use crate::cli::commands::completions::run_standalone;

/// A command that ends here: why was told already, and this is its exit status.
#[derive(Debug, thiserror::Error)]
#[error("exit status {0}")]
struct AlreadyReported(u8);

/// What every command has at hand.
#[derive(Clone, Copy)]
pub(crate) struct CommandContext<'r> {
    settings: &'r Settings,
    report: &'r Report,
    signals: &'r Signals,
}

pub(crate) fn run(
    command: Command,
    settings: &Settings,
    report: &Report,
    signals: &Signals,
) -> anyhow::Result<u8> {
    let context = CommandContext { settings, report, signals };
    let result = context.run_command(command);
    #[cfg(feature = "server")]
    context.report_server_evictions();
    match result {
        Err(error) => error.downcast().map(|AlreadyReported(status)| status),
        success => success,
    }
}

/// The document's file, read.
pub(crate) struct DocumentFile {
    name: String,
    text: String,
}

impl DocumentFile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let name = tatmig::text::escape_for_display(path.as_os_str());
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let current_dir = std::env::current_dir().unwrap_or_default();
                bail!(
                    "there is no document at `{name}` (looked for from `{}`); `--file` names another, `tatmig demo` shows one",
                    tatmig::text::escape_for_display(current_dir.as_os_str())
                );
            }
            Err(error) => {
                return Err(error).context(format!("the document `{name}` cannot be read"));
            }
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.split(|byte| *byte == b'\n').count();
            anyhow::anyhow!("the document `{name}` is not UTF-8: the first wrong byte stands in line {line}; save it as UTF-8")
        })?;
        Ok(Self { name, text })
    }
}

impl CommandContext<'_> {
    fn run_command(self, command: Command) -> anyhow::Result<u8> {
        match command {
            Command::Upgrade(args) => upgrade::run(self, &args),
            Command::Status(arguments) => inspect::show_status(self, &arguments),
            Command::Downgrade(arguments) => downgrade::run(self, &arguments),
            Command::Backup { users, action: None } => backup::create_backup(self, &users),
            Command::Backup { action: Some(BackupAction::List), .. } => backup::list_backups(self),
            Command::Backup { action: Some(BackupAction::Prune { keep }), .. } => {
                backup::prune_backups(self, keep)
            }
            Command::Restore(arguments) => backup::restore_backup(self, &arguments),
            Command::Reset(arguments) => backup::reset_databases(self, &arguments),
            Command::History { user, system } => inspect::show_history(self, (user, system)),
            Command::Lint(arguments) => lint::run(self, &arguments),
            Command::Verify => inspect::verify_fleet(self),
            Command::Test => test::run(self),
            Command::Init { users, create_args } => init::run(self, &users, &create_args),
            Command::Stamp { version, users } => history::stamp(self, &version, &users),
            Command::Adopt { at, users } => history::adopt(self, at.as_deref(), &users),
            Command::Seed { names, users } => upgrade::run_seeds(self, &names, &users),
            #[cfg(feature = "server")]
            Command::Push { users } => transfer::push(self, &users),
            #[cfg(feature = "server")]
            Command::Pull { users } => transfer::pull(self, &users),
            Command::New(arguments) => new::run(self, &arguments),
            Command::Promote { version } => promote::run(self, &version),
            Command::Schema(arguments) => schema::run(self, &arguments),
            Command::Demo { dir } => demo::run(self, dir.as_deref()),
        }
    }

    /// What the settings say that keeps the fleet.
    fn backend(&self) -> Backend {
        #[cfg(feature = "server")]
        if self.settings.fleet_config.server_set.is_some() {
            return Backend::LibsqlServer;
        }
        Backend::SqliteFiles
    }

    fn read_document(&self) -> anyhow::Result<DocumentFile> {
        DocumentFile::read(&self.settings.file)
    }

    /// The document, ordered; or [`Told`] what is wrong with it.
    fn parse_changelog<'a>(
        &self,
        document: &'a DocumentFile,
    ) -> Result<Changelog<'a>, AlreadyReported> {
        Changelog::parse_named(&document.name, &document.text).map_err(|error| {
            let source = tatmig::Source::new(&document.name, &document.text);
            AlreadyReported(self.report.print_document_error(&source, error.diagnostics()))
        })
    }

    /// The databases that a command is about and that the document has blocks for.
    fn discover_fleet(
        &self,
        changelog: &Changelog<'_>,
        selection: &UserSelection,
    ) -> Result<Fleet, FleetError> {
        let includes_scope = |scope| changelog.has_scope(scope);
        Fleet::discover(&self.settings.fleet_config, includes_scope, selection)
    }

    /// How a command works through a fleet, where nothing else is asked for.
    fn run_options(&self) -> RunOptions {
        RunOptions {
            jobs: worker_count(self.settings.jobs),
            on_failure: OnFailure::Continue,
            canary: None,
            connect_options: self.connect_options(),
        }
    }

    /// The document run in memory; or [`Told`] why it cannot be run up to the target.
    fn replay<'a>(
        &self,
        changelog: &Changelog<'a>,
        target: VersionIndex,
    ) -> anyhow::Result<Replay<'a>> {
        let replay = self.unchecked_replay(changelog)?;
        self.check_document(changelog, replay.diagnostics(target))?;
        Ok(replay)
    }

    /// The document run in memory, whatever came of it.
    fn unchecked_replay<'a>(&self, changelog: &Changelog<'a>) -> anyhow::Result<Replay<'a>> {
        match Replay::run(changelog, &self.signals.cancel_flag()) {
            Ok(replay) => Ok(replay),
            // The signal decides the exit status.
            Err(_) if self.signals.received_signal().is_some() => {
                bail!(AlreadyReported(EXIT_INVALID_INPUT))
            }
            Err(error) => Err(DatabaseError::from(error)).context("the replay in memory"),
        }
    }

    /// Tells the problems of the document; [`Told`] if one of them makes it unusable.
    fn check_document(
        &self,
        changelog: &Changelog<'_>,
        replay_diagnostics: impl Iterator<Item = Diagnostic>,
    ) -> anyhow::Result<()> {
        let mut diagnostics: Vec<Diagnostic> = changelog.warnings().to_vec();
        diagnostics.extend(replay_diagnostics);
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            bail!(AlreadyReported(
                self.report.print_document_error(changelog.source(), &diagnostics)
            ));
        }
        self.report.print_diagnostics(changelog.source(), &diagnostics);
        Ok(())
    }

    /// The document run in memory, for commands that can do without.
    fn valid_replay<'a>(&self, changelog: &Changelog<'a>) -> Option<Replay<'a>> {
        let replay = Replay::run(changelog, &self.signals.cancel_flag()).ok()?;
        let has_errors = replay
            .diagnostics(changelog.head_index())
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        (!has_errors).then_some(replay)
    }

    /// What the servers could do better.
    #[cfg(feature = "server")]
    fn report_server_evictions(&self) {
        let servers =
            self.settings.fleet_config.server_set.iter().flat_map(|servers| servers.servers());
        for server in servers.filter(|server| server.missing_retries() > 0) {
            self.report.print_note(format!(
                "warning: {} closed namespaces of this fleet to make room for others ({} had to be asked for again); start it with a `--max-active-namespaces` of more than there are databases",
                server.url(),
                server.missing_retries()
            ));
        }
    }

    /// The document ready to be run up to a target, in the practice of the settings.
    fn migrator<'c, 'a>(
        &self,
        (changelog, replay): (&'c Changelog<'a>, &'c Replay<'a>),
        target: VersionIndex,
    ) -> Migrator<'c, 'a> {
        Migrator::new(changelog, replay, target).with_policy(self.settings.policy(None))
    }

    fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            busy_timeout: self.settings.busy_timeout,
            cancel: self.signals.cancel_flag(),
        }
    }
}
