//! Defines the JSON document that `--json` prints, and the objects that several commands share.
//! `docs/json.md` and `docs/tatmig.schema.json` describe all of them.

use std::borrow::Cow;
use std::io::{BufWriter, Write};

use serde::Serialize;
use serde::ser::Serializer;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;
use tatmig::{Diagnostic, Rule, Scope, Severity, Source};

use crate::cli::report::format::line_column_range;
use crate::cli::report::view::View;

/// The version of the envelope. It changes if a key is removed or gets another meaning.
const FORMAT: u32 = 1;

/// Writes one JSON document, indented.
pub(crate) fn write_document(document: &impl Serialize) {
    // Standard output alone is flushed at every line feed.
    let mut out = BufWriter::new(std::io::stdout().lock());
    if serde_json::to_writer_pretty(&mut out, document).is_ok() {
        let _ = writeln!(out);
    }
    let _ = out.flush();
}

/// The JSON document of a command: the keys that every document has, and those of the command.
pub(crate) struct Envelope<'r, V> {
    /// `None` if the arguments name no command.
    pub(crate) command: Option<&'r str>,
    /// The path of the document.
    pub(crate) file: &'r str,
    /// The last released version of the document; `None` if it was not read.
    pub(crate) head: Option<&'r str>,
    /// Errors that no view has, reported before the result.
    pub(crate) failures: &'r [String],
    pub(crate) view: &'r V,
}

impl<V: View> Serialize for Envelope<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Adds the keys of the command to those of the envelope.
        #[derive(Serialize)]
        struct Keys<'r, V, D, S> {
            format: u32,
            command: Option<&'r str>,
            file: &'r str,
            head: Option<&'r str>,
            #[serde(flatten)]
            view: &'r V,
            databases: D,
            problems: Vec<ProblemEntry<'r>>,
            error: Option<ErrorEntry<'r>>,
            summary: S,
        }
        let failures = self.failures.iter().map(|failure| ProblemEntry::from_message(failure));
        let keys = Keys {
            format: FORMAT,
            command: self.command,
            file: self.file,
            head: self.head,
            view: self.view,
            databases: self.view.databases(),
            problems: self.view.problems().into_iter().chain(failures).collect(),
            error: self.view.error(),
            summary: self.view.summary(),
        };
        keys.serialize(serializer)
    }
}

/// The summary of a command that only counts databases.
#[derive(Serialize)]
pub(crate) struct DatabaseCount {
    pub(crate) total: usize,
}

/// The keys with which every list of databases names one of them.
#[derive(Serialize)]
pub(crate) struct DatabaseKeys {
    name: String,
    scope: Scope,
    path: String,
}

impl DatabaseKeys {
    pub(crate) fn new(database: &TargetDatabase) -> Self {
        Self {
            name: database.display_name(),
            scope: database.scope,
            path: database.location.display(),
        }
    }
}

/// An error, with its position in the document if it has one.
#[derive(Serialize)]
pub(crate) struct ErrorEntry<'r> {
    rule: Option<&'static str>,
    message: Cow<'r, str>,
    help: Option<Cow<'r, str>>,
    file: Option<Cow<'r, str>>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    /// The first rows that the error is about.
    rows: &'r [String],
}

impl<'r> ErrorEntry<'r> {
    /// An error of one database.
    pub(crate) fn new(error: &'r MigrateError, source: &'r Source<'_>) -> Self {
        let mut entry = Self {
            rule: error.rule().map(Rule::name),
            help: error.help().map(Cow::from),
            rows: error.rows(),
            ..Self::from_message(error.to_string())
        };
        if let Some(span) = error.span() {
            entry.set_position(source, &span);
        }
        entry
    }

    /// An error of one database that is not about the document.
    pub(crate) fn without_position(error: &'r MigrateError) -> Self {
        Self {
            rule: error.rule().map(Rule::name),
            help: error.help().map(Cow::from),
            rows: error.rows(),
            ..Self::from_message(error.to_string())
        }
    }

    /// An error that is only a text.
    pub(crate) fn from_message(message: impl Into<Cow<'r, str>>) -> Self {
        Self {
            rule: None,
            message: message.into(),
            help: None,
            file: None,
            line: None,
            column: None,
            end_line: None,
            end_column: None,
            rows: &[],
        }
    }

    pub(crate) fn with_help(self, help: Option<&'r str>) -> Self {
        Self { help: help.map(Cow::from), ..self }
    }

    fn from_diagnostic(source: &'r Source<'_>, diagnostic: &'r Diagnostic) -> Self {
        let mut entry = Self {
            rule: Some(diagnostic.rule.name()),
            help: diagnostic.help.as_deref().map(Cow::from),
            ..Self::from_message(diagnostic.message.as_str())
        };
        entry.set_position(source, &diagnostic.span);
        entry
    }

    fn set_position(&mut self, source: &'r Source<'_>, span: &std::ops::Range<usize>) {
        let (start, end) = line_column_range(source, span);
        self.file = Some(Cow::from(source.name()));
        self.line = Some(start.line);
        self.column = Some(start.column);
        self.end_line = Some(end.line);
        self.end_column = Some(end.column);
    }
}

/// One entry of `problems`: a diagnostic of the document, or a failure that is not of one database.
#[derive(Serialize)]
pub(crate) struct ProblemEntry<'r> {
    severity: Severity,
    #[serde(flatten)]
    error: ErrorEntry<'r>,
    /// Of `test`: the scope and the versions of the databases that show the problem.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    regression: Option<RegressionKeys>,
}

/// Where `test` met a problem.
#[derive(Serialize)]
pub(crate) struct RegressionKeys {
    pub(crate) scope: Scope,
    pub(crate) versions: Vec<String>,
}

impl<'r> ProblemEntry<'r> {
    pub(crate) fn new(source: &'r Source<'_>, diagnostic: &'r Diagnostic) -> Self {
        let error = ErrorEntry::from_diagnostic(source, diagnostic);
        Self { severity: diagnostic.severity, error, regression: None }
    }

    pub(crate) fn list(source: &'r Source<'_>, diagnostics: &'r [Diagnostic]) -> Vec<Self> {
        diagnostics.iter().map(|diagnostic| Self::new(source, diagnostic)).collect()
    }

    pub(crate) fn with_regression(self, regression: RegressionKeys) -> Self {
        Self { regression: Some(regression), ..self }
    }

    fn from_message(message: &'r str) -> Self {
        let error = ErrorEntry::from_message(message);
        Self { severity: Severity::Error, error, regression: None }
    }
}
