//! Compares tables that several steps of a run rebuild together: one step sets the old table aside and
//! a later one drops it, or two steps rebuild the same table. Seen from each step alone, nothing is
//! lost.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::job::{CompiledScript, MigrationJob};
use crate::document::diagnostic::Rule;
use crate::sqlite::rebuilt_tables::{RebuiltTable, TableState, count_rows};

/// The tables of a run that several steps rebuild.
pub(crate) struct SplitRebuilds(Vec<RunningRebuild>);

struct RunningRebuild {
    rebuild: SplitRebuild,
    /// The table before the first step of the rebuild.
    before: TableState,
    /// The most rows that the table has had after a step: a later step may delete some.
    most_rows: Option<i64>,
}

/// A table that is dropped after an earlier step has already replaced it.
#[derive(Debug, PartialEq, Eq)]
struct SplitRebuild {
    /// The name before the rebuild, in lower case. The rebuilt table has it again.
    table: String,
    /// The name before the step that drops the old table.
    dropped: String,
    first_step: usize,
    last_step: usize,
}

impl SplitRebuilds {
    pub(crate) fn find(job: &MigrationJob<'_>) -> Self {
        let scripts = job.steps.iter().map(|step| step.script);
        let rebuilds = find_split_rebuilds(scripts).into_iter().map(|rebuild| RunningRebuild {
            rebuild,
            before: TableState::default(),
            most_rows: None,
        });
        Self(rebuilds.collect())
    }

    /// Reads the tables whose rebuild begins with a step.
    pub(crate) fn before_step(
        &mut self,
        connection: &Connection,
        step_index: usize,
    ) -> Result<(), DatabaseError> {
        for running in self.0.iter_mut().filter(|it| it.rebuild.first_step == step_index) {
            running.before = TableState::read(connection, &running.rebuild.table)?;
        }
        Ok(())
    }

    /// Checks the tables whose rebuild ends with a step.
    ///
    /// # Errors
    ///
    /// [`DatabaseError::RowLoss`] or [`DatabaseError::CounterReset`].
    pub(crate) fn after_step(
        &mut self,
        connection: &Connection,
        job: &MigrationJob<'_>,
        step_index: usize,
    ) -> Result<(), DatabaseError> {
        for RunningRebuild { rebuild, before, most_rows } in &mut self.0 {
            let SplitRebuild { table, dropped, first_step, last_step } = &*rebuild;
            if !(*first_step..=*last_step).contains(&step_index) {
                continue;
            }
            *most_rows = (*most_rows).max(count_rows(connection, table)?);
            // A table that does not exist any more was dropped on purpose.
            if *last_step != step_index || most_rows.is_none() {
                continue;
            }
            let steps = &job.steps[*first_step..=*last_step];
            let allows = |rule| steps.iter().any(|step| step.script.allows(rule));
            // Each step has checked the rows of a table that it rebuilds entirely.
            if allows(Rule::RowLoss) || table == dropped {
                before.row_count = None;
            }
            if allows(Rule::CounterReset) {
                before.counters.clear();
            }
            let step = &job.steps[step_index];
            let rebuilt = RebuiltTable {
                name: table,
                migration: &step.label,
                span: step.script.rebuild_span(dropped),
            };
            rebuilt.check(connection, before, most_rows.unwrap_or(0))?;
        }
        Ok(())
    }
}

/// Finds the drops of tables that have replaced, or that were replaced by, a table of an earlier
/// step.
fn find_split_rebuilds<'s>(
    scripts: impl Iterator<Item = &'s CompiledScript<'s>>,
) -> Vec<SplitRebuild> {
    // The first name of each renamed table, and the step that renamed it.
    let mut set_aside: BTreeMap<String, (String, usize)> = BTreeMap::new();
    let mut first_rebuilds: BTreeMap<String, usize> = BTreeMap::new();
    let mut rebuilds = Vec::new();
    for (step, script) in scripts.enumerate() {
        for dropped in &script.dropped_tables {
            let (table, first_step) = match (set_aside.get(dropped), first_rebuilds.get(dropped)) {
                (Some((table, first_step)), _) => (table.clone(), Some(*first_step)),
                (None, first_step) => (dropped.clone(), first_step.copied()),
            };
            if let Some(first_step) = first_step {
                let dropped = dropped.clone();
                rebuilds.push(SplitRebuild { table, dropped, first_step, last_step: step });
            } else if script.rebuilt_tables.contains(dropped) {
                first_rebuilds.insert(table, step);
            }
        }
        for (from, to) in script.operations.table_renames.pairs() {
            // A rebuilt table keeps its name.
            if script.rebuilt_tables.iter().any(|table| table == from || table == to) {
                continue;
            }
            let first = set_aside.remove(from).unwrap_or_else(|| (from.to_owned(), step));
            set_aside.insert(to.to_owned(), first);
        }
    }
    rebuilds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(
        renames: &[(&str, &str)],
        dropped: &[&str],
        rebuilt: &[&str],
    ) -> CompiledScript<'static> {
        let mut script = CompiledScript::default();
        for (from, to) in renames {
            script.operations.table_renames.push((*from).to_owned(), (*to).to_owned());
        }
        script.dropped_tables = dropped.iter().map(|name| (*name).to_owned()).collect();
        script.rebuilt_tables = rebuilt.iter().map(|name| (*name).to_owned()).collect();
        script
    }

    #[track_caller]
    fn assert_found(scripts: &[CompiledScript<'static>], expected: &[(&str, usize)]) {
        let found = find_split_rebuilds(scripts.iter());
        let found: Vec<_> =
            found.iter().map(|rebuild| (rebuild.table.as_str(), rebuild.last_step)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_table_that_is_set_aside_and_dropped_later_is_found() {
        let aside = script(&[("t", "t_old")], &[], &[]);
        let drop = script(&[], &["t_old"], &[]);
        assert_found(&[aside, script(&[], &[], &[]), drop], &[("t", 2)]);
    }

    #[test]
    fn a_table_that_is_rebuilt_twice_is_found() {
        let rebuild = || script(&[("t_new", "t")], &["t"], &["t"]);
        assert_found(&[rebuild(), rebuild()], &[("t", 1)]);
        assert_found(&[rebuild()], &[]);
    }

    #[test]
    fn a_table_that_is_only_dropped_or_renamed_is_not_found() {
        assert_found(&[script(&[], &["t"], &[]), script(&[], &["u"], &[])], &[]);
        assert_found(&[script(&[("t", "u")], &[], &[]), script(&[("u", "v")], &[], &[])], &[]);
    }
}
