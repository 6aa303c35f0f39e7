//! One file a verb, or a family of verbs with one permission. Each returns its exit status; an
//! error means that nothing was touched.

mod demo;
mod init;
mod lint;
mod read;
mod record;
mod test;
mod upgrade;

use std::path::Path;

use anyhow::{Context, bail};
use tatmig::{Changelog, DatabaseError, Patience, Problem, Replay, Severity};

use crate::cli::{Command, Settings};
use crate::report::{REFUSED, Report};
use crate::signals::Signals;

/// What every command has at hand.
#[derive(Clone, Copy)]
struct Tools<'r> {
    settings: &'r Settings,
    report: &'r Report,
    signals: &'r Signals,
}

pub(crate) fn run(
    command: Command,
    settings: &Settings,
    report: &Report,
    signals: &Signals,
) -> anyhow::Result<u8> {
    let tools = Tools { settings, report, signals };
    match command {
        Command::Upgrade(arguments) => upgrade::run(tools, &arguments),
        Command::Status { exit_code } => read::status(tools, exit_code),
        Command::History { user, system } => read::history(tools, (user, system)),
        Command::Lint(arguments) => lint::run(tools, &arguments),
        Command::Verify => read::verify(tools),
        Command::Test => test::run(tools),
        Command::Init { users } => init::run(tools, &users),
        Command::Stamp { version, users } => record::stamp(tools, &version, &users),
        Command::Adopt { at, users } => record::adopt(tools, at.as_deref(), &users),
        Command::Seed { names, users } => upgrade::seed(tools, &names, &users),
        Command::Demo { dir } => demo::run(tools, dir.as_deref()),
    }
}

/// The document's file, read.
struct Text {
    name: String,
    text: String,
}

impl Text {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let name = tatmig::shown(path.as_os_str());
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let here = std::env::current_dir().unwrap_or_default();
                bail!(
                    "there is no document at `{name}` (looked for from `{}`); `--file` names another, `tatmig demo` shows one",
                    tatmig::shown(here.as_os_str())
                );
            }
            Err(error) => {
                return Err(error).context(format!("the document `{name}` cannot be read"));
            }
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.split(|byte| *byte == b'\n').count();
            anyhow::anyhow!("the document `{name}` is not UTF-8: the first wrong byte stands in line {line}; save it as UTF-8")
        })?;
        Ok(Self { name, text })
    }
}

impl Tools<'_> {
    fn text(&self) -> anyhow::Result<Text> {
        Text::read(&self.settings.file)
    }

    /// The document, ordered; or the exit status after telling what is wrong with it.
    fn changelog<'a>(&self, text: &'a Text) -> Result<Changelog<'a>, u8> {
        Changelog::parse_named(&text.name, &text.text).map_err(|error| {
            let source = tatmig::Source::new(&text.name, &text.text);
            self.report.refuse_document(&source, &error.problems)
        })
    }

    /// The document run in memory; or the exit status after telling why it cannot be run up to
    /// the target.
    fn replay<'a>(
        &self,
        changelog: &Changelog<'a>,
        target: usize,
    ) -> anyhow::Result<Result<Replay<'a>, u8>> {
        let replay = match Replay::run(changelog, &self.signals.stop()) {
            Ok(replay) => replay,
            // The signal decides the exit status.
            Err(_) if self.signals.caught().is_some() => return Ok(Err(REFUSED)),
            Err(error) => return Err(DatabaseError::from(error)).context("the replay in memory"),
        };
        let mut problems: Vec<Problem> = changelog.warnings().to_vec();
        problems.extend(replay.problems(target));
        problems.sort_by_key(|problem| problem.span.start);
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Ok(Err(self.report.refuse_document(changelog.source(), &problems)));
        }
        self.report.problems(changelog.source(), &problems);
        Ok(Ok(replay))
    }

    /// The document run in memory, for commands that can do without.
    fn quiet_replay<'a>(&self, changelog: &Changelog<'a>) -> Option<Replay<'a>> {
        let replay = Replay::run(changelog, &self.signals.stop()).ok()?;
        let fails = replay
            .problems(changelog.head_position())
            .any(|problem| problem.severity == Severity::Error);
        (!fails).then_some(replay)
    }

    fn patience(&self) -> Patience {
        Patience { busy_timeout: self.settings.busy_timeout, stop: self.signals.stop() }
    }
}
