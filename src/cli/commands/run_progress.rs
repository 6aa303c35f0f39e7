//! Follows a command through its databases: shows whether it is at the system database or at the
//! users, and counts what is changed for the message of an interrupt.

use tatmig::Scope;
use tatmig::backup::Restored;
use tatmig::fleet::TargetDatabase;
#[cfg(feature = "server")]
use tatmig::fleet::TransferOutcome;
use tatmig::migrate::CreateOutcome;
use tatmig::plan::{MigrateError, Outcome};

use crate::cli::commands::context::CommandContext;
use crate::cli::report::progress::{Progress, Stage};
use crate::cli::signals::Signals;

/// One pass over databases.
pub(crate) struct RunProgress<'r> {
    progress: Progress,
    stage: Stage,
    signals: &'r Signals,
}

/// The result of the work on one database.
pub(crate) trait DatabaseResult {
    /// Whether the database is not as it was before.
    fn changes_database(&self) -> bool;
}

impl<'r> RunProgress<'r> {
    /// Begins a pass. `stage` is that of the system database.
    pub(crate) fn start<'d>(
        context: CommandContext<'r>,
        stage: Stage,
        databases: impl IntoIterator<Item = &'d TargetDatabase>,
    ) -> Self {
        let mut databases = databases.into_iter().peekable();
        let has_system = databases.peek().is_some_and(|first| first.scope == Scope::System);
        let first = if has_system { stage } else { stage.for_users() };
        let progress = context.report.progress(first, Some(databases.count()));
        if !stage.is_rehearsal() {
            context.signals.begin_writing();
        }
        Self { progress, stage, signals: context.signals }
    }

    /// What a run calls with each database and its result.
    pub(crate) fn on_done<T: DatabaseResult>(&self) -> impl FnMut(&TargetDatabase, &T) + '_ {
        |database, result| self.advance(database, result)
    }

    /// Takes the result of a database.
    pub(crate) fn advance(&self, database: &TargetDatabase, result: &impl DatabaseResult) {
        self.progress.inc();
        if database.scope == Scope::System {
            self.progress.set_stage(self.stage.for_users());
        }
        if result.changes_database() {
            self.signals.count_change();
        }
    }
}

impl DatabaseResult for Outcome {
    fn changes_database(&self) -> bool {
        Self::changes_database(self)
    }
}

impl DatabaseResult for CreateOutcome {
    fn changes_database(&self) -> bool {
        matches!(self, Self::Attempted(outcome) if outcome.changes_database())
    }
}

impl DatabaseResult for Result<Restored, MigrateError> {
    fn changes_database(&self) -> bool {
        self.is_ok()
    }
}

#[cfg(feature = "server")]
impl DatabaseResult for TransferOutcome {
    fn changes_database(&self) -> bool {
        matches!(self, Self::Copied)
    }
}
