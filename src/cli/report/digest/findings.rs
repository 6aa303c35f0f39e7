//! Collects what is wrong with the document: the diagnostics of `lint`, of `test` and of a document
//! that cannot be used.

use serde::Serialize;
use tatmig::{Diagnostic, Severity, Source};

use crate::cli::report::digest::excerpt::{Excerpts, clip_message};

/// How many findings a page lists.
const MAX_FINDINGS: usize = 300;

/// One diagnostic.
#[derive(Serialize)]
struct Finding {
    severity: Severity,
    rule: &'static str,
    message: String,
    help: Option<String>,
    position: String,
    excerpt: Option<String>,
    /// Of `test`: the databases that show the problem.
    databases: Option<String>,
}

/// The diagnostics in document order.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    errors: usize,
    warnings: usize,
    notes: usize,
    excerpts: Excerpts,
}

/// How many findings have a severity.
pub(crate) struct SeverityCount {
    pub(crate) severity: &'static str,
    pub(crate) count: usize,
}

impl Findings {
    pub(crate) fn add_all(&mut self, source: &Source<'_>, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            self.add(source, diagnostic, None);
        }
    }

    /// Adds a diagnostic, and the databases that show it.
    pub(crate) fn add(
        &mut self,
        source: &Source<'_>,
        diagnostic: &Diagnostic,
        databases: Option<String>,
    ) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            _ => self.notes += 1,
        }
        if self.list.len() < MAX_FINDINGS {
            let excerpt = self.excerpts.render(source, diagnostic);
            self.list.push(Finding {
                severity: diagnostic.severity,
                rule: diagnostic.rule.name(),
                message: clip_message(&diagnostic.message),
                help: diagnostic.help.as_deref().map(clip_message),
                position: source.format_position(diagnostic.span.start),
                excerpt,
                databases,
            });
        }
    }

    /// The findings that are listed.
    pub(crate) fn listed(&self) -> impl Serialize {
        &self.list
    }

    pub(crate) fn left_out(&self) -> usize {
        self.errors + self.warnings + self.notes - self.list.len()
    }

    pub(crate) fn counts(&self) -> [SeverityCount; 3] {
        let count = |severity, count| SeverityCount { severity, count };
        [count("error", self.errors), count("warning", self.warnings), count("note", self.notes)]
    }
}
