//! Reports statements that a libSQL server refuses, for fleets that are stored on one.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::source::SourceSlice;
use crate::sqld::dialect;

pub(crate) fn check(statement: &SourceSlice<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if let Some((message, range)) = dialect::unsupported(statement.text()) {
        diagnostics.push(
            Diagnostic::new(Rule::ServerRefuses, statement.document_span(range), message)
                .help("this migration cannot be applied to a namespace; rewrite the statement"),
        );
    }
}
