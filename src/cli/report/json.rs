//! Defines the objects that the JSON documents of several commands share. `docs/json.md` and
//! `docs/tatmig.schema.json` describe all of them.

use std::borrow::Cow;

use serde::Serialize;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;
use tatmig::{Diagnostic, Rule, Scope, Severity, Source};

use crate::cli::report::format::{line_column_range, without_os_numbers};

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
        let message = message.into();
        Self {
            rule: None,
            message: without_os_numbers(&message).into(),
            help: None,
            file: None,
            line: None,
            column: None,
            end_line: None,
            end_column: None,
            rows: &[],
        }
    }

    /// What is wrong.
    pub(crate) fn text(&self) -> &str {
        &self.message
    }

    pub(crate) fn with_help(self, help: Option<&'r str>) -> Self {
        Self { help: help.map(Cow::from), ..self }
    }

    /// The same with a position in a source, if there is one.
    pub(crate) fn with_span(
        mut self,
        source: &'r Source<'_>,
        span: Option<&std::ops::Range<usize>>,
    ) -> Self {
        if let Some(span) = span {
            self.set_position(source, span);
        }
        self
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

    pub(crate) fn from_message(message: &'r str) -> Self {
        let error = ErrorEntry::from_message(message);
        Self { severity: Severity::Error, error, regression: None }
    }
}
