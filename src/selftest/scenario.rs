//! Runs one scenario: fills a database in memory, upgrades it to head, downgrades it through the
//! reverse blocks and upgrades it again. Compares the contents before and after each transaction.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::history_entry::{HistoryEvent, NewHistoryEntry};
use crate::database::job::{MigrationJob, Step};
use crate::database::{Database, ReadDatabase};
use crate::document::changelog::StepId;
use crate::document::diagnostic::Rule;
use crate::document::tag::VersionPoint;
use crate::document::version_index::VersionIndex;
use crate::migrate::borrowed::BorrowedConnection;
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::plan::position::ChainPosition;
use crate::plan::steps::plan_upgrade;
use crate::schema::Schema;
use crate::selftest::attribute::Finding;
use crate::selftest::context::SelfTestContext;
use crate::selftest::fill::FillReport;
use crate::selftest::snapshot::{IntendedChanges, Snapshot};
use crate::selftest::values::DataProfile;
use crate::selftest::{attribute, fill, snapshot};

/// The result of one scenario.
#[derive(Debug, Default)]
pub(crate) struct ScenarioOutcome {
    pub(crate) fill_report: FillReport,
    /// The lowest point that was reached through reverse blocks.
    pub(crate) down_to: Option<VersionPoint>,
    pub(crate) findings: Vec<Finding>,
}

/// A part of a path through the versions.
#[derive(Clone, Copy)]
enum PathSegment {
    /// An upgrade to the version at this position.
    Up(usize),
    /// This many reverse blocks.
    Down(usize),
}

/// How many steps one transaction has. Single steps from every version cost the square of their
/// number in comparisons, so they are run only where something is wrong, to find the faulty step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StepSize {
    WholeSegment,
    SingleStep,
}

/// Some steps that run in one transaction.
struct Transaction {
    step_ids: Vec<StepId>,
    /// The position that they lead to.
    target: usize,
}

/// Whether rows made a migration fail.
fn is_blocking(finding: &Finding) -> bool {
    matches!(finding.diagnostic.rule, Rule::Constraint | Rule::ForeignKeys | Rule::Sql)
}

impl SelfTestContext<'_, '_> {
    /// Upgrades a database to a position, by the same code as any real database. The outer error
    /// ends the self-test, the inner one is a failed migration.
    pub(crate) fn upgrade(
        &self,
        connection: &mut Connection,
        target: usize,
    ) -> Result<Result<(), MigrateError>, DatabaseError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(DatabaseError::Interrupted);
        }
        let migrator = Migrator::new(self.changelog, self.replay, VersionIndex::new(target));
        let database = BorrowedConnection::new(connection)?;
        let outcome = database.with_session(|session| migrator.upgrade(self.scope, session));
        database.restore()?;
        match outcome? {
            Outcome::Skipped => Err(DatabaseError::Interrupted),
            Outcome::Failed { error: failure, .. } => Ok(Err(*failure)),
            _ => Ok(Ok(())),
        }
    }

    /// The reverse blocks that lead down from a position, in the order in which they run.
    fn reverse_steps(&self, position: usize) -> Vec<StepId> {
        let changelog = self.changelog;
        let mut step_ids: Vec<StepId> = (0..position)
            .rev()
            .map(StepId::Reverse)
            .take_while(|id| changelog.step(*id).is_some())
            .collect();
        let lowest_version = &changelog.versions()[position - step_ids.len()];
        let baseline = changelog
            .baselines()
            .iter()
            .position(|migration| migration.to.version() == Some(lowest_version));
        let id = baseline.map(StepId::BaselineReverse);
        step_ids.extend(id.filter(|id| changelog.step(*id).is_some()));
        step_ids
    }

    /// Runs reverse blocks on a database at a position, in one transaction. The outer error ends
    /// the self-test, the inner one is a failed migration.
    fn downgrade(
        &self,
        connection: &mut Connection,
        position: usize,
        step_ids: &[StepId],
    ) -> Result<Result<(), MigrateError>, DatabaseError> {
        let (changelog, replay, scope) = (self.changelog, self.replay, self.scope);
        let expected_changes =
            replay.expected_changes(scope, ChainPosition::AtVersion(position), step_ids);
        let mut steps = Vec::with_capacity(step_ids.len());
        for id in step_ids {
            let (Some(migration), Some(script)) = (changelog.step(*id), replay.script(scope, *id))
            else {
                continue;
            };
            let position = migration.to.version().and_then(|to| changelog.position(to));
            let history_entry = NewHistoryEntry {
                event: HistoryEvent::Downgrade,
                from: migration.from.to_string(),
                to: migration.to.to_string(),
                checksum: Some(migration.checksum(scope)),
                chain: position.map(|position| changelog.chain_checksum(scope, position)),
                note: None,
            };
            let label = attribute::migration_label(migration);
            steps.push(Step {
                script,
                label,
                history_entry: Some(history_entry),
                sources: Vec::new(),
            });
        }
        let job = MigrationJob { expected_changes, ..MigrationJob::new(scope, steps) };
        let database = BorrowedConnection::new(connection)?;
        let result = database.with_session(|session| {
            session.history_state().and_then(|state| session.apply(&job, &state))
        });
        database.restore()?;
        match result? {
            Ok(_) => Ok(Ok(())),
            Err(DatabaseError::Interrupted) => Err(DatabaseError::Interrupted),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Fills a copy of a database that is at a position and contains only rows of the document, and
    /// runs the scenario on that copy. `head_schema` is the schema at head.
    pub(crate) fn run_scenario(
        &self,
        fixture: &Connection,
        position: usize,
        head_schema: &Schema,
    ) -> Result<ScenarioOutcome, DatabaseError> {
        let edge_case_database = self.copy_database(fixture)?;
        let fill_report =
            fill::fill_tables(&edge_case_database, DataProfile::EdgeCases, head_schema)?;
        let mut down_to = None;
        let mut findings = self.run_paths(&edge_case_database, position, &mut down_to)?;
        if findings.iter().any(is_blocking) {
            // Rows that make a migration fail also keep the later migrations from being tested.
            // Typical rows may get through.
            let typical_database = self.copy_database(fixture)?;
            fill::fill_tables(&typical_database, DataProfile::Typical, head_schema)?;
            let more_findings = self.run_paths(&typical_database, position, &mut down_to)?;
            // If the block has the directive, its author knows that some rows make it fail.
            findings.retain(|finding| !(is_blocking(finding) && self.is_allowed(finding)));
            for finding in more_findings {
                let is_known = findings.iter().any(|known| {
                    known.step_id == finding.step_id
                        && known.diagnostic.rule == finding.diagnostic.rule
                });
                if !is_known {
                    findings.push(finding);
                }
            }
        }
        Ok(ScenarioOutcome { fill_report, down_to, findings })
    }

    /// Whether the block of a finding has a directive that allows a failure.
    fn is_allowed(&self, finding: &Finding) -> bool {
        // A foreign key is a constraint too. `constraint` only accepts that rows may make the
        // migration fail, `foreign-keys` even lets violations through.
        let allowing_rules = match finding.diagnostic.rule {
            Rule::ForeignKeys => &[Rule::ForeignKeys, Rule::Constraint] as &[Rule],
            rule => &[rule],
        };
        finding
            .step_id
            .and_then(|id| self.replay.script(self.scope, id))
            .is_some_and(|script| allowing_rules.iter().any(|rule| script.allows(*rule)))
    }

    /// Runs every path from a position, each on its own copy: to head, back down to the position and
    /// up again; from head as far down as reverse blocks exist, step by step; and from any other
    /// position one step down and up again, with rows that were generated for that position.
    fn run_paths(
        &self,
        database: &Connection,
        position: usize,
        down_to: &mut Option<VersionPoint>,
    ) -> Result<Vec<Finding>, DatabaseError> {
        let head = self.changelog.head_position();
        let reverse_steps = self.reverse_steps(head);
        if position == head {
            let segments = [PathSegment::Down(reverse_steps.len()), PathSegment::Up(head)];
            self.update_down_to(down_to, reverse_steps.last());
            return self.run_path(database, position, &segments, StepSize::SingleStep);
        }
        let reverse_count = reverse_steps.len().min(head - position);
        let mut segments_through_head = vec![PathSegment::Up(position + 1), PathSegment::Up(head)];
        if reverse_count > 0 {
            segments_through_head.extend([PathSegment::Down(reverse_count), PathSegment::Up(head)]);
            self.update_down_to(down_to, reverse_steps.get(reverse_count - 1));
        }
        let mut findings =
            self.run_path(database, position, &segments_through_head, StepSize::WholeSegment)?;
        if !findings.is_empty() {
            let step_findings =
                self.run_path(database, position, &segments_through_head, StepSize::SingleStep)?;
            // Single steps may show no loss: one long transaction may drop a table and create another
            // of its name, which are then compared. But if the long transaction failed, that counts.
            let is_blocked = findings.iter().any(is_blocking);
            if !step_findings.is_empty() || !is_blocked {
                findings = step_findings;
            }
        }
        if let Some(id) = self.reverse_steps(position).first() {
            self.update_down_to(down_to, Some(id));
            let segments = [PathSegment::Down(1), PathSegment::Up(position)];
            findings.extend(self.run_path(database, position, &segments, StepSize::SingleStep)?);
        }
        Ok(findings)
    }

    /// Lowers `down_to` to the point that a step leads to.
    fn update_down_to(&self, down_to: &mut Option<VersionPoint>, id: Option<&StepId>) {
        let to = id.and_then(|id| self.changelog.step(*id)).map(|migration| migration.to.clone());
        *down_to = match (down_to.take(), to) {
            (Some(lowest), Some(to)) => Some(lowest.min(to)),
            (known, to) => known.or(to),
        };
    }

    /// Runs a path on a copy of a database, and compares the contents after each transaction.
    fn run_path(
        &self,
        source: &Connection,
        mut position: usize,
        segments: &[PathSegment],
        step_size: StepSize,
    ) -> Result<Vec<Finding>, DatabaseError> {
        let mut connection = self.copy_database(source)?;
        let mut before = Snapshot::capture(&connection)?;
        let mut findings = Vec::new();
        // Below the lowest baseline there is no position.
        let mut is_below_baseline = false;
        for segment in segments {
            let transactions = match *segment {
                PathSegment::Up(target) => {
                    let start = if is_below_baseline {
                        ChainPosition::BelowBaseline
                    } else {
                        ChainPosition::AtVersion(position)
                    };
                    self.upgrade_transactions(start, target, step_size)
                }
                PathSegment::Down(count) => self.downgrade_transactions(position, count, step_size),
            };
            for Transaction { step_ids, target } in transactions {
                let result = match segment {
                    PathSegment::Up(_) => self.upgrade(&mut connection, target)?,
                    PathSegment::Down(_) => self.downgrade(&mut connection, position, &step_ids)?,
                };
                if let Err(failure) = result {
                    findings.push(attribute::attribute_failure(self, &step_ids, &failure));
                    return Ok(findings);
                }
                let after = Snapshot::capture(&connection)?;
                findings.extend(self.differences(&step_ids, &before, &after));
                (before, position) = (after, target);
                is_below_baseline = matches!(step_ids.last(), Some(StepId::BaselineReverse(_)));
            }
        }
        Ok(findings)
    }

    /// What some steps lost, by the snapshots before and after them.
    pub(crate) fn differences(
        &self,
        step_ids: &[StepId],
        before: &Snapshot,
        after: &Snapshot,
    ) -> Vec<Finding> {
        let mut intended_changes = IntendedChanges::default();
        for script in step_ids.iter().filter_map(|id| self.replay.script(self.scope, *id)) {
            intended_changes.add_script(script);
        }
        let differences = snapshot::differences(before, after, &intended_changes).into_iter();
        differences
            .map(|difference| {
                let table_names = intended_changes.names_of_table(&difference.table);
                attribute::attribute_difference(self, step_ids, &table_names, difference)
            })
            .collect()
    }

    /// The transactions of an upgrade to a position.
    fn upgrade_transactions(
        &self,
        start: ChainPosition,
        target: usize,
        step_size: StepSize,
    ) -> Vec<Transaction> {
        let transaction = |start, target| Transaction {
            step_ids: plan_upgrade(self.changelog, self.scope, start, target),
            target,
        };
        if step_size == StepSize::WholeSegment {
            let whole = transaction(start, target);
            return if whole.step_ids.is_empty() { vec![] } else { vec![whole] };
        }
        let mut transactions = Vec::new();
        let first = if let ChainPosition::AtVersion(position) = start {
            position
        } else {
            transactions.push(transaction(start, 0));
            0
        };
        transactions.extend(
            (first..target).map(|index| transaction(ChainPosition::AtVersion(index), index + 1)),
        );
        transactions
    }

    /// The transactions that run the first `count` reverse blocks from a position.
    fn downgrade_transactions(
        &self,
        position: usize,
        count: usize,
        step_size: StepSize,
    ) -> Vec<Transaction> {
        let step_ids: Vec<StepId> = self.reverse_steps(position).into_iter().take(count).collect();
        let target_position = |id: &StepId| match id {
            StepId::Reverse(index) => *index,
            _ => 0,
        };
        if step_size == StepSize::SingleStep {
            let single = |id| Transaction { step_ids: vec![id], target: target_position(&id) };
            return step_ids.into_iter().map(single).collect();
        }
        match step_ids.last().map(target_position) {
            Some(target) => vec![Transaction { step_ids, target }],
            None => vec![],
        }
    }
}
