//! Writes the JSON document that `--json` prints to standard output: the keys that every document
//! has, and those of the command. With `--json-lines` these keys are the last line.

use std::io::{BufWriter, Write};

use serde::Serialize;

use crate::cli::output::OutputFormat;
use crate::cli::report::json::{ErrorEntry, ProblemEntry};
use crate::cli::report::view::View;

/// The version of the envelope. It changes if a key is removed or gets another meaning.
const FORMAT: u32 = 1;

/// Writes one JSON document, indented.
pub(crate) fn write_document(document: &impl Serialize) {
    // Standard output alone is flushed at every line feed.
    let mut out = BufWriter::new(std::io::stdout().lock());
    if serde_json::to_writer_pretty(&mut out, document).is_ok() {
        let _ = writeln!(out);
    }
    let _ = out.flush();
}

/// Writes a JSON value in one line, which is passed on at once.
pub(crate) fn write_event(event: &impl Serialize) {
    let mut out = BufWriter::new(std::io::stdout().lock());
    if serde_json::to_writer(&mut out, event).is_ok() {
        let _ = writeln!(out);
    }
    let _ = out.flush();
}

/// Writes the JSON document of a command or, for lines of JSON, the last line: a summary without
/// the databases, which have lines of their own.
pub(crate) fn write_envelope<V: View>(format: OutputFormat, envelope: &Envelope<'_, V>) {
    let keys = envelope.keys();
    if format == OutputFormat::JsonLines {
        write_event(&EnvelopeKeys { event: Some("summary"), databases: None, ..keys });
    } else {
        write_document(&keys);
    }
}

/// The JSON document of a command: the keys that every document has, and those of the command.
pub(crate) struct Envelope<'r, V> {
    /// `None` if the arguments name no command.
    pub(crate) command: Option<&'r str>,
    /// The path of the document.
    pub(crate) file: &'r str,
    /// The last released version of the document; `None` if it was not read.
    pub(crate) head: Option<&'r str>,
    /// Errors that no view has, reported before the result.
    pub(crate) failures: &'r [String],
    pub(crate) view: &'r V,
}

/// Adds the keys of the command to those of the envelope.
#[derive(Serialize)]
struct EnvelopeKeys<'r, V, D, S> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    format: u32,
    command: Option<&'r str>,
    file: &'r str,
    head: Option<&'r str>,
    #[serde(flatten)]
    view: &'r V,
    #[serde(skip_serializing_if = "Option::is_none")]
    databases: Option<D>,
    problems: Vec<ProblemEntry<'r>>,
    error: Option<ErrorEntry<'r>>,
    summary: S,
}

impl<V: View> Envelope<'_, V> {
    fn keys(&self) -> EnvelopeKeys<'_, V, impl Serialize, impl Serialize> {
        let failures = self.failures.iter().map(|failure| ProblemEntry::from_message(failure));
        EnvelopeKeys {
            event: None,
            format: FORMAT,
            command: self.command,
            file: self.file,
            head: self.head,
            view: self.view,
            databases: Some(self.view.databases()),
            problems: self.view.problems().into_iter().chain(failures).collect(),
            error: self.view.error(),
            summary: self.view.summary(),
        }
    }
}
