//! One database brought to a target: read where it stands, plan, let it apply the order, and look
//! again where another run was faster. The outcome is a value; nothing is printed here.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use semver::Version;

use crate::database::file::Patience;
use crate::database::history::{Applied, Entry, Event, Record, State};
use crate::database::order::{Ending, NOTHING, Order, Step};
use crate::database::practice::Practice;
use crate::database::{Database, DatabaseError, Look};
use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::{Checksum, Migration};
use crate::document::sql;
use crate::document::tag::{Point, Scope};
use crate::evidence::{self, Finding};
use crate::member::Member;
use crate::plan::{self, Edit, Goal, Refusal, Standing};
use crate::replay::Replay;

/// How often a database that moved on between reading and locking is looked at again.
const LOOKS: usize = 10;

/// Why a database was left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It could not be read or changed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What it says of itself does not fit the document.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file may not be opened at all.
    #[error("{0}")]
    NotOpened(String),
}

impl Failure {
    /// Whether nobody can tell if the database was changed, which a server alone can leave open:
    /// its answer was lost, and it does not answer any more.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        match self {
            #[cfg(feature = "server")]
            Self::Database(DatabaseError::Unknown { .. }) => true,
            _ => false,
        }
    }

    /// The bytes of the document that the failure is about.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Database(error) => error.span(),
            Self::Refused(Refusal::Edited { edits }) => edits.first().map(|edit| edit.span.clone()),
            Self::Refused(_) | Self::NotOpened(_) => None,
        }
    }
}

/// The way that all databases go that start from the same place.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where they stood.
    pub from: Point,
    /// Where it leads.
    pub to: Point,
    /// The migrations that ran, in order.
    pub steps: Vec<(Point, Point)>,
}

/// What a database went through.
#[derive(Clone, Debug)]
pub struct Passage {
    /// The way that it went.
    pub route: Arc<Route>,
    /// What was noticed on the way.
    pub notes: Vec<String>,
    /// From lock to commit.
    pub duration: Duration,
}

/// What became of a database that was to be brought to a target.
#[derive(Debug)]
pub enum Verdict {
    /// Steps were run and committed.
    Upgraded(Passage),
    /// Reverse blocks were run and committed.
    Downgraded(Passage),
    /// Steps were run and checked, and then rolled back, as a rehearsal is.
    Rehearsed(Passage),
    /// A new database was put in its place.
    Renewed {
        /// Where that stands.
        at: Point,
    },
    /// It was there already.
    Current {
        /// Where it stands.
        at: Point,
    },
    /// A version was written down, found from the schema or given.
    Recorded {
        /// Where it stands from now on.
        at: Point,
        /// In what it differs from the document there, each in words.
        drift: Vec<String>,
    },
    /// Seeds were run and committed.
    Seeded {
        /// What was noticed on the way.
        notes: Vec<String>,
        /// From lock to commit.
        duration: Duration,
    },
    /// It is above the target, and was left alone.
    Above {
        /// Where it stands.
        at: Point,
    },
    /// It is below the target of a downgrade, and was left alone.
    Below {
        /// Where it stands.
        at: Point,
    },
    /// Nothing of it was changed.
    Failed {
        /// Where it stands, as far as that is known.
        at: Option<Point>,
        /// Why.
        failure: Box<Failure>,
    },
    /// It was not begun: the run ended before.
    Skipped,
}

impl Verdict {
    /// A database that was told to stop was not begun; any other failure is one.
    pub(crate) fn from_failure(at: Option<Point>, failure: Failure) -> Self {
        match failure {
            Failure::Database(DatabaseError::Interrupted) => Self::Skipped,
            failure => Self::Failed { at, failure: Box::new(failure) },
        }
    }

    /// Whether the database could not be brought to its target. An interrupted one is none: it
    /// was told to stop.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// Whether that was because another program uses the database.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let Self::Failed { failure, .. } = self else { return false };
        matches!(**failure, Failure::Database(DatabaseError::Busy { .. }))
    }
}

/// Which way a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By migrations.
    Up,
    /// By reverse blocks.
    Down,
}

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

/// What databases that start from the same place are asked to do, and where it leads them.
#[derive(Debug)]
struct Errand<'c> {
    order: Order<'c>,
    route: Arc<Route>,
}

/// A document that is ready to be run: read, ordered and replayed, up to a target.
#[derive(Debug)]
pub struct Ready<'c, 'a> {
    changelog: &'c Changelog<'a>,
    replay: &'c Replay<'a>,
    goal: Goal,
    ending: Ending,
    practice: Practice,
    /// Orders are made once a run for each place that databases start from.
    orders: Mutex<HashMap<(Scope, Standing), Arc<Errand<'c>>>>,
}

impl<'c, 'a> Ready<'c, 'a> {
    /// Makes a document ready up to the version at a position of the changelog.
    #[must_use]
    pub fn new(changelog: &'c Changelog<'a>, replay: &'c Replay<'a>, target: usize) -> Self {
        Self::bound(changelog, replay, Goal::Up(target))
    }

    /// Makes a document ready to go down by its reverse blocks, to the version at a position;
    /// without one, to nothing.
    #[must_use]
    pub fn down(
        changelog: &'c Changelog<'a>,
        replay: &'c Replay<'a>,
        target: Option<usize>,
    ) -> Self {
        Self::bound(changelog, replay, Goal::Down(target))
    }

    fn bound(changelog: &'c Changelog<'a>, replay: &'c Replay<'a>, goal: Goal) -> Self {
        let (ending, practice) = (Ending::Commit, Practice::default());
        Self { changelog, replay, goal, ending, practice, orders: Mutex::default() }
    }

    /// The same for an application with a practice of its own.
    #[must_use]
    pub fn with_practice(self, practice: Practice) -> Self {
        Self { practice, ..self }
    }

    /// The same, to be rolled back after every check has passed.
    #[must_use]
    pub fn rehearsal(changelog: &'c Changelog<'a>, replay: &'c Replay<'a>, target: usize) -> Self {
        Self::new(changelog, replay, target).rolled_back()
    }

    /// The same, to be rolled back after every check has passed.
    #[must_use]
    pub fn rolled_back(self) -> Self {
        Self { ending: Ending::Rollback, ..self }
    }

    /// What a database of a scope is asked to do from where it stands; none if nothing.
    fn errand(&self, scope: Scope, standing: Standing) -> Result<Option<Arc<Errand<'c>>>, Refusal> {
        let ids = plan::route(self.changelog, scope, (standing, self.goal))?;
        // A match is written down on the way up even where nothing is pending behind it.
        let matched = matches!(
            (standing, self.goal),
            (Standing::Matched(position), Goal::Up(target)) if position <= target
        );
        if ids.is_empty() && !matched {
            return Ok(None);
        }
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders
            .entry((scope, standing))
            .or_insert_with(|| Arc::new(self.make_errand(scope, standing, &ids)));
        Ok(Some(order.clone()))
    }

    fn make_errand(&self, scope: Scope, standing: Standing, ids: &[StepId]) -> Errand<'c> {
        let from = self.point(standing);
        let steps: Vec<_> = ids.iter().filter_map(|id| self.changelog.ends(*id)).collect();
        let to = steps.last().map_or(from.clone(), |(_, to)| to.clone());
        let route = Arc::new(Route { from, to, steps });
        Errand { order: self.make_order(scope, standing, ids), route }
    }

    fn make_order(&self, scope: Scope, standing: Standing, ids: &[StepId]) -> Order<'c> {
        let (changelog, replay) = (self.changelog, self.replay);
        let mut steps = Vec::with_capacity(ids.len());
        if let Standing::Matched(position) = standing {
            steps.push(self.record(Event::Adopt, scope, (Some(position), None)));
        }
        for id in ids {
            let Some((from, to)) = changelog.ends(*id) else { continue };
            // A migration without a part for the scope is taken back without a block.
            let migration = changelog.step(*id);
            let script = replay.script(scope, *id).unwrap_or(&NOTHING);
            let chain = to
                .version()
                .and_then(|to| changelog.position(to))
                .map(|position| changelog.chain_checksum(scope, position));
            let points = || (from.to_string(), to.to_string());
            let label = format!("the migration {from} → {to}");
            let checksum =
                Some(migration.map_or_else(|| Checksum::of(""), |step| step.checksum(scope)));
            let event = match id {
                StepId::Reverse(_) | StepId::Unbaseline(_) => Event::Downgrade,
                StepId::Baseline(_) | StepId::Forward(_) | StepId::Seed(_) => Event::Upgrade,
            };
            let applied_parts = |migration: &Migration<'_>| {
                let kept = Scope::BOTH.into_iter().filter_map(|scope| {
                    let part = migration.part(scope).filter(|part| !part.is_empty())?;
                    let (from, to) = points();
                    let sql = part.sql.text().to_owned();
                    Some(Applied { scope, checksum: migration.checksum(scope), from, to, sql })
                });
                kept.collect::<Vec<_>>()
            };
            let applied = match migration.filter(|_| scope == Scope::System) {
                Some(migration) => applied_parts(migration),
                None => Vec::new(),
            };
            let (from, to) = points();
            let entry = Some(Entry { event, from, to, checksum, chain, note: None });
            steps.push(Step { script, label, entry, applied });
        }
        let effects = replay.effects(scope, standing, ids);
        let (ending, foreign_keys) = (self.ending, self.practice.foreign_keys);
        Order { effects, ending, foreign_keys, ..Order::of(scope, steps) }
    }

    /// A step that only writes down where a database stands: at a position, or below the lowest
    /// baseline.
    pub(crate) fn record(
        &self,
        event: Event,
        scope: Scope,
        (position, note): (Option<usize>, Option<String>),
    ) -> Step<'c, 'c> {
        let to = position.map_or(Point::Baseline, |position| {
            Point::Version(self.changelog.versions()[position].clone())
        });
        let chain = position.map(|position| self.changelog.chain_checksum(scope, position));
        let (from, to) = (Point::Baseline.to_string(), to.to_string());
        let entry = Entry { event, from, to, checksum: None, chain, note };
        let label = "the record".to_owned();
        Step { script: &NOTHING, label, entry: Some(entry), applied: Vec::new() }
    }

    /// The point at which a standing is.
    fn point(&self, standing: Standing) -> Point {
        match standing {
            Standing::At(position) | Standing::Matched(position) => {
                Point::Version(self.changelog.versions()[position].clone())
            }
            Standing::New | Standing::BelowBaseline => Point::Baseline,
        }
    }

    /// The changelog that it was made from.
    #[must_use]
    pub fn changelog(&self) -> &'c Changelog<'a> {
        self.changelog
    }

    /// The application's practice.
    pub(crate) fn practice(&self) -> Practice {
        self.practice
    }

    pub(crate) fn replay(&self) -> &'c Replay<'a> {
        self.replay
    }

    /// Whether databases go up or down.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self.goal {
            Goal::Up(_) => Direction::Up,
            Goal::Down(_) => Direction::Down,
        }
    }

    /// Where databases are brought.
    #[must_use]
    pub fn target(&self) -> Point {
        match self.goal {
            Goal::Up(position) | Goal::Down(Some(position)) => {
                Point::Version(self.changelog.versions()[position].clone())
            }
            Goal::Down(None) => Point::Baseline,
        }
    }

    /// Reads where the database of a member stands on the way; no byte on the disk changes.
    #[must_use]
    pub fn status_of(&self, member: &Member, patience: &Patience) -> Status {
        let at = (self.changelog, Some(self.replay), self.goal);
        let read = member.read(patience, |database| status_towards(at, member.scope, database));
        read.unwrap_or_else(|failure| Status::failed(None, failure))
    }

    /// The statements of an edited migration that ran and stand in the document no more, and
    /// those that stand there and did not run; nothing where the system database did not keep
    /// them.
    #[must_use]
    pub fn changes(
        &self,
        edit: &Edit,
        scope: Scope,
        (system, patience): (&Member, &Patience),
    ) -> Option<(Vec<String>, Vec<String>)> {
        let kept = system.read(patience, |database| database.kept(&edit.recorded));
        let migration = self.changelog.find(&edit.from, &edit.to)?;
        let now = migration.part(scope).map_or("", |part| part.sql.text());
        Some(changed_statements(&kept.ok()??, now))
    }

    /// Runs seeds, in the order named, on the database of a member.
    #[must_use]
    pub fn seed_member(&self, member: &Member, names: &[String], patience: &Patience) -> Verdict {
        let result = member.open(patience).and_then(|mut database| {
            let state = database.state()?;
            let order = self.seeds(member.scope, names, &state);
            if state == State::New {
                return Err(Refusal::Empty.into());
            }
            Ok(database.apply(&order, &state)?)
        });
        match result {
            Ok(done) => Verdict::Seeded { notes: done.notes, duration: done.duration },
            Err(failure) => Verdict::from_failure(None, failure),
        }
    }

    fn seeds(&self, scope: Scope, names: &[String], state: &State) -> Order<'c> {
        let target = self.target();
        let elsewhere = match state {
            State::Recorded(record) if record.to == target.to_string() => String::new(),
            State::Recorded(record) => {
                format!(
                    ", written for {target}, where this database is at {}; `tatmig upgrade` comes first",
                    record.to
                )
            }
            State::New | State::Unversioned => {
                format!(", written for {target}, where this database has no version")
            }
        };
        let seeds = self.changelog.seeds().iter().enumerate();
        let mut steps = Vec::new();
        for name in names {
            let wanted =
                seeds.clone().filter(|(_, seed)| seed.scope == scope && seed.name == *name);
            for (at, _) in wanted {
                if let Some(script) = self.replay.script(scope, StepId::Seed(at)) {
                    let label = format!("the seed `{name}`{elsewhere}");
                    steps.push(Step { script, label, entry: None, applied: Vec::new() });
                }
            }
        }
        Order { foreign_keys: self.practice.foreign_keys, ..Order::of(scope, steps) }
    }

    /// Brings the database of a member to the target.
    #[must_use]
    pub fn upgrade_member(&self, member: &Member, patience: &Patience) -> Verdict {
        match member.open(patience) {
            Ok(mut database) => self.upgrade(member.scope, &mut *database),
            Err(failure) => Verdict::Failed { at: None, failure: Box::new(failure) },
        }
    }

    /// Brings a database to the target.
    pub(crate) fn upgrade(&self, scope: Scope, database: &mut dyn Database) -> Verdict {
        let mut at = None;
        match self.try_upgrade(scope, database, &mut at) {
            Ok(verdict) => verdict,
            Err(failure) => Verdict::from_failure(at, failure),
        }
    }

    /// The same; `at` is where it stood, as soon as that is known.
    fn try_upgrade(
        &self,
        scope: Scope,
        database: &mut dyn Database,
        at: &mut Option<Point>,
    ) -> Result<Verdict, Failure> {
        let mut looks = 0;
        loop {
            let state = database.state()?;
            if let State::Recorded(record) = &state {
                *at = Point::parse(&record.to);
            }
            let document = (self.changelog, Some(self.replay));
            let standing = standing(document, scope, (&state, &*database))?;
            let from = self.point(standing);
            *at = Some(from.clone());
            let Some(errand) = self.errand(scope, standing)? else {
                return Ok(match self.goal {
                    Goal::Up(_) if from > self.target() => Verdict::Above { at: from },
                    Goal::Down(_) if from < self.target() => Verdict::Below { at: from },
                    Goal::Up(_) | Goal::Down(_) => Verdict::Current { at: from },
                });
            };
            match database.apply(&errand.order, &state) {
                Ok(done) => {
                    let (mut notes, duration) = (done.notes, done.duration);
                    if matches!(standing, Standing::Matched(_)) {
                        notes.insert(0, format!("adopted at {from}, whose schema it had"));
                    }
                    let passage = Passage { route: errand.route.clone(), notes, duration };
                    return Ok(match (self.ending, self.goal) {
                        (Ending::Commit, Goal::Up(_)) => Verdict::Upgraded(passage),
                        (Ending::Commit, Goal::Down(_)) => Verdict::Downgraded(passage),
                        (Ending::Rollback, _) => Verdict::Rehearsed(passage),
                    });
                }
                Err(DatabaseError::Moved) if looks < LOOKS => looks += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
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
            Some(evidence::find((changelog, replay), scope, &database.schema()?))
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

fn status_towards(
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
        let finding = evidence::find((changelog, replay), scope, &database.schema()?);
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
    fn failed(version: Option<String>, failure: Failure) -> Self {
        let condition = match &failure {
            Failure::Refused(Refusal::Edited { .. }) => Condition::Edited,
            Failure::Refused(_) => Condition::Ahead,
            Failure::Database(_) | Failure::NotOpened(_) => Condition::Error,
        };
        let (pending, steps, failure) = (Vec::new(), Vec::new(), Some(Box::new(failure)));
        Self { condition, version, pending, steps, position: None, finding: None, failure }
    }
}

/// The statements of an edited migration that are not those that ran, in words.
pub(crate) fn changed_statements(then: &str, now: &str) -> (Vec<String>, Vec<String>) {
    let split = |text: &str| -> Vec<String> {
        sql::fold(text).split(" ; ").filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    let (then, now) = (split(then), split(now));
    let only = |left: &[String], right: &[String]| {
        left.iter().filter(|statement| !right.contains(statement)).cloned().collect()
    };
    (only(&then, &now), only(&now, &then))
}
