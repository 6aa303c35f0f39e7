//! Reports what a command did: the only code that prints. Each command builds one view
//! (`views`), and [`Report::emit`] renders it as text or as JSON.

pub(crate) mod confirm;
pub(crate) mod console;
pub(crate) mod envelope;
pub(crate) mod exit_status;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod panic;
pub(crate) mod query_output;
pub(crate) mod rows;
pub(crate) mod view;
pub(crate) mod views;

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;
use serde::Serialize;
use tatmig::plan::Outcome;
use tatmig::semver::Version;
use tatmig::text::escape_for_display;
use tatmig::{ColorMode, Diagnostic, Source};

use crate::cli::output::{ColorWhen, OutputFormat, Verbosity};
use crate::cli::report::console::Console;
use crate::cli::report::envelope::Envelope;
use crate::cli::report::format::error_chain;
use crate::cli::report::view::View;
use crate::cli::report::views::error::{CommandErrorView, DocumentErrorView};
use crate::cli::report::views::run_entries::{DatabaseEvent, DatabaseRun};
use crate::cli::settings::{DEFAULT_FILE, Settings};

/// Renders views in the format and the verbosity of the settings.
pub(crate) struct Report {
    console: Console,
    /// The command that runs; `None` if the arguments name none.
    command: Option<String>,
    /// The path of the document.
    file: String,
    /// The last released version of the document, once it is read.
    head: Mutex<Option<String>>,
    /// The errors that were reported and that no view has.
    failures: Mutex<Vec<String>>,
}

impl Report {
    pub(crate) fn new(settings: &Settings, command: String) -> Self {
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
            head: Mutex::default(),
            failures: Mutex::default(),
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
            head: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// A report with the same console in another output format.
    pub(crate) fn with_format(&self, format: OutputFormat) -> Self {
        Self {
            console: Console { format, ..self.console },
            command: self.command.clone(),
            file: self.file.clone(),
            head: Mutex::new(lock(&self.head).clone()),
            failures: Mutex::new(self.failures()),
        }
    }

    /// Adds the last released version of the document to the results.
    pub(crate) fn set_head(&self, head: &Version) {
        *lock(&self.head) = Some(head.to_string());
    }

    /// Renders the result of a command and returns the exit status.
    pub(crate) fn emit(&self, view: &impl View) -> u8 {
        match self.console.format {
            OutputFormat::Text => view.print_text(&self.console),
            format @ (OutputFormat::Json | OutputFormat::JsonLines) => {
                envelope::write_envelope(
                    format,
                    &Envelope {
                        command: self.command.as_deref(),
                        file: &self.file,
                        head: lock(&self.head).as_deref(),
                        failures: &self.failures(),
                        view,
                    },
                );
                view.print_errors(&self.console);
            }
        }
        view.exit_status()
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
        lock(&self.failures).push(text);
    }

    /// The texts that [`Self::fail`] was called with.
    fn failures(&self) -> Vec<String> {
        lock(&self.failures).clone()
    }

    /// Whether [`Self::fail`] was called.
    pub(crate) fn has_failed(&self) -> bool {
        !self.failures().is_empty()
    }

    /// Prints a note that belongs to no view.
    pub(crate) fn print_note(&self, text: impl Display) {
        self.console.note(text);
    }

    /// Prints warnings of a document that can be used.
    pub(crate) fn print_diagnostics(&self, source: &Source<'_>, diagnostics: &[Diagnostic]) {
        self.console.diagnostics(source, diagnostics);
    }

    /// A progress bar, hidden if standard error is not a terminal.
    pub(crate) fn progress_bar(&self, length: usize) -> ProgressBar {
        self.console.progress_bar(length)
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
