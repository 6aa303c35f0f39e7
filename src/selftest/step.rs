//! Runs steps on a database of the self-test, and compares what it holds before and after them.

use std::collections::BTreeSet;

use crate::database::error::DatabaseError;
use crate::database::job::CompiledScript;
use crate::document::changelog::StepId;
use crate::document::diagnostic::Rule;
use crate::plan::outcome::MigrateError;
use crate::plan::position::ChainPosition;
use crate::plan::steps::plan_steps;
use crate::plan::target::Target;
use crate::schema::changes::apply_changes;
use crate::selftest::attribute;
use crate::selftest::attribute::Finding;
use crate::selftest::context::{SelfTestContext, TestDatabase};
use crate::selftest::snapshot;
use crate::selftest::snapshot::{IntendedChanges, Snapshot};
use crate::selftest::state_check::StateBeside;

/// What some steps did.
pub(crate) enum StepOutcome {
    /// They ran, and lost this.
    Applied(Vec<Finding>),
    /// Rows made them fail, and everything was rolled back.
    Blocked(Box<Finding>),
}

impl SelfTestContext<'_, '_> {
    /// The steps from the position of a database to a target; none if a reverse block is missing.
    pub(crate) fn planned_steps(&self, database: &TestDatabase, target: Target) -> Vec<StepId> {
        plan_steps(self.changelog, self.scope, database.chain_position, target).unwrap_or_default()
    }

    /// Brings a database to a target in one transaction and compares what it holds before and
    /// after, in the tables that the steps touch. The error ends the self-test.
    pub(crate) fn run_steps(
        &self,
        database: &mut TestDatabase,
        target: Target,
    ) -> Result<StepOutcome, DatabaseError> {
        let step_ids = self.planned_steps(database, target);
        let scripts: Vec<_> =
            step_ids.iter().filter_map(|id| self.replay.script(self.scope, *id)).collect();
        let mut intended_changes = IntendedChanges::default();
        let mut schema_after = database.schema.clone();
        for script in &scripts {
            intended_changes.add_script(script);
            apply_changes(&mut schema_after, &script.object_changes);
        }
        let mut touched_tables = touched_tables(&scripts);
        let before = Snapshot::capture(&database.connection, &database.schema, &touched_tables)?;
        let state_before =
            StateBeside::read(&database.connection, &database.schema, &touched_tables)?;
        if let Err(failure) = self.migrate(&mut database.connection, target)? {
            let finding = self.blocking_finding(database, &step_ids, &before, &failure)?;
            return Ok(StepOutcome::Blocked(Box::new(finding)));
        }
        let renames = &intended_changes.table_renames;
        let new_names: Vec<String> =
            touched_tables.iter().map(|name| renames.final_name(name)).collect();
        touched_tables.extend(new_names);
        let after = Snapshot::capture(&database.connection, &schema_after, &touched_tables)?;
        let mut differences = snapshot::differences(&before, &after, &intended_changes);
        differences.extend(state_before.differences(
            &database.connection,
            &schema_after,
            &intended_changes,
        )?);
        let findings = differences
            .into_iter()
            .map(|difference| {
                let table_names = intended_changes.names_of_table(&difference.table);
                let table_names =
                    attribute::names_with_triggers(&scripts, table_names, &database.schema);
                attribute::attribute_difference(self, &step_ids, &table_names, difference)
            })
            .collect();
        database.schema = schema_after;
        database.chain_position = match target {
            Target::Up(position) | Target::Down(Some(position)) => {
                ChainPosition::AtVersion(position)
            }
            Target::Down(None) => ChainPosition::BelowBaseline,
        };
        Ok(StepOutcome::Applied(findings))
    }

    /// Why some steps failed, with an example of the rows that made them fail.
    fn blocking_finding(
        &self,
        database: &TestDatabase,
        step_ids: &[StepId],
        before: &Snapshot<'_>,
        failure: &MigrateError,
    ) -> Result<Finding, DatabaseError> {
        let scripts: Vec<_> =
            step_ids.iter().filter_map(|id| self.replay.script(self.scope, *id)).collect();
        let mut finding = attribute::attribute_failure(self, step_ids, failure);
        match failure {
            MigrateError::Database(
                DatabaseError::Statement { message, span, .. }
                | DatabaseError::ConstraintFailed { message, span, .. },
            ) => {
                let example = self.example_row(database, &scripts, message, span)?;
                if let Some(example) = example {
                    finding.diagnostic.message.push_str("; ");
                    finding.diagnostic.message.push_str(&example);
                }
            }
            MigrateError::Database(DatabaseError::RowLoss { table, .. }) => {
                let lost = self.lost_rows(database, &scripts, before, table)?;
                finding.diagnostic.message = lost.unwrap_or(finding.diagnostic.message);
            }
            _ => {}
        }
        Ok(finding)
    }

    /// Describes the rows that a rebuilt table lost, by the names and values of the rows.
    fn lost_rows(
        &self,
        database: &TestDatabase,
        scripts: &[&CompiledScript<'_>],
        before: &Snapshot<'_>,
        table: &str,
    ) -> Result<Option<String>, DatabaseError> {
        let Some(copy) = self.run_unchecked(database, scripts)? else { return Ok(None) };
        let mut intended_changes = IntendedChanges::default();
        let mut schema = database.schema.clone();
        for script in scripts {
            intended_changes.add_script(script);
            apply_changes(&mut schema, &script.object_changes);
        }
        let table_names = BTreeSet::from([table.to_lowercase()]);
        let after = Snapshot::capture(&copy.connection, &schema, &table_names)?;
        let differences = snapshot::differences(before, &after, &intended_changes);
        let lost = differences.into_iter().find(|difference| {
            difference.rule == Rule::RowLoss && difference.table.eq_ignore_ascii_case(table)
        });
        Ok(lost.map(|difference| difference.message))
    }

    /// Whether the block of a finding has a directive that allows a failure.
    pub(crate) fn is_allowed(&self, finding: &Finding) -> bool {
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
}

/// The tables, in lower case, whose rows some scripts may change. A changed column is not among
/// them: `ADD COLUMN` and `DROP COLUMN` keep the rows.
fn touched_tables(scripts: &[&CompiledScript<'_>]) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    for script in scripts {
        tables.extend(script.modified_tables.iter().cloned());
        tables.extend(script.operations.table_renames.old_names().map(str::to_owned));
        tables.extend(script.rebuilt_tables.iter().cloned());
    }
    tables
}
