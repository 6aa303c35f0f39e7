//! Collects what the rules found in a run of the document, and what each statement changed.

use std::ops::Range;

use crate::document::diagnostic::{Diagnostic, Severity};
use crate::schema::changes::ObjectChange;

/// A statement that ran, by its range in the document, and what it changed in the schema.
#[derive(Clone)]
pub(crate) struct StatementChanges {
    pub(crate) span: Range<usize>,
    pub(crate) object_changes: Vec<ObjectChange>,
}

/// The result of a run.
pub(crate) struct WalkReport {
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The statements that changed the schema, in the order of the run.
    pub(crate) statements: Vec<StatementChanges>,
}

/// How much was found until some point.
pub(crate) struct Mark {
    diagnostics: usize,
    statements: usize,
}

/// What the rules found, and what the statements changed.
#[derive(Clone, Default)]
pub(crate) struct Findings {
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) statements: Vec<StatementChanges>,
    /// The indexes of those that count only if every statement ran without an error, since a
    /// statement that failed may be their cause.
    conditional: Vec<usize>,
}

impl Findings {
    pub(crate) fn add_conditional(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.conditional.push(self.diagnostics.len());
            self.diagnostics.push(diagnostic);
        }
    }

    /// Makes the errors conditional that were added from this index on.
    pub(crate) fn make_errors_conditional(&mut self, first: usize) {
        let added = (first..).zip(&self.diagnostics[first..]);
        let errors = added.filter(|(_, diagnostic)| diagnostic.severity == Severity::Error);
        self.conditional.extend(errors.map(|(index, _)| index));
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { diagnostics: self.diagnostics.len(), statements: self.statements.len() }
    }

    pub(crate) fn truncate(&mut self, mark: &Mark) {
        self.diagnostics.truncate(mark.diagnostics);
        self.conditional.retain(|index| *index < mark.diagnostics);
        self.statements.truncate(mark.statements);
    }

    /// A copy of what was added since a mark.
    pub(crate) fn since(&self, mark: &Mark) -> Self {
        let conditional = self.conditional.iter();
        Self {
            diagnostics: self.diagnostics[mark.diagnostics..].to_vec(),
            statements: self.statements[mark.statements..].to_vec(),
            conditional: conditional
                .filter_map(|index| index.checked_sub(mark.diagnostics))
                .collect(),
        }
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        let len = self.diagnostics.len();
        self.conditional.extend(other.conditional.iter().map(|index| index + len));
        self.diagnostics.extend_from_slice(&other.diagnostics);
        self.statements.extend_from_slice(&other.statements);
    }

    /// Removes those that count only if every statement ran without an error.
    pub(crate) fn remove_conditional(&mut self) {
        let mut conditional = std::mem::take(&mut self.conditional).into_iter().peekable();
        let mut indexes = 0..self.diagnostics.len();
        self.diagnostics.retain(|_| {
            indexes.next().is_some_and(|index| conditional.next_if_eq(&index).is_none())
        });
    }
}
