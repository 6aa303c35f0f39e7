//! One database in memory, made at a version, filled, and sent through the document: to head, down
//! by the reverse blocks and up again. What it holds is compared leg by leg.

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
use crate::migrate::embedded::BorrowedConnection;
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::plan::position::ChainPosition;
use crate::plan::steps::plan_upgrade;
use crate::schema::Schema;
use crate::selftest::attribute::Finding;
use crate::selftest::context::SelfTestContext;
use crate::selftest::fill::FillReport;
use crate::selftest::snapshot::{Difference, IntendedChanges, Snapshot};
use crate::selftest::values::DataProfile;
use crate::selftest::{attribute, fill, snapshot};

/// What came of one database.
#[derive(Debug, Default)]
pub(crate) struct ScenarioOutcome {
    pub(crate) fill_report: FillReport,
    /// How far down the reverse blocks led.
    pub(crate) down_to: Option<VersionPoint>,
    pub(crate) findings: Vec<Finding>,
}

/// A way that is gone in one transaction.
#[derive(Clone, Copy)]
enum PathSegment {
    /// To the version at a position.
    Up(usize),
    /// As many reverse blocks as that.
    Down(usize),
}

/// How long the legs are. Going step by step from every version costs the square of their number
/// in comparisons, so that is done only where something is wrong, to find the step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StepSize {
    WholeSegment,
    SingleStep,
}

/// Each with the step that it came from, as far as that is known.
type FindingsResult = Result<Vec<(Option<StepId>, Finding)>, DatabaseError>;

/// Whether rows stopped a migration.
fn is_blocking(finding: &Finding) -> bool {
    matches!(finding.diagnostic.rule, Rule::Constraint | Rule::ForeignKeys | Rule::Sql)
}

impl SelfTestContext<'_, '_> {
    /// Brings a database up to a position, the way that every real one goes.
    pub(crate) fn upgrade(
        &self,
        connection: &mut Connection,
        target: usize,
    ) -> Result<Result<(), MigrateError>, DatabaseError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(DatabaseError::Interrupted);
        }
        let migrator = Migrator::new(self.changelog, self.replay, VersionIndex::new(target));
        let mut database = BorrowedConnection::new(connection)?;
        let outcome = migrator.upgrade(self.scope, &mut database);
        database.restore()?;
        match outcome {
            Outcome::Skipped => Err(DatabaseError::Interrupted),
            Outcome::Failed { error: failure, .. } => Ok(Err(*failure)),
            _ => Ok(Ok(())),
        }
    }

    /// The reverse blocks that lead down from a position, the first of them first.
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

    fn downgrade(
        &self,
        connection: &mut Connection,
        (position, step_ids): (usize, &[StepId]),
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
        let mut database = BorrowedConnection::new(connection)?;
        let result = database.history_state().and_then(|state| database.apply(&job, &state));
        database.restore()?;
        match result {
            Ok(_) => Ok(Ok(())),
            Err(DatabaseError::Interrupted) => Err(DatabaseError::Interrupted),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Fills a database that stands at a position and holds nothing but what the document put in,
    /// and sends it through the document. `head` is the schema that it leads to.
    pub(crate) fn run_scenario(
        &self,
        fixture: &Connection,
        position: usize,
        head_schema: &Schema,
    ) -> Result<ScenarioOutcome, DatabaseError> {
        let edge_case_database = self.copy_database(fixture)?;
        let mut outcome = ScenarioOutcome {
            fill_report: fill::fill_tables(
                &edge_case_database,
                DataProfile::EdgeCases,
                head_schema,
            )?,
            ..ScenarioOutcome::default()
        };
        let mut findings = self.run_paths(&edge_case_database, position, &mut outcome.down_to)?;
        if findings.iter().any(|(_, finding)| is_blocking(finding)) {
            // Rows that stop the run keep what is behind them from being tried; others may not.
            let typical_database = self.copy_database(fixture)?;
            fill::fill_tables(&typical_database, DataProfile::Typical, head_schema)?;
            let more_findings =
                self.run_paths(&typical_database, position, &mut outcome.down_to)?;
            // That some rows may stop it is known to its author, if the block says so.
            findings
                .retain(|(id, finding)| !(is_blocking(finding) && self.is_allowed(*id, finding)));
            for (id, finding) in more_findings {
                let is_known = findings.iter().any(|(other, found)| {
                    *other == id && found.diagnostic.rule == finding.diagnostic.rule
                });
                if !is_known {
                    findings.push((id, finding));
                }
            }
        }
        outcome.findings = findings.into_iter().map(|(_, finding)| finding).collect();
        Ok(outcome)
    }

    fn is_allowed(&self, id: Option<StepId>, finding: &Finding) -> bool {
        // A foreign key is a constraint too: to know that rows may stop the run is less than to let
        // them through, which `foreign-keys` does.
        let allowing_rules = match finding.diagnostic.rule {
            Rule::ForeignKeys => &[Rule::ForeignKeys, Rule::Constraint] as &[Rule],
            rule => &[rule],
        };
        id.and_then(|id| self.replay.script(self.scope, id))
            .is_some_and(|script| allowing_rules.iter().any(|rule| script.allows(*rule)))
    }

    /// Every way from a position, each from a copy of its own: to head, back down to where it came
    /// from and up again; from head as far down as the reverse blocks lead, step by step; and on
    /// the way one step down with rows that were made for it.
    fn run_paths(
        &self,
        database: &Connection,
        position: usize,
        down_to: &mut Option<VersionPoint>,
    ) -> FindingsResult {
        let head = self.changelog.head_position();
        let reverse_steps = self.reverse_steps(head);
        if position == head {
            let segments = [PathSegment::Down(reverse_steps.len()), PathSegment::Up(head)];
            self.update_down_to(down_to, reverse_steps.last());
            return self.run_path(database, position, (&segments, StepSize::SingleStep));
        }
        let reverse_count = reverse_steps.len().min(head - position);
        let mut segments_through_head = vec![PathSegment::Up(position + 1), PathSegment::Up(head)];
        if reverse_count > 0 {
            segments_through_head.extend([PathSegment::Down(reverse_count), PathSegment::Up(head)]);
            self.update_down_to(down_to, reverse_steps.get(reverse_count - 1));
        }
        let mut findings =
            self.run_path(database, position, (&segments_through_head, StepSize::WholeSegment))?;
        if !findings.is_empty() {
            let step_findings =
                self.run_path(database, position, (&segments_through_head, StepSize::SingleStep))?;
            // Step by step nothing need be wrong: a table may have gone and come again within one
            // long leg. But a transaction that fails as a whole has failed.
            let is_blocked = findings.iter().any(|(_, finding)| is_blocking(finding));
            if !step_findings.is_empty() || !is_blocked {
                findings = step_findings;
            }
        }
        if let Some(id) = self.reverse_steps(position).first() {
            self.update_down_to(down_to, Some(id));
            let segments = [PathSegment::Down(1), PathSegment::Up(position)];
            findings.extend(self.run_path(
                database,
                position,
                (&segments, StepSize::SingleStep),
            )?);
        }
        Ok(findings)
    }

    /// Notes how far down a step leads.
    fn update_down_to(&self, down_to: &mut Option<VersionPoint>, id: Option<&StepId>) {
        let to = id.and_then(|id| self.changelog.step(*id)).map(|migration| migration.to.clone());
        *down_to = match (down_to.take(), to) {
            (Some(lowest), Some(to)) => Some(lowest.min(to)),
            (known, to) => known.or(to),
        };
    }

    /// Goes some legs, and compares after each.
    fn run_path(
        &self,
        source: &Connection,
        mut position: usize,
        (segments, step_size): (&[PathSegment], StepSize),
    ) -> FindingsResult {
        let mut connection = self.copy_database(source)?;
        let mut before = Snapshot::capture(&connection)?;
        let mut findings = Vec::new();
        // Below the lowest baseline there is no position.
        let mut is_below_baseline = false;
        for segment in segments {
            for (step_ids, target) in
                self.transactions((position, is_below_baseline), (*segment, step_size))
            {
                let result = match segment {
                    PathSegment::Up(_) => self.upgrade(&mut connection, target)?,
                    PathSegment::Down(_) => {
                        self.downgrade(&mut connection, (position, &step_ids))?
                    }
                };
                if let Err(failure) = result {
                    findings.push(attribute::attribute_failure(self, &step_ids, &failure));
                    return Ok(findings);
                }
                let after = Snapshot::capture(&connection)?;
                findings.extend(self.differences(&step_ids, (&before, &after)));
                (before, position) = (after, target);
                is_below_baseline = matches!(step_ids.last(), Some(StepId::BaselineReverse(_)));
            }
        }
        Ok(findings)
    }

    /// What is lost between two snapshots on the way of some steps.
    pub(crate) fn differences(
        &self,
        step_ids: &[StepId],
        (before, after): (&Snapshot, &Snapshot),
    ) -> Vec<(Option<StepId>, Finding)> {
        let mut intended_changes = IntendedChanges::default();
        for script in step_ids.iter().filter_map(|id| self.replay.script(self.scope, *id)) {
            intended_changes.add_script(script);
        }
        let differences = snapshot::differences(before, after, &intended_changes).into_iter();
        let table_names =
            |difference: &Difference| intended_changes.names_of_table(&difference.table);
        differences
            .map(|difference| {
                attribute::attribute_difference(
                    self,
                    step_ids,
                    (&table_names(&difference), difference),
                )
            })
            .collect()
    }

    /// The transactions of a leg: the steps of each, and the position that it leads to.
    fn transactions(
        &self,
        (position, is_below_baseline): (usize, bool),
        (segment, step_size): (PathSegment, StepSize),
    ) -> Vec<(Vec<StepId>, usize)> {
        match segment {
            PathSegment::Up(target) => {
                let chain_position = if is_below_baseline {
                    ChainPosition::BelowBaseline
                } else {
                    ChainPosition::AtVersion(position)
                };
                let step_ids = |chain_position, target| {
                    plan_upgrade(self.changelog, self.scope, chain_position, target)
                };
                if step_size == StepSize::WholeSegment {
                    let step_ids = step_ids(chain_position, target);
                    return if step_ids.is_empty() { vec![] } else { vec![(step_ids, target)] };
                }
                let mut transactions = Vec::new();
                let mut from = position;
                if is_below_baseline {
                    from = 0;
                    transactions.push((step_ids(chain_position, 0), 0));
                }
                transactions.extend((from..target).map(|index| {
                    (step_ids(ChainPosition::AtVersion(index), index + 1), index + 1)
                }));
                transactions
            }
            PathSegment::Down(count) => {
                let ids: Vec<StepId> =
                    self.reverse_steps(position).into_iter().take(count).collect();
                let target_position = |id: &StepId| match id {
                    StepId::Reverse(at) => *at,
                    _ => 0,
                };
                if step_size == StepSize::SingleStep {
                    return ids.iter().map(|id| (vec![*id], target_position(id))).collect();
                }
                let target = ids.last().map_or(position, target_position);
                if ids.is_empty() { vec![] } else { vec![(ids, target)] }
            }
        }
    }
}
