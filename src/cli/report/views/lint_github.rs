//! Writes diagnostics as workflow commands of GitHub Actions, which show them next to the changed
//! lines of a pull request.

use std::fmt::Write as _;

use tatmig::{Diagnostic, Severity, Source};

use crate::cli::report::format::{escape_for_terminal, line_column_range};

/// One workflow command on a line for each diagnostic.
pub(crate) fn workflow_commands(source: &Source<'_>, diagnostics: &[Diagnostic]) -> String {
    let commands = diagnostics.iter().map(|diagnostic| workflow_command(source, diagnostic) + "\n");
    commands.collect()
}

/// `::warning file=m.md,line=3,col=1,endLine=3,endColumn=9,title=rule::message`.
fn workflow_command(source: &Source<'_>, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        _ => "notice",
    };
    let (start, end) = line_column_range(source, &diagnostic.span);
    let mut command = format!(
        "::{level} file={},line={},col={},endLine={}",
        escape_property(source.name()),
        start.line,
        start.column,
        end.line,
    );
    // GitHub ignores an end column on another line.
    if start.line == end.line {
        let _ = write!(command, ",endColumn={}", end.column);
    }
    let mut message = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        let _ = write!(message, "\n{help}");
    }
    let _ = write!(
        command,
        ",title={}::{}",
        escape_property(diagnostic.rule.name()),
        escape_data(&message)
    );
    command
}

/// Escapes the message of a command.
fn escape_data(text: &str) -> String {
    escape_for_terminal(text).replace('%', "%25").replace('\n', "%0A")
}

/// Escapes a property of a command.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}
