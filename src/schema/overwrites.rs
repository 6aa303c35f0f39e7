//! Follows columns that were already applied, and finds the statement that would overwrite their
//! values: the run adds such a column, but the application has filled it before.

use crate::schema::renames::StatementRename;
use crate::schema::statement_effects::StatementEffects;
use crate::sql::tokens::Tokens;

/// The columns of a database that were already applied, under their present names.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppliedColumns {
    columns: Vec<AppliedColumn>,
}

/// Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AppliedColumn {
    table: String,
    column: String,
    /// Whether a statement has copied the values into another table.
    is_copied: bool,
}

/// What a statement would do to a column that was already applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// An UPDATE, or an INSERT that replaces rows.
    Write { table: String, column: String },
    /// A rebuild that does not copy the column.
    Rebuild { table: String, column: String },
}

impl AppliedColumns {
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub(crate) fn add(&mut self, table: &str, column: &str) {
        let (table, column) = (table.to_ascii_lowercase(), column.to_ascii_lowercase());
        let is_known = |known: &AppliedColumn| known.table == table && known.column == column;
        if !self.columns.iter().any(is_known) {
            self.columns.push(AppliedColumn { table, column, is_copied: false });
        }
    }

    /// The first column that a statement would overwrite. `replaces_rows` says whether its INSERTs,
    /// or those of its triggers, may replace rows; `rebuilds` whether a table that the statement
    /// drops exists again after its block.
    pub(crate) fn overwritten_by(
        &self,
        effects: &StatementEffects,
        replaces_rows: bool,
        rebuilds: bool,
    ) -> Option<Overwrite> {
        self.columns.iter().find_map(|applied| {
            let AppliedColumn { table, column, is_copied } = applied.clone();
            if effects.updated_columns.contains(&(table.clone(), column.clone()))
                || (replaces_rows && effects.filled_tables.contains(&table))
            {
                return Some(Overwrite::Write { table, column });
            }
            let is_dropped = effects.dropped_table.as_ref() == Some(&table);
            (is_dropped && rebuilds && !is_copied).then_some(Overwrite::Rebuild { table, column })
        })
    }

    /// Follows a statement that ran: what it copied, renamed and dropped.
    pub(crate) fn follow(&mut self, effects: &StatementEffects, rename: Option<&StatementRename>) {
        for index in 0..self.columns.len() {
            let AppliedColumn { table, column, .. } = self.columns[index].clone();
            if !effects.read_columns.contains(&(table.clone(), column.clone())) {
                continue;
            }
            for target in effects.filled_tables.iter().filter(|target| **target != table) {
                self.columns[index].is_copied = true;
                self.add(target, &column);
            }
        }
        self.columns.retain(|applied| effects.dropped_table.as_ref() != Some(&applied.table));
        for applied in &mut self.columns {
            match rename {
                Some(StatementRename::Table { from, to }) if applied.table == *from => {
                    applied.table.clone_from(to);
                }
                Some(StatementRename::Column { table, from, to })
                    if applied.table == *table && applied.column == *from =>
                {
                    applied.column.clone_from(to);
                }
                _ => {}
            }
        }
    }
}

/// Whether a statement, a trigger or a table has a conflict clause that replaces rows. The function
/// `replace(…)` is not one.
pub(crate) fn replaces_rows(sql: &str) -> bool {
    let tokens = Tokens::new(sql);
    (0..tokens.len()).any(|index| tokens.is(index, "REPLACE") && !tokens.is(index + 1, "("))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(columns: &[(&str, &str)]) -> std::collections::BTreeSet<(String, String)> {
        columns.iter().map(|(table, column)| ((*table).to_owned(), (*column).to_owned())).collect()
    }

    #[test]
    fn a_copied_column_is_followed_to_the_rebuilt_table() {
        let mut applied = AppliedColumns::default();
        applied.add("T", "State");
        let copy = StatementEffects {
            read_columns: pairs(&[("t", "state")]),
            filled_tables: ["t_new".to_owned()].into(),
            ..StatementEffects::default()
        };
        let drop =
            StatementEffects { dropped_table: Some("t".to_owned()), ..StatementEffects::default() };
        let lost = Overwrite::Rebuild { table: "t".to_owned(), column: "state".to_owned() };
        assert_eq!(applied.overwritten_by(&drop, false, true), Some(lost));
        assert_eq!(applied.overwritten_by(&drop, false, false), None);
        applied.follow(&copy, None);
        assert_eq!(applied.overwritten_by(&drop, false, true), None);
        applied.follow(&drop, None);
        let rename = StatementRename::Table { from: "t_new".to_owned(), to: "t".to_owned() };
        applied.follow(&StatementEffects::default(), Some(&rename));
        let update = StatementEffects {
            updated_columns: pairs(&[("t", "state")]),
            ..StatementEffects::default()
        };
        let written = Overwrite::Write { table: "t".to_owned(), column: "state".to_owned() };
        assert_eq!(applied.overwritten_by(&update, false, false), Some(written));
    }

    #[test]
    fn only_a_conflict_clause_replaces_rows() {
        assert!(replaces_rows("INSERT OR REPLACE INTO t VALUES (1)"));
        assert!(replaces_rows("REPLACE INTO t VALUES (1)"));
        assert!(replaces_rows("CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)"));
        assert!(!replaces_rows("UPDATE t SET a = replace(a, 'x', 'y')"));
        assert!(!replaces_rows("INSERT INTO \"replace\" VALUES ('REPLACE')"));
    }
}
