//! Reads the document's file.

use std::path::Path;

use anyhow::{Context, bail};
use tatmig::fleet::read_regular_file;
use tatmig::text::escape_for_display;

/// The text of the document's file, and the file's name as messages show it.
pub(crate) struct DocumentFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl DocumentFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The file does not exist, cannot be read, or is not UTF-8.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = escape_for_display(path.as_os_str());
        let bytes = match read_regular_file(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let current_dir = std::env::current_dir().unwrap_or_default();
                bail!(
                    "the document `{name}` does not exist (searched from `{}`); name another with `--file`, or see an example with `tatmig demo`",
                    escape_for_display(current_dir.as_os_str())
                );
            }
            Err(error) => {
                return Err(error).context(format!("the document `{name}` cannot be read"));
            }
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.split(|byte| *byte == b'\n').count();
            anyhow::anyhow!(
                "the document `{name}` is not UTF-8: the first invalid byte is in line {line}; save the file as UTF-8"
            )
        })?;
        Ok(Self { name, text })
    }
}
