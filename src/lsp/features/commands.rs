//! Runs the commands of code lenses: this program, as a process of its own. The result is a message to
//! the user and what the program reported of the fleet.

use gen_lsp_types as lsp;
use semver::Version;

use crate::lsp::fleet::{
    CommandResult, FleetReport, PendingVersions, RehearsalReport, databases, read_rehearsal,
    read_status, run_command,
};
use crate::lsp::snapshot::Snapshot;

pub(crate) const REHEARSE: &str = "tatmig.rehearse";
pub(crate) const TEST: &str = "tatmig.test";
pub(crate) const STATUS: &str = "tatmig.status";

/// The commands that the server answers.
pub(crate) const COMMANDS: [&str; 3] = [REHEARSE, TEST, STATUS];

/// How many different errors a message to the user lists.
const MAX_ERRORS: usize = 3;

/// What a command reported.
pub(crate) struct CommandOutcome {
    pub(crate) kind: lsp::MessageType,
    pub(crate) message: String,
    pub(crate) report: FleetReport,
}

/// Runs a command for a document. `version` is that of the code lens.
pub(crate) fn run(snapshot: &Snapshot, command: &str, version: Option<&Version>) -> CommandOutcome {
    match command {
        REHEARSE => rehearse(snapshot, version),
        TEST => {
            let mut process = snapshot.host.command(&snapshot.path);
            process.arg("test");
            let result = run_command(process);
            let message = last_lines(&result);
            CommandOutcome { kind: kind_of(&result), message, report: FleetReport::Nothing }
        }
        _ => {
            let pending = status(snapshot);
            let count = pending.as_ref().map(|pending| pending.values().max().copied());
            let message = match count {
                Some(Some(count)) => format!("migrations are pending on {}", databases(count)),
                Some(None) => "no migration is pending".to_owned(),
                None => "no database was found".to_owned(),
            };
            let report = FleetReport::Status(pending);
            CommandOutcome { kind: lsp::MessageType::Info, message, report }
        }
    }
}

/// The pending versions of the fleet; `None` without one.
pub(crate) fn status(snapshot: &Snapshot) -> Option<PendingVersions> {
    let mut process = snapshot.host.command(&snapshot.path);
    process.args(["status", "--json"]);
    read_status(&run_command(process).stdout)
}

fn rehearse(snapshot: &Snapshot, version: Option<&Version>) -> CommandOutcome {
    let mut process = snapshot.host.command(&snapshot.path);
    process.args(["upgrade", "--rehearse", "--all-users", "--json"]);
    if let Some(version) = version {
        process.args(["--to", &version.to_string()]);
    }
    let is_planned = snapshot.model().is_some_and(|model| {
        let planned = model.versions.iter().skip(model.head_position + 1);
        planned.into_iter().any(|planned| Some(planned) == version)
    });
    if is_planned {
        process.arg("--planned");
    }
    let result = run_command(process);
    let kind = kind_of(&result);
    match read_rehearsal(&result.stdout) {
        Some(report) => {
            let message = rehearsal_message(&report);
            CommandOutcome { kind, message, report: FleetReport::Rehearsal(report) }
        }
        None => CommandOutcome { kind, message: last_lines(&result), report: FleetReport::Nothing },
    }
}

fn rehearsal_message(report: &RehearsalReport) -> String {
    let Some(rehearsal) = report.rehearsed.get(&report.target) else {
        return "nothing is pending, so nothing was rehearsed".to_owned();
    };
    let mut lines = vec![format!("`{}` was rehearsed on {}", report.target, rehearsal.databases())];
    lines.extend(report.errors.iter().take(MAX_ERRORS).cloned());
    if report.errors.len() > MAX_ERRORS {
        lines.push(format!("and {} more errors", report.errors.len() - MAX_ERRORS));
    }
    lines.join("\n")
}

fn kind_of(result: &CommandResult) -> lsp::MessageType {
    if result.is_success { lsp::MessageType::Info } else { lsp::MessageType::Error }
}

/// The end of a command's output, which says how the command ended.
fn last_lines(result: &CommandResult) -> String {
    let text = if result.stderr.trim().is_empty() { &result.stdout } else { &result.stderr };
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
