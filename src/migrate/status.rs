//! Where one database stands on the document's chain, and what lies ahead of it. Nothing is changed.

use semver::Version;

use crate::database::Look;
use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::database::history_entry::{Record, State};
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::Scope;
use crate::migrate::detect;
use crate::migrate::detect::Finding;
use crate::migrate::replay::Replay;
use crate::plan;
use crate::plan::outcome::Failure;
use crate::plan::{Goal, Refusal, Standing};
use crate::target::Member;

/// Where a database stands in words that programs can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It holds nothing yet.
    New,
    /// At head.
    Current,
    /// Something is pending.
    Behind,
    /// It holds tables and no record.
    Unversioned,
    /// At a version that the document does not know.
    Ahead,
    /// A migration that it went through was edited since.
    Edited,
    /// It cannot be read.
    Error,
}

/// What reading a database tells of it.
#[derive(Debug)]
pub struct Status {
    /// In a word.
    pub condition: Condition,
    /// The version in its record.
    pub version: Option<String>,
    /// The versions that it would go through up to the target.
    pub pending: Vec<Version>,
    /// The steps that lead there.
    pub steps: Vec<StepId>,
    /// The position of the version where it stands, if it stands at one.
    pub position: Option<usize>,
    /// What its schema tells, where it has no record.
    pub finding: Option<Box<Finding>>,
    /// Why it is in that condition, where that is a failure.
    pub failure: Option<Box<Failure>>,
}

impl Member {
    /// Reads where its database stands on the way to the version at a position; no byte on the
    /// disk changes.
    #[must_use]
    pub fn status(
        &self,
        at: (&Changelog<'_>, Option<&Replay<'_>>, usize),
        patience: &Patience,
    ) -> Status {
        let read = self.read(patience, |database| status(at, self.scope, database));
        read.unwrap_or_else(|failure| Status::failed(None, failure))
    }

    /// Reads what its database went through, oldest first.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn records(&self, patience: &Patience) -> Result<Vec<Record>, Failure> {
        self.read(patience, |database| database.records())
    }
}

/// Where a database stands, with what its schema tells where it has no record; a failure if a
/// migration that it went through was edited.
pub(crate) fn standing(
    (changelog, replay): (&Changelog<'_>, Option<&Replay<'_>>),
    scope: Scope,
    (state, database): (&State, &dyn Look),
) -> Result<Standing, Failure> {
    let finding = match (state, replay) {
        (State::Unversioned, Some(replay)) => {
            Some(detect::find((changelog, replay), scope, &database.schema()?))
        }
        _ => None,
    };
    let settled = || finding.as_ref().map_or(Err(Refusal::Foreign), Finding::settled);
    let standing = plan::standing(changelog, state, settled)?;
    if let (Standing::At(position), State::Recorded(record)) = (standing, state)
        && !plan::is_untouched(changelog, scope, (record, position))
    {
        let edits = plan::edits(changelog, scope, (&database.records()?, position));
        if !edits.is_empty() {
            return Err(Refusal::Edited { edits }.into());
        }
    }
    Ok(standing)
}

/// The status of a database on the way up to the version at a position.
pub(crate) fn status(
    (changelog, replay, target): (&Changelog<'_>, Option<&Replay<'_>>, usize),
    scope: Scope,
    database: &dyn Look,
) -> Result<Status, DatabaseError> {
    status_towards((changelog, replay, Goal::Up(target)), scope, database)
}

pub(crate) fn status_towards(
    (changelog, replay, goal): (&Changelog<'_>, Option<&Replay<'_>>, Goal),
    scope: Scope,
    database: &dyn Look,
) -> Result<Status, DatabaseError> {
    let route = |standing| match plan::route(changelog, scope, (standing, goal)) {
        Ok(steps) => (steps, None),
        Err(refusal) => (Vec::new(), Some(Box::new(Failure::from(refusal)))),
    };
    let state = database.state()?;
    let version = match &state {
        State::Recorded(record) => Some(record.to.clone()),
        State::New | State::Unversioned => None,
    };
    if let (State::Unversioned, Some(replay)) = (&state, replay) {
        let finding = detect::find((changelog, replay), scope, &database.schema()?);
        let settled = finding.settled();
        let position = settled.as_ref().ok().copied();
        let (steps, failure) = match settled {
            Ok(position) => route(Standing::Matched(position)),
            Err(refusal) => (Vec::new(), Some(Box::new(refusal.into()))),
        };
        let condition = Condition::Unversioned;
        let pending = ends(changelog, &steps);
        let finding = Some(Box::new(finding));
        return Ok(Status { condition, version, pending, steps, position, finding, failure });
    }
    let standing = match standing((changelog, replay), scope, (&state, database)) {
        Ok(standing) => standing,
        Err(Failure::Database(error)) => return Err(error),
        Err(Failure::Refused(Refusal::Foreign)) => {
            let mut status = Status::failed(version, Refusal::Foreign.into());
            status.condition = Condition::Unversioned;
            return Ok(status);
        }
        Err(failure) => return Ok(Status::failed(version, failure)),
    };
    let (steps, failure) = route(standing);
    let position = match standing {
        Standing::At(position) | Standing::Matched(position) => Some(position),
        Standing::New | Standing::BelowBaseline => None,
    };
    let condition = match standing {
        Standing::New => Condition::New,
        Standing::Matched(_) => Condition::Unversioned,
        _ if steps.is_empty() => Condition::Current,
        _ => Condition::Behind,
    };
    let pending = ends(changelog, &steps);
    Ok(Status { condition, version, pending, steps, position, finding: None, failure })
}

fn ends(changelog: &Changelog<'_>, steps: &[StepId]) -> Vec<Version> {
    steps.iter().filter_map(|id| changelog.ends(*id)?.1.version().cloned()).collect()
}

impl Status {
    pub(crate) fn failed(version: Option<String>, failure: Failure) -> Self {
        let condition = match &failure {
            Failure::Refused(Refusal::Edited { .. }) => Condition::Edited,
            Failure::Refused(_) => Condition::Ahead,
            Failure::Database(_) | Failure::NotOpened(_) => Condition::Error,
        };
        let (pending, steps, failure) = (Vec::new(), Vec::new(), Some(Box::new(failure)));
        Self { condition, version, pending, steps, position: None, finding: None, failure }
    }
}
