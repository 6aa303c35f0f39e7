//! Prints text: results to standard output, notes, errors and diagnostics to standard error.
//!
//! An output that is closed or full never changes what a command does or its exit status.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use clap::builder::StyledStr;
use tatmig::{ColorMode, Diagnostic, Severity, Source};

use crate::cli::output::{OutputFormat, Verbosity};
use crate::cli::report::format::{escape_for_terminal, without_os_numbers};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;

/// The standard streams, with how much is printed to them and in which format.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) verbosity: Verbosity,
    pub(crate) format: OutputFormat,
    pub(crate) color_mode: ColorMode,
}

impl Console {
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// Prints a result, escaped for terminals, unless `--quiet`.
    pub(crate) fn line(&self, line: impl Into<StyledLine>) {
        if !self.is_quiet() {
            let _ = writeln!(anstream::stdout(), "{}", line.into().to_ansi());
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Prints a result that makes the command fail, escaped for terminals. With `--quiet`, which
    /// leaves out all other results, it is an error and printed to standard error.
    pub(crate) fn finding(&self, line: impl Into<StyledLine>) {
        let text = without_os_numbers(&line.into().to_ansi());
        let _ = if self.is_quiet() {
            writeln!(anstream::stderr(), "{text}")
        } else {
            writeln!(anstream::stdout(), "{text}")
        };
    }

    /// Prints lines of the document as a result, without escaping them.
    pub(crate) fn verbatim(&self, text: impl Display) {
        if !self.is_quiet() {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// Prints a note to standard error, unless `--quiet`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.is_quiet() {
            let text = without_os_numbers(&text.to_string());
            let _ = writeln!(anstream::stderr(), "{}", escape_for_terminal(&text));
        }
    }

    /// Prints an error that has no position in the document.
    pub(crate) fn error(&self, text: impl Display) {
        let (color_start, color_end) = match self.color_mode {
            ColorMode::Colored => ("\u{1b}[1;31m", "\u{1b}[0m"),
            _ => ("", ""),
        };
        let _ = writeln!(
            anstream::stderr(),
            "{color_start}error{color_end}: {}",
            escape_for_terminal(&without_os_numbers(&text.to_string()))
        );
    }

    /// Prints the line that ends a run after a signal, also with `--quiet`.
    pub(crate) fn interrupted(changes: &str) {
        let line =
            StyledLine::from_state(State::Skipped, "interrupted").text(format!("; {changes}"));
        let _ = writeln!(anstream::stderr(), "{}", line.to_ansi());
    }

    /// Prints what belongs to the error above it.
    pub(crate) fn error_detail(text: impl Display) {
        let _ = writeln!(anstream::stderr(), "{}", escape_for_terminal(&text.to_string()));
    }

    /// Prints the help in place of an error.
    pub(crate) fn help(text: &StyledStr) {
        let _ = write!(anstream::stderr(), "{}", text.ansi());
    }

    /// Whether diagnostics of this severity are printed.
    pub(crate) fn shows(&self, severity: Severity) -> bool {
        let min_severity = match self.verbosity {
            Verbosity::Quiet => Severity::Error,
            Verbosity::Normal => Severity::Warning,
            Verbosity::Verbose => Severity::Note,
        };
        severity >= min_severity
    }

    /// Prints diagnostics with their source lines: errors always, warnings unless `--quiet`, notes
    /// with `--verbose`.
    pub(crate) fn diagnostics(&self, source: &Source<'_>, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics.iter().filter(|diagnostic| self.shows(diagnostic.severity)) {
            let _ =
                writeln!(anstream::stderr(), "{}\n", diagnostic.render(source, self.color_mode));
        }
    }

    /// Prints the errors of a document, and how many warnings it has: `lint` shows these.
    pub(crate) fn document_errors(&self, source: &Source<'_>, diagnostics: &[Diagnostic]) {
        let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
        let errors: Vec<Diagnostic> = diagnostics.iter().filter(is_error).cloned().collect();
        self.diagnostics(source, &errors);
        let is_warning = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Warning;
        let noun = match diagnostics.iter().filter(is_warning).count() {
            0 => return,
            1 => "1 warning".to_owned(),
            count => format!("{count} warnings"),
        };
        if self.shows(Severity::Warning) {
            let line = format!("{noun} in {}; run `tatmig lint`", source.name());
            let _ = writeln!(anstream::stderr(), "{line}");
        }
    }

    /// Whether a person follows the run on a terminal.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.is_quiet() && self.format == OutputFormat::Text && std::io::stderr().is_terminal()
    }
}
