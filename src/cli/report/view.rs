//! Defines what a command's result offers to the two renderers.

use serde::Serialize;

use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::exit_status::EXIT_SUCCESS;
use crate::cli::report::format::plural;
use crate::cli::report::json::{DatabaseCount, ErrorEntry, ProblemEntry};

/// What a command has changed that only reads, or that was ended before its first change.
pub(crate) const NOTHING_CHANGED: &str = "no database was changed";

/// `2 databases were upgraded, 5 were not changed`.
pub(crate) fn describe_changes(changed: usize, total: usize, verb: &str) -> String {
    let was = |count| if count == 1 { "was" } else { "were" };
    match (changed, total - changed) {
        (0, _) => NOTHING_CHANGED.to_owned(),
        (changed, 0) => format!("{} {} {verb}", plural(changed, "database"), was(changed)),
        (changed, left) => format!(
            "{} {} {verb}, {left} {} not changed; run the command again to finish",
            plural(changed, "database"),
            was(changed),
            was(left)
        ),
    }
}

/// The result of one command as plain data.
///
/// Its serialized form is the keys that only this command's JSON document has. The keys that all
/// documents have are the methods below. A list of databases holds references and serializes each of
/// them as it is written (`#[serde(into = …)]`), so that a report on 100,000 databases needs no
/// second copy in memory.
pub(crate) trait View: Serialize {
    /// Prints the result as text: result lines to standard output, notes and errors to standard
    /// error.
    fn print_text(&self, console: &Console);

    /// Prints only the notes and errors, to standard error; with `--json` they accompany the document.
    fn print_errors(&self, _console: &Console) {}

    /// The exit status of the command.
    fn exit_status(&self) -> u8 {
        EXIT_SUCCESS
    }

    /// The databases that the command acted on, in order.
    fn databases(&self) -> impl Serialize {
        [(); 0]
    }

    /// The diagnostics of the document.
    fn problems(&self) -> Vec<ProblemEntry<'_>> {
        Vec::new()
    }

    /// The error that ended the command before it acted on any database.
    fn error(&self) -> Option<ErrorEntry<'_>> {
        None
    }

    /// Adds the result to what `--report` and `--metrics` write.
    fn digest(&self, digest: &mut Digest) {
        if let Some(error) = self.error() {
            error.text().clone_into(&mut digest.verdict);
        }
    }

    /// What the command has changed, for the line that ends a run after a signal.
    fn changes(&self) -> String {
        NOTHING_CHANGED.to_owned()
    }

    /// Counts, as an object.
    fn summary(&self) -> impl Serialize {
        DatabaseCount { total: 0 }
    }
}
