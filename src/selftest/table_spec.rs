//! Describes what the rows of a table have to satisfy: columns, CHECK constraints and foreign keys.
//! Orders the tables so that parents come before children.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::{ForeignKey, Object, ObjectKey, ObjectKind, Schema, Table};
use crate::selftest::check_constraint::CheckConstraint;
use crate::selftest::values::DataProfile;

/// A table, and the constraints that its rows have to satisfy.
pub(crate) struct TableSpec {
    pub(crate) name: String,
    pub(crate) table: Table,
    pub(crate) checks: Vec<CheckConstraint>,
    /// Keys with more columns come first: such a key decides the values of the keys that it
    /// contains.
    pub(crate) foreign_keys: Vec<ForeignKey>,
}

impl TableSpec {
    /// Describes a table. For [`DataProfile::Typical`] the constraints that it has in
    /// `later_schema` are added to those that it has now.
    pub(crate) fn new(object: &Object, profile: DataProfile, later_schema: &Schema) -> Self {
        let mut table_spec = Self {
            foreign_keys: object.structure().foreign_keys.clone(),
            checks: CheckConstraint::parse_all(&object.sql),
            name: object.name.clone(),
            table: object.structure().clone(),
        };
        if profile == DataProfile::Typical {
            table_spec.add_later_constraints(later_schema);
        }
        table_spec.foreign_keys.sort_by_key(|key| std::cmp::Reverse(key.columns.len()));
        table_spec
    }

    /// Adds the CHECK constraints and foreign keys of a later version of the table, as far as the
    /// columns already exist.
    fn add_later_constraints(&mut self, later_schema: &Schema) {
        let Some(later) = later_schema.get(&ObjectKey::new(ObjectKind::Table, &self.name)) else {
            return;
        };
        self.checks.extend(CheckConstraint::parse_all(&later.sql));
        for key in &later.structure().foreign_keys {
            let has_columns = key.columns.iter().all(|name| self.table.column(name).is_some());
            let is_known = self.table.foreign_keys.iter().any(|own| own.columns == key.columns);
            if has_columns && !is_known {
                self.foreign_keys.push(key.clone());
            }
        }
    }

    pub(crate) fn column_position(&self, name: &str) -> Option<usize> {
        self.table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn is_primary_key(&self, column_index: usize) -> bool {
        self.table.columns[column_index].primary_key_position > 0
    }

    /// Whether two foreign keys share a column.
    pub(crate) fn has_overlapping_foreign_keys(&self) -> bool {
        let columns = || self.foreign_keys.iter().flat_map(|key| &key.columns);
        columns().count() > columns().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>().len()
    }
}

/// The table that a foreign key refers to.
pub(crate) fn find_parent<'s>(
    table_specs: &'s [TableSpec],
    key: &ForeignKey,
) -> Option<&'s TableSpec> {
    table_specs.iter().find(|table_spec| table_spec.name.eq_ignore_ascii_case(&key.parent))
}

/// The columns that a foreign key refers to: those that it names, else the primary key.
pub(crate) fn parent_columns(key: &ForeignKey, parent: &Table) -> Vec<String> {
    if key.parent_columns.is_empty() { parent.primary_key() } else { key.parent_columns.clone() }
}

/// The indexes of the tables, parents before children. Tables that refer to each other in a circle
/// are in any order.
pub(crate) fn fill_order(table_specs: &[TableSpec]) -> Vec<usize> {
    let indexes_by_name: BTreeMap<String, usize> = table_specs
        .iter()
        .enumerate()
        .map(|(index, table_spec)| (table_spec.name.to_ascii_lowercase(), index))
        .collect();
    let mut order = Vec::with_capacity(table_specs.len());
    let mut is_visited = vec![false; table_specs.len()];
    for start in 0..table_specs.len() {
        // Each entry is a table, and how many of its foreign keys were followed.
        let mut path = vec![(start, 0)];
        if std::mem::replace(&mut is_visited[start], true) {
            continue;
        }
        while let Some((index, followed_keys)) = path.last_mut() {
            let Some(key) = table_specs[*index].foreign_keys.get(*followed_keys) else {
                order.push(*index);
                path.pop();
                continue;
            };
            *followed_keys += 1;
            let parent = indexes_by_name.get(&key.parent.to_ascii_lowercase());
            if let Some(parent) = parent
                && !std::mem::replace(&mut is_visited[*parent], true)
            {
                path.push((*parent, 0));
            }
        }
    }
    order
}
