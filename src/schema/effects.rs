//! Computes the changes that migrations make to a schema, and checks whether a database has them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::schema::compare::{Extent, column_difference, missing, object_differences};
use crate::schema::difference::Difference;
use crate::schema::renames::Renames;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};

/// The schema changes that a database must have after a run. The database may hold other objects,
/// which are ignored.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExpectedChanges {
    /// Objects that were created or recreated.
    created: Vec<Arc<Object>>,
    /// Objects that were dropped.
    dropped: Vec<(ObjectKey, ObjectKind, String)>,
    /// The expected table, and the names of the columns that were added to it or redefined.
    added_columns: Vec<(Arc<Object>, Vec<String>)>,
    /// Columns that were dropped, each with its table.
    dropped_columns: Vec<(String, String)>,
    /// Columns that must exist, however they are declared, each with its table.
    renamed_columns: Vec<(String, String)>,
}

/// The names that a run changes and creates. SQLite rewrites other objects to fit a new name; those
/// differences are not changes of the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct SchemaOperations {
    pub(crate) table_renames: Renames,
    /// Columns under their new names, each with the name of its table at that time, in lower case.
    pub(crate) renamed_columns: Vec<(String, String)>,
    /// Indexes, views and triggers that statements create, in lower case.
    pub(crate) created_objects: BTreeSet<String>,
}

impl ExpectedChanges {
    /// The changes from one schema to another, made by operations that may have renamed tables and
    /// columns. What SQLite only rewrote because of a rename is left out: another database may have
    /// had a different definition there.
    pub(crate) fn from_operations(
        operations: &SchemaOperations,
        before: &Schema,
        after: &Schema,
    ) -> Self {
        // Compare each renamed table as if it had had its new name before.
        let mut renamed_before = before.clone();
        for (key, object) in after.iter().filter(|(_, object)| object.kind == ObjectKind::Table) {
            let old_key = ObjectKey {
                is_trigger: false,
                name: operations.table_renames.original_name(&key.name),
            };
            if old_key != *key
                && let Some(table) = renamed_before.remove(&old_key)
            {
                let renamed = Object { name: object.name.clone(), ..Object::clone(&table) };
                renamed_before.insert(key.clone(), Arc::new(renamed));
            }
        }
        let mut expected_changes = Self::between(&renamed_before, after);
        expected_changes.created.retain(|object| {
            object.kind == ObjectKind::Table
                || operations.created_objects.contains(&object.name.to_ascii_lowercase())
                || !renamed_before.contains_key(&object.key())
        });
        // Of a renamed column only the new name is expected.
        for (table, names) in &mut expected_changes.added_columns {
            let is_renamed = |name: &String| {
                let name = name.to_ascii_lowercase();
                operations.renamed_columns.iter().any(|(owner, column)| {
                    let table_name = table.name.to_ascii_lowercase();
                    *column == name
                        && (*owner == table_name
                            || *owner == operations.table_renames.original_name(&table_name))
                })
            };
            let (renamed_names, added_names) =
                std::mem::take(names).into_iter().partition(is_renamed);
            *names = added_names;
            expected_changes
                .renamed_columns
                .extend(Vec::into_iter(renamed_names).map(|column| (table.name.clone(), column)));
        }
        // A renamed table must exist under its new name, with any columns.
        for (key, object) in after.iter().filter(|(_, object)| object.kind == ObjectKind::Table) {
            if operations.table_renames.new_names().any(|name| name == key.name) {
                expected_changes.added_columns.push((object.clone(), Vec::new()));
            }
        }
        for from in operations.table_renames.old_names() {
            let key = ObjectKey { is_trigger: false, name: from.to_owned() };
            if let Some(object) = before.get(&key).filter(|_| !after.contains_key(&key)) {
                expected_changes.dropped.push((key, object.kind, object.name.clone()));
            }
        }
        expected_changes
    }

    /// The changes from one schema to another, without renames.
    pub(crate) fn between(before: &Schema, after: &Schema) -> Self {
        let mut expected_changes = Self::default();
        for (key, object) in after {
            match before.get(key) {
                Some(old) if old == object => {}
                Some(old) => match (old.table_definition(), object.table_definition()) {
                    (Some(old), Some(new)) => {
                        let differs =
                            |name: &str| column_difference(&object.name, name, new, old).is_some();
                        let names = new.columns.iter().map(|column| column.name.clone());
                        let added: Vec<String> = names.filter(|name| differs(name)).collect();
                        let dropped =
                            old.columns.iter().filter(|column| new.column(&column.name).is_none());
                        let dropped =
                            dropped.map(|column| (object.name.clone(), column.name.clone()));
                        expected_changes.dropped_columns.extend(dropped);
                        if !added.is_empty() {
                            expected_changes.added_columns.push((object.clone(), added));
                        }
                    }
                    _ => expected_changes.created.push(object.clone()),
                },
                None => expected_changes.created.push(object.clone()),
            }
        }
        for (key, object) in before {
            if !after.contains_key(key) {
                expected_changes.dropped.push((key.clone(), object.kind, object.name.clone()));
            }
        }
        expected_changes
    }

    /// Adds the tables that were rebuilt, with their indexes and triggers, even if their definition
    /// is the same as before: in another database it may have been different.
    pub(crate) fn including_rebuilt<'n>(
        mut self,
        tables: impl Iterator<Item = &'n String>,
        after: &Schema,
    ) -> Self {
        for table in tables {
            let table_objects =
                after.values().filter(|object| object.table.eq_ignore_ascii_case(table));
            for object in table_objects {
                if !self.created.contains(object) {
                    self.created.push(object.clone());
                }
            }
        }
        self
    }

    /// The objects whose definitions decide whether the changes were made.
    pub(crate) fn keys_to_check(&self) -> BTreeSet<ObjectKey> {
        let mut keys: BTreeSet<ObjectKey> =
            self.expected_objects().map(|object| object.key()).collect();
        keys.extend(self.dropped.iter().map(|(key, ..)| key.clone()));
        let tables = self.dropped_columns.iter().chain(&self.renamed_columns);
        keys.extend(tables.map(|(table, _)| ObjectKey::new(ObjectKind::Table, table)));
        keys
    }

    fn expected_objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.created.iter().chain(self.added_columns.iter().map(|(table, _)| table))
    }

    /// The expected changes that a schema does not have. `find` returns its objects.
    pub(crate) fn unmet_in<'s>(
        &self,
        find: impl Fn(&ObjectKey) -> Option<&'s Object>,
    ) -> Vec<Difference> {
        let mut unmet = Vec::new();
        for object in &self.created {
            match find(&object.key()) {
                None => unmet.push(missing(object)),
                Some(actual) => unmet.extend(object_differences(object, actual, Extent::AtLeast)),
            }
        }
        for (table, names) in &self.added_columns {
            match find(&table.key()) {
                None => unmet.push(missing(table)),
                Some(actual) => unmet.extend(column_differences(table, names, actual)),
            }
        }
        for (key, kind, name) in &self.dropped {
            if find(key).is_some() {
                unmet.push(Difference::NotDropped { kind: *kind, name: name.clone() });
            }
        }
        let has_column = |table: &str, column: &str| {
            let table = find(&ObjectKey::new(ObjectKind::Table, table));
            table.is_some_and(|table| table.has_column(column))
        };
        for (table, column) in &self.renamed_columns {
            if !has_column(table, column) {
                unmet.push(Difference::RenamedColumnMissing {
                    table: table.clone(),
                    column: column.clone(),
                });
            }
        }
        for (table, column) in &self.dropped_columns {
            if has_column(table, column) {
                unmet.push(Difference::ColumnNotDropped {
                    table: table.clone(),
                    column: column.clone(),
                });
            }
        }
        unmet
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.created.is_empty()
            && self.dropped.is_empty()
            && self.added_columns.is_empty()
            && self.dropped_columns.is_empty()
            && self.renamed_columns.is_empty()
    }
}

/// The differences of some columns of a table.
fn column_differences(expected: &Object, names: &[String], actual: &Object) -> Vec<Difference> {
    if actual.sql == expected.sql {
        return Vec::new();
    }
    match (expected.table_definition(), actual.table_definition()) {
        (Some(expected_table), Some(actual_table)) => names
            .iter()
            .filter_map(|name| {
                column_difference(&expected.name, name, expected_table, actual_table)
            })
            .collect(),
        _ => object_differences(expected, actual, Extent::AtLeast),
    }
}
