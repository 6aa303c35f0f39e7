//! The only place that prints: results to standard output, progress and diagnostics to standard
//! error, one JSON document where asked for. A closed or full output never decides anything.

pub(crate) mod backup;
pub(crate) mod document;
pub(crate) mod json;
pub(crate) mod lint;
pub(crate) mod selftest;
pub(crate) mod stats;
pub(crate) mod status;
#[cfg(feature = "server")]
pub(crate) mod transfer;
pub(crate) mod upgrade;
pub(crate) mod verify;

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use tatmig::plan::MigrateError;
use tatmig::text::escape_for_display;
use tatmig::{ColorMode, Diagnostic, Severity, Source};

use crate::cli::output::{ColorWhen, OutputFormat, Verbosity};
use crate::cli::settings::Settings;

pub(crate) use crate::cli::report::document::MigrationChange;
pub(crate) use crate::cli::report::stats::FleetStats;
pub(crate) use crate::cli::report::status::ExitOnPending;
pub(crate) use crate::cli::report::upgrade::{Operation, RunSummary, StatementDiffs};

/// Exit statuses, as `--help` tells them.
pub(crate) const EXIT_SUCCESS: u8 = 0;
pub(crate) const EXIT_FAILURE: u8 = 1;
pub(crate) const EXIT_INVALID_INPUT: u8 = 2;
pub(crate) const EXIT_PENDING: u8 = 3;

pub(crate) struct Report {
    pub(crate) verbosity: Verbosity,
    pub(crate) format: OutputFormat,
    color_mode: ColorMode,
}

impl Report {
    pub(crate) fn new(settings: &Settings) -> Self {
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
        Self { verbosity: settings.verbosity, format: settings.format, color_mode }
    }

    /// Settings that cannot be made out; nothing is known of volume and format then.
    pub(crate) fn print_settings_error(error: &anyhow::Error, format: OutputFormat) -> ExitCode {
        let report = Self { verbosity: Verbosity::Normal, format, color_mode: ColorMode::Plain };
        ExitCode::from(report.print_command_error(error))
    }

    /// The same in another form of results.
    pub(crate) fn with_format(&self, format: OutputFormat) -> Self {
        Self { verbosity: self.verbosity, format, color_mode: self.color_mode }
    }

    /// A line of results.
    pub(crate) fn print_line(&self, text: impl Display) {
        self.print_verbatim(escape_for_terminal(&text.to_string()));
    }

    /// Lines of the document, as it has them.
    pub(crate) fn print_verbatim(&self, text: impl Display) {
        if self.format == OutputFormat::Text && self.verbosity != Verbosity::Quiet {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// A text that is itself the result, whatever the form and volume.
    pub(crate) fn print_bytes(text: &[u8]) {
        let _ = std::io::stdout().lock().write_all(text);
    }

    /// A line beside the results.
    pub(crate) fn print_note(&self, text: impl Display) {
        if self.verbosity != Verbosity::Quiet {
            let _ = writeln!(anstream::stderr(), "{}", escape_for_terminal(&text.to_string()));
        }
    }

    /// An error that belongs to no place in the document.
    pub(crate) fn print_error(&self, text: impl Display) {
        let (color_start, color_end) = match self.color_mode {
            ColorMode::Colored => ("\u{1b}[1;31m", "\u{1b}[0m"),
            ColorMode::Plain => ("", ""),
        };
        let _ = writeln!(
            anstream::stderr(),
            "{color_start}error{color_end}: {}",
            escape_for_terminal(&text.to_string())
        );
    }

    fn print_json(value: &impl Serialize) {
        // Standard output itself passes on every line.
        let mut out = BufWriter::new(std::io::stdout().lock());
        if serde_json::to_writer_pretty(&mut out, value).is_ok() {
            let _ = writeln!(out);
        }
        let _ = out.flush();
    }

    /// Writes an object and, under one more key of it, a list whose entries are made as they are
    /// written: of a large fleet there is not room for all of them at once.
    fn print_json_list<I: Iterator<Item = Value>>(object: Value, key: &str, list: impl Fn() -> I) {
        Self::print_json(&JsonWithList { object, key, list });
    }

    /// Wrong usage, or something that is not there: nothing was touched.
    pub(crate) fn print_command_error(&self, error: &anyhow::Error) -> u8 {
        let message = error_chain(error);
        self.print_error(&message);
        if self.format == OutputFormat::Json {
            Self::print_json(&json!({ "error": message, "problems": [] }));
        }
        EXIT_INVALID_INPUT
    }

    /// A document that cannot be used: nothing was touched.
    pub(crate) fn print_document_error(
        &self,
        source: &Source<'_>,
        diagnostics: &[Diagnostic],
    ) -> u8 {
        self.print_diagnostics(source, diagnostics);
        let message = format!(
            "{} cannot be used ({}); no database was touched",
            source.name(),
            severity_counts(diagnostics)
        );
        self.print_error(&message);
        if self.format == OutputFormat::Json {
            Self::print_json(&json!({
                "error": message,
                "problems": diagnostics.iter().map(|p| diagnostic_json(source, p)).collect::<Vec<_>>(),
            }));
        }
        EXIT_INVALID_INPUT
    }

    /// Draws problems; warnings not where it shall be quiet, notes only where asked for more.
    pub(crate) fn print_diagnostics(&self, source: &Source<'_>, diagnostics: &[Diagnostic]) {
        let min_severity = match self.verbosity {
            Verbosity::Quiet => Severity::Error,
            Verbosity::Normal => Severity::Warning,
            Verbosity::Verbose => Severity::Note,
        };
        for diagnostic in
            diagnostics.iter().filter(|diagnostic| diagnostic.severity >= min_severity)
        {
            let _ =
                writeln!(anstream::stderr(), "{}\n", diagnostic.render(source, self.color_mode));
        }
    }

    /// A bar on a terminal; nothing elsewhere.
    pub(crate) fn progress_bar(&self, length: usize) -> ProgressBar {
        let is_visible = self.verbosity != Verbosity::Quiet
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

/// An object with a list that is made as it is written.
struct JsonWithList<'k, F> {
    object: Value,
    key: &'k str,
    list: F,
}

impl<I: Iterator<Item = Value>, F: Fn() -> I> Serialize for JsonWithList<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct List<'f, F>(&'f F);
        impl<I: Iterator<Item = Value>, F: Fn() -> I> Serialize for List<'_, F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq((self.0)())
            }
        }
        // Keys stand in their order, as in any other object.
        let entries = || self.object.as_object().into_iter().flatten();
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in entries().filter(|(key, _)| key.as_str() < self.key) {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry(self.key, &List(&self.list))?;
        for (key, value) in entries().filter(|(key, _)| key.as_str() > self.key) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn diagnostic_json(source: &Source<'_>, diagnostic: &Diagnostic) -> serde_json::Value {
    let line_column = diagnostic.line_column(source);
    json!({
        "rule": diagnostic.rule.name(),
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": source.name(),
        "line": line_column.line,
        "column": line_column.column,
        "help": diagnostic.help,
    })
}

/// The message, and its place where it has one.
fn error_json(error: &MigrateError, source: &Source<'_>) -> Value {
    let line_column = error.span().map(|span| source.line_column(span.start));
    json!({
        "message": error.to_string(),
        "file": line_column.map(|_| source.name()),
        "line": line_column.map(|line_column| line_column.line),
        "column": line_column.map(|line_column| line_column.column),
    })
}

/// `2 errors, 1 warning`.
fn severity_counts(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|p| p.severity == severity).count();
    let mut parts =
        vec![plural(count(Severity::Error), "error"), plural(count(Severity::Warning), "warning")];
    if count(Severity::Note) > 0 {
        parts.push(plural(count(Severity::Note), "note"));
    }
    parts.join(", ")
}

/// Text in which a database, an argument or SQLite may have a say: whatever it holds, it drives no
/// terminal.
fn escape_for_terminal(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let fields = line.split('\t').map(|field| escape_for_display(OsStr::new(field)));
        fields.collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `1 database`, `2 databases`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The first few names, and how many more.
pub(crate) fn list_names(names: &[String]) -> String {
    const MAX_LISTED: usize = 5;
    let listed: Vec<String> =
        names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(MAX_LISTED) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// An error and its causes in one line. Many an error tells its cause itself, which is told once.
fn error_chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |message, cause| {
        match (message.is_empty(), message.contains(&cause)) {
            (true, _) => cause,
            (false, true) => message,
            (false, false) => format!("{message}: {cause}"),
        }
    })
}
