//! Shows the diagnostics of `lint` in full.

use std::collections::BTreeSet;

use serde::Serialize;
use tatmig::edit::AppliedFix;
use tatmig::{Diagnostic, Severity, Source};

use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::format::severity_counts;
use crate::cli::report::json::ProblemEntry;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;
use crate::cli::report::views::lint_fix::FixEntry;

/// The result of `lint` in the formats `human` and `json`.
#[derive(Serialize)]
pub(crate) struct LintView<'r> {
    #[serde(skip)]
    file: &'r str,
    #[serde(skip)]
    summary: SeverityCounts,
    #[serde(skip)]
    source: &'r Source<'r>,
    #[serde(skip)]
    diagnostics: &'r [Diagnostic],
    /// The changes that were applied before the check. The key is absent without `--fix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fixes: Option<Vec<FixEntry<'r>>>,
    #[serde(skip)]
    exit_status: u8,
}

#[derive(Serialize)]
struct SeverityCounts {
    /// The number of databases.
    total: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl<'r> LintView<'r> {
    pub(crate) fn new(
        source: &'r Source<'r>,
        diagnostics: &'r [Diagnostic],
        exit_status: u8,
    ) -> Self {
        let count = |severity| {
            diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
        };
        Self {
            file: source.name(),
            summary: SeverityCounts {
                total: 0,
                errors: count(Severity::Error),
                warnings: count(Severity::Warning),
                notes: count(Severity::Note),
            },
            source,
            diagnostics,
            fixes: None,
            exit_status,
        }
    }

    /// The same with the changes that were applied before the check.
    pub(crate) fn with_fixes(self, applied: Option<&'r [AppliedFix]>) -> Self {
        Self { fixes: applied.map(FixEntry::list), ..self }
    }
}

impl LintView<'_> {
    /// How to read more about the rules of the diagnostics that were printed.
    fn describe_rules(&self, console: &Console) -> Option<String> {
        let printed = self.diagnostics.iter().filter(|found| console.shows(found.severity));
        let names: BTreeSet<&str> = printed.map(|found| found.rule.name()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        Some(match names.as_slice() {
            [] => return None,
            [name] => format!("`tatmig lint --explain {name}` describes this rule"),
            names => {
                format!("`tatmig lint --explain RULE` describes a rule: `{}`", names.join("`, `"))
            }
        })
    }
}

impl View for LintView<'_> {
    fn print_text(&self, console: &Console) {
        for fix in self.fixes.iter().flatten() {
            console.line(fix.describe(self.file));
        }
        console.diagnostics(self.source, self.diagnostics);
        let state = match &self.summary {
            SeverityCounts { errors: 1.., .. } => State::Failed,
            SeverityCounts { warnings: 1.., .. } => State::Note,
            _ => State::Ok,
        };
        let mut counts = severity_counts(self.diagnostics);
        counts += match self.summary.notes {
            1 if !console.shows(Severity::Note) => " (`-v` shows it)",
            2.. if !console.shows(Severity::Note) => " (`-v` shows them)",
            _ => "",
        };
        console.line(StyledLine::from(format!("{}: ", self.file)).state(state, counts));
        if let Some(text) = self.describe_rules(console) {
            console.note(text);
        }
    }

    fn exit_status(&self) -> u8 {
        self.exit_status
    }

    fn digest(&self, digest: &mut Digest) {
        digest.verdict = format!("{}: {}", self.file, severity_counts(self.diagnostics));
        digest.findings.add_all(self.source, self.diagnostics);
    }

    fn problems(&self) -> Vec<ProblemEntry<'_>> {
        ProblemEntry::list(self.source, self.diagnostics)
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
