//! Follows a column that was already applied, and finds the statement that would overwrite its values:
//! the run adds such a column, but the application has filled it before.

use crate::schema::renames::StatementRename;
use crate::schema::statement_effects::StatementEffects;
use crate::sql::tokens::Tokens;

/// A column that was already applied, in every table that holds its values, under the present names.
#[derive(Clone, Debug)]
pub(crate) struct AppliedColumn {
    places: Vec<ColumnPlace>,
}

/// Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ColumnPlace {
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

/// What a statement writes, as far as its effects do not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteKind {
    /// Whether its INSERTs, or those of its triggers, may replace rows.
    pub(crate) replaces_rows: bool,
    /// Whether a table that it drops exists again after its block.
    pub(crate) rebuilds: bool,
}

impl AppliedColumn {
    pub(crate) fn new(table: &str, column: &str) -> Self {
        let mut applied = Self { places: Vec::new() };
        applied.add(table, column);
        applied
    }

    fn add(&mut self, table: &str, column: &str) {
        let (table, column) = (table.to_ascii_lowercase(), column.to_ascii_lowercase());
        let is_known = |known: &ColumnPlace| known.table == table && known.column == column;
        if !self.places.iter().any(is_known) {
            self.places.push(ColumnPlace { table, column, is_copied: false });
        }
    }

    /// What a statement would do to the column, if it would overwrite it.
    pub(crate) fn overwritten_by(
        &self,
        effects: &StatementEffects,
        kind: WriteKind,
    ) -> Option<Overwrite> {
        self.places.iter().find_map(|place| {
            let ColumnPlace { table, column, is_copied } = place.clone();
            if effects.updated_columns.contains(&(table.clone(), column.clone()))
                || (kind.replaces_rows && effects.filled_tables.contains(&table))
            {
                return Some(Overwrite::Write { table, column });
            }
            let is_dropped = effects.dropped_table.as_ref() == Some(&table);
            (is_dropped && kind.rebuilds && !is_copied)
                .then_some(Overwrite::Rebuild { table, column })
        })
    }

    /// Follows a statement that is about to run: what it copies, renames and drops.
    pub(crate) fn follow(&mut self, effects: &StatementEffects, rename: Option<&StatementRename>) {
        for index in 0..self.places.len() {
            let ColumnPlace { table, column, .. } = self.places[index].clone();
            if !effects.read_columns.contains(&(table.clone(), column.clone())) {
                continue;
            }
            for target in effects.filled_tables.iter().filter(|target| **target != table) {
                self.places[index].is_copied = true;
                self.add(target, &column);
            }
        }
        self.places.retain(|place| effects.dropped_table.as_ref() != Some(&place.table));
        for place in &mut self.places {
            match rename {
                Some(StatementRename::Table { from, to }) if place.table == *from => {
                    place.table.clone_from(to);
                }
                Some(StatementRename::Column { table, from, to })
                    if place.table == *table && place.column == *from =>
                {
                    place.column.clone_from(to);
                }
                _ => {}
            }
        }
    }

    /// Follows a statement that drops a column.
    pub(crate) fn drop_column(&mut self, table: &str, column: &str) {
        let is_dropped = |place: &ColumnPlace| {
            place.table.eq_ignore_ascii_case(table) && place.column.eq_ignore_ascii_case(column)
        };
        self.places.retain(|place| !is_dropped(place));
    }

    /// Whether no table holds the values any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.places.is_empty()
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
        let mut applied = AppliedColumn::new("T", "State");
        let copy = StatementEffects {
            read_columns: pairs(&[("t", "state")]),
            filled_tables: ["t_new".to_owned()].into(),
            ..StatementEffects::default()
        };
        let drop =
            StatementEffects { dropped_table: Some("t".to_owned()), ..StatementEffects::default() };
        let rebuilding = WriteKind { replaces_rows: false, rebuilds: true };
        let plain = WriteKind { replaces_rows: false, rebuilds: false };
        let lost = Overwrite::Rebuild { table: "t".to_owned(), column: "state".to_owned() };
        assert_eq!(applied.overwritten_by(&drop, rebuilding), Some(lost));
        assert_eq!(applied.overwritten_by(&drop, plain), None);
        applied.follow(&copy, None);
        assert_eq!(applied.overwritten_by(&drop, rebuilding), None);
        applied.follow(&drop, None);
        let rename = StatementRename::Table { from: "t_new".to_owned(), to: "t".to_owned() };
        applied.follow(&StatementEffects::default(), Some(&rename));
        let update = StatementEffects {
            updated_columns: pairs(&[("t", "state")]),
            ..StatementEffects::default()
        };
        let written = Overwrite::Write { table: "t".to_owned(), column: "state".to_owned() };
        assert_eq!(applied.overwritten_by(&update, plain), Some(written));
        assert!(!applied.is_gone());
        applied.drop_column("T", "STATE");
        assert!(applied.is_gone());
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
