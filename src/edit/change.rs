//! Replaces parts of a text.

use std::ops::Range;

/// A byte range of a text, and the text that replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEdit {
    range: Range<usize>,
    text: String,
}

impl TextEdit {
    pub(crate) fn new(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }

    /// The bytes that are replaced; an empty range is a place to insert at.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The text that replaces them.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Applies edits, which must not overlap. Their ranges refer to the text before any edit.
pub(crate) fn apply_edits(text: &str, mut edits: Vec<TextEdit>) -> String {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = text.to_owned();
    // From the end to the start, so that the remaining ranges stay valid.
    for edit in edits.into_iter().rev() {
        out.replace_range(edit.range, &edit.text);
    }
    out
}
