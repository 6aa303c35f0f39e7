//! Shows which versions `stamp` and `adopt` recorded. Databases with the same result are listed
//! together.

use std::collections::BTreeMap;

use serde::Serialize;
use tatmig::fleet::{Fleet, FleetOutcome};
use tatmig::plan::{AtHead, Outcome};
use tatmig::semver::Version;
use tatmig::text::list_names;
use tatmig::{Changelog, Scope};

use crate::cli::report::console::Console;
use crate::cli::report::format::plural;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;
use crate::cli::report::views::outcome_text::describe;
use crate::cli::report::views::run_results::RunResults;

/// The outcome of `stamp` or `adopt`.
#[derive(Serialize)]
pub(crate) struct RecordedVersionsView<'r> {
    #[serde(skip)]
    results: RunResults<'r>,
    #[serde(skip)]
    head: &'r Version,
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
        let results = RunResults::new(fleet, outcome, changelog.source(), State::Recorded);
        Self { results, head: changelog.head() }
    }

    /// The names of the databases that did not fail, by their result.
    fn groups(&self) -> BTreeMap<ResultGroup<'r>, Vec<String>> {
        let mut groups: BTreeMap<ResultGroup<'_>, Vec<String>> = BTreeMap::new();
        for run in &self.results.databases {
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
        self.results.print_unselected_users(console);
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        self.results.print_failures(console);
    }

    fn exit_status(&self) -> u8 {
        self.results.exit_status()
    }

    fn changes(&self) -> String {
        self.results.describe_changes("given a version")
    }

    fn databases(&self) -> impl Serialize {
        &self.results.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.results.summary
    }
}
