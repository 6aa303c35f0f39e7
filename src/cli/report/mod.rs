//! Reports what a command did: the only code that prints. Each command builds one view
//! (`views`), and [`Report::emit`] renders it as text or as JSON.

pub(crate) mod command_line;
pub(crate) mod confirm;
pub(crate) mod console;
pub(crate) mod digest;
pub(crate) mod envelope;
pub(crate) mod exit_status;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod metrics;
pub(crate) mod output_file;
pub(crate) mod page;
pub(crate) mod panic;
pub(crate) mod progress;
pub(crate) mod query_output;
pub(crate) mod rows;
pub(crate) mod run_info;
pub(crate) mod run_record;
pub(crate) mod state;
pub(crate) mod styled_line;
pub(crate) mod view;
pub(crate) mod views;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tatmig::migrate::Replay;
use tatmig::plan::Outcome;
use tatmig::semver::Version;
use tatmig::text::escape_for_display;
use tatmig::{Changelog, ColorMode, Diagnostic, Severity, Source};

use crate::cli::output::{ColorWhen, OutputFormat, Verbosity};
use crate::cli::report::command_line::without_passwords;
use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::digest::document::DocumentDigest;
use crate::cli::report::envelope::Envelope;
use crate::cli::report::exit_status::{EXIT_FAILURE, EXIT_PENDING, EXIT_SUCCESS};
use crate::cli::report::format::error_chain;
use crate::cli::report::progress::{Progress, Stage};
use crate::cli::report::run_record::{RunRecord, RunResult};
use crate::cli::report::view::{NOTHING_CHANGED, View};
use crate::cli::report::views::error::{CommandErrorView, DocumentErrorView, InterruptedView};
use crate::cli::report::views::run_entries::{DatabaseEvent, DatabaseRun};
use crate::cli::settings::{DEFAULT_FILE, Settings};
use crate::cli::signals::Signals;

/// Renders views in the format and the verbosity of the settings.
pub(crate) struct Report {
    console: Console,
    /// The command that runs; `None` if the arguments name none.
    command: Option<String>,
    /// The path of the document.
    file: String,
    /// When the command began.
    started: Instant,
    signals: Signals,
    /// What was reported so far; shared by the reports in other formats.
    state: Arc<Mutex<ReportState>>,
    /// The files that describe the run, if there are any.
    record: Option<Arc<RunRecord>>,
}

/// What a command has reported so far.
#[derive(Debug, Default)]
struct ReportState {
    /// The last released version of the document, once it is read.
    head: Option<String>,
    /// The errors that were reported and that no view has.
    failures: Vec<String>,
    /// What the command has changed, once its result is printed.
    changes: Option<String>,
    /// Whether the line that ends an interrupted run is printed.
    is_interruption_reported: bool,
    /// The documents whose warnings were counted.
    counted_documents: BTreeSet<String>,
}

impl Report {
    pub(crate) fn new(settings: &Settings, command: String, signals: Signals) -> Self {
        let choice = match settings.color {
            ColorWhen::Auto => anstream::ColorChoice::Auto,
            ColorWhen::Always => anstream::ColorChoice::Always,
            ColorWhen::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let color_mode = match settings.color {
            ColorWhen::Never => ColorMode::Plain,
            ColorWhen::Auto | ColorWhen::Always => ColorMode::Colored,
        };
        let (verbosity, format) = (settings.verbosity, settings.format);
        Self {
            console: Console { verbosity, format, color_mode },
            command: Some(command),
            file: escape_for_display(settings.file.as_os_str()),
            started: Instant::now(),
            signals,
            state: Arc::default(),
            record: None,
        }
    }

    /// A report for errors that prevent the settings from being known.
    pub(crate) fn without_settings(
        command: Option<String>,
        file: Option<&Path>,
        format: OutputFormat,
    ) -> Self {
        let (verbosity, color_mode) = (Verbosity::Normal, ColorMode::Plain);
        Self {
            console: Console { verbosity, format, color_mode },
            command,
            file: escape_for_display(file.unwrap_or(Path::new(DEFAULT_FILE)).as_os_str()),
            started: Instant::now(),
            signals: Signals::default(),
            state: Arc::default(),
            record: None,
        }
    }

    /// A report with the same console in another output format.
    pub(crate) fn with_format(&self, format: OutputFormat) -> Self {
        Self {
            console: Console { format, ..self.console },
            command: self.command.clone(),
            file: self.file.clone(),
            started: self.started,
            signals: self.signals.clone(),
            state: Arc::clone(&self.state),
            record: self.record.clone(),
        }
    }

    /// The same report, which also writes the files that describe the run.
    pub(crate) fn with_record(self, record: Option<RunRecord>) -> Self {
        Self { record: record.map(Arc::new), ..self }
    }

    /// Whether the run writes a page with the schemas of the document.
    pub(crate) fn has_page(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.has_page())
    }

    /// Adds the last released version of the document to the results.
    pub(crate) fn set_head(&self, head: &Version) {
        self.state().head = Some(head.to_string());
    }

    /// Renders the result of a command and returns the exit status.
    pub(crate) fn emit(&self, view: &impl View) -> u8 {
        self.emit_with(view, |_| DocumentDigest::default())
    }

    /// Renders the result of a command that used the document. A page about the run has its SQL too
    /// and, with a replay, its schemas.
    pub(crate) fn emit_with_document(
        &self,
        view: &impl View,
        changelog: &Changelog<'_>,
        replay: Option<&Replay<'_>>,
    ) -> u8 {
        self.emit_with(view, |digest| {
            DocumentDigest::new(changelog, replay, &digest.steps, digest.target.as_ref())
        })
    }

    pub(crate) fn emit_with(
        &self,
        view: &impl View,
        describe: impl FnOnce(&Digest) -> DocumentDigest,
    ) -> u8 {
        match self.console.format {
            OutputFormat::Text => {
                view.print_text(&self.console);
                self.record_result(view, describe);
            }
            format @ (OutputFormat::Json | OutputFormat::JsonLines) => {
                self.record_result(view, describe);
                let head = self.state().head.clone();
                envelope::write_envelope(
                    format,
                    &Envelope {
                        command: self.command.as_deref(),
                        file: &self.file,
                        head: head.as_deref(),
                        failures: &self.failures(),
                        view,
                    },
                );
                view.print_errors(&self.console);
            }
        }
        self.state().changes = Some(view.changes());
        view.exit_status()
    }

    /// Writes the files that describe the run. Of several results, the first one counts.
    pub(crate) fn record_result(
        &self,
        view: &impl View,
        describe: impl FnOnce(&Digest) -> DocumentDigest,
    ) {
        let Some(record) = self.record.as_ref().filter(|record| record.claim()) else { return };
        let mut digest = Digest::default();
        view.digest(&mut digest);
        digest.document = describe(&digest);
        // An error of the settings quotes what is wrong.
        digest.verdict = without_passwords(&digest.verdict);
        let status = match view.exit_status() {
            EXIT_SUCCESS | EXIT_PENDING if self.has_failed() => EXIT_FAILURE,
            status => status,
        };
        digest.notices.extend(self.failures());
        self.write_record(record, &digest, status);
    }

    /// Writes the files that describe the run if no result did, as after a signal.
    pub(crate) fn record_end(&self, exit_status: u8) {
        if let Some(record) = self.record.as_ref().filter(|record| record.claim()) {
            let verdict = "the run ended before it had a result".to_owned();
            self.write_record(record, &Digest { verdict, ..Digest::default() }, exit_status);
        }
    }

    /// Leaves out the files that describe the run, for a command that is not about the fleet or the
    /// document.
    pub(crate) fn skip_record(&self) {
        if let Some(record) = &self.record {
            record.claim();
        }
    }

    fn write_record(&self, record: &RunRecord, digest: &Digest, exit_status: u8) {
        let result = RunResult {
            command: self.command.as_deref().unwrap_or_default(),
            file: &self.file,
            head: self.state().head.clone(),
            exit_status,
        };
        for failure in record.write(result, digest) {
            self.fail(failure);
        }
    }

    /// Ends a command that a signal interrupted with a line that says what was done, and with a
    /// document if it has printed none. Without a signal, nothing is printed.
    pub(crate) fn report_interruption(&self) {
        if self.signals.received_signal().is_none() || self.state().is_interruption_reported {
            return;
        }
        if self.state().changes.is_none() {
            self.emit(&InterruptedView);
        }
        let changes = {
            let mut state = self.state();
            state.is_interruption_reported = true;
            state.changes.clone()
        };
        Console::interrupted(changes.as_deref().unwrap_or(NOTHING_CHANGED));
    }

    /// Prints the outcome of one database with `--json-lines`. A database that did not start is
    /// left to [`Self::emit_unstarted`], since it may start yet.
    pub(crate) fn emit_outcome(&self, run: DatabaseRun<'_>) {
        if self.console.format == OutputFormat::JsonLines
            && !matches!(run.outcome, Outcome::Skipped)
        {
            envelope::write_event(&DatabaseEvent::new(run));
        }
    }

    /// Prints the databases that a run did not start, with `--json-lines`.
    pub(crate) fn emit_unstarted<'r>(&self, runs: impl Iterator<Item = DatabaseRun<'r>>) {
        if self.console.format == OutputFormat::JsonLines {
            for run in runs.filter(|run| matches!(run.outcome, Outcome::Skipped)) {
                envelope::write_event(&DatabaseEvent::new(run));
            }
        }
    }

    /// Reports wrong usage, or something that does not exist. Nothing was changed.
    pub(crate) fn emit_command_error(&self, error: &anyhow::Error) -> u8 {
        self.emit(&CommandErrorView::new(error_chain(error)))
    }

    /// Writes the JSON document about a panic, if JSON was asked for. Its line is printed already.
    pub(crate) fn emit_panic(&self, message: &str) {
        if self.console.format != OutputFormat::Text {
            let view = CommandErrorView::new(message.to_owned());
            let envelope = Envelope {
                command: self.command.as_deref(),
                file: &self.file,
                head: None,
                failures: &[],
                view: &view,
            };
            envelope::write_envelope(self.console.format, &envelope);
        }
    }

    /// Reports a document that cannot be used. Nothing was changed.
    pub(crate) fn emit_document_error(
        &self,
        source: &Source<'_>,
        diagnostics: &[Diagnostic],
    ) -> u8 {
        self.emit(&DocumentErrorView::new(source, diagnostics))
    }

    /// Writes JSON regardless of the output format, for results that are defined as JSON (SARIF).
    pub(crate) fn emit_json(document: &impl Serialize) {
        envelope::write_document(document);
    }

    /// Writes bytes that are themselves the result, regardless of the output format and verbosity.
    pub(crate) fn emit_bytes(text: &[u8]) {
        let _ = std::io::stdout().lock().write_all(text);
    }

    /// Prints an error that belongs to no view, and makes the command fail.
    pub(crate) fn fail(&self, text: impl Display) {
        let text = text.to_string();
        self.console.error(&text);
        self.state().failures.push(text);
    }

    fn state(&self) -> MutexGuard<'_, ReportState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The texts that [`Self::fail`] was called with.
    fn failures(&self) -> Vec<String> {
        self.state().failures.clone()
    }

    /// Whether [`Self::fail`] was called.
    pub(crate) fn has_failed(&self) -> bool {
        !self.failures().is_empty()
    }

    /// Prints a note that belongs to no view.
    pub(crate) fn print_note(&self, text: impl Display) {
        self.console.note(text);
    }

    /// Prints the errors of a document in full, and how many warnings it has: once, also if a
    /// command checks the document several times.
    pub(crate) fn print_document_errors(&self, source: &Source<'_>, diagnostics: &[Diagnostic]) {
        if self.state().counted_documents.insert(source.name().to_owned()) {
            self.console.document_errors(source, diagnostics);
        } else {
            let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
            let errors: Vec<_> = diagnostics.iter().filter(is_error).cloned().collect();
            self.console.document_errors(source, &errors);
        }
    }

    /// Begins a stage of the command, with a number of databases if it is known. It is shown on a
    /// terminal if the command takes long.
    pub(crate) fn progress(&self, stage: Stage, length: Option<usize>) -> Progress {
        if self.console.shows_progress() {
            Progress::start(stage, length, self.started)
        } else {
            Progress::hidden()
        }
    }
}
