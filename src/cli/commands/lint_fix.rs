//! Runs `lint --fix`: applies the safe changes, or prints them as a diff.

use std::fmt::Write as _;
use std::path::Path;

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

/// The changes as a unified diff that `git apply` and `patch -p1` take; empty without changes.
pub(crate) fn unified_diff(
    context: CommandContext<'_>,
    document: &DocumentFile,
    fixed: &Fixed,
) -> String {
    let diff = TextDiff::from_lines(&document.text, &fixed.document.text);
    let path = path_in_diff(&context.settings.file);
    let [old, new] = ["a", "b"].map(|side| quoted_for_git(&format!("{side}/{path}")));
    diff.unified_diff().header(&old, &new).to_string()
}

/// A path as a diff names it: relative to the current directory, without a root and without `..` where
/// this is possible.
fn path_in_diff(path: &Path) -> String {
    let inside = || {
        let directory = std::env::current_dir().ok()?.canonicalize().ok()?;
        // The directory of the file, since the file itself may be a link.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty())?;
        let parent = parent.canonicalize().ok()?;
        Some(parent.strip_prefix(directory).ok()?.join(path.file_name()?))
    };
    let path = inside().unwrap_or_else(|| path.to_owned());
    path.to_string_lossy().trim_start_matches('/').to_owned()
}

/// A name as git writes it: in quotes, as in C, if it has a quote, a backslash or a control character.
fn quoted_for_git(name: &str) -> String {
    let is_special = |c: char| c == '"' || c == '\\' || c.is_ascii_control();
    if !name.contains(is_special) {
        return name.to_owned();
    }
    let mut quoted = String::from('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_ascii_control() => {
                let _ = write!(quoted, "\\{:03o}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_quote_or_a_tab_is_quoted_as_git_does() {
        assert_eq!(quoted_for_git("a/docs/my ünï.md"), "a/docs/my ünï.md");
        assert_eq!(quoted_for_git("a/x\t\"y.md"), "\"a/x\\011\\\"y.md\"");
    }
}
