//! Writes JSON documents to standard output, and defines the objects that several of them share.

use std::io::{BufWriter, Write};

use serde::Serialize;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;
use tatmig::{Diagnostic, Rule, Scope, Severity, Source};

/// Writes one JSON document, indented.
pub(crate) fn write_document(document: &impl Serialize) {
    // Standard output alone is flushed at every line feed.
    let mut out = BufWriter::new(std::io::stdout().lock());
    if serde_json::to_writer_pretty(&mut out, document).is_ok() {
        let _ = writeln!(out);
    }
    let _ = out.flush();
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

/// A diagnostic of the document.
#[derive(Serialize)]
pub(crate) struct DiagnosticEntry<'r> {
    rule: &'static str,
    severity: Severity,
    message: &'r str,
    file: &'r str,
    line: usize,
    column: usize,
    help: Option<&'r str>,
}

impl<'r> DiagnosticEntry<'r> {
    pub(crate) fn new(source: &'r Source<'_>, diagnostic: &'r Diagnostic) -> Self {
        let line_column = diagnostic.line_column(source);
        Self {
            rule: diagnostic.rule.name(),
            severity: diagnostic.severity,
            message: &diagnostic.message,
            file: source.name(),
            line: line_column.line,
            column: line_column.column,
            help: diagnostic.help.as_deref(),
        }
    }

    pub(crate) fn list(source: &'r Source<'_>, diagnostics: &'r [Diagnostic]) -> Vec<Self> {
        diagnostics.iter().map(|diagnostic| Self::new(source, diagnostic)).collect()
    }
}

/// The error of one database, with its position in the document if it has one.
#[derive(Serialize)]
pub(crate) struct ErrorEntry<'r> {
    rule: Option<&'static str>,
    message: String,
    help: Option<String>,
    file: Option<&'r str>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    /// The first rows that the error is about.
    rows: &'r [String],
}

impl<'r> ErrorEntry<'r> {
    pub(crate) fn new(error: &'r MigrateError, source: &'r Source<'_>) -> Self {
        let line_column = error.span().map(|span| source.line_column(span.start));
        let end = error.span().map(|span| source.line_column(span.end));
        Self {
            rule: error.rule().map(Rule::name),
            message: error.to_string(),
            help: error.help(),
            end_line: end.map(|line_column| line_column.line),
            end_column: end.map(|line_column| line_column.column),
            rows: error.rows(),
            file: line_column.map(|_| source.name()),
            line: line_column.map(|line_column| line_column.line),
            column: line_column.map(|line_column| line_column.column),
        }
    }
}
