//! Writes JSON documents to standard output, and defines the objects that several of them share.

use std::io::{BufWriter, Write};

use serde::Serialize;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;
use tatmig::{Diagnostic, Scope, Severity, Source};

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
    message: String,
    file: Option<&'r str>,
    line: Option<usize>,
    column: Option<usize>,
}

impl<'r> ErrorEntry<'r> {
    pub(crate) fn new(error: &MigrateError, source: &'r Source<'_>) -> Self {
        let line_column = error.span().map(|span| source.line_column(span.start));
        Self {
            message: error.to_string(),
            file: line_column.map(|_| source.name()),
            line: line_column.map(|line_column| line_column.line),
            column: line_column.map(|line_column| line_column.column),
        }
    }
}
