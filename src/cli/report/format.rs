//! Formats counts, names, sizes and error chains for messages.

use std::ffi::OsStr;
use std::fmt::Display;
use std::ops::Range;

use bytesize::ByteSize;
use tatmig::fleet::Fleet;
use tatmig::text::escape_for_display;
use tatmig::{Diagnostic, LineColumn, Severity, Source};

/// `1 database`, `2 databases`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `1.5 MB`, in powers of 1000.
pub(crate) fn format_size(bytes: u64) -> impl Display {
    ByteSize::b(bytes).display().si()
}

/// `2 errors, 1 warning`.
pub(crate) fn severity_counts(diagnostics: &[Diagnostic]) -> String {
    severity_counts_with(diagnostics, 0)
}

/// As [`severity_counts`], with errors that are listed elsewhere.
pub(crate) fn severity_counts_with(diagnostics: &[Diagnostic], other_errors: usize) -> String {
    let count =
        |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let errors = count(Severity::Error) + other_errors;
    let mut parts = vec![plural(errors, "error"), plural(count(Severity::Warning), "warning")];
    if count(Severity::Note) > 0 {
        parts.push(plural(count(Severity::Note), "note"));
    }
    parts.join(", ")
}

/// `3 user databases were not selected; …`, if a run selected none of the fleet's users.
pub(crate) fn describe_unselected_users(fleet: &Fleet) -> Option<String> {
    let count = fleet.total_users.filter(|count| *count > 0 && fleet.users.is_empty())?;
    let verb = if count == 1 { "was" } else { "were" };
    Some(format!(
        "{} {verb} not selected; add `--all-users` or `--user NAME`",
        plural(count, "user database")
    ))
}

/// Escapes what could drive a terminal in text that quotes a database, an argument or SQLite.
/// Line feeds and tabs stay.
pub(crate) fn escape_for_terminal(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let fields = line.split('\t').map(|field| escape_for_display(OsStr::new(field)));
        fields.collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// An error and its causes in one line. A cause that the message before it already contains is
/// left out.
pub(crate) fn error_chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |message, cause| {
        match (message.is_empty(), message.contains(&cause)) {
            (true, _) => cause,
            (false, true) => message,
            (false, false) => format!("{message}: {cause}"),
        }
    })
}

/// The text without the numbers that the standard library adds to errors of the operating system:
/// ` (os error 2)`.
pub(crate) fn without_os_numbers(text: &str) -> String {
    const BEGINNING: &str = " (os error ";
    let mut parts = text.split(BEGINNING);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                out.push_str(rest);
            }
            _ => {
                out.push_str(BEGINNING);
                out.push_str(part);
            }
        }
    }
    out
}

/// The start of a span, and the position after its last character that is not white space.
pub(crate) fn line_column_range(
    source: &Source<'_>,
    span: &Range<usize>,
) -> (LineColumn, LineColumn) {
    let text = source.text();
    let trimmed = text.get(span.clone()).unwrap_or("").trim_end();
    let start = source.line_column(span.start);
    (start, source.line_column(span.start + trimmed.len()).max(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in
            [(0, "0 B"), (999, "999 B"), (20_480, "20.5 kB"), (1_500_000, "1.5 MB")]
        {
            assert_eq!(format_size(bytes).to_string(), expected);
        }
    }

    #[test]
    fn a_cause_that_the_message_contains_is_left_out() {
        let io_error = || std::io::Error::other("disk full");
        let repeated = anyhow::Error::new(io_error()).context("cannot write: disk full");
        assert_eq!(error_chain(&repeated), "cannot write: disk full");
        let distinct = anyhow::Error::new(io_error()).context("cannot write");
        assert_eq!(error_chain(&distinct), "cannot write: disk full");
    }

    #[test]
    fn numbers_of_the_operating_system_are_left_out() {
        for (text, expected) in [
            (
                "a: No such file or directory (os error 2); b (os error 17)",
                "a: No such file or directory; b",
            ),
            ("`a (os error x)` (os error 2", "`a (os error x)` (os error 2"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_os_numbers(text), expected);
        }
    }

    #[test]
    fn control_characters_are_escaped_and_lines_kept() {
        assert_eq!(escape_for_terminal("a\tb\n\u{1b}[31m"), "a\tb\n\\u{1b}[31m");
    }
}
