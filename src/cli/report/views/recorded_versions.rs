//! Shows which versions `stamp` and `adopt` recorded. Databases with the same result are listed
//! together.

use std::collections::BTreeMap;

use serde::Serialize;
use tatmig::fleet::{Fleet, FleetOutcome};
use tatmig::plan::{AtHead, Outcome};
use tatmig::semver::Version;
use tatmig::text::list_names;
use tatmig::{Changelog, Scope, Source};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{describe_unselected_users, plural};
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::{View, describe_changes};
use crate::cli::report::views::failures::{StatementDiffs, print_failures};
use crate::cli::report::views::outcome_text::describe;
use crate::cli::report::views::run_entries::{DatabaseRun, count_by_outcome};

/// The outcome of `stamp` or `adopt`.
#[derive(Serialize)]
pub(crate) struct RecordedVersionsView<'r> {
    #[serde(skip)]
    databases: Vec<DatabaseRun<'r>>,
    #[serde(skip)]
    summary: BTreeMap<&'static str, usize>,
    #[serde(skip)]
    head: &'r Version,
    #[serde(skip)]
    fleet: &'r Fleet,
    #[serde(skip)]
    source: &'r Source<'r>,
}

/// What databases that are listed together have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ResultGroup<'r> {
    scope: Scope,
    description: StyledLine,
    drift: &'r [String],
    at_head: Option<&'r AtHead>,
    notes: &'r [String],
}

impl<'r> RecordedVersionsView<'r> {
    pub(crate) fn new(
        fleet: &'r Fleet,
        outcome: &'r FleetOutcome,
        changelog: &'r Changelog<'r>,
    ) -> Self {
        let source = changelog.source();
        let databases = DatabaseRun::list(fleet, outcome, source, None);
        let summary = count_by_outcome(&databases, State::Recorded);
        let head = changelog.head();
        Self { databases, summary, head, fleet, source }
    }

    /// The names of the databases that did not fail, by their result.
    fn groups(&self) -> BTreeMap<ResultGroup<'r>, Vec<String>> {
        let mut groups: BTreeMap<ResultGroup<'_>, Vec<String>> = BTreeMap::new();
        for run in &self.databases {
            let (drift, at_head, notes) = match run.outcome {
                Outcome::VersionRecorded { drift, at_head, notes, .. } => {
                    (drift.as_slice(), at_head.as_ref(), notes.as_slice())
                }
                Outcome::Failed { .. } => continue,
                _ => (&[][..], None, &[][..]),
            };
            let (scope, description) = (run.database.scope, describe(run.outcome));
            let group = ResultGroup { scope, description, drift, at_head, notes };
            groups.entry(group).or_default().push(run.name());
        }
        groups
    }
}

impl RecordedVersionsView<'_> {
    /// Prints what an upgrade to head will leave, if something differs now or will then.
    fn print_at_head(&self, console: &Console, drift: &[String], at_head: Option<&AtHead>) {
        let head = self.head;
        match at_head {
            Some(AtHead::Fails(reason)) => {
                console.line(
                    StyledLine::from(format!("  the upgrade to {head} "))
                        .state(State::Failed, "will fail")
                        .text(format!(": {reason}")),
                );
            }
            Some(AtHead::Reached(remaining)) if remaining.is_empty() && !drift.is_empty() => {
                console.line(format!("  after the upgrade to {head}, nothing differs"));
            }
            Some(AtHead::Reached(remaining)) if !remaining.is_empty() && remaining == drift => {
                console.line(format!("  after the upgrade to {head}, the same differs"));
            }
            Some(AtHead::Reached(remaining)) if !remaining.is_empty() => {
                let count = plural(remaining.len(), "difference");
                console.line(format!("  after the upgrade to {head}, {count}:"));
                for difference in remaining {
                    console.line(format!("    {difference}"));
                }
            }
            _ => {}
        }
    }
}

impl View for RecordedVersionsView<'_> {
    fn print_text(&self, console: &Console) {
        for (ResultGroup { scope, description, drift, at_head, notes }, names) in self.groups() {
            let label = match scope {
                Scope::System => "system: ".to_owned(),
                Scope::User => {
                    format!("{} ({}): ", plural(names.len(), "user"), list_names(&names))
                }
            };
            console.line(StyledLine::from(label).line(description));
            for difference in drift {
                console.line(format!("  {difference}"));
            }
            self.print_at_head(console, drift, at_head);
            for note in notes {
                console.line(format!("  note: {note}"));
            }
        }
        if let Some(line) = describe_unselected_users(self.fleet) {
            console.line(line);
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        let failures = self.databases.iter().filter_map(DatabaseRun::failure);
        print_failures(console, failures, self.source, &StatementDiffs::new());
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.databases.iter().any(|run| run.outcome.is_failure()))
    }

    fn changes(&self) -> String {
        let changed = self.databases.iter().filter(|run| run.outcome.changes_database()).count();
        describe_changes(changed, self.databases.len(), "given a version")
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
