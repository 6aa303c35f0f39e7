//! `lint`: the document read and replayed in memory, without a database.

use anyhow::bail;
use tatmig::{Problem, Rule, Severity, Source};

use super::Tools;
use crate::report::{DONE, FAILED, REFUSED};

pub(super) fn run(tools: Tools<'_>, deny: &[String]) -> anyhow::Result<u8> {
    let known = |name: &str| name == "warnings" || Rule::ALL.iter().any(|rule| rule.name() == name);
    if let Some(unknown) = deny.iter().find(|name| !known(name)) {
        bail!(
            "there is no rule `{unknown}` to deny; a message names its rule in brackets, and `warnings` is all of them"
        );
    }
    let text = tools.text()?;
    let source = Source::new(&text.name, &text.text);
    let (problems, unusable) = tatmig::lint(source.clone(), &tools.signals.stop());
    let status = if unusable {
        REFUSED
    } else if problems.iter().any(|problem| is_denied(problem, deny)) {
        FAILED
    } else {
        DONE
    };
    Ok(tools.report.linted(&source, (&problems, status)))
}

fn is_denied(problem: &Problem, deny: &[String]) -> bool {
    match problem.severity {
        // An error behind head, where no upgrade gets to.
        Severity::Error => true,
        Severity::Warning => {
            deny.iter().any(|name| name == "warnings" || name == problem.rule.name())
        }
        Severity::Note => deny.iter().any(|name| name == problem.rule.name()),
    }
}
