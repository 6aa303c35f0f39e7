//! Adds the statuses of databases to what `--report` and `--metrics` write.

use std::collections::HashMap;

use tatmig::document::StepId;
use tatmig::migrate::DatabaseStatus;
use tatmig::{Changelog, DatabaseState, Scope, VersionPoint};

use crate::cli::report::digest::Digest;
use crate::cli::report::digest::databases::GroupKey;
use crate::cli::report::digest::steps::ScopePath;
use crate::cli::report::state::State;
use crate::cli::report::views::status_entries::StatusOf;
use crate::cli::report::views::status_text::{describe_state, is_problem};

/// What databases with the same pending steps have in common.
#[derive(PartialEq, Eq, Hash)]
struct Pending<'r> {
    scope: Scope,
    version: Option<&'r str>,
    steps: &'r [StepId],
}

/// Adds the databases with their states, errors and pending steps.
pub(crate) fn add_statuses(
    digest: &mut Digest,
    changelog: &Changelog<'_>,
    databases: &[StatusOf<'_>],
) {
    let mut pending: HashMap<Pending<'_>, usize> = HashMap::new();
    for StatusOf { database, status, .. } in databases {
        let mut key = GroupKey::new(database.scope, state_of(status.state));
        key.version.clone_from(&status.version);
        if is_problem(status) {
            let error = status.error.as_deref();
            key.cause = error.map(|error| digest.causes.add(database, error, changelog.source()));
        } else {
            key.detail = describe_detail(changelog, status);
        }
        digest.databases.add(key, &database.display_name());
        add_pending(&mut pending, database.scope, status);
    }
    add_paths(digest, changelog, &pending);
}

fn add_pending<'r>(
    pending: &mut HashMap<Pending<'r>, usize>,
    scope: Scope,
    status: &'r DatabaseStatus,
) {
    if status.error.is_none() {
        let (version, steps) = (status.version.as_deref(), status.steps.as_slice());
        *pending.entry(Pending { scope, version, steps }).or_default() += 1;
    }
}

fn add_paths(
    digest: &mut Digest,
    changelog: &Changelog<'_>,
    pending: &HashMap<Pending<'_>, usize>,
) {
    for (Pending { scope, version, steps }, count) in pending {
        let steps: Vec<_> = steps.iter().filter_map(|step| changelog.endpoints(*step)).collect();
        let recorded = version.and_then(VersionPoint::parse);
        let first = steps.first().map(|(from, _)| from.clone());
        let Some(from) = recorded.or(first) else { continue };
        digest.steps.add(ScopePath { scope: *scope, from, steps }, *count);
    }
}

/// The state without its first word, which the group has already.
fn describe_detail(changelog: &Changelog<'_>, status: &DatabaseStatus) -> String {
    let text = describe_state(changelog, status).to_string();
    let state = state_of(status.state);
    let detail = text.strip_prefix(state.name()).unwrap_or(&text);
    detail.trim_start_matches([',', ':', ' ']).to_owned()
}

fn state_of(state: DatabaseState) -> State {
    match state {
        DatabaseState::New => State::New,
        DatabaseState::Current => State::Current,
        DatabaseState::Behind => State::Behind,
        DatabaseState::Unversioned => State::Unversioned,
        DatabaseState::Ahead => State::Ahead,
        DatabaseState::Edited => State::Edited,
        // The enum is not exhaustive: any other state is an error.
        _ => State::Error,
    }
}

/// Adds the databases of a dry run.
pub(crate) fn add_plans<'r>(
    digest: &mut Digest,
    changelog: &Changelog<'_>,
    plans: impl Iterator<Item = PlannedStatus<'r>>,
) {
    let mut pending: HashMap<Pending<'_>, usize> = HashMap::new();
    for PlannedStatus { listed: StatusOf { database, status, .. }, outcome } in plans {
        let mut key = GroupKey::new(database.scope, outcome);
        key.version.clone_from(&status.version);
        let error = status.error.as_deref();
        key.cause = error.map(|error| digest.causes.add(database, error, changelog.source()));
        digest.databases.add(key, &database.display_name());
        add_pending(&mut pending, database.scope, status);
    }
    add_paths(digest, changelog, &pending);
}

/// A database of a dry run, and what the run would do with it.
pub(crate) struct PlannedStatus<'r> {
    pub(crate) listed: StatusOf<'r>,
    pub(crate) outcome: State,
}
