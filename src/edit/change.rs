//! Replacements of parts of a text, applied from the end to the start.

use std::ops::Range;

/// A place in a text, and what is to stand there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextEdit {
    range: Range<usize>,
    text: String,
}

impl TextEdit {
    pub(crate) fn new(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }
}

/// The text with changes, which do not overlap.
pub(crate) fn apply_edits(text: &str, mut edits: Vec<TextEdit>) -> String {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = text.to_owned();
    for change in edits.into_iter().rev() {
        out.replace_range(change.range, &change.text);
    }
    out
}
