//! Shows why a command could not start: wrong usage, something that does not exist, or a document
//! that cannot be used. No database was changed.

use serde::Serialize;
use tatmig::{Diagnostic, Source};

use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::exit_status::EXIT_INVALID_INPUT;
use crate::cli::report::format::severity_counts;
use crate::cli::report::json::{ErrorEntry, ProblemEntry};
use crate::cli::report::view::View;
use crate::cli::usage::message::UsageMessage;

/// A command that a signal ended before it had a result.
#[derive(Serialize)]
pub(crate) struct InterruptedView;

impl View for InterruptedView {
    /// The line that ends every interrupted run says all.
    fn print_text(&self, _console: &Console) {}

    fn exit_status(&self) -> u8 {
        EXIT_INVALID_INPUT
    }

    fn error(&self) -> Option<ErrorEntry<'_>> {
        Some(ErrorEntry::from_message("interrupted; no database was changed"))
    }
}

/// An error that has no position in the document.
#[derive(Serialize)]
pub(crate) struct CommandErrorView {
    #[serde(skip)]
    message: String,
}

impl CommandErrorView {
    pub(crate) fn new(message: String) -> Self {
        Self { message }
    }
}

impl View for CommandErrorView {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        console.error(&self.message);
    }

    fn exit_status(&self) -> u8 {
        EXIT_INVALID_INPUT
    }

    fn error(&self) -> Option<ErrorEntry<'_>> {
        Some(ErrorEntry::from_message(self.message.as_str()))
    }
}

/// Arguments that cannot be used.
#[derive(Serialize)]
pub(crate) struct UsageErrorView {
    #[serde(skip)]
    pub(crate) message: UsageMessage,
}

impl View for UsageErrorView {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        let UsageMessage { message, tips, usage, help } = &self.message;
        if let Some(help) = help {
            Console::help(help);
            return;
        }
        console.error(message);
        for tip in tips {
            Console::error_detail(format!("  help: {tip}"));
        }
        if let Some(usage) = usage {
            Console::error_detail(format!("\n{usage}"));
        }
    }

    fn exit_status(&self) -> u8 {
        EXIT_INVALID_INPUT
    }

    fn error(&self) -> Option<ErrorEntry<'_>> {
        let UsageMessage { message, tips, usage, .. } = &self.message;
        let help = tips.first().or(usage.as_ref()).map(String::as_str);
        Some(ErrorEntry::from_message(message.as_str()).with_help(help))
    }
}

/// The diagnostics of a document, at least one of them an error.
#[derive(Serialize)]
pub(crate) struct DocumentErrorView<'r> {
    #[serde(skip)]
    message: String,
    #[serde(skip)]
    source: &'r Source<'r>,
    #[serde(skip)]
    diagnostics: &'r [Diagnostic],
}

impl<'r> DocumentErrorView<'r> {
    pub(crate) fn new(source: &'r Source<'r>, diagnostics: &'r [Diagnostic]) -> Self {
        let message = format!(
            "{} cannot be used ({}); no database was changed",
            source.name(),
            severity_counts(diagnostics)
        );
        Self { message, source, diagnostics }
    }
}

impl View for DocumentErrorView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        console.document_errors(self.source, self.diagnostics);
        console.error(&self.message);
    }

    fn exit_status(&self) -> u8 {
        EXIT_INVALID_INPUT
    }
    fn error(&self) -> Option<ErrorEntry<'_>> {
        Some(ErrorEntry::from_message(self.message.as_str()))
    }

    fn problems(&self) -> Vec<ProblemEntry<'_>> {
        ProblemEntry::list(self.source, self.diagnostics)
    }

    fn digest(&self, digest: &mut Digest) {
        digest.verdict.clone_from(&self.message);
        digest.findings.add_all(self.source, self.diagnostics);
    }
}
