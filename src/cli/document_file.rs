//! Reads the document's file.

use std::path::Path;

use anyhow::{Context, bail};
use tatmig::fleet::read_regular_file;
use tatmig::text::{escape_for_display, nearest_name};

/// The text of the document's file, and the file's name as messages show it.
pub(crate) struct DocumentFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl DocumentFile {
    /// Reads the file. `source` is the setting that names it, if one does.
    ///
    /// # Errors
    ///
    /// The file does not exist, cannot be read, or is not UTF-8.
    pub(crate) fn read(path: &Path, source: Option<&str>) -> anyhow::Result<Self> {
        let name = escape_for_display(path.as_os_str());
        let bytes = match read_regular_file(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!(missing_document(path, source));
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

/// The message for a document that does not exist.
fn missing_document(path: &Path, source: Option<&str>) -> String {
    let name = escape_for_display(path.as_os_str());
    let source = source.map(|source| format!(", set by {source},")).unwrap_or_default();
    let current_dir = std::env::current_dir().unwrap_or_default();
    let suggestion = similar_file(path).map(|similar| format!("did you mean `{similar}`? "));
    format!(
        "the document `{name}`{source} does not exist (searched from `{}`); {}`tatmig new 1.0.0 -m TEXT` creates it; name another with `--file`, or see an example with `tatmig demo`",
        escape_for_display(current_dir.as_os_str()),
        suggestion.unwrap_or_default()
    )
}

/// The Markdown file beside a missing document whose name is most similar.
fn similar_file(path: &Path) -> Option<String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = std::fs::read_dir(directory.unwrap_or(Path::new("."))).ok()?;
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.to_lowercase().ends_with(".md"))
        .collect();
    let similar = nearest_name(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(escape_for_display(path.with_file_name(similar).as_os_str()))
}
