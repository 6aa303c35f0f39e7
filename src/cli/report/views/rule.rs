//! Shows what a rule of `lint` reports and how to fix it, from the documentation of the rules.

use serde::Serialize;
use tatmig::{Rule, Severity};

use crate::cli::report::console::Console;
use crate::cli::report::view::View;

/// Describes every rule in a section of its own.
const RULES: &str = include_str!("../../../../docs/lints.md");

/// The result of `lint --explain`.
#[derive(Serialize)]
pub(crate) struct RuleView {
    rule: &'static str,
    severity: Severity,
    /// Markdown.
    explanation: &'static str,
}

impl RuleView {
    pub(crate) fn new(rule: Rule) -> Self {
        let explanation = explanation(rule.name()).unwrap_or_else(|| rule.summary());
        Self { rule: rule.name(), severity: rule.severity(), explanation }
    }
}

impl View for RuleView {
    fn print_text(&self, console: &Console) {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            _ => "note",
        };
        console.line(format!("{} ({severity})\n\n{}", self.rule, self.explanation));
    }
}

/// The text below the heading of a rule, up to the next heading.
pub(crate) fn explanation(name: &str) -> Option<&'static str> {
    let heading = format!("### `{name}`\n");
    let (_, text) = RULES.split_once(&heading)?;
    let mut length = 0;
    let mut is_in_fence = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with("```") {
            is_in_fence = !is_in_fence;
        }
        if line.starts_with('#') && !is_in_fence {
            break;
        }
        length += line.len();
    }
    Some(text[..length].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_an_explanation() {
        for rule in Rule::ALL {
            let text = explanation(rule.name()).unwrap_or_default();
            assert!(text.len() > 40 && !text.contains("\n### "), "{}: {text}", rule.name());
        }
    }
}
