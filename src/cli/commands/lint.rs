//! `lint`: the document read and run in memory, without a database, and judged by what is denied
//! and allowed.

use anyhow::{Context, bail};
use tatmig::lint::LintReport;
use tatmig::{Diagnostic, Rule, Severity, Source};

use crate::cli::command_args::{LintArgs, LintFormat};
use crate::cli::commands::CommandContext;
use crate::cli::output::OutputFormat;
use crate::cli::report::{EXIT_FAILURE, EXIT_INVALID_INPUT, EXIT_SUCCESS};
use crate::cli::settings_file::LintSettings;

pub(crate) fn run(context: CommandContext<'_>, args: &LintArgs) -> anyhow::Result<u8> {
    let format = context.settings.lint_format(args);
    let report = context.report.with_format(match format {
        LintFormat::Json => OutputFormat::Json,
        LintFormat::Human | LintFormat::Github | LintFormat::Sarif => OutputFormat::Text,
    });
    let context = CommandContext { report: &report, ..context };
    // Whatever goes wrong is told in the form that was asked for.
    lint_document(context, args, format).or_else(|error| Ok(report.print_command_error(&error)))
}

fn lint_document(
    context: CommandContext<'_>,
    args: &LintArgs,
    format: LintFormat,
) -> anyhow::Result<u8> {
    let args_settings = LintSettings { deny: args.deny.clone(), allow: args.allow.clone() };
    let file_settings = &context.settings.lint;
    check_rule_names(&args_settings, "")?;
    check_rule_names(file_settings, " in tatmig.toml")?;
    let document = context.read_document()?;
    let source = Source::new(&document.name, &document.text);
    let min_sqlite = context.settings.min_sqlite(args);
    let lint_report = match tatmig::lint::lint_with(
        source.clone(),
        (min_sqlite, context.backend()),
        &context.signals.cancel_flag(),
    ) {
        Ok(judgement) => judgement,
        // The signal decides the exit status.
        Err(_) if context.signals.received_signal().is_some() => return Ok(EXIT_INVALID_INPUT),
        Err(error) => return Err(error).context("the document run in memory"),
    };
    let LintReport { mut diagnostics, unusable } = lint_report;
    diagnostics.retain_mut(|diagnostic| {
        match lint_level(diagnostic, (&args_settings, file_settings)) {
            LintLevel::Deny => {
                diagnostic.severity = Severity::Error;
                true
            }
            LintLevel::Warn => true,
            LintLevel::Allow => false,
        }
    });
    let status = if unusable {
        EXIT_INVALID_INPUT
    } else if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        EXIT_FAILURE
    } else {
        EXIT_SUCCESS
    };
    context.report.print_lint(&source, &diagnostics, format);
    Ok(status)
}

/// Every name is a rule, and nothing is both denied and allowed.
fn check_rule_names(settings: &LintSettings, origin: &str) -> anyhow::Result<()> {
    for (name, option) in settings
        .deny
        .iter()
        .map(|name| (name, "deny"))
        .chain(settings.allow.iter().map(|n| (n, "allow")))
    {
        match Rule::from_name(name) {
            None if name == "warnings" && option == "deny" => {}
            None => bail!(
                "there is no rule `{name}` to {option}{origin}; a message names its rule in brackets, and `--deny warnings` is all of them"
            ),
            Some(rule) if option == "allow" && rule.severity() == Severity::Error => bail!(
                "`{name}` cannot be allowed{origin}: it is an error, and the document cannot be used with it"
            ),
            Some(_) => {}
        }
    }
    if let Some(conflicting) = settings.deny.iter().find(|name| settings.allow.contains(name)) {
        bail!("`{conflicting}` is both denied and allowed{origin}; choose one");
    }
    Ok(())
}

/// What becomes of a problem.
enum LintLevel {
    Deny,
    Warn,
    Allow,
}

/// What is typed comes before the settings file, a rule's name before `warnings`.
fn lint_level(
    diagnostic: &Diagnostic,
    (args_settings, settings): (&LintSettings, &LintSettings),
) -> LintLevel {
    let name = diagnostic.rule.name();
    let contains_name = |list: &[String], name: &str| list.iter().any(|listed| listed == name);
    if diagnostic.severity == Severity::Error {
        // One behind head, where no upgrade gets to, or in its way: nothing lifts it.
        return LintLevel::Deny;
    }
    for settings in [args_settings, settings] {
        if contains_name(&settings.deny, name) {
            return LintLevel::Deny;
        }
        if contains_name(&settings.allow, name) {
            return LintLevel::Allow;
        }
    }
    let denies_warnings =
        [args_settings, settings].iter().any(|settings| contains_name(&settings.deny, "warnings"));
    if denies_warnings && diagnostic.severity == Severity::Warning {
        LintLevel::Deny
    } else {
        LintLevel::Warn
    }
}
