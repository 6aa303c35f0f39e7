//! Follows a run through a fleet: shows whether it is at the system database or at the users, and
//! counts what was changed for the message of an interrupt.

use tatmig::Scope;
use tatmig::fleet::{Fleet, TargetDatabase};
use tatmig::plan::Outcome;

use crate::cli::commands::context::CommandContext;
use crate::cli::report::progress::{Progress, Stage};
use crate::cli::signals::Signals;

/// One pass over the databases of a fleet.
pub(crate) struct RunProgress<'r> {
    progress: Progress,
    stage: Stage,
    signals: &'r Signals,
}

impl<'r> RunProgress<'r> {
    /// Begins a pass. `stage` is that of the system database.
    pub(crate) fn start(context: CommandContext<'r>, stage: Stage, fleet: &Fleet) -> Self {
        let first = if fleet.system.is_some() { stage } else { stage.for_users() };
        let progress = context.report.progress(first, Some(fleet.databases().count()));
        Self { progress, stage, signals: context.signals }
    }

    /// Takes the outcome of a database.
    pub(crate) fn advance(&self, database: &TargetDatabase, outcome: &Outcome) {
        self.progress.inc();
        if database.scope == Scope::System {
            self.progress.set_stage(self.stage.for_users());
        }
        if outcome.changes_database() {
            self.signals.count_change();
        }
    }
}
