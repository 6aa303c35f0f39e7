//! What writes a database's record and nothing else: adopting the version that its schema tells,
//! accepting an edited migration, stamping a version without looking.

use crate::database::Database;
use crate::database::connection::Patience;
use crate::database::history_entry::{Event, State};
use crate::database::job::Order;
use crate::document::tag::{Point, Scope};
use crate::migrate::detect;
use crate::migrate::migrator::Ready;
use crate::migrate::status::standing;
use crate::plan::outcome::{Failure, Verdict};
use crate::plan::{Refusal, Standing};
use crate::target::Member;

/// The version to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The one that the schema tells, or fits best.
    Found,
    /// Below the lowest baseline, so that the next upgrade runs it.
    Baseline,
    /// The one at a position of the changelog.
    Position(usize),
}

impl Ready<'_, '_> {
    /// Adopts the database of a member: one without a record, at what is found or given; or one
    /// that went through a migration that was edited since.
    #[must_use]
    pub fn adopt_member(&self, member: &Member, at: At, patience: &Patience) -> Verdict {
        settle(member, patience, |database| self.adopt((member.scope, at), database))
    }

    /// Writes a version into the record of a member, whatever its schema is.
    #[must_use]
    pub fn stamp_member(&self, member: &Member, at: At, patience: &Patience) -> Verdict {
        settle(member, patience, |database| {
            let state = database.state()?;
            let mut step = self.record(Event::Stamp, member.scope, (position(at), None));
            if let (State::Recorded(record), Some(entry)) = (&state, &mut step.entry) {
                entry.from.clone_from(&record.to);
            }
            database.apply(&Order::of(member.scope, vec![step]), &state)?;
            Ok(Verdict::Recorded { at: self.point_at(position(at)), drift: Vec::new() })
        })
    }

    fn adopt(
        &self,
        (scope, at): (Scope, At),
        database: &mut dyn Database,
    ) -> Result<Verdict, Failure> {
        let state = database.state()?;
        let document = (self.changelog(), Some(self.replay()));
        let found = match (&state, at) {
            (State::New, At::Found) => return Ok(Verdict::Current { at: Point::Baseline }),
            (State::Unversioned, At::Found) => {
                let document = (self.changelog(), self.replay());
                match detect::find(document, scope, &database.schema()?) {
                    detect::Finding::Foreign => return Err(Refusal::Foreign.into()),
                    finding => finding.best(),
                }
            }
            // What has a record is not adopted: `stamp` overrules that.
            (State::Recorded(record), _) => {
                return match standing(document, scope, (&state, database)) {
                    Err(Failure::Refused(Refusal::Edited { .. })) => {
                        let version = Point::parse(&record.to);
                        let version = version.as_ref().and_then(Point::version);
                        let position = version.and_then(|to| self.changelog().position(to));
                        self.accept((scope, position.unwrap_or(0)), &state, database)
                    }
                    Ok(Standing::At(position)) => {
                        Ok(Verdict::Current { at: self.point_at(Some(position)) })
                    }
                    Ok(_) => Ok(Verdict::Current { at: Point::Baseline }),
                    Err(failure) => Err(failure),
                };
            }
            (_, at) => position(at),
        };
        let drift = detect::drift(self.replay(), scope, (found, &database.schema()?));
        let note = (!drift.is_empty()).then(|| drift.join("\n"));
        let step = self.record(Event::Adopt, scope, (found, note));
        database.apply(&Order::of(scope, vec![step]), &state)?;
        Ok(Verdict::Recorded { at: self.point_at(found), drift })
    }

    /// Accepts an edited migration, once it is proved that the schema has what it makes.
    fn accept(
        &self,
        (scope, position): (Scope, usize),
        state: &State,
        database: &mut dyn Database,
    ) -> Result<Verdict, Failure> {
        let schema = database.schema()?;
        let drift = detect::drift(self.replay(), scope, (Some(position), &schema));
        let accepted = database.accepted()?;
        let mut missing = self.replay().missing(scope, (position, &schema));
        missing.retain(|words| !accepted.contains(words));
        if !missing.is_empty() {
            return Err(Refusal::NotAsEdited { missing }.into());
        }
        let mut step = self.record(Event::Adopt, scope, (Some(position), None));
        if let (State::Recorded(record), Some(entry)) = (state, &mut step.entry) {
            entry.from.clone_from(&record.to);
        }
        database.apply(&Order::of(scope, vec![step]), state)?;
        Ok(Verdict::Recorded { at: self.point_at(Some(position)), drift })
    }

    fn point_at(&self, position: Option<usize>) -> Point {
        position.map_or(Point::Baseline, |position| {
            Point::Version(self.changelog().versions()[position].clone())
        })
    }
}

fn position(at: At) -> Option<usize> {
    match at {
        At::Position(position) => Some(position),
        At::Found | At::Baseline => None,
    }
}

/// Opens the database of a member for a change of its record.
fn settle(
    member: &Member,
    patience: &Patience,
    change: impl FnOnce(&mut dyn Database) -> Result<Verdict, Failure>,
) -> Verdict {
    match member.open(patience).and_then(|mut database| change(&mut *database)) {
        Ok(verdict) => verdict,
        Err(failure) => Verdict::from_failure(None, failure),
    }
}
