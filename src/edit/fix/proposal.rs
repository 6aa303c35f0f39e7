//! Defines a change that removes a finding, and applies several of them.

use std::ops::Range;

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::edit::change::{TextEdit, apply_edits};

/// Whether a change may be made without a person who looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FixSafety {
    /// The change has one meaning, and no migration that a database may have applied changes.
    Safe,
    /// The change is a proposal: it holds a guess, has a part to fill in, or changes a migration
    /// that a database may have applied.
    NeedsPerson,
}

/// A change of the document's text that removes one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fix {
    /// What the change does, as an order: "label the fence `sql`".
    pub title: String,
    /// The rule of the finding.
    pub rule: Rule,
    /// The bytes that the finding underlines.
    pub span: Range<usize>,
    /// The changes, none of which overlap.
    pub edits: Vec<TextEdit>,
    /// Whether it may be applied without a person.
    pub safety: FixSafety,
}

impl Fix {
    pub(crate) fn new(
        finding: &Diagnostic,
        safety: FixSafety,
        title: impl Into<String>,
        edits: Vec<TextEdit>,
    ) -> Self {
        Self { title: title.into(), rule: finding.rule, span: finding.span.clone(), edits, safety }
    }

    /// The text with the change.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        apply_edits(text, self.edits.clone())
    }
}

/// Applies changes as far as they do not overlap; of two that do, the first is applied.
#[must_use]
pub fn apply_fixes<'f>(text: &str, fixes: impl IntoIterator<Item = &'f Fix>) -> AppliedFixes {
    let mut edits: Vec<TextEdit> = Vec::new();
    let mut indexes = Vec::new();
    for (index, fix) in fixes.into_iter().enumerate() {
        let overlaps = fix.edits.iter().any(|new| {
            edits.iter().any(|edit| {
                let (new, edit) = (new.range(), edit.range());
                new.start <= edit.end && edit.start <= new.end
            })
        });
        if !overlaps {
            edits.extend(fix.edits.iter().cloned());
            indexes.push(index);
        }
    }
    AppliedFixes { text: apply_edits(text, edits), indexes }
}

/// The result of applying changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedFixes {
    /// The text with the changes.
    pub text: String,
    /// Which of the changes were applied, by their positions.
    pub indexes: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_changes_that_overlap_the_first_is_applied_and_each_is_named() {
        let fix = |range: Range<usize>, new: &str| {
            let finding = Diagnostic::new(Rule::Sql, range.clone(), "x");
            Fix::new(&finding, FixSafety::Safe, new, vec![TextEdit::new(range, new)])
        };
        let fixes = [fix(0..2, "A"), fix(1..3, "B"), fix(4..5, "C")];
        let applied = apply_fixes("abcdef", &fixes);
        assert_eq!(
            (applied.text.as_str(), applied.indexes.as_slice()),
            ("AcdCf", [0, 2].as_slice())
        );
    }
}
