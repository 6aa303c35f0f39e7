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
use tatmig::{Failure, Problem, Severity, Source, Style, shown};

use crate::cli::args::When;
use crate::cli::settings::{Format, Settings, Volume};

pub(crate) use crate::cli::report::document::Written;
pub(crate) use crate::cli::report::stats::Holdings;
pub(crate) use crate::cli::report::status::ExitCodeAsked;
pub(crate) use crate::cli::report::upgrade::{Aside, Deed, Kept};

/// Exit statuses, as `--help` tells them.
pub(crate) const DONE: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const REFUSED: u8 = 2;
pub(crate) const PENDING: u8 = 3;

pub(crate) struct Report {
    pub(crate) volume: Volume,
    pub(crate) format: Format,
    style: Style,
}

impl Report {
    pub(crate) fn new(settings: &Settings) -> Self {
        let choice = match settings.color {
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let style = match settings.color {
            When::Never => Style::Plain,
            When::Auto | When::Always => Style::Coloured,
        };
        Self { volume: settings.volume, format: settings.format, style }
    }

    /// Settings that cannot be made out; nothing is known of volume and format then.
    pub(crate) fn unconfigured(error: &anyhow::Error, format: Format) -> ExitCode {
        let report = Self { volume: Volume::Normal, format, style: Style::Plain };
        ExitCode::from(report.refuse(error))
    }

    /// The same in another form of results.
    pub(crate) fn with_format(&self, format: Format) -> Self {
        Self { volume: self.volume, format, style: self.style }
    }

    /// A line of results.
    pub(crate) fn line(&self, text: impl Display) {
        self.verbatim(printable(&text.to_string()));
    }

    /// Lines of the document, as it has them.
    pub(crate) fn verbatim(&self, text: impl Display) {
        if self.format == Format::Text && self.volume != Volume::Quiet {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// A text that is itself the result, whatever the form and volume.
    pub(crate) fn text(text: &[u8]) {
        let _ = std::io::stdout().lock().write_all(text);
    }

    /// A line beside the results.
    pub(crate) fn remark(&self, text: impl Display) {
        if self.volume != Volume::Quiet {
            let _ = writeln!(anstream::stderr(), "{}", printable(&text.to_string()));
        }
    }

    /// An error that belongs to no place in the document.
    pub(crate) fn error(&self, text: impl Display) {
        let (on, off) = match self.style {
            Style::Coloured => ("\u{1b}[1;31m", "\u{1b}[0m"),
            Style::Plain => ("", ""),
        };
        let _ = writeln!(anstream::stderr(), "{on}error{off}: {}", printable(&text.to_string()));
    }

    fn json(value: &impl Serialize) {
        // Standard output itself passes on every line.
        let mut out = BufWriter::new(std::io::stdout().lock());
        if serde_json::to_writer_pretty(&mut out, value).is_ok() {
            let _ = writeln!(out);
        }
        let _ = out.flush();
    }

    /// Writes an object and, under one more key of it, a list whose entries are made as they are
    /// written: of a large fleet there is not room for all of them at once.
    fn json_list<I: Iterator<Item = Value>>(around: Value, key: &str, list: impl Fn() -> I) {
        Self::json(&WithList { around, key, list });
    }

    /// Wrong usage, or something that is not there: nothing was touched.
    pub(crate) fn refuse(&self, error: &anyhow::Error) -> u8 {
        let words = chain(error);
        self.error(&words);
        if self.format == Format::Json {
            Self::json(&json!({ "error": words, "problems": [] }));
        }
        REFUSED
    }

    /// A document that cannot be used: nothing was touched.
    pub(crate) fn refuse_document(&self, source: &Source<'_>, problems: &[Problem]) -> u8 {
        self.problems(source, problems);
        let message = format!(
            "{} cannot be used ({}); no database was touched",
            source.name(),
            counts(problems)
        );
        self.error(&message);
        if self.format == Format::Json {
            Self::json(&json!({
                "error": message,
                "problems": problems.iter().map(|p| problem_json(source, p)).collect::<Vec<_>>(),
            }));
        }
        REFUSED
    }

    /// Draws problems; warnings not where it shall be quiet, notes only where asked for more.
    pub(crate) fn problems(&self, source: &Source<'_>, problems: &[Problem]) {
        let least = match self.volume {
            Volume::Quiet => Severity::Error,
            Volume::Normal => Severity::Warning,
            Volume::Verbose => Severity::Note,
        };
        for problem in problems.iter().filter(|problem| problem.severity >= least) {
            let _ = writeln!(anstream::stderr(), "{}\n", problem.render(source, self.style));
        }
    }

    /// A bar on a terminal; nothing elsewhere.
    pub(crate) fn progress(&self, length: usize) -> ProgressBar {
        let shows = self.volume != Volume::Quiet
            && self.format == Format::Text
            && length > 1
            && std::io::stderr().is_terminal();
        if !shows {
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
struct WithList<'k, F> {
    around: Value,
    key: &'k str,
    list: F,
}

impl<I: Iterator<Item = Value>, F: Fn() -> I> Serialize for WithList<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct List<'f, F>(&'f F);
        impl<I: Iterator<Item = Value>, F: Fn() -> I> Serialize for List<'_, F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq((self.0)())
            }
        }
        // Keys stand in their order, as in any other object.
        let entries = || self.around.as_object().into_iter().flatten();
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

fn problem_json(source: &Source<'_>, problem: &Problem) -> serde_json::Value {
    let place = problem.place(source);
    json!({
        "rule": problem.rule.name(),
        "severity": problem.severity,
        "message": problem.message,
        "file": source.name(),
        "line": place.line,
        "column": place.column,
        "help": problem.help,
    })
}

/// The message, and its place where it has one.
fn failure_json(failure: &Failure, source: &Source<'_>) -> Value {
    let place = failure.span().map(|span| source.place(span.start));
    json!({
        "message": failure.to_string(),
        "file": place.map(|_| source.name()),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
    })
}

/// `2 errors, 1 warning`.
fn counts(problems: &[Problem]) -> String {
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let mut words =
        vec![plural(count(Severity::Error), "error"), plural(count(Severity::Warning), "warning")];
    if count(Severity::Note) > 0 {
        words.push(plural(count(Severity::Note), "note"));
    }
    words.join(", ")
}

/// Text in which a database, an argument or SQLite may have a say: whatever it holds, it drives no
/// terminal.
fn printable(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let words = line.split('\t').map(|word| shown(OsStr::new(word)));
        words.collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `1 database`, `2 databases`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The first few names, and how many more.
pub(crate) fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// An error and its causes in one line. Many an error tells its cause itself, which is told once.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        match (told.is_empty(), told.contains(&cause)) {
            (true, _) => cause,
            (false, true) => told,
            (false, false) => format!("{told}: {cause}"),
        }
    })
}
