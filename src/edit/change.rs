//! Replaces parts of a text, and finds the part in which two texts differ.

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

    /// The smallest edit that leads from one text to another.
    pub(crate) fn between(old: &str, new: &str) -> Self {
        let change = TextChange::between(old, new);
        let new_text = &new[change.old.start..change.new_end];
        Self::new(change.old, new_text)
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

/// The part of a text that an edit replaced.
pub(crate) struct TextChange {
    /// In the old text.
    pub(crate) old: Range<usize>,
    /// Where the part that replaced it ends.
    pub(crate) new_end: usize,
}

impl TextChange {
    /// The smallest part in which two texts differ.
    pub(crate) fn between(old: &str, new: &str) -> Self {
        let (old_bytes, new_bytes) = (old.as_bytes(), new.as_bytes());
        let mut start = old_bytes.iter().zip(new_bytes).take_while(|(old, new)| old == new).count();
        while !old.is_char_boundary(start) {
            start -= 1;
        }
        let rest = old_bytes[start..].iter().rev().zip(new_bytes[start..].iter().rev());
        let mut end = rest.take_while(|(old, new)| old == new).count();
        while !old.is_char_boundary(old.len() - end) {
            end -= 1;
        }
        Self { old: start..old.len() - end, new_end: new.len() - end }
    }

    /// Where a range of the old text is in the new one; `None` if it was touched.
    pub(crate) fn move_range(&self, range: &Range<usize>) -> Option<Range<usize>> {
        if range.end <= self.old.start {
            return Some(range.clone());
        }
        let shift = |offset: usize| offset - self.old.end + self.new_end;
        (range.start >= self.old.end).then(|| shift(range.start)..shift(range.end))
    }

    /// Where a byte of the new text was in the old one; inside the new part, the start of the old one.
    pub(crate) fn old_offset(&self, offset: usize) -> usize {
        if offset >= self.new_end && offset > self.old.start {
            offset - self.new_end + self.old.end
        } else {
            offset.min(self.old.start)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edit_between_two_texts_is_the_smallest() {
        for (old, new, range, text) in [
            ("a b c", "a x c", 2..3, "x"),
            ("a b", "a b", 3..3, ""),
            ("aa", "aaa", 2..2, "a"),
            ("aé", "aè", 1..3, "è"),
            ("", "x", 0..0, "x"),
        ] {
            let edit = TextEdit::between(old, new);
            assert_eq!(edit, TextEdit::new(range, text), "{old:?} {new:?}");
            assert_eq!(apply_edits(old, vec![edit]), new);
        }
    }
}
