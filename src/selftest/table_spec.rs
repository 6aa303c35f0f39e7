//! Reads from a database what the rows of each table have to satisfy: columns, CHECK constraints
//! and foreign keys. Orders the tables so that parents come before children.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::database::schema_reader::read_table;
use crate::schema::{
    ForeignKey, ObjectKey, ObjectKind, Schema, Table, is_sqlite_name, is_tatmig_name,
};
use crate::selftest::values::{CheckConstraint, DataProfile};

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
    /// Reads every ordinary table of a database, in the order of `sqlite_schema`. Virtual tables
    /// and their shadow tables are left out. For [`DataProfile::Typical`] the constraints that a
    /// table has in `later_schema` are added to those that it has now.
    pub(crate) fn read_all(
        connection: &Connection,
        profile: DataProfile,
        later_schema: &Schema,
    ) -> rusqlite::Result<Vec<Self>> {
        let mut table_query = connection.prepare(
            "SELECT l.name, s.sql FROM pragma_table_list l \
             JOIN sqlite_schema s ON s.name = l.name AND s.type = 'table' \
             WHERE l.schema = 'main' AND l.type = 'table' ORDER BY s.rowid",
        )?;
        let mut rows = table_query.query([])?;
        let mut table_specs = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let sql: String = row.get(1)?;
            if is_sqlite_name(&name) || is_tatmig_name(&name) {
                continue;
            }
            let table = read_table(connection, &name)?.structure().clone();
            let mut table_spec = Self {
                foreign_keys: table.foreign_keys.clone(),
                checks: CheckConstraint::parse_all(&sql),
                name,
                table,
            };
            if profile == DataProfile::Typical {
                table_spec.add_later_constraints(later_schema);
            }
            table_spec.foreign_keys.sort_by_key(|key| std::cmp::Reverse(key.columns.len()));
            table_specs.push(table_spec);
        }
        Ok(table_specs)
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

/// The indexes of the tables, parents before children. Of tables that refer to each other in a
/// circle, the one declared first comes first.
pub(crate) fn fill_order(table_specs: &[TableSpec]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(table_specs.len());
    while order.len() < table_specs.len() {
        let has_pending_parent = |index: usize| {
            table_specs[index].foreign_keys.iter().any(|key| {
                table_specs.iter().enumerate().any(|(parent, table_spec)| {
                    parent != index
                        && !order.contains(&parent)
                        && table_spec.name.eq_ignore_ascii_case(&key.parent)
                })
            })
        };
        let pending = || (0..table_specs.len()).filter(|index| !order.contains(index));
        let Some(next) =
            pending().find(|index| !has_pending_parent(*index)).or_else(|| pending().next())
        else {
            break;
        };
        order.push(next);
    }
    order
}
