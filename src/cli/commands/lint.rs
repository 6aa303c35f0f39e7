//! `lint`: the document read and run in memory, without a database, and judged by what is denied
//! and allowed.

use anyhow::{Context, bail};
use tatmig::{Judgement, Problem, Rule, Severity, Source};

use crate::cli::command_args::{Lint, LintFormat};
use crate::cli::commands::Tools;
use crate::cli::report::{DONE, FAILED, REFUSED};
use crate::cli::settings::{Format, LintKeys};

pub(crate) fn run(tools: Tools<'_>, arguments: &Lint) -> anyhow::Result<u8> {
    let format = tools.settings.lint_format(arguments);
    let report = tools.report.with_format(match format {
        LintFormat::Json => Format::Json,
        LintFormat::Human | LintFormat::Github | LintFormat::Sarif => Format::Text,
    });
    let tools = Tools { report: &report, ..tools };
    // Whatever goes wrong is told in the form that was asked for.
    judge(tools, arguments, format).or_else(|error| Ok(report.refuse(&error)))
}

fn judge(tools: Tools<'_>, arguments: &Lint, format: LintFormat) -> anyhow::Result<u8> {
    let typed = LintKeys { deny: arguments.deny.clone(), allow: arguments.allow.clone() };
    let keys = &tools.settings.lint;
    check(&typed, "")?;
    check(keys, " in tatmig.toml")?;
    let text = tools.text()?;
    let source = Source::new(&text.name, &text.text);
    let minimum = tools.settings.min_sqlite(arguments);
    let judgement =
        match tatmig::judge(source.clone(), (minimum, tools.engine()), &tools.signals.stop()) {
            Ok(judgement) => judgement,
            // The signal decides the exit status.
            Err(_) if tools.signals.caught().is_some() => return Ok(REFUSED),
            Err(error) => return Err(error).context("the document run in memory"),
        };
    let Judgement { mut problems, unusable } = judgement;
    problems.retain_mut(|problem| match sentence(problem, (&typed, keys)) {
        Sentence::Denied => {
            problem.severity = Severity::Error;
            true
        }
        Sentence::Told => true,
        Sentence::Allowed => false,
    });
    let status = if unusable {
        REFUSED
    } else if problems.iter().any(|problem| problem.severity == Severity::Error) {
        FAILED
    } else {
        DONE
    };
    tools.report.linted(&source, &problems, format);
    Ok(status)
}

/// Every name is a rule, and nothing is both denied and allowed.
fn check(keys: &LintKeys, place: &str) -> anyhow::Result<()> {
    for (name, verb) in
        keys.deny.iter().map(|name| (name, "deny")).chain(keys.allow.iter().map(|n| (n, "allow")))
    {
        match Rule::find(name) {
            None if name == "warnings" && verb == "deny" => {}
            None => bail!(
                "there is no rule `{name}` to {verb}{place}; a message names its rule in brackets, and `--deny warnings` is all of them"
            ),
            Some(rule) if verb == "allow" && rule.severity() == Severity::Error => bail!(
                "`{name}` cannot be allowed{place}: it is an error, and the document cannot be used with it"
            ),
            Some(_) => {}
        }
    }
    if let Some(both) = keys.deny.iter().find(|name| keys.allow.contains(name)) {
        bail!("`{both}` is both denied and allowed{place}; choose one");
    }
    Ok(())
}

/// What becomes of a problem.
enum Sentence {
    Denied,
    Told,
    Allowed,
}

/// What is typed comes before the settings file, a rule's name before `warnings`.
fn sentence(problem: &Problem, (typed, keys): (&LintKeys, &LintKeys)) -> Sentence {
    let name = problem.rule.name();
    let named = |list: &[String], name: &str| list.iter().any(|listed| listed == name);
    if problem.severity == Severity::Error {
        // One behind head, where no upgrade gets to, or in its way: nothing lifts it.
        return Sentence::Denied;
    }
    for keys in [typed, keys] {
        if named(&keys.deny, name) {
            return Sentence::Denied;
        }
        if named(&keys.allow, name) {
            return Sentence::Allowed;
        }
    }
    let warnings = [typed, keys].iter().any(|keys| named(&keys.deny, "warnings"));
    if warnings && problem.severity == Severity::Warning {
        Sentence::Denied
    } else {
        Sentence::Told
    }
}
