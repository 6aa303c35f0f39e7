//! Shows the changes of `lint --fix`, applied or as a diff.

use serde::Serialize;
use tatmig::edit::AppliedFix;

use crate::cli::report::console::Console;
use crate::cli::report::format::plural;
use crate::cli::report::view::View;

/// One change that was applied.
#[derive(Serialize)]
pub(crate) struct FixEntry<'r> {
    line: usize,
    rule: &'static str,
    message: &'r str,
}

impl<'r> FixEntry<'r> {
    pub(crate) fn list(applied: &'r [AppliedFix]) -> Vec<Self> {
        let entry = |fix: &'r AppliedFix| Self {
            line: fix.line,
            rule: fix.rule.name(),
            message: &fix.title,
        };
        applied.iter().map(entry).collect()
    }

    /// The line that reports the change.
    pub(crate) fn describe(&self, file: &str) -> String {
        format!("{file}:{}: {} ({})", self.line, self.message, self.rule)
    }
}

/// The result of `lint --fix --dry-run`.
#[derive(Serialize)]
pub(crate) struct FixPlanView<'r> {
    #[serde(skip)]
    file: &'r str,
    fixes: Vec<FixEntry<'r>>,
    /// The changes as a unified diff.
    diff: &'r str,
    dry_run: bool,
    #[serde(skip)]
    exit_status: u8,
}

impl<'r> FixPlanView<'r> {
    /// `exit_status` is that of the document as it is.
    pub(crate) fn new(
        file: &'r str,
        applied: &'r [AppliedFix],
        diff: &'r str,
        exit_status: u8,
    ) -> Self {
        Self { file, fixes: FixEntry::list(applied), diff, dry_run: true, exit_status }
    }
}

impl View for FixPlanView<'_> {
    fn print_text(&self, console: &Console) {
        if !self.diff.is_empty() {
            console.verbatim(self.diff.trim_end_matches('\n'));
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        for fix in &self.fixes {
            console.note(fix.describe(self.file));
        }
        console.note(format!("{}: {} to apply", self.file, plural(self.fixes.len(), "change")));
    }

    fn exit_status(&self) -> u8 {
        self.exit_status
    }
}
