//! Shows what `verify` found. Databases with the same findings are listed together.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tatmig::Scope;
use tatmig::fleet::{Fleet, TargetDatabase};
use tatmig::migrate::VerifyReport;
use tatmig::plan::MigrateError;
use tatmig::text::list_names;

use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::digest::databases::GroupKey;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::plural;
use crate::cli::report::json::{DatabaseKeys, ErrorEntry};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;

/// What to do about a schema that differs from the document's.
const DRIFT_HELP: &str = "  \
  help: where the schema differs, change the database, add the change to the document, or accept it with \
`tatmig adopt --accept-drift --user NAME`; `ignore` in tatmig.toml is for the objects of other programs";

/// The result of `verify`.
#[derive(Serialize)]
pub(crate) struct VerifyView<'r> {
    #[serde(skip)]
    file: &'r str,
    #[serde(skip)]
    databases: Vec<VerifiedDatabase<'r>>,
    #[serde(skip)]
    summary: VerifyCounts,
    /// How many databases an interrupt left out.
    #[serde(skip)]
    unchecked: usize,
    #[serde(skip)]
    notices: &'r [String],
}

/// One database and what was found in it. It is turned into a [`VerifiedEntry`] as it is written.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "VerifiedEntry<'r>")]
struct VerifiedDatabase<'r> {
    database: &'r TargetDatabase,
    result: &'r Result<Arc<VerifyReport>, MigrateError>,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct VerifiedEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    version: Option<&'r str>,
    findings: &'r [String],
    notes: &'r [String],
    error: Option<ErrorEntry<'r>>,
}

#[derive(Clone, Copy, Serialize)]
struct VerifyCounts {
    total: usize,
    /// How many databases have a finding or could not be read.
    wrong: usize,
}

/// What databases that are listed together have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ResultGroup<'r> {
    scope: Scope,
    is_ahead: bool,
    findings: Cow<'r, [String]>,
    notes: &'r [String],
}

impl<'r> VerifiedDatabase<'r> {
    fn has_problem(&self) -> bool {
        self.result.as_ref().map_or(true, |report| !report.findings.is_empty())
    }

    fn group(&self) -> ResultGroup<'r> {
        let scope = self.database.scope;
        match self.result {
            Ok(report) => {
                let (findings, notes) = (Cow::from(&report.findings), report.notes.as_slice());
                ResultGroup { scope, is_ahead: report.is_ahead, findings, notes }
            }
            Err(error) => {
                let findings = Cow::from(vec![error.to_string()]);
                ResultGroup { scope, is_ahead: false, findings, notes: &[] }
            }
        }
    }
}

impl<'r> From<VerifiedDatabase<'r>> for VerifiedEntry<'r> {
    fn from(VerifiedDatabase { database, result }: VerifiedDatabase<'r>) -> Self {
        let report = result.as_ref().ok();
        Self {
            database: DatabaseKeys::new(database),
            version: report.and_then(|report| report.version.as_deref()),
            findings: report.map_or(&[], |report| report.findings.as_slice()),
            notes: report.map_or(&[], |report| report.notes.as_slice()),
            error: result.as_ref().err().map(ErrorEntry::without_position),
        }
    }
}

impl<'r> VerifyView<'r> {
    /// `results` are those of the fleet, in its order; `None` for a database that an interrupt left
    /// out.
    pub(crate) fn new(
        file: &'r str,
        fleet: &'r Fleet,
        results: &'r [Option<Result<Arc<VerifyReport>, MigrateError>>],
    ) -> Self {
        let pairs = fleet.databases().zip(results);
        let databases: Vec<_> = pairs
            .filter_map(|(database, result)| {
                Some(VerifiedDatabase { database, result: result.as_ref()? })
            })
            .collect();
        let wrong = databases.iter().filter(|database| database.has_problem()).count();
        let summary = VerifyCounts { total: databases.len(), wrong };
        let unchecked = results.len() - databases.len();
        Self { file, databases, summary, unchecked, notices: &fleet.notices }
    }

    fn print_group(&self, console: &Console, group: &ResultGroup<'_>, names: &[String]) {
        let label = match group.scope {
            Scope::System => "system".to_owned(),
            Scope::User => format!("{} ({})", plural(names.len(), "user"), list_names(names)),
        };
        let result = match group.findings.len() {
            0 if group.is_ahead => format!(", newer than {}", self.file),
            0 => format!(", matches {}", self.file),
            _ if names.len() > 1 => " each".to_owned(),
            _ => String::new(),
        };
        let label = StyledLine::from(format!("{label}: "));
        match group.findings.len() {
            0 => console.line(label.state(State::Ok, "OK").text(result)),
            count => {
                console.finding(label.state(State::Failed, plural(count, "finding")).text(result));
            }
        }
        for finding in &*group.findings {
            console.finding(format!("  {finding}"));
        }
        for note in group.notes {
            console.line(format!("  note: {note}"));
        }
    }
}

impl View for VerifyView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
        let mut groups: BTreeMap<ResultGroup<'_>, Vec<String>> = BTreeMap::new();
        for database in &self.databases {
            groups.entry(database.group()).or_default().push(database.database.display_name());
        }
        for (group, names) in &groups {
            self.print_group(console, group, names);
        }
        if self.unchecked > 0 {
            console.line(format!("{} not checked", plural(self.unchecked, "database")));
        }
        let VerifyCounts { total, wrong } = self.summary;
        if wrong > 0 {
            let databases = plural(total, "database");
            console.error(format!("{wrong} of {databases} did not pass"));
        }
        let mut reports =
            self.databases.iter().filter_map(|database| database.result.as_ref().ok());
        if reports.any(|report| report.has_drift) {
            Console::error_detail(DRIFT_HELP);
        }
    }

    fn print_errors(&self, console: &Console) {
        for notice in self.notices {
            console.note(notice);
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.summary.wrong > 0)
    }

    fn digest(&self, digest: &mut Digest) {
        let VerifyCounts { total, wrong } = self.summary;
        digest.verdict = match wrong {
            0 => format!("{}: no findings", plural(total, "database")),
            _ => format!("{}: {wrong} with findings", plural(total, "database")),
        };
        digest.notices.extend(self.notices.iter().cloned());
        for VerifiedDatabase { database, result } in &self.databases {
            let mut key = GroupKey::new(database.scope, State::Matches);
            match result {
                Ok(report) => {
                    key.version.clone_from(&report.version);
                    key.detail = report.notes.join("; ");
                    if report.is_ahead {
                        key.state = State::Ahead;
                    }
                    if !report.findings.is_empty() {
                        key.state = State::Differs;
                        let findings = report.findings.join("\n");
                        key.cause = Some(digest.causes.add_message(database, &findings));
                    }
                }
                Err(error) => {
                    key.state = State::Error;
                    let message = error.to_string();
                    key.cause = Some(digest.causes.add_message(database, &message));
                }
            }
            digest.databases.add(key, &database.display_name());
        }
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
