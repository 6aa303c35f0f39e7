//! Computes the changes that migrations make to a schema, checks whether a database has them, and
//! describes the differences between two schemas.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::schema::renames::Renames;
use crate::schema::{ForeignKey, Object, ObjectKey, ObjectKind, Schema, Table};
use crate::sql::lexer;

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
                Some(old) if old.kind == ObjectKind::Table && object.kind == ObjectKind::Table => {
                    let (old, new) = (&old.structure, &object.structure);
                    let added = new
                        .columns
                        .iter()
                        .filter(|column| {
                            let definition = new.definition(&column.name);
                            let before = old.definition(&column.name);
                            !matches!((definition, before), (Some(new), Some(old)) if new.matches(&old))
                        })
                        .map(|column| column.name.clone())
                        .collect::<Vec<_>>();
                    let dropped =
                        old.columns.iter().filter(|column| new.column(&column.name).is_none());
                    expected_changes
                        .dropped_columns
                        .extend(dropped.map(|column| (object.name.clone(), column.name.clone())));
                    if !added.is_empty() {
                        expected_changes.added_columns.push((object.clone(), added));
                    }
                }
                None | Some(_) => expected_changes.created.push(object.clone()),
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

    /// Whether the SQL of an object does not decide whether the changes were made, so that its
    /// columns have to be compared. Equal SQL is equal structure.
    pub(crate) fn needs_details(&self, actual: &Object) -> bool {
        let key = actual.key();
        let mut expected = self.expected_objects().filter(|object| object.key() == key);
        let mut tables = self.dropped_columns.iter().chain(&self.renamed_columns);
        expected.any(|object| object.sql != actual.sql)
            || tables.any(|(table, _)| ObjectKey::new(ObjectKind::Table, table) == key)
    }

    fn expected_objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.created.iter().chain(self.added_columns.iter().map(|(table, _)| table))
    }

    /// Describes each expected change that a schema does not have. `find` returns its objects.
    pub(crate) fn unmet_in<'s>(
        &self,
        find: impl Fn(&ObjectKey) -> Option<&'s Object>,
    ) -> Vec<String> {
        let mut unmet = Vec::new();
        for object in &self.created {
            match find(&object.key()) {
                None => unmet.push(format!("{} `{}` is missing", object.kind, object.name)),
                Some(actual) => object.append_mismatches(actual, &mut unmet),
            }
        }
        for (table, names) in &self.added_columns {
            let Some(actual) = find(&table.key()) else {
                unmet.push(format!("table `{}` is missing", table.name));
                continue;
            };
            if actual.sql == table.sql {
                continue;
            }
            for name in names {
                append_column_mismatch(table, name, &actual.structure, &mut unmet);
            }
        }
        for (key, kind, name) in &self.dropped {
            if find(key).is_some() {
                unmet.push(format!("{kind} `{name}` still exists"));
            }
        }
        for (table, column) in &self.renamed_columns {
            let actual = find(&ObjectKey::new(ObjectKind::Table, table));
            if actual.is_none_or(|actual| !actual.has_column(column)) {
                unmet.push(format!("column `{table}.{column}` is missing"));
            }
        }
        for (table, column) in &self.dropped_columns {
            let actual = find(&ObjectKey::new(ObjectKind::Table, table));
            if actual.is_some_and(|actual| actual.has_column(column)) {
                unmet.push(format!("column `{table}.{column}` still exists"));
            }
        }
        unmet
    }

    /// Describes the expected changes that a schema has, and those that it does not have.
    pub(crate) fn match_report<'s>(
        &self,
        find: impl Fn(&ObjectKey) -> Option<&'s Object>,
    ) -> (Vec<String>, Vec<String>) {
        let (mut met, mut unmet) = (Vec::new(), Vec::new());
        let mut report = |description: String, mismatches: Vec<String>| {
            if mismatches.is_empty() { met.push(description) } else { unmet.extend(mismatches) }
        };
        for object in &self.created {
            let single = Self { created: vec![object.clone()], ..Self::default() };
            report(format!("{} `{}`", object.kind, object.name), single.unmet_in(&find));
        }
        for (table, names) in &self.added_columns {
            for name in names {
                let added_columns = vec![(table.clone(), vec![name.clone()])];
                let alone = Self { added_columns, ..Self::default() };
                report(format!("column `{}.{name}`", table.name), alone.unmet_in(&find));
            }
        }
        // A missing object is evidence of a drop only if other changes are found as well.
        let removals = Self {
            dropped: self.dropped.clone(),
            dropped_columns: self.dropped_columns.clone(),
            ..Self::default()
        };
        let unmet_removals = removals.unmet_in(&find);
        if !removals.is_empty() && (unmet_removals.is_empty() || !met.is_empty()) {
            let objects =
                removals.dropped.iter().map(|(_, kind, name)| format!("no {kind} `{name}`"));
            let columns = removals
                .dropped_columns
                .iter()
                .map(|(table, name)| format!("no column `{table}.{name}`"));
            if unmet_removals.is_empty() {
                met.extend(objects.chain(columns));
            } else {
                unmet.extend(unmet_removals);
            }
        }
        (met, unmet)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.created.is_empty()
            && self.dropped.is_empty()
            && self.added_columns.is_empty()
            && self.dropped_columns.is_empty()
            && self.renamed_columns.is_empty()
    }
}

impl Object {
    /// Appends what the actual object of the same name lacks of this one. Additional columns of a
    /// table are ignored.
    pub(crate) fn append_mismatches(&self, actual: &Self, mismatches: &mut Vec<String>) {
        let (kind, name) = (self.kind, &self.name);
        if actual.kind != kind {
            mismatches.push(format!("`{name}` is a {}, not a {kind}", actual.kind));
            return;
        }
        let same_text = actual.sql == self.sql
            || lexer::normalize_case(&actual.sql) == lexer::normalize_case(&self.sql);
        if same_text && actual.table.eq_ignore_ascii_case(&self.table) {
            return;
        }
        match (kind, &self.index, &actual.index) {
            (ObjectKind::Table, ..) if !self.structure.columns.is_empty() => {
                for column in &self.structure.columns {
                    append_column_mismatch(self, &column.name, &actual.structure, mismatches);
                }
                if let Some(key) = self.structure.composite_foreign_key_not_in(&actual.structure) {
                    mismatches.push(format!("table `{name}` has no foreign key {key}"));
                }
            }
            (ObjectKind::Index, Some(index), Some(other)) if index.is_plain() => {
                if other != index || !actual.table.eq_ignore_ascii_case(&self.table) {
                    mismatches.push(format!("index `{name}` is different: `{}`", actual.sql));
                }
            }
            _ => mismatches.push(format!("{kind} `{name}` is different")),
        }
    }

    /// Appends every difference of the actual object of the same name, additional columns included.
    fn append_differences(&self, actual: &Self, differences: &mut Vec<String>) {
        self.append_mismatches(actual, differences);
        if self.kind != ObjectKind::Table || actual.kind != ObjectKind::Table {
            return;
        }
        let name = &self.name;
        for column in &actual.structure.columns {
            if self.structure.column(&column.name).is_none() {
                differences.push(format!("column `{name}.{}` is not expected", column.name));
            }
        }
        if let Some(key) = actual.structure.composite_foreign_key_not_in(&self.structure) {
            differences.push(format!("foreign key `{name}` {key} is not expected"));
        }
    }
}

impl Table {
    /// A foreign key over several columns that the other table does not have. A key over one column
    /// is compared with its column.
    fn composite_foreign_key_not_in(&self, other: &Self) -> Option<&ForeignKey> {
        self.foreign_keys
            .iter()
            .filter(|key| key.columns.len() > 1)
            .find(|key| !other.foreign_keys.iter().any(|k| k.matches(key)))
    }
}

fn append_column_mismatch(
    expected: &Object,
    name: &str,
    actual: &Table,
    mismatches: &mut Vec<String>,
) {
    let table = &expected.name;
    let Some(expected) = expected.structure.definition(name) else { return };
    match actual.definition(name) {
        None => mismatches.push(format!("column `{table}.{name}` is missing ({expected})")),
        Some(found) if expected.matches(&found) => {}
        Some(found) => {
            mismatches.push(format!("column `{table}.{name}` is `{found}`, not `{expected}`"));
        }
    }
}

/// Describes each difference of the actual schema from the expected one. The spelling of the SQL and
/// the order of columns do not count.
pub(crate) fn differences(expected_schema: &Schema, actual_schema: &Schema) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, expected) in expected_schema {
        match actual_schema.get(key) {
            None => differences.push(format!("{} `{}` is missing", expected.kind, expected.name)),
            Some(object) => expected.append_differences(object, &mut differences),
        }
    }
    for object in actual_schema
        .iter()
        .filter(|(key, _)| !expected_schema.contains_key(key))
        .map(|(_, object)| object)
    {
        differences.push(format!("{} `{}` is not expected", object.kind, object.name));
    }
    differences
}
