//! The document against itself, without a fleet and without a file: for every version a database
//! in memory is filled with rows that satisfy its constraints, goes to head the way that every
//! real one goes, and down and up again where reverse blocks lead. No row of a table that is
//! still there may be gone or changed, outside the columns that a migration on the way touches.

pub(crate) mod attribute;
pub(crate) mod context;
pub(crate) mod fill;
pub(crate) mod insert_select;
pub(crate) mod scenario;
pub(crate) mod snapshot;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use semver::Version;

use crate::database::error::DatabaseError;
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::Problem;
use crate::document::tag::{Point, Scope};
use crate::migrate::replay::Replay;
use crate::selftest::attribute::Trouble;
use crate::selftest::context::Document;
use crate::selftest::scenario::Outcome;
use crate::selftest::snapshot::Snapshot;

pub use crate::selftest::fill::Shortfall;

/// What came of testing a document against itself.
///
/// ````
/// use tatmig::{Changelog, Replay, SelfTest};
///
/// let changelog = Changelog::parse(
///     "
/// ```sql
/// -- [user:baseline→1.0.0:start]
/// CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
/// -- [user:baseline→1.0.0:end]
/// ```
/// ```sql
/// -- [user:1.0.0→1.1.0:start]
/// CREATE TABLE n (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
/// INSERT INTO n SELECT * FROM notes WHERE body > '';
/// DROP TABLE notes;
/// ALTER TABLE n RENAME TO notes;
/// -- [user:1.0.0→1.1.0:end]
/// ```
/// ",
/// )?;
/// let replay = Replay::run(&changelog, &Default::default())?;
/// let test = SelfTest::run(&changelog, &replay, &Default::default())?;
/// assert!(!test.held());
/// assert_eq!(test.losses[0].problem.rule.name(), "row-loss");
/// assert_eq!(changelog.source().line(test.losses[0].problem.span.start), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ````
#[derive(Clone, Debug, Default)]
pub struct SelfTest {
    /// Every database that was sent through the document; the system's first, by version.
    pub courses: Vec<Course>,
    /// Everything that went wrong, each thing once, in document order.
    pub losses: Vec<Loss>,
    /// Tables that were not filled as they should be.
    pub caveats: Vec<Caveat>,
}

/// One database on its way through the document.
#[derive(Clone, Debug)]
pub struct Course {
    /// What it is a database of.
    pub scope: Scope,
    /// The version at which it was filled.
    pub at: Version,
    /// The baseline that it was made from; the lowest one, but for those that are tested at their
    /// own version.
    pub baseline: Version,
    /// How many tables held rows.
    pub tables: usize,
    /// How many rows they held.
    pub rows: usize,
    /// How far down it was taken by reverse blocks.
    pub down_to: Option<Point>,
    /// Whether all of it was there in the end.
    pub held: bool,
}

/// Something that is lost, or a migration that fails, with rows in the tables.
#[derive(Clone, Debug)]
pub struct Loss {
    /// What the databases were.
    pub scope: Scope,
    /// The versions at which they were filled, ascending.
    pub versions: Vec<Version>,
    /// What, where in the document, and what to do.
    pub problem: Problem,
}

/// A table that was not filled as it should be, so that the test says less of it.
#[derive(Clone, Debug)]
pub struct Caveat {
    /// What the databases were.
    pub scope: Scope,
    /// The table.
    pub table: String,
    /// In what it falls short.
    pub shortfall: Shortfall,
    /// What SQLite said.
    pub reason: String,
    /// The versions at which that was so, ascending.
    pub versions: Vec<Version>,
}

impl SelfTest {
    /// Tests every version up to head for both scopes. `stop`, once set, ends it.
    ///
    /// A document of N versions costs N databases, each of which is upgraded to head: the square
    /// of N in statements, but only N in transactions and comparisons.
    ///
    /// # Errors
    ///
    /// SQLite's, if no database in memory can be made, or if `stop` was set.
    pub fn run(
        changelog: &Changelog<'_>,
        replay: &Replay<'_>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, DatabaseError> {
        let mut test = Self::default();
        for scope in Scope::BOTH.into_iter().filter(|scope| changelog.has(*scope)) {
            let document = Document { changelog, replay, scope, stop };
            test.take(document, courses(document)?);
        }
        test.losses.sort_by_key(|loss| loss.problem.span.start);
        Ok(test)
    }

    /// Whether nothing was lost and nothing failed.
    #[must_use]
    pub fn held(&self) -> bool {
        self.losses.is_empty()
    }

    fn take(&mut self, document: Document<'_, '_>, outcomes: Vec<(Start, Outcome)>) {
        let (changelog, scope) = (document.changelog, document.scope);
        let version = |start: Start| &changelog.versions()[start.position];
        let mut caveats: BTreeMap<(String, Shortfall), Caveat> = BTreeMap::new();
        for (start, outcome) in outcomes {
            let at = version(start).clone();
            for (table, shortfall, reason) in outcome.filled.caveats {
                let versions = Vec::new();
                let entry = caveats
                    .entry((table.to_lowercase(), shortfall))
                    .or_insert_with(|| Caveat { scope, table, shortfall, reason, versions });
                entry.versions.push(at.clone());
            }
            let baseline = &changelog.baselines()[start.baseline];
            self.courses.push(Course {
                scope,
                baseline: baseline.to.version().unwrap_or(&at).clone(),
                tables: outcome.filled.tables,
                rows: outcome.filled.rows,
                down_to: outcome.down_to,
                held: outcome.troubles.is_empty(),
                at: at.clone(),
            });
            for trouble in outcome.troubles {
                let known = self.losses.iter_mut().find(|loss| {
                    loss.scope == scope
                        && loss.problem.rule == trouble.problem.rule
                        && loss.problem.span == trouble.problem.span
                        && loss.problem.label == trouble.subject
                });
                match known {
                    Some(loss) => {
                        // The nearer the start, the plainer the words.
                        loss.problem.message = trouble.problem.message;
                        loss.versions.push(at.clone());
                    }
                    None => {
                        let problem = trouble.problem.label(trouble.subject);
                        self.losses.push(Loss { scope, versions: vec![at.clone()], problem });
                    }
                }
            }
        }
        for loss in self.losses.iter_mut().filter(|loss| loss.scope == scope) {
            loss.versions.sort();
            loss.versions.dedup();
            loss.problem.label = format!("in {scope} databases filled at {}", span(&loss.versions));
        }
        for caveat in caveats.values_mut() {
            caveat.versions.sort();
            caveat.versions.dedup();
        }
        self.caveats.extend(caveats.into_values());
    }
}

/// `1.0.0`, or the first and the last of several.
fn span(versions: &[Version]) -> String {
    match versions {
        [first, .., last] => format!("{first} to {last}"),
        [only] => only.to_string(),
        [] => String::new(),
    }
}

/// Where a database begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Start {
    baseline: usize,
    position: usize,
}

/// Every database of a scope, sent through the document by as many threads as there are
/// processors.
fn courses(document: Document<'_, '_>) -> Result<Vec<(Start, Outcome)>, DatabaseError> {
    let head = document.replay.schema_at(document.scope, document.changelog.head_position());
    let makers = Mutex::new(Makers::new(document)?);
    let outcomes = Mutex::new(Ok(Vec::new()));
    let work = || {
        loop {
            let next = makers.lock().unwrap_or_else(PoisonError::into_inner).next();
            let result = match next {
                Ok(None) => break,
                Ok(Some((start, empty))) => {
                    document.run(&empty, start.position, &head).map(|outcome| (start, outcome))
                }
                Err(error) => Err(error),
            };
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *outcomes, result) {
                (Ok(outcomes), Ok(outcome)) => outcomes.push(outcome),
                (Ok(_), Err(error)) => *outcomes = Err(error),
                (Err(_), _) => {}
            }
            if outcomes.is_err() {
                break;
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(document.changelog.head_position() + 1) {
            // Where the system gives no more threads, those that run do the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    for (start, trouble) in makers.into_inner().unwrap_or_else(PoisonError::into_inner).troubles {
        if let Some((_, outcome)) = outcomes.iter_mut().find(|(known, _)| *known == start) {
            outcome.troubles.push(trouble);
        }
    }
    outcomes.sort_by_key(|(start, _)| *start);
    Ok(outcomes)
}

/// Makes databases without rows of an application's: one at each version, by one migration from
/// the one before, and then one from each later baseline.
struct Makers<'c, 'a> {
    document: Document<'c, 'a>,
    chain: Connection,
    held: Snapshot,
    next: usize,
    baseline: usize,
    /// What is lost on the way even without rows: an index, a trigger, a row of the document's.
    troubles: Vec<(Start, Trouble)>,
}

impl<'c, 'a> Makers<'c, 'a> {
    fn new(document: Document<'c, 'a>) -> Result<Self, DatabaseError> {
        let chain = document.empty()?;
        let held = Snapshot::take(&chain)?;
        Ok(Self { document, chain, held, next: 0, baseline: 1, troubles: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<(Start, Connection)>, DatabaseError> {
        let changelog = self.document.changelog;
        let head = changelog.head_position();
        if self.next <= head {
            let position = self.next;
            self.next += 1;
            made(self.document.up(&mut self.chain, position)?)?;
            let snapshot = Snapshot::take(&self.chain)?;
            if position > 0 {
                let start = Start { position: position - 1, baseline: 0 };
                let ids = [StepId::Forward(position - 1)];
                let lost = self.document.differences(&ids, (&self.held, &snapshot));
                self.troubles.extend(lost.into_iter().map(|(_, trouble)| (start, trouble)));
            }
            self.held = snapshot;
            let copy = self.document.copy(&self.chain)?;
            return Ok(Some((Start { position, baseline: 0 }, copy)));
        }
        while let Some(migration) = changelog.step(StepId::Baseline(self.baseline)) {
            let baseline = self.baseline;
            self.baseline += 1;
            let position = migration.to.version().and_then(|to| changelog.position(to));
            let Some(position) = position.filter(|position| *position <= head) else { continue };
            if changelog.baseline_for(self.document.scope, position) == baseline {
                let mut new = self.document.empty()?;
                made(self.document.up(&mut new, position)?)?;
                return Ok(Some((Start { baseline, position }, new)));
            }
        }
        Ok(None)
    }
}

/// The replay ran these very statements where there was nothing; what fails here is not theirs.
fn made(result: Result<(), crate::plan::outcome::Failure>) -> Result<(), DatabaseError> {
    match result {
        Ok(()) => Ok(()),
        Err(crate::plan::outcome::Failure::Database(error)) => Err(error),
        Err(_) => Err(DatabaseError::Moved),
    }
}
