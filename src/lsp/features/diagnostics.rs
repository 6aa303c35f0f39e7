//! Turns the findings of lint into diagnostics of the protocol.

use std::ops::Range;

use gen_lsp_types as lsp;

use crate::document::diagnostic::{Diagnostic, Severity};
use crate::lsp::analysis::Analysis;
use crate::lsp::position::LineIndex;
use crate::lsp::snapshot::Snapshot;

/// Which findings are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindingSet {
    /// Exactly those of lint.
    Exact,
    /// With those of an earlier text, while it is typed.
    WithRetained,
}

/// The notification with the findings of a text.
pub(crate) fn publication(
    uri: &lsp::Uri,
    index: &LineIndex,
    analysis: &Analysis,
    set: FindingSet,
) -> lsp::PublishDiagnosticsParams {
    let converter = Converter { uri, index, text: &analysis.text };
    let mut diagnostics: Vec<lsp::Diagnostic> =
        analysis.findings.iter().map(|finding| converter.convert(finding)).collect();
    if set == FindingSet::WithRetained {
        diagnostics.extend(analysis.retained.iter().map(|finding| converter.convert(finding)));
    }
    lsp::PublishDiagnosticsParams { uri: uri.clone(), version: Some(analysis.version), diagnostics }
}

/// The answer to a request for the diagnostics of a document.
pub(crate) fn report(snapshot: &Snapshot) -> lsp::DocumentDiagnosticReport {
    let items = snapshot.analysis.as_ref().map(|analysis| {
        publication(&snapshot.uri, &snapshot.index, analysis, FindingSet::Exact).diagnostics
    });
    lsp::DocumentDiagnosticReport::RelatedFullDocumentDiagnosticReport(
        lsp::RelatedFullDocumentDiagnosticReport {
            full_document_diagnostic_report: lsp::FullDocumentDiagnosticReport {
                items: items.unwrap_or_default(),
                ..lsp::FullDocumentDiagnosticReport::default()
            },
            ..lsp::RelatedFullDocumentDiagnosticReport::default()
        },
    )
}

/// A finding of a snapshot's text as a diagnostic.
pub(crate) fn convert(snapshot: &Snapshot, finding: &Diagnostic) -> lsp::Diagnostic {
    let Snapshot { uri, index, text, .. } = snapshot;
    Converter { uri, index, text }.convert(finding)
}

struct Converter<'a> {
    uri: &'a lsp::Uri,
    index: &'a LineIndex,
    text: &'a str,
}

impl Converter<'_> {
    fn convert(&self, finding: &Diagnostic) -> lsp::Diagnostic {
        let mut message = finding.message.clone();
        if let Some(help) = &finding.help {
            message.push_str("\nhelp: ");
            message.push_str(help);
        }
        let related =
            finding.related.iter().map(|(span, label)| lsp::DiagnosticRelatedInformation {
                location: lsp::Location { uri: self.uri.clone(), range: self.range(span) },
                message: label.clone(),
            });
        let related: Vec<_> = related.collect();
        lsp::Diagnostic {
            range: self.range(&finding.span),
            severity: Some(match finding.severity {
                Severity::Error => lsp::DiagnosticSeverity::Error,
                Severity::Warning => lsp::DiagnosticSeverity::Warning,
                Severity::Note => lsp::DiagnosticSeverity::Information,
            }),
            code: Some(lsp::Code::String(finding.rule.name().to_owned())),
            code_description: Some(lsp::CodeDescription { href: lsp::Uri(finding.rule.url()) }),
            source: Some("tatmig".to_owned()),
            message: lsp::Message::String(message),
            related_information: (!related.is_empty()).then_some(related),
            ..lsp::Diagnostic::default()
        }
    }

    /// A span without the white space at its end, as `lint --json` reports it.
    fn range(&self, span: &Range<usize>) -> lsp::Range {
        let text = self.text.get(span.clone()).unwrap_or("").trim_end();
        self.index.range(self.text, span.start..span.start + text.len())
    }
}
