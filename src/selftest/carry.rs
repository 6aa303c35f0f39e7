//! Carries one database with generated rows from the baseline to head. At each version the tables
//! that the version changes get rows, and a copy is downgraded by one reverse block and upgraded
//! again. At head a copy is downgraded as far as reverse blocks exist, step by step, and upgraded
//! again. So the cost is a few
//! steps and copies for each migration.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::declared::is_declared;
use crate::database::error::DatabaseError;
use crate::document::changelog::StepId;
use crate::document::diagnostic::Rule;
use crate::document::tag::VersionPoint;
use crate::plan::position::ChainPosition;
use crate::plan::target::Target;
use crate::schema::Schema;
use crate::selftest::attribute::Finding;
use crate::selftest::attribute_trigger::attribute_broken_trigger;
use crate::selftest::changed_tables::{TablesToFill, named_tables, tables_changed_by, tables_of};
use crate::selftest::context::replace_rows;
use crate::selftest::context::{SelfTestContext, TestDatabase};
use crate::selftest::fill::{FillGap, FillRequest, GapKind};
use crate::selftest::scope_report::{LocatedFinding, ScopeReport, Stop};
use crate::selftest::snapshot::find_table;
use crate::selftest::step::StepOutcome;
use crate::selftest::values::DataProfile;

/// Tests every version of a scope.
pub(crate) fn test_scope(context: SelfTestContext<'_, '_>) -> Result<ScopeReport, DatabaseError> {
    let mut report = ScopeReport::default();
    let changelog = context.changelog;
    let head = changelog.head_position();
    for baseline_index in 0..changelog.baselines().len() {
        let start = if baseline_index == 0 {
            Some(0)
        } else {
            changelog.baseline_position(baseline_index).filter(|position| {
                *position <= head
                    && changelog.baseline_for(context.scope, *position) == baseline_index
            })
        };
        if let Some(start) = start {
            Carrier::new(context, baseline_index, start, &mut report)?.run()?;
        }
    }
    Ok(report)
}

/// A database on its way up the chain.
struct Carrier<'r, 'c, 'a> {
    context: SelfTestContext<'c, 'a>,
    baseline_index: usize,
    /// The position of the baseline.
    start: usize,
    head: usize,
    head_schema: Schema,
    /// A database without generated rows: what is left where rows make a migration fail.
    plain: TestDatabase,
    filled: TestDatabase,
    /// The position at which each table, in lower case, was first filled.
    first_fills: BTreeMap<String, usize>,
    row_counts: BTreeMap<String, usize>,
    /// The tables, in lower case, that are not filled as intended.
    open_gaps: BTreeMap<(String, GapKind), FillGap>,
    report: &'r mut ScopeReport,
}

impl<'r, 'c, 'a> Carrier<'r, 'c, 'a> {
    fn new(
        context: SelfTestContext<'c, 'a>,
        baseline_index: usize,
        start: usize,
        report: &'r mut ScopeReport,
    ) -> Result<Self, DatabaseError> {
        let head = context.changelog.head_position();
        Ok(Self {
            context,
            baseline_index,
            start,
            head,
            head_schema: context.replay.schema_at(context.scope, head),
            plain: context.new_test_database()?,
            filled: context.new_test_database()?,
            first_fills: BTreeMap::new(),
            row_counts: BTreeMap::new(),
            open_gaps: BTreeMap::new(),
            report,
        })
    }

    fn run(mut self) -> Result<(), DatabaseError> {
        let start = self.start;
        if !self.advance_plain(start)? {
            return Ok(());
        }
        self.filled = self.context.copy_test_database(&self.plain)?;
        self.fill(start, DataProfile::EdgeCases, tables_of(&self.filled.schema))?;
        let first_copy = self.context.copy_test_database(&self.filled)?;
        self.finish_stop(start)?;
        for position in start..self.head {
            if !self.step_up(position)? {
                return Ok(());
            }
            // Later versions are those of the lowest baseline, which are tested already.
            if self.baseline_index == 0 {
                self.finish_stop(position + 1)?;
            }
        }
        self.run_at_once(first_copy)?;
        self.go_down_and_up()
    }

    /// Brings the database without generated rows to a position. Returns whether that succeeded,
    /// which it does unless the document's own rows violate a constraint.
    fn advance_plain(&mut self, position: usize) -> Result<bool, DatabaseError> {
        match self.context.run_steps(&mut self.plain, Target::Up(position))? {
            StepOutcome::Applied(_) => Ok(true),
            StepOutcome::Blocked(finding) => {
                self.add_finding(position.saturating_sub(1), *finding);
                Ok(false)
            }
        }
    }

    /// Applies one migration, and puts rows into the tables that it changes.
    /// Returns whether the version was reached.
    fn step_up(&mut self, position: usize) -> Result<bool, DatabaseError> {
        let scope = self.context.scope;
        let schema_before = self.filled.schema.clone();
        let tables = match self.context.run_steps(&mut self.filled, Target::Up(position + 1))? {
            StepOutcome::Applied(findings) => {
                self.add_findings(position, findings);
                if !self.advance_plain(position + 1)? {
                    return Ok(false);
                }
                let script = self.context.replay.script(scope, StepId::Forward(position));
                script.map_or_else(TablesToFill::new, |script| {
                    tables_changed_by(script, &schema_before, &self.filled.schema)
                })
            }
            StepOutcome::Blocked(finding) => {
                match self.retry_with_typical_rows(position, *finding)? {
                    Some(tables) => tables,
                    None => return Ok(false),
                }
            }
        };
        self.follow_renames(position);
        self.fill(position + 1, DataProfile::EdgeCases, tables)?;
        Ok(true)
    }

    /// Applies a migration, which some rows make fail, to typical rows, so that the rest of the
    /// document is tested all the same: first with typical rows in the tables that it names, then
    /// in all tables. Returns the tables that need further rows; `None` if the version cannot be
    /// reached.
    fn retry_with_typical_rows(
        &mut self,
        position: usize,
        finding: Finding,
    ) -> Result<Option<TablesToFill>, DatabaseError> {
        let (step_id, rule) = (finding.step_id, finding.diagnostic.rule);
        self.add_blocking(position, finding);
        let id = StepId::Forward(position);
        let named_tables = self
            .context
            .replay
            .script(self.context.scope, id)
            .map_or_else(TablesToFill::new, |script| named_tables(script, &self.filled.schema));
        let names: BTreeSet<String> = named_tables.keys().cloned().collect();
        replace_rows(&self.plain, &self.filled, &names)?;
        self.fill(position, DataProfile::Typical, named_tables.clone())?;
        let mut outcome = self.context.run_steps(&mut self.filled, Target::Up(position + 1))?;
        let mut tables = named_tables;
        if matches!(outcome, StepOutcome::Blocked(_)) {
            self.filled = self.context.copy_test_database(&self.plain)?;
            tables = tables_of(&self.plain.schema);
            self.fill(position, DataProfile::Typical, tables)?;
            outcome = self.context.run_steps(&mut self.filled, Target::Up(position + 1))?;
            tables = tables_of(&self.filled.schema);
        }
        if !self.advance_plain(position + 1)? {
            return Ok(None);
        }
        match outcome {
            StepOutcome::Applied(findings) => self.add_findings(position, findings),
            StepOutcome::Blocked(other) => {
                if (other.step_id, other.diagnostic.rule) != (step_id, rule) {
                    self.add_blocking(position, *other);
                }
                self.filled = self.context.copy_test_database(&self.plain)?;
                tables = tables_of(&self.filled.schema);
            }
        }
        Ok(Some(tables))
    }

    /// Puts rows into tables at a position.
    fn fill(
        &mut self,
        position: usize,
        profile: DataProfile,
        tables: TablesToFill,
    ) -> Result<(), DatabaseError> {
        if tables.is_empty() {
            return Ok(());
        }
        self.open_gaps.retain(|(table, _), _| !tables.contains_key(table));
        let request = FillRequest {
            connection: &self.filled.connection,
            schema: &self.filled.schema,
            later_schema: &self.head_schema,
            profile,
            tables,
            has_extensions: !self.context.setup.extensions.is_empty(),
            cancel: &self.context.setup.cancel,
        };
        let fill_report = request.run()?;
        for (table, row_count) in fill_report.row_counts {
            self.first_fills.entry(table.clone()).or_insert(position);
            self.row_counts.insert(table, row_count);
        }
        for gap in fill_report.gaps {
            if gap.kind == GapKind::BrokenTrigger {
                let finding = attribute_broken_trigger(&self.context, position, &self.filled, &gap);
                self.add_located(self.start, position, finding);
            }
            self.open_gaps.insert((gap.table.to_lowercase(), gap.kind), gap);
        }
        Ok(())
    }

    /// Records a version. Downgrades a copy by one reverse block and upgrades it again.
    fn finish_stop(&mut self, position: usize) -> Result<(), DatabaseError> {
        self.row_counts.retain(|table, _| find_table(&self.filled.schema, table).is_some());
        self.open_gaps.retain(|(table, _), _| find_table(&self.filled.schema, table).is_some());
        let mut stop = Stop {
            baseline_index: self.baseline_index,
            position,
            table_count: self.row_counts.values().filter(|count| **count > 0).count(),
            row_count: self.row_counts.values().sum(),
            down_to: None,
            gaps: self.open_gaps.values().cloned().collect(),
        };
        let below = self.target_below(&self.filled);
        stop.down_to = below.as_ref().map(|(_, point)| point.clone());
        self.report.stops.push(stop);
        if let Some((target, _)) = below {
            let mut copy = self.context.copy_test_database(&self.filled)?;
            if self.run_checked(&mut copy, target, position)? {
                self.run_checked(&mut copy, Target::Up(position), position)?;
            }
        }
        Ok(())
    }

    /// Runs steps on a copy and adds what they lose. Returns whether they ran.
    fn run_checked(
        &mut self,
        copy: &mut TestDatabase,
        target: Target,
        position: usize,
    ) -> Result<bool, DatabaseError> {
        match self.context.run_steps(copy, target)? {
            StepOutcome::Applied(findings) => {
                for finding in findings {
                    self.add_located(position, position, finding);
                }
                Ok(true)
            }
            StepOutcome::Blocked(finding) => {
                self.add_blocking(position, *finding);
                Ok(false)
            }
        }
    }

    /// The point that the reverse block of the last step leads to, if there is one.
    fn target_below(&self, database: &TestDatabase) -> Option<(Target, VersionPoint)> {
        let changelog = self.context.changelog;
        let ChainPosition::AtVersion(position) = database.chain_position else { return None };
        let one_down = position.checked_sub(1).map(|below| Target::Down(Some(below)));
        for target in one_down.into_iter().chain([Target::Down(None)]) {
            let step_ids = self.context.planned_steps(database, target);
            if let [id] = step_ids.as_slice()
                && let Some(reverse) = changelog.step(*id)
            {
                return Some((target, reverse.to.clone()));
            }
        }
        None
    }

    /// Downgrades a copy from head as far as reverse blocks exist, step by step, and upgrades it
    /// again.
    fn go_down_and_up(&mut self) -> Result<(), DatabaseError> {
        let mut copy = self.context.copy_test_database(&self.filled)?;
        let mut lowest = None;
        while let Some((target, point)) = self.target_below(&copy) {
            if !self.run_checked(&mut copy, target, self.head)? {
                return Ok(());
            }
            lowest = Some((target, point));
        }
        let Some((target, lowest_point)) = lowest else { return Ok(()) };
        for stop in &mut self.report.stops {
            let version = &self.context.changelog.versions()[stop.position];
            let is_above = lowest_point.version().is_none_or(|lowest| lowest <= version);
            if stop.baseline_index == self.baseline_index && is_above {
                if stop.position == self.head {
                    stop.down_to = Some(lowest_point.clone());
                } else {
                    stop.down_to.get_or_insert_with(|| VersionPoint::Version(version.clone()));
                }
            }
        }
        let first = match target {
            Target::Down(Some(position)) => position + 1,
            Target::Up(_) | Target::Down(None) => 0,
        };
        for position in first..=self.head {
            if !self.run_checked(&mut copy, Target::Up(position), self.head)? {
                break;
            }
        }
        Ok(())
    }

    /// Applies every migration in one transaction, as most databases of a fleet do. What it loses
    /// is known from the single steps; only a failure is new.
    fn run_at_once(&mut self, mut copy: TestDatabase) -> Result<(), DatabaseError> {
        if self.start == self.head {
            return Ok(());
        }
        let outcome = self.context.run_steps(&mut copy, Target::Up(self.head))?;
        if let StepOutcome::Blocked(finding) = outcome
            && !self.context.is_allowed(&finding)
            && finding.diagnostic.rule != Rule::Assert
            && !is_declared(&finding.subject)
        {
            let is_known = self.report.findings.iter().any(|known| {
                known.finding.step_id == finding.step_id
                    && known.finding.diagnostic.rule == finding.diagnostic.rule
            });
            if !is_known {
                self.add_located(self.start, self.start, *finding);
            }
        }
        Ok(())
    }

    fn add_findings(&mut self, position: usize, findings: Vec<Finding>) {
        for finding in findings {
            self.add_finding(position, finding);
        }
    }

    /// Adds what the migration from a position loses: rows of every version since the table was
    /// first filled.
    fn add_finding(&mut self, position: usize, finding: Finding) {
        let first_fill = self.first_fills.get(&finding.table).copied().unwrap_or(self.start);
        let first_position = first_fill.min(position);
        self.add_located(first_position, position, finding);
    }

    /// Adds why rows make the migration from a position fail. If the block has a directive that
    /// allows it, its author knows that some rows do. Rows that do not meet an assertion of the
    /// document, or for which a statement needs the application, are a gap of the test.
    fn add_blocking(&mut self, position: usize, finding: Finding) {
        let needs_application = is_declared(&finding.subject);
        if finding.diagnostic.rule == Rule::Assert || needs_application {
            let kind =
                if needs_application { GapKind::NeedsApplication } else { GapKind::AssertedAway };
            let gap = FillGap {
                table: finding.table,
                kind,
                reason: finding.subject,
                span: Some(finding.diagnostic.span),
            };
            let stop = self.report.stops.last_mut().filter(|stop| !stop.gaps.contains(&gap));
            if let Some(stop) = stop {
                stop.gaps.push(gap);
            }
        } else if !self.context.is_allowed(&finding) {
            self.add_finding(position, finding);
        }
    }

    /// Adds what rows of the versions between two positions, both included, lose.
    fn add_located(&mut self, first_position: usize, last_position: usize, finding: Finding) {
        let baseline_index = self.baseline_index;
        let (first_position, last_position) = if baseline_index == 0 {
            (first_position, last_position)
        } else {
            (self.start, self.start)
        };
        self.report.findings.push(LocatedFinding {
            baseline_index,
            first_position,
            last_position,
            finding,
        });
    }

    fn follow_renames(&mut self, position: usize) {
        let id = StepId::Forward(position);
        let Some(script) = self.context.replay.script(self.context.scope, id) else { return };
        let renames = &script.operations.table_renames;
        let old_fills = std::mem::take(&mut self.first_fills);
        for (table, first_fill) in old_fills {
            self.first_fills.insert(renames.final_name(&table), first_fill);
        }
        let old_counts = std::mem::take(&mut self.row_counts);
        for (table, count) in old_counts {
            self.row_counts.insert(renames.final_name(&table), count);
        }
    }
}
