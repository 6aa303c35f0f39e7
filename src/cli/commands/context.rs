//! Gives commands what they share: settings, report, signals, and the steps from the document's
//! file to a migrator.

use anyhow::{Context, bail};
use tatmig::database::{ConnectOptions, DatabaseError};
use tatmig::document::VersionIndex;
use tatmig::fleet::{
    Fleet, FleetConfig, FleetError, NearMisses, OnFailure, RunOptions, Selection, SystemSelection,
    worker_count,
};
use tatmig::lint::Backend;
use tatmig::migrate::{DetectionOptions, Migrator, Replay};
use tatmig::{Changelog, Diagnostic, Rule, Scope, Severity};

use crate::cli::document_file::DocumentFile;
use crate::cli::input;
use crate::cli::report::Report;
use crate::cli::report::exit_status::EXIT_INVALID_INPUT;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::no_databases::NoDatabasesView;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;

/// Ends a command whose error is already printed, with its exit status.
#[derive(Debug, thiserror::Error)]
#[error("exit status {0}")]
pub(crate) struct AlreadyReported(pub(crate) u8);

/// What every command needs.
#[derive(Clone, Copy)]
pub(crate) struct CommandContext<'r> {
    pub(crate) settings: &'r Settings,
    pub(crate) report: &'r Report,
    pub(crate) signals: &'r Signals,
}

impl CommandContext<'_> {
    /// Where the settings keep the fleet.
    pub(crate) fn backend(&self) -> Backend {
        self.settings.backend()
    }

    pub(crate) fn read_document(&self) -> anyhow::Result<DocumentFile> {
        DocumentFile::read(&self.settings.file, self.settings.source_of("file").as_deref())
    }

    /// Parses the document.
    ///
    /// # Errors
    ///
    /// The document has errors; they are printed.
    pub(crate) fn parse_changelog<'a>(
        &self,
        document: &'a DocumentFile,
    ) -> Result<Changelog<'a>, AlreadyReported> {
        let changelog =
            Changelog::parse_named(&document.name, &document.text).map_err(|error| {
                let source = tatmig::Source::new(&document.name, &document.text);
                AlreadyReported(self.report.emit_document_error(&source, error.diagnostics()))
            })?;
        self.report.set_head(changelog.head());
        Ok(changelog)
    }

    /// Parses a document that a command can do without. `None` if it is missing or has errors.
    pub(crate) fn parse_if_valid<'a>(
        &self,
        document: Option<&'a DocumentFile>,
    ) -> Option<Changelog<'a>> {
        let document = document?;
        let changelog = Changelog::parse_named(&document.name, &document.text).ok()?;
        self.report.set_head(changelog.head());
        Some(changelog)
    }

    /// The selected databases that the document has blocks for.
    pub(crate) fn discover_fleet(
        &self,
        changelog: &Changelog<'_>,
        selection: &Selection,
    ) -> Result<Fleet, FleetError> {
        let has_blocks = |scope| changelog.has_scope(scope);
        self.discover(&self.settings.fleet_config, selection, has_blocks)
    }

    /// The selected databases of a fleet. Reports what the users directory holds if it has no user
    /// database; the command then fails if users were selected and other databases exist.
    pub(crate) fn discover(
        &self,
        config: &FleetConfig,
        selection: &Selection,
        has_blocks: impl Fn(Scope) -> bool,
    ) -> Result<Fleet, FleetError> {
        let progress = self.report.progress(Stage::FindingDatabases, None);
        let fleet = Fleet::discover(config, selection, has_blocks)?;
        drop(progress);
        for problem in &fleet.problems {
            self.report.fail(problem);
        }
        #[cfg(feature = "server")]
        let has_directory = config.server_set.is_none();
        #[cfg(not(feature = "server"))]
        let has_directory = true;
        // A shard of a small fleet may have no users.
        if has_directory && config.shard.is_none() && fleet.total_users == Some(0) {
            let near_misses = NearMisses::find(config);
            if selection.includes_users() && near_misses.has_databases {
                self.report.fail(near_misses);
            } else {
                self.report.print_note(near_misses);
            }
        }
        Ok(fleet)
    }

    /// Reports that the selected users have no databases, and returns the exit status. `None` if the
    /// fleet has a database, or no users were selected.
    pub(crate) fn report_no_databases(
        &self,
        fleet: &Fleet,
        selection: &Selection,
        target: &str,
    ) -> Option<u8> {
        let is_empty = selection.includes_users() && fleet.databases().next().is_none();
        is_empty.then(|| self.report.emit(&NoDatabasesView { target, fleet }))
    }

    /// The selected databases of a fleet whose document may be missing or broken. Without a
    /// document that can be used, the databases that exist decide.
    pub(crate) fn discover_existing(
        &self,
        changelog: Option<&Changelog<'_>>,
        selection: &Selection,
    ) -> Result<Fleet, FleetError> {
        let config = &self.settings.fleet_config;
        let is_named = selection.system == SystemSelection::Named;
        let has_databases = |scope| match (changelog, scope) {
            (Some(changelog), _) => changelog.has_scope(scope),
            (None, Scope::System) => is_named || config.system_database().location.exists(),
            (None, Scope::User) => true,
        };
        self.discover(config, selection, has_databases)
    }

    /// The options of a run that has no flags of its own for them.
    pub(crate) fn run_options(&self) -> RunOptions {
        RunOptions {
            jobs: worker_count(self.settings.jobs),
            on_failure: OnFailure::Continue,
            canary: None,
            connect_options: self.connect_options(),
        }
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            busy_timeout: self.settings.busy_timeout,
            setup: self.settings.connection_setup.clone(),
        }
    }

    /// Runs the document in memory.
    ///
    /// # Errors
    ///
    /// The document cannot be run up to the target version; its diagnostics are printed.
    pub(crate) fn replay<'a>(
        &self,
        changelog: &Changelog<'a>,
        target: VersionIndex,
    ) -> anyhow::Result<Replay<'a>> {
        let replay = self.unchecked_replay(changelog)?;
        self.check_document(changelog, replay.diagnostics(target))?;
        Ok(replay)
    }

    /// As [`replay`](Self::replay), for commands that only read: a block that is not finished is no
    /// obstacle.
    pub(crate) fn replay_for_reading<'a>(
        &self,
        changelog: &Changelog<'a>,
        target: VersionIndex,
    ) -> anyhow::Result<Replay<'a>> {
        let replay = self.unchecked_replay(changelog)?;
        let diagnostics = replay.diagnostics(target);
        self.check_document(changelog, diagnostics.filter(|found| !is_unfinished(found)))?;
        Ok(replay)
    }

    /// Runs the document in memory, and leaves the check of its diagnostics to the caller.
    pub(crate) fn unchecked_replay<'a>(
        &self,
        changelog: &Changelog<'a>,
    ) -> anyhow::Result<Replay<'a>> {
        let progress = self.report.progress(Stage::Replaying, None);
        let result = Replay::run(changelog, &self.settings.connection_setup);
        drop(progress);
        match result {
            Ok(replay) => Ok(replay),
            // The signal decides the exit status.
            Err(_) if self.signals.received_signal().is_some() => {
                bail!(AlreadyReported(EXIT_INVALID_INPUT))
            }
            Err(error) => {
                Err(DatabaseError::from(error)).context("the document cannot be run in memory")
            }
        }
    }

    /// All of standard input.
    ///
    /// # Errors
    ///
    /// It cannot be read, or a signal ended the command.
    pub(crate) fn read_standard_input(&self) -> anyhow::Result<Vec<u8>> {
        let bytes = input::read_to_end(self.signals).context("standard input cannot be read")?;
        // The signal decides the exit status.
        bytes.ok_or_else(|| anyhow::anyhow!(AlreadyReported(EXIT_INVALID_INPUT)))
    }

    /// Runs the document in memory, for commands that work without a replay. `None` if the
    /// document has errors up to head.
    pub(crate) fn valid_replay<'a>(&self, changelog: &Changelog<'a>) -> Option<Replay<'a>> {
        let progress = self.report.progress(Stage::Replaying, None);
        let replay = Replay::run(changelog, &self.settings.connection_setup).ok()?;
        drop(progress);
        let has_errors = replay.diagnostics(changelog.head_index()).any(|diagnostic| {
            diagnostic.severity == Severity::Error && !is_unfinished(&diagnostic)
        });
        (!has_errors).then_some(replay)
    }

    /// Runs the document in memory for the page about the run, if there is one.
    pub(crate) fn replay_for_page<'a>(&self, changelog: &Changelog<'a>) -> Option<Replay<'a>> {
        if self.report.has_page() { self.valid_replay(changelog) } else { None }
    }

    /// Prints the diagnostics of the document and of its replay.
    ///
    /// # Errors
    ///
    /// One of the diagnostics is an error, so that the document cannot be used.
    pub(crate) fn check_document(
        &self,
        changelog: &Changelog<'_>,
        replay_diagnostics: impl Iterator<Item = Diagnostic>,
    ) -> anyhow::Result<()> {
        let mut diagnostics: Vec<Diagnostic> = changelog.warnings().to_vec();
        diagnostics.extend(replay_diagnostics);
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            let source = changelog.source();
            bail!(AlreadyReported(self.report.emit_document_error(source, &diagnostics)));
        }
        self.report.print_document_errors(changelog.source(), &diagnostics);
        Ok(())
    }

    /// A migrator up to a target version, with the policy of the settings.
    pub(crate) fn migrator<'c, 'a>(
        &self,
        changelog: &'c Changelog<'a>,
        replay: &'c Replay<'a>,
        target: VersionIndex,
    ) -> Migrator<'c, 'a> {
        Migrator::new(changelog, replay, target)
            .with_policy(self.settings.policy(None))
            .with_detection(self.detection_options())
    }

    /// What detection leaves out, and the signals that end it.
    pub(crate) fn detection_options(&self) -> DetectionOptions {
        let setup = self.settings.connection_setup.clone();
        DetectionOptions { ignored: self.settings.ignored.clone(), setup }
    }
}

/// Whether a diagnostic is about a block that a person has not finished yet.
fn is_unfinished(diagnostic: &Diagnostic) -> bool {
    diagnostic.rule == Rule::UnfinishedBlock
}
