//! Runs `lint --fix`: applies the safe changes, or prints them as a diff.

use anyhow::Context;
use similar::TextDiff;
use tatmig::edit::{AppliedFix, FixError, FixRequest, fix_document};
use tatmig::lint::LintOptions;
use tatmig::{Diagnostic, Source};

use crate::cli::commands::context::CommandContext;
use crate::cli::commands::new::today;
use crate::cli::commands::write_document;
use crate::cli::document_file::DocumentFile;

/// The document after the changes.
pub(crate) struct Fixed {
    pub(crate) document: DocumentFile,
    pub(crate) applied: Vec<AppliedFix>,
}

/// Applies the safe changes for the wanted findings, in memory.
pub(crate) fn fix(
    context: CommandContext<'_>,
    document: &DocumentFile,
    options: LintOptions,
    is_wanted: &dyn Fn(&Diagnostic) -> bool,
) -> anyhow::Result<Fixed> {
    let source = Source::new(&document.name, &document.text);
    let setup = &context.settings.connection_setup;
    let request = FixRequest { options, setup, today: &today(), is_wanted };
    let fixed = match fix_document(&source, &request) {
        Err(FixError::Database(error)) => {
            Err(error).context("the document cannot be run in memory")?
        }
        result => result?,
    };
    let document = DocumentFile { name: document.name.clone(), text: fixed.text };
    Ok(Fixed { document, applied: fixed.applied })
}

/// Writes the changed document, if a change was applied.
pub(crate) fn write(
    context: CommandContext<'_>,
    document: &DocumentFile,
    fixed: &Fixed,
) -> anyhow::Result<()> {
    if fixed.document.text == document.text {
        return Ok(());
    }
    write_document::replace_document(&context.settings.file, document, &fixed.document.text)
}

/// The changes as a unified diff; empty without changes.
pub(crate) fn unified_diff(document: &DocumentFile, fixed: &Fixed) -> String {
    let diff = TextDiff::from_lines(&document.text, &fixed.document.text);
    let (old, new) = (format!("a/{}", document.name), format!("b/{}", document.name));
    diff.unified_diff().header(&old, &new).to_string()
}
