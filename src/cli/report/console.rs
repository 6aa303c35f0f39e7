//! Prints text: results to standard output, notes, errors and diagnostics to standard error.
//!
//! An output that is closed or full never changes what a command does or its exit status.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use clap::builder::StyledStr;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tatmig::{ColorMode, Diagnostic, Severity, Source};

use crate::cli::output::{OutputFormat, Verbosity};
use crate::cli::report::format::{escape_for_terminal, without_os_numbers};

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
    pub(crate) fn line(&self, text: impl Display) {
        self.verbatim(escape_for_terminal(&text.to_string()));
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Prints a result that makes the command fail, escaped for terminals, also with `--quiet`.
    pub(crate) fn finding(text: impl Display) {
        let _ = writeln!(std::io::stdout().lock(), "{}", escape_for_terminal(&text.to_string()));
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

    /// Prints what belongs to the error above it.
    pub(crate) fn error_detail(&self, text: impl Display) {
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

    /// A progress bar, hidden if standard error is not a terminal.
    pub(crate) fn progress_bar(&self, length: usize) -> ProgressBar {
        let is_visible = !self.is_quiet()
            && self.format == OutputFormat::Text
            && length > 1
            && std::io::stderr().is_terminal();
        if !is_visible {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(
            Some(length.try_into().unwrap_or(u64::MAX)),
            ProgressDrawTarget::stderr(),
        );
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} databases, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }
}
