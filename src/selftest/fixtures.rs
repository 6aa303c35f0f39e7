//! Creates the databases of the self-test, one for each version and baseline, and runs a scenario on
//! each of them in parallel.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::document::changelog::StepId;
use crate::plan::outcome::MigrateError;
use crate::selftest::attribute::Finding;
use crate::selftest::context::SelfTestContext;
use crate::selftest::scenario::ScenarioOutcome;
use crate::selftest::snapshot::Snapshot;

/// The version and the baseline with which a scenario starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StartPoint {
    pub(crate) baseline_index: usize,
    pub(crate) position: usize,
}

/// Runs every scenario of a scope, on as many threads as the machine has processors. The result is
/// sorted by start point.
pub(crate) fn run_scenarios(
    context: SelfTestContext<'_, '_>,
) -> Result<Vec<(StartPoint, ScenarioOutcome)>, DatabaseError> {
    let head_schema = context.replay.schema_at(context.scope, context.changelog.head_position());
    let fixtures = Mutex::new(Fixtures::new(context)?);
    let outcomes = Mutex::new(Ok(Vec::new()));
    let run_next_scenarios = || {
        loop {
            let next = fixtures.lock().unwrap_or_else(PoisonError::into_inner).next_fixture();
            let result = match next {
                Ok(None) => break,
                Ok(Some(fixture)) => context
                    .run_scenario(&fixture.database, fixture.start.position, &head_schema)
                    .map(|outcome| (fixture.start, outcome)),
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
        for _ in 1..threads.min(context.changelog.head_position() + 1) {
            // If the system cannot start another thread, the running ones do the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, run_next_scenarios);
        }
        run_next_scenarios();
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    for (start, finding) in fixtures.into_inner().unwrap_or_else(PoisonError::into_inner).findings {
        if let Some((_, outcome)) = outcomes.iter_mut().find(|(other, _)| *other == start) {
            outcome.findings.push(finding);
        }
    }
    outcomes.sort_by_key(|(start, _)| *start);
    Ok(outcomes)
}

/// A database that contains no rows except those that the document inserts.
struct Fixture {
    start: StartPoint,
    database: Connection,
}

/// Creates the databases of the scenarios: one for each version, from the previous version by one
/// migration, and then one from each later baseline.
struct Fixtures<'c, 'a> {
    context: SelfTestContext<'c, 'a>,
    /// The database that is upgraded from version to version.
    chain_database: Connection,
    /// What the chain database holds.
    snapshot: Snapshot,
    next_position: usize,
    next_baseline: usize,
    /// What is lost even without generated rows: an index, a trigger, or a row that the document
    /// inserted.
    findings: Vec<(StartPoint, Finding)>,
}

impl<'c, 'a> Fixtures<'c, 'a> {
    fn new(context: SelfTestContext<'c, 'a>) -> Result<Self, DatabaseError> {
        let chain_database = context.empty_database()?;
        let snapshot = Snapshot::capture(&chain_database)?;
        Ok(Self {
            context,
            chain_database,
            snapshot,
            next_position: 0,
            next_baseline: 1,
            findings: Vec::new(),
        })
    }

    /// Creates the next database; `None` after the last.
    fn next_fixture(&mut self) -> Result<Option<Fixture>, DatabaseError> {
        let changelog = self.context.changelog;
        let head = changelog.head_position();
        if self.next_position <= head {
            let position = self.next_position;
            self.next_position += 1;
            expect_success(self.context.upgrade(&mut self.chain_database, position)?)?;
            let snapshot = Snapshot::capture(&self.chain_database)?;
            if position > 0 {
                let start = StartPoint { position: position - 1, baseline_index: 0 };
                let step_ids = [StepId::Forward(position - 1)];
                let findings = self.context.differences(&step_ids, &self.snapshot, &snapshot);
                self.findings.extend(findings.into_iter().map(|finding| (start, finding)));
            }
            self.snapshot = snapshot;
            let database = self.context.copy_database(&self.chain_database)?;
            let start = StartPoint { position, baseline_index: 0 };
            return Ok(Some(Fixture { start, database }));
        }
        while let Some(migration) = changelog.step(StepId::Baseline(self.next_baseline)) {
            let baseline_index = self.next_baseline;
            self.next_baseline += 1;
            let position = migration.to.version().and_then(|to| changelog.position(to));
            let Some(position) = position.filter(|position| *position <= head) else { continue };
            if changelog.baseline_for(self.context.scope, position) == baseline_index {
                let mut database = self.context.empty_database()?;
                expect_success(self.context.upgrade(&mut database, position)?)?;
                let start = StartPoint { baseline_index, position };
                return Ok(Some(Fixture { start, database }));
            }
        }
        Ok(None)
    }
}

/// Passes on an error of an upgrade without generated rows. The replay has already run the same
/// statements on an empty database, so their failure here has a cause outside the document.
fn expect_success(result: Result<(), MigrateError>) -> Result<(), DatabaseError> {
    match result {
        Ok(()) => Ok(()),
        Err(MigrateError::Database(error)) => Err(error),
        Err(_) => Err(DatabaseError::ConcurrentChange),
    }
}
