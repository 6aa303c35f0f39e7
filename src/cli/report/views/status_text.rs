//! Prints the statuses of databases as a table. Of a large fleet, only the counts and the databases
//! that differ from the most common status are listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tatmig::migrate::{DatabaseStatus, Detection};
use tatmig::text::MAX_LISTED;
use tatmig::{Changelog, DatabaseState};

use crate::cli::report::console::Console;
use crate::cli::report::format::plural;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::views::status_entries::{StatusOf, is_refused_by_table};

/// Up to this many databases are listed one by one without `--verbose`.
const MAX_ROWS: usize = 30;

/// The version column of a database without a known version.
const NO_VERSION: &str = "-";

/// The text of one database's status, without its name: the second and third column of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct StatusText {
    version: String,
    state: StyledLine,
}

/// Prints a row for each database if they are few or the output is verbose; else a line for each
/// distinct status with its count, and the first rows that differ from the most common status. With
/// `--quiet`, only the databases with a problem are printed.
pub(crate) fn print_databases(
    console: &Console,
    changelog: &Changelog<'_>,
    databases: &[StatusOf<'_>],
) {
    let databases: Vec<&StatusOf<'_>> = databases
        .iter()
        .filter(|listed| !console.is_quiet() || is_problem(listed.status))
        .collect();
    let texts: Vec<StatusText> = databases
        .iter()
        .map(|StatusOf { status, .. }| StatusText {
            version: status.version.clone().unwrap_or_else(|| NO_VERSION.to_owned()),
            state: describe_state(changelog, status),
        })
        .collect();
    let rows = databases.iter().copied().zip(&texts);
    if console.is_verbose() || databases.len() <= MAX_ROWS {
        print_rows(console, &rows.collect::<Vec<_>>());
        return;
    }
    let mut counts: BTreeMap<&StatusText, usize> = BTreeMap::new();
    for text in &texts {
        *counts.entry(text).or_default() += 1;
    }
    for (StatusText { version, state }, count) in &counts {
        let databases = plural(*count, "database");
        let label = match version.as_str() {
            NO_VERSION => format!("{databases}: "),
            version => format!("{databases}: {version} "),
        };
        console.finding(StyledLine::from(label).line(state.clone()));
    }
    let most_common = counts.iter().max_by_key(|(_, count)| **count).map(|(text, _)| *text);
    let different: Vec<_> = rows.filter(|(_, text)| Some(*text) != most_common).collect();
    // A fleet with many different statuses is described by the counts.
    let listed_count = different.len().min(MAX_ROWS);
    print_rows(console, &different[..listed_count]);
    if different.len() > listed_count {
        console.finding(format!("and {} more; `-v` lists all", different.len() - listed_count));
    }
}

/// Whether the status of a database makes `status` fail.
pub(crate) fn is_problem(status: &DatabaseStatus) -> bool {
    match status.state {
        DatabaseState::New
        | DatabaseState::Current
        | DatabaseState::Behind
        | DatabaseState::Unversioned => false,
        // Without an error, `ahead = "allow"` applies.
        DatabaseState::Ahead => status.error.is_some(),
        // The enum is not exhaustive: any other state is a problem.
        _ => true,
    }
}

/// Prints the name, version and state of each database, with aligned names.
fn print_rows(console: &Console, rows: &[(&StatusOf<'_>, &StatusText)]) {
    let names: Vec<String> = rows.iter().map(|(row, _)| row.database.display_name()).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, (_, StatusText { version, state })) in names.iter().zip(rows) {
        let label = StyledLine::from(format!("{name:width$}  {version:8}  "));
        console.finding(label.line(state.clone()));
    }
}

/// `behind, pending 1.1.0, 1.2.0`.
pub(crate) fn describe_state(changelog: &Changelog<'_>, status: &DatabaseStatus) -> StyledLine {
    let error = || status.error.as_ref().map(ToString::to_string).unwrap_or_default();
    let state = StyledLine::from_state;
    let pending = || format!(", {}", describe_pending(status));
    match status.state {
        DatabaseState::New => state(State::New, "new").text(pending()),
        DatabaseState::Current => state(State::Current, "current"),
        DatabaseState::Behind => state(State::Behind, "behind").text(pending()),
        DatabaseState::Unversioned => {
            let line = state(State::Unversioned, "unversioned");
            match status.detection.as_deref() {
                _ if is_refused_by_table(status) => line.text(format!(": {}", error())),
                Some(detection) => {
                    line.text(format!(", {}", describe_detection(changelog, status, detection)))
                }
                None => line,
            }
        }
        DatabaseState::Ahead if status.error.is_none() => state(State::Note, "ahead")
            .text(format!(" of head {}, which is allowed", changelog.head())),
        DatabaseState::Ahead => state(State::Ahead, "ahead").text(format!(": {}", error())),
        DatabaseState::Edited => state(State::Edited, "edited").text(format!(": {}", error())),
        // The enum is not exhaustive: any other state is an error.
        _ => state(State::Error, "error").text(format!(": {}", error())),
    }
}

/// `pending 1.1.0, 1.2.0`; the first few versions, and how many more are pending.
fn describe_pending(status: &DatabaseStatus) -> String {
    let listed: Vec<String> =
        status.pending.iter().take(MAX_LISTED).map(ToString::to_string).collect();
    let more = match status.pending.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("pending {}{more}", listed.join(", "))
}

/// Describes which version the schema of a database without a history matches.
fn describe_detection(
    changelog: &Changelog<'_>,
    status: &DatabaseStatus,
    detection: &Detection,
) -> String {
    match detection {
        Detection::Match(position) => {
            let mut schema = format!("its schema is that of {}", changelog.version(*position));
            for table in &status.version_tables {
                let _ = write!(schema, ", `{}` records {}", table.table, table.records);
            }
            if status.pending.is_empty() {
                schema
            } else {
                format!("{schema}, {}", describe_pending(status))
            }
        }
        Detection::Partial(partial) => match &partial.proposal {
            Some(proposal) => format!(
                "partial match: {proposal} is nearest, {} found, {}; `adopt` accepts them",
                plural(partial.there.len(), "table"),
                plural(partial.missing.len(), "difference"),
            ),
            None => format!(
                "partial match: no version leads to {}; `adopt` shows why",
                changelog.head()
            ),
        },
        // The error names the versions that match, if any. The enum is not exhaustive.
        _ => {
            let error = status.error.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{}: {error}", detection.name())
        }
    }
}
