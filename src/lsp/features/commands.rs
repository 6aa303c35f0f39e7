//! Runs the commands of code lenses: this program, as a process of its own. The result is a message to
//! the user and what it adds to the facts of the fleet.

use gen_lsp_types as lsp;

use crate::lsp::fleet::{CommandResult, FleetFacts, read_rehearsal, read_status, run_command};
use crate::lsp::snapshot::Snapshot;

pub(crate) const REHEARSE: &str = "tatmig.rehearse";
pub(crate) const TEST: &str = "tatmig.test";
pub(crate) const STATUS: &str = "tatmig.status";

/// The commands that the server answers.
pub(crate) const COMMANDS: [&str; 3] = [REHEARSE, TEST, STATUS];

/// What a command reported.
pub(crate) struct CommandOutcome {
    pub(crate) kind: lsp::MessageType,
    pub(crate) message: String,
    /// The facts of the fleet after the command.
    pub(crate) facts: FleetFacts,
}

/// Runs a command for a document. `version` is that of the code lens.
pub(crate) fn run(snapshot: &Snapshot, command: &str, version: Option<&str>) -> CommandOutcome {
    let mut facts = FleetFacts::clone(&snapshot.fleet);
    let mut process = snapshot.host.command(&snapshot.path);
    match command {
        REHEARSE => {
            process.args(["upgrade", "--rehearse", "--all-users", "--json"]);
            if let Some(version) = version {
                process.args(["--to", version]);
            }
            let is_planned = snapshot.model().is_some_and(|model| {
                let planned = model.versions.iter().skip(model.head_position + 1);
                planned.into_iter().any(|planned| Some(planned.to_string().as_str()) == version)
            });
            if is_planned {
                process.arg("--planned");
            }
            let result = run_command(process);
            facts.rehearsed.extend(read_rehearsal(&result.stdout));
            let message = rehearsal_message(&facts, version, &result);
            CommandOutcome { kind: kind_of(&result), message, facts }
        }
        TEST => {
            let result = run_command({
                process.arg("test");
                process
            });
            let message = last_lines(&result);
            CommandOutcome { kind: kind_of(&result), message, facts }
        }
        _ => {
            facts.pending = status(snapshot);
            let pending = facts.pending.as_ref().map(|pending| pending.values().max().copied());
            let message = match pending {
                Some(Some(count)) => format!("migrations are pending on {}", databases(count)),
                Some(None) => "no migration is pending".to_owned(),
                None => "no database was found".to_owned(),
            };
            CommandOutcome { kind: lsp::MessageType::Info, message, facts }
        }
    }
}

/// The pending versions of the fleet; `None` without one.
pub(crate) fn status(snapshot: &Snapshot) -> Option<std::collections::BTreeMap<String, usize>> {
    let mut process = snapshot.host.command(&snapshot.path);
    process.args(["status", "--json"]);
    read_status(&run_command(process).stdout)
}

/// A number of databases in words.
pub(crate) fn databases(count: usize) -> String {
    format!("{count} {}", if count == 1 { "database" } else { "databases" })
}

fn kind_of(result: &CommandResult) -> lsp::MessageType {
    if result.is_success { lsp::MessageType::Info } else { lsp::MessageType::Error }
}

fn rehearsal_message(facts: &FleetFacts, version: Option<&str>, result: &CommandResult) -> String {
    let rehearsal = version.and_then(|version| facts.rehearsed.get(version));
    match (version, rehearsal) {
        (Some(version), Some(rehearsal)) => {
            let failed = match rehearsal.failed {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            format!("`{version}` was rehearsed on {}{failed}", databases(rehearsal.databases))
        }
        _ if result.is_success => "nothing is pending, so nothing was rehearsed".to_owned(),
        _ => last_lines(result),
    }
}

/// The end of a command's output, which says how the command ended.
fn last_lines(result: &CommandResult) -> String {
    let text = if result.stderr.trim().is_empty() { &result.stdout } else { &result.stderr };
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
