//! One database brought to a target: read where it stands, plan, let it apply the order, and look
//! again where another run was faster. The outcome is a value; nothing is printed here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::Database;
use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::database::history_entry::{Applied, Entry, Event, State};
use crate::database::job::{Ending, NOTHING, Order, Step};
use crate::database::policy::Practice;
use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::{Checksum, Migration};
use crate::document::tag::{Point, Scope};
use crate::migrate::replay::Replay;
use crate::migrate::status::{Status, standing, status_towards};
use crate::plan;
use crate::plan::outcome::{Failure, Passage, Route, Verdict};
use crate::plan::{Edit, Goal, Refusal, Standing};
use crate::sql::lexer;
use crate::target::Member;

/// How often a database that moved on between reading and locking is looked at again.
const LOOKS: usize = 10;

/// Which way a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By migrations.
    Up,
    /// By reverse blocks.
    Down,
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

/// The statements of an edited migration that are not those that ran, in words.
fn changed_statements(then: &str, now: &str) -> (Vec<String>, Vec<String>) {
    let split = |text: &str| -> Vec<String> {
        lexer::fold(text).split(" ; ").filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    let (then, now) = (split(then), split(now));
    let only = |left: &[String], right: &[String]| {
        left.iter().filter(|statement| !right.contains(statement)).cloned().collect()
    };
    (only(&then, &now), only(&now, &then))
}
