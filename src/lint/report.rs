//! Defines the result of linting a document.

use crate::document::diagnostic::Diagnostic;

/// The result of linting a document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LintReport {
    /// Every diagnostic, in document order.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether an upgrade to head would refuse the document.
    pub is_unusable: bool,
}
