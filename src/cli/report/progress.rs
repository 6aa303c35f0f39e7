//! Shows on standard error what a long command does at the moment: the name of the stage, and how
//! far it is. A command that ends within [`DELAY`] shows nothing.

use std::fmt::{self, Display};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long after its start a command begins to show its progress.
const DELAY: Duration = Duration::from_millis(300);

/// How often the elapsed time is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// What a command does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    FindingDatabases,
    Replaying,
    Linting,
    TestingRows,
    ReadingVersions,
    RecordingVersions,
    ReadingHistories,
    ReadingStatistics,
    SystemDatabase,
    Users,
    RehearsingSystemDatabase,
    RehearsingUsers,
    CommittingSystemDatabase,
    CommittingUsers,
    BackingUp,
    CheckingCopies,
    Restoring,
    Verifying,
    Querying,
    Checking,
    Creating,
    #[cfg(feature = "server")]
    Copying,
}

impl Stage {
    /// Whether everything is rolled back in this stage.
    pub(crate) fn is_rehearsal(self) -> bool {
        matches!(self, Self::RehearsingSystemDatabase | Self::RehearsingUsers)
    }

    /// The stage after the system database of a run.
    pub(crate) fn for_users(self) -> Self {
        match self {
            Self::SystemDatabase => Self::Users,
            Self::RehearsingSystemDatabase => Self::RehearsingUsers,
            Self::CommittingSystemDatabase => Self::CommittingUsers,
            other => other,
        }
    }
}

impl Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FindingDatabases => "finding databases",
            Self::Replaying => "replaying in memory",
            Self::Linting => "checking in memory",
            Self::TestingRows => "testing with generated rows in memory",
            Self::ReadingVersions => "reading versions",
            Self::RecordingVersions => "recording versions",
            Self::ReadingHistories => "reading histories",
            Self::ReadingStatistics => "reading statistics",
            Self::SystemDatabase => "system database",
            Self::Users => "users",
            Self::RehearsingSystemDatabase => "rehearsing: system database",
            Self::RehearsingUsers => "rehearsing: users",
            Self::CommittingSystemDatabase => "committing: system database",
            Self::CommittingUsers => "committing: users",
            Self::BackingUp => "backing up",
            Self::CheckingCopies => "checking copies",
            Self::Restoring => "restoring",
            Self::Verifying => "verifying",
            Self::Querying => "querying",
            Self::Checking => "checking files",
            Self::Creating => "creating",
            #[cfg(feature = "server")]
            Self::Copying => "copying",
        })
    }
}

/// One stage, which is no longer shown once this value is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Ends the wait for [`DELAY`] when it is dropped; `None` for a stage that is never shown.
    wait: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// A stage that is never shown.
    pub(crate) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), wait: None }
    }

    /// A stage of a command that began at `started`, with a number of databases if it is known.
    pub(crate) fn start(stage: Stage, length: Option<usize>, started: Instant) -> Self {
        let length = length.map(|length| length.try_into().unwrap_or(u64::MAX));
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        let template = match length {
            Some(_) => "{msg} {bar:30} {pos}/{len} databases, {eta} left",
            None => "{msg} {elapsed}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(stage.to_string());
        let (sender, receiver) = mpsc::channel();
        let shown_bar = bar.clone();
        let delay = DELAY.saturating_sub(started.elapsed());
        let show = move || {
            if receiver.recv_timeout(delay) == Err(RecvTimeoutError::Timeout) {
                shown_bar.set_draw_target(ProgressDrawTarget::stderr());
                shown_bar.enable_steady_tick(TICK);
            }
        };
        // Without a further thread, the run continues without its progress being shown.
        let thread = thread::Builder::new().spawn(show);
        Self { bar, wait: thread.ok().map(|thread| (sender, thread)) }
    }

    /// Shows another stage, with the count of the one before.
    pub(crate) fn set_stage(&self, stage: Stage) {
        self.bar.set_message(stage.to_string());
    }

    /// One more database is done.
    pub(crate) fn inc(&self) {
        self.bar.inc(1);
    }

    /// Ends the stage; nothing of it stays on the terminal.
    pub(crate) fn finish(&mut self) {
        if let Some((sender, thread)) = self.wait.take() {
            drop(sender);
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
