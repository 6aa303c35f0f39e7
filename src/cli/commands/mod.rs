//! One file a verb, or a family of verbs with one permission. Each returns its exit status; an
//! error means that nothing was touched.

pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod downgrade;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lint;
pub(crate) mod new;
pub(crate) mod promote;
pub(crate) mod schema;
pub(crate) mod test;
#[cfg(feature = "server")]
pub(crate) mod transfer;
pub(crate) mod upgrade;
pub(crate) mod write_document;

use std::path::Path;

use anyhow::{Context, bail};
use tatmig::fleet::{Fleet, FleetError, OnFailure, Options, Selection, workers};
use tatmig::{Changelog, DatabaseError, Engine, Patience, Problem, Ready, Replay, Severity};

use crate::cli::args::Command;
use crate::cli::command_args::BackupAction;
use crate::cli::report::{REFUSED, Report};
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;

pub(crate) use crate::cli::commands::completions::describe;

/// A command that ends here: why was told already, and this is its exit status.
#[derive(Debug, thiserror::Error)]
#[error("exit status {0}")]
struct Told(u8);

/// What every command has at hand.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'r> {
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
    let result = tools.run(command);
    #[cfg(feature = "server")]
    tools.tell_of_servers();
    match result {
        Err(error) => error.downcast().map(|Told(status)| status),
        done => done,
    }
}

/// The document's file, read.
pub(crate) struct Text {
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
    fn run(self, command: Command) -> anyhow::Result<u8> {
        match command {
            Command::Upgrade(arguments) => upgrade::run(self, &arguments),
            Command::Status(arguments) => inspect::status(self, &arguments),
            Command::Downgrade(arguments) => downgrade::run(self, &arguments),
            Command::Backup { users, action: None } => backup::make(self, &users),
            Command::Backup { action: Some(BackupAction::List), .. } => backup::list(self),
            Command::Backup { action: Some(BackupAction::Prune { keep }), .. } => {
                backup::prune(self, keep)
            }
            Command::Restore(arguments) => backup::restore(self, &arguments),
            Command::Reset(arguments) => backup::reset(self, &arguments),
            Command::History { user, system } => inspect::history(self, (user, system)),
            Command::Lint(arguments) => lint::run(self, &arguments),
            Command::Verify => inspect::verify(self),
            Command::Test => test::run(self),
            Command::Init { users, making } => init::run(self, &users, &making),
            Command::Stamp { version, users } => history::stamp(self, &version, &users),
            Command::Adopt { at, users } => history::adopt(self, at.as_deref(), &users),
            Command::Seed { names, users } => upgrade::seed(self, &names, &users),
            #[cfg(feature = "server")]
            Command::Push { users } => transfer::push(self, &users),
            #[cfg(feature = "server")]
            Command::Pull { users } => transfer::pull(self, &users),
            Command::New(arguments) => new::run(self, &arguments),
            Command::Promote { version } => promote::run(self, &version),
            Command::Schema(arguments) => schema::run(self, &arguments),
            Command::Demo { dir } => demo::run(self, dir.as_deref()),
        }
    }

    /// What the settings say that keeps the fleet.
    fn engine(&self) -> Engine {
        #[cfg(feature = "server")]
        if self.settings.layout.servers.is_some() {
            return Engine::LibsqlServer;
        }
        Engine::SqliteFiles
    }

    fn text(&self) -> anyhow::Result<Text> {
        Text::read(&self.settings.file)
    }

    /// The document, ordered; or [`Told`] what is wrong with it.
    fn changelog<'a>(&self, text: &'a Text) -> Result<Changelog<'a>, Told> {
        Changelog::parse_named(&text.name, &text.text).map_err(|error| {
            let source = tatmig::Source::new(&text.name, &text.text);
            Told(self.report.refuse_document(&source, &error.problems))
        })
    }

    /// The databases that a command is about and that the document has blocks for.
    fn fleet(&self, changelog: &Changelog<'_>, selection: &Selection) -> Result<Fleet, FleetError> {
        let has = |scope| changelog.has(scope);
        Fleet::discover(&self.settings.layout, has, selection)
    }

    /// How a command works through a fleet, where nothing else is asked for.
    fn options(&self) -> Options {
        Options {
            jobs: workers(self.settings.jobs),
            on_failure: OnFailure::GoOn,
            canary: None,
            patience: self.patience(),
        }
    }

    /// The document run in memory; or [`Told`] why it cannot be run up to the target.
    fn replay<'a>(&self, changelog: &Changelog<'a>, target: usize) -> anyhow::Result<Replay<'a>> {
        let replay = self.unjudged_replay(changelog)?;
        self.judge(changelog, replay.problems(target))?;
        Ok(replay)
    }

    /// The document run in memory, whatever came of it.
    fn unjudged_replay<'a>(&self, changelog: &Changelog<'a>) -> anyhow::Result<Replay<'a>> {
        match Replay::run(changelog, &self.signals.stop()) {
            Ok(replay) => Ok(replay),
            // The signal decides the exit status.
            Err(_) if self.signals.caught().is_some() => bail!(Told(REFUSED)),
            Err(error) => Err(DatabaseError::from(error)).context("the replay in memory"),
        }
    }

    /// Tells the problems of the document; [`Told`] if one of them makes it unusable.
    fn judge(
        &self,
        changelog: &Changelog<'_>,
        found: impl Iterator<Item = Problem>,
    ) -> anyhow::Result<()> {
        let mut problems: Vec<Problem> = changelog.warnings().to_vec();
        problems.extend(found);
        problems.sort_by_key(|problem| problem.span.start);
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            bail!(Told(self.report.refuse_document(changelog.source(), &problems)));
        }
        self.report.problems(changelog.source(), &problems);
        Ok(())
    }

    /// The document run in memory, for commands that can do without.
    fn quiet_replay<'a>(&self, changelog: &Changelog<'a>) -> Option<Replay<'a>> {
        let replay = Replay::run(changelog, &self.signals.stop()).ok()?;
        let fails = replay
            .problems(changelog.head_position())
            .any(|problem| problem.severity == Severity::Error);
        (!fails).then_some(replay)
    }

    /// What the servers could do better.
    #[cfg(feature = "server")]
    fn tell_of_servers(&self) {
        let servers = self.settings.layout.servers.iter().flat_map(|servers| servers.servers());
        for server in servers.filter(|server| server.evictions() > 0) {
            self.report.remark(format!(
                "warning: {} closed namespaces of this fleet to make room for others ({} had to be asked for again); start it with a `--max-active-namespaces` of more than there are databases",
                server.url(),
                server.evictions()
            ));
        }
    }

    /// The document ready to be run up to a target, in the practice of the settings.
    fn ready<'c, 'a>(
        &self,
        (changelog, replay): (&'c Changelog<'a>, &'c Replay<'a>),
        target: usize,
    ) -> Ready<'c, 'a> {
        Ready::new(changelog, replay, target).with_practice(self.settings.practice(None))
    }

    fn patience(&self) -> Patience {
        Patience { busy_timeout: self.settings.busy_timeout, stop: self.signals.stop() }
    }
}
