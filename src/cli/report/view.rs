//! Defines what a command's result offers to the two renderers.

use serde::Serialize;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::EXIT_SUCCESS;

/// The result of one command as plain data. Its serialized form is the JSON document.
///
/// A list of databases holds references and serializes each of them as it is written
/// (`#[serde(into = …)]`), so that a report on 100,000 databases needs no second copy in memory.
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
}
