//! Runs `lint`: checks the document in memory, without a database, and applies the levels that
//! `--deny`, `--allow` and the settings give to rules.

use anyhow::{Context, bail};
use tatmig::edit::AppliedFix;
use tatmig::lint::{LintOptions, LintReport};
use tatmig::text::nearest_name;
use tatmig::{Diagnostic, Rule, Severity, Source};

use crate::cli::args::options::{LintArgs, LintFormat};
use crate::cli::commands::context::CommandContext;
use crate::cli::commands::lint_fix;
use crate::cli::commands::lint_watch::watch;
use crate::cli::document_file::DocumentFile;
use crate::cli::output::OutputFormat;
use crate::cli::report::Report;
use crate::cli::report::digest::Digest;
use crate::cli::report::digest::document::DocumentDigest;
use crate::cli::report::exit_status::{EXIT_INVALID_INPUT, failure_if};
use crate::cli::report::progress::Stage;
use crate::cli::report::views::lint::LintView;
use crate::cli::report::views::lint_fix::FixPlanView;
use crate::cli::report::views::lint_github::workflow_commands;
use crate::cli::report::views::lint_sarif::SarifLog;
use crate::cli::report::views::rule::RuleView;
use crate::cli::settings::file::LintSettings;

pub(crate) fn run(context: CommandContext<'_>, args: &LintArgs) -> anyhow::Result<u8> {
    let format = context.settings.lint_format(args);
    let report = context.report.with_format(match format {
        LintFormat::Json => OutputFormat::Json,
        LintFormat::Human | LintFormat::Github | LintFormat::Sarif => OutputFormat::Text,
    });
    let context = CommandContext { report: &report, ..context };
    if let Some(name) = &args.explain {
        return explain(context, name);
    }
    // `--format json` reports an error of usage as JSON, too.
    lint_document(context, args, format).or_else(|error| Ok(report.emit_command_error(&error)))
}

/// Prints the description of a rule.
fn explain(context: CommandContext<'_>, name: &str) -> anyhow::Result<u8> {
    context.report.skip_record();
    let Some(rule) = Rule::from_name(name) else {
        bail!("unknown rule `{name}`; {}", suggest_rule(name));
    };
    Ok(context.report.emit(&RuleView::new(rule)))
}

fn lint_document(
    context: CommandContext<'_>,
    args: &LintArgs,
    format: LintFormat,
) -> anyhow::Result<u8> {
    let levels = LintLevels {
        args: &LintSettings { deny: args.deny.clone(), allow: args.allow.clone() },
        file: &context.settings.lint,
    };
    check_rule_names(levels.args, "")?;
    check_rule_names(levels.file, " in tatmig.toml")?;
    let mut options = LintOptions::default();
    options.min_sqlite = context.settings.min_sqlite(args);
    options.backend = context.backend();
    let check = Check { context, levels: &levels, options, format };
    if args.watch {
        if format != LintFormat::Human {
            bail!("`--watch` prints what it finds for a person; leave `--format` out");
        }
        return watch(context, &|document| {
            let found = check.find(document)?;
            Ok(found.map_or(EXIT_INVALID_INPUT, |found| check.print(document, found, None)))
        });
    }
    let document = context.read_document()?;
    if !args.fix {
        return check.run(&document, None);
    }
    let is_wanted = |found: &Diagnostic| !matches!(levels.level_of(found), LintLevel::Allow);
    let fixed = lint_fix::fix(context, &document, options, &is_wanted)?;
    if args.dry_run {
        if matches!(format, LintFormat::Github | LintFormat::Sarif) {
            bail!("`--dry-run` prints a diff; leave `--format` out");
        }
        let diff = lint_fix::unified_diff(context, &document, &fixed);
        let Some(found) = check.find(&document)? else { return Ok(EXIT_INVALID_INPUT) };
        let status = found.status;
        let view = FixPlanView::new(&document.name, &fixed.applied, &diff, status);
        return Ok(context.report.emit(&view));
    }
    lint_fix::write(context, &document, &fixed)?;
    check.run(&fixed.document, Some(&fixed.applied))
}

/// A check of a document with the levels that the rules have.
struct Check<'r> {
    context: CommandContext<'r>,
    levels: &'r LintLevels<'r>,
    options: LintOptions,
    format: LintFormat,
}

/// What a check found.
struct Found {
    diagnostics: Vec<Diagnostic>,
    status: u8,
}

impl Check<'_> {
    /// Checks a document. `None` after a signal.
    fn find(&self, document: &DocumentFile) -> anyhow::Result<Option<Found>> {
        let Self { context, levels, options, .. } = *self;
        let source = Source::new(&document.name, &document.text);
        let setup = &context.settings.connection_setup;
        let progress = context.report.progress(Stage::Linting, None);
        let result = tatmig::lint::lint_with(source, options, setup);
        drop(progress);
        let lint_report = match result {
            Ok(lint_report) => lint_report,
            // The signal decides the exit status.
            Err(_) if context.signals.received_signal().is_some() => return Ok(None),
            Err(error) => return Err(error).context("the document cannot be run in memory"),
        };
        let LintReport { mut diagnostics, is_unusable, .. } = lint_report;
        levels.apply(&mut diagnostics);
        let has_errors = diagnostics.iter().any(|found| found.severity == Severity::Error);
        let status = if is_unusable { EXIT_INVALID_INPUT } else { failure_if(has_errors) };
        Ok(Some(Found { diagnostics, status }))
    }

    /// Checks a document and prints what was found. `fixes` are the changes that were applied
    /// before.
    fn run(&self, document: &DocumentFile, fixes: Option<&[AppliedFix]>) -> anyhow::Result<u8> {
        let Some(found) = self.find(document)? else {
            self.context.report.report_interruption();
            return Ok(EXIT_INVALID_INPUT);
        };
        Ok(self.print(document, found, fixes))
    }

    fn print(&self, document: &DocumentFile, found: Found, fixes: Option<&[AppliedFix]>) -> u8 {
        let Found { diagnostics, status } = found;
        let context = self.context;
        let source = Source::new(&document.name, &document.text);
        let view = LintView::new(&source, &diagnostics, status).with_fixes(fixes);
        let changelog = context.parse_if_valid(Some(document));
        let describe = |digest: &Digest| match &changelog {
            Some(changelog) => {
                let replay = context.replay_for_page(changelog);
                DocumentDigest::new(changelog, replay.as_ref(), &digest.steps, None)
            }
            None => DocumentDigest::default(),
        };
        match self.format {
            LintFormat::Human | LintFormat::Json => {
                context.report.emit_with(&view, describe);
                return status;
            }
            LintFormat::Github => {
                Report::emit_bytes(workflow_commands(&source, &diagnostics).as_bytes());
            }
            LintFormat::Sarif => Report::emit_json(&SarifLog::new(&source, &diagnostics)),
        }
        context.report.record_result(&view, describe);
        status
    }
}

/// What to do about a name that is no rule's.
fn suggest_rule(name: &str) -> String {
    let rules = Rule::ALL.iter().map(|rule| rule.name());
    match nearest_name(name, rules.chain(["warnings"])) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "messages show the names of rules in brackets".to_owned(),
    }
}

/// Checks that every name is a rule and that none is both denied and allowed. `origin` ends the
/// messages with where the names come from.
pub(crate) fn check_rule_names(settings: &LintSettings, origin: &str) -> anyhow::Result<()> {
    for (name, option) in settings
        .deny
        .iter()
        .map(|name| (name, "deny"))
        .chain(settings.allow.iter().map(|name| (name, "allow")))
    {
        match Rule::from_name(name) {
            None if name == "warnings" && option == "deny" => {}
            None if option == "deny" => bail!(
                "unknown rule `{name}` to deny{origin}; {}, and `--deny warnings` denies every warning",
                suggest_rule(name)
            ),
            None => bail!("unknown rule `{name}` to {option}{origin}; {}", suggest_rule(name)),
            Some(rule) if option == "deny" || rule.severity() < Severity::Error => {}
            Some(rule) if rule.can_be_allowed() => bail!(
                "`{name}` cannot be allowed{origin}: only a block can allow it, with `-- tatmig:allow {name}` and a reason"
            ),
            Some(_) => bail!(
                "`{name}` cannot be allowed{origin}: it is an error, and the document cannot be used with it"
            ),
        }
    }
    if let Some(conflicting) = settings.deny.iter().find(|name| settings.allow.contains(name)) {
        bail!("`{conflicting}` is both denied and allowed{origin}; choose one");
    }
    Ok(())
}

/// What `lint` does with a diagnostic.
enum LintLevel {
    /// Report it as an error.
    Deny,
    /// Report it with its own severity.
    Warn,
    /// Leave it out.
    Allow,
}

/// The levels of rules: those of the command line have precedence over those of tatmig.toml, and
/// the name of a rule over `warnings`.
pub(crate) struct LintLevels<'r> {
    pub(crate) args: &'r LintSettings,
    pub(crate) file: &'r LintSettings,
}

impl LintLevels<'_> {
    /// Raises what is denied to an error, and leaves out what is allowed.
    pub(crate) fn apply(&self, diagnostics: &mut Vec<Diagnostic>) {
        diagnostics.retain_mut(|diagnostic| match self.level_of(diagnostic) {
            LintLevel::Deny => {
                diagnostic.severity = Severity::Error;
                true
            }
            LintLevel::Warn => true,
            LintLevel::Allow => false,
        });
    }

    fn level_of(&self, diagnostic: &Diagnostic) -> LintLevel {
        if diagnostic.severity == Severity::Error {
            // An error cannot be allowed, not even one beyond head, where no upgrade runs it.
            return LintLevel::Deny;
        }
        let name = diagnostic.rule.name();
        for settings in [self.args, self.file] {
            if contains(&settings.deny, name) {
                return LintLevel::Deny;
            }
            if contains(&settings.allow, name) {
                return LintLevel::Allow;
            }
        }
        let denies_warnings =
            [self.args, self.file].iter().any(|settings| contains(&settings.deny, "warnings"));
        if denies_warnings && diagnostic.severity == Severity::Warning {
            LintLevel::Deny
        } else {
            LintLevel::Warn
        }
    }
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|listed| listed == name)
}
