//! Shows why a command could not start: wrong usage, something that does not exist, or a document
//! that cannot be used. No database was changed.

use serde::Serialize;
use tatmig::{Diagnostic, Source};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::EXIT_INVALID_INPUT;
use crate::cli::report::format::severity_counts;
use crate::cli::report::json::DiagnosticEntry;
use crate::cli::report::view::View;

/// An error that has no position in the document.
#[derive(Serialize)]
pub(crate) struct CommandErrorView {
    error: String,
    /// Always empty: every JSON document has this key.
    problems: [(); 0],
}

impl CommandErrorView {
    pub(crate) fn new(message: String) -> Self {
        Self { error: message, problems: [] }
    }
}

impl View for CommandErrorView {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        console.error(&self.error);
    }

    fn exit_status(&self) -> u8 {
        EXIT_INVALID_INPUT
    }
}

/// The diagnostics of a document, at least one of them an error.
#[derive(Serialize)]
pub(crate) struct DocumentErrorView<'r> {
    error: String,
    problems: Vec<DiagnosticEntry<'r>>,
    #[serde(skip)]
    source: &'r Source<'r>,
    #[serde(skip)]
    diagnostics: &'r [Diagnostic],
}

impl<'r> DocumentErrorView<'r> {
    pub(crate) fn new(source: &'r Source<'r>, diagnostics: &'r [Diagnostic]) -> Self {
        let error = format!(
            "{} cannot be used ({}); no database was changed",
            source.name(),
            severity_counts(diagnostics)
        );
        Self { error, problems: DiagnosticEntry::list(source, diagnostics), source, diagnostics }
    }
}

impl View for DocumentErrorView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        console.diagnostics(self.source, self.diagnostics);
        console.error(&self.error);
    }

    fn exit_status(&self) -> u8 {
        EXIT_INVALID_INPUT
    }
}
