//! Writes the JSON document that `--json` prints to standard output: the keys that every document
//! has, and those of the command.

use std::io::{BufWriter, Write};

use serde::Serialize;
use serde::ser::Serializer;

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

impl<V: View> Serialize for Envelope<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Adds the keys of the command to those of the envelope.
        #[derive(Serialize)]
        struct Keys<'r, V, D, S> {
            format: u32,
            command: Option<&'r str>,
            file: &'r str,
            head: Option<&'r str>,
            #[serde(flatten)]
            view: &'r V,
            databases: D,
            problems: Vec<ProblemEntry<'r>>,
            error: Option<ErrorEntry<'r>>,
            summary: S,
        }
        let failures = self.failures.iter().map(|failure| ProblemEntry::from_message(failure));
        let keys = Keys {
            format: FORMAT,
            command: self.command,
            file: self.file,
            head: self.head,
            view: self.view,
            databases: self.view.databases(),
            problems: self.view.problems().into_iter().chain(failures).collect(),
            error: self.view.error(),
            summary: self.view.summary(),
        };
        keys.serialize(serializer)
    }
}
