//! Shows what `doctor` checked: the settings, then one line for each check.

use serde::Serialize;

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::plural;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;
use crate::cli::settings::origins::SettingOrigin;

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckResult {
    Ok,
    /// Something to know; an upgrade can run.
    Note,
    /// An upgrade would fail.
    Failed,
}

/// One check.
#[derive(Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) result: CheckResult,
    pub(crate) detail: String,
}

/// The result of `doctor`.
#[derive(Serialize)]
pub(crate) struct DoctorView<'r> {
    settings: &'r [SettingOrigin],
    checks: Vec<Check>,
    #[serde(skip)]
    database_count: usize,
}

/// How many checks have each result.
#[derive(Serialize)]
struct CheckCounts {
    /// The number of databases.
    total: usize,
    ok: usize,
    notes: usize,
    failed: usize,
}

impl<'r> DoctorView<'r> {
    pub(crate) fn new(
        settings: &'r [SettingOrigin],
        checks: Vec<Check>,
        database_count: usize,
    ) -> Self {
        Self { settings, checks, database_count }
    }

    fn count(&self, result: CheckResult) -> usize {
        self.checks.iter().filter(|check| check.result == result).count()
    }
}

impl View for DoctorView<'_> {
    fn print_text(&self, console: &Console) {
        let width = self.settings.iter().map(|setting| setting.value.chars().count()).max();
        let width = width.unwrap_or(0).min(40);
        for SettingOrigin { name, value, origin } in self.settings {
            console.line(format!("{name:15}  {value:width$}  {origin}"));
        }
        console.line("");
        for check in &self.checks {
            let (name, detail) = (check.name, &check.detail);
            let line = |state| {
                StyledLine::from_state(state, format!("{state:6}"))
                    .text(format!("  {name}: {detail}"))
            };
            match check.result {
                CheckResult::Ok => console.line(line(State::Ok)),
                CheckResult::Note => console.line(line(State::Note)),
                CheckResult::Failed => console.finding(line(State::Failed)),
            }
        }
        let failed = self.count(CheckResult::Failed);
        console.line(match failed {
            0 => StyledLine::from_state(State::Ok, "an upgrade can run"),
            failed => {
                StyledLine::from_state(State::Failed, format!("{} failed", plural(failed, "check")))
                    .text("; an upgrade would not succeed")
            }
        });
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.count(CheckResult::Failed) > 0)
    }

    fn summary(&self) -> impl Serialize {
        CheckCounts {
            total: self.database_count,
            ok: self.count(CheckResult::Ok),
            notes: self.count(CheckResult::Note),
            failed: self.count(CheckResult::Failed),
        }
    }
}
