//! Finds the indexes, views and triggers that have to be dropped before the tables change and
//! created afterwards, and writes those statements.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::schema::{Object, ObjectKey, ObjectKind, Schema, compare};
use crate::schema_diff::statement::{mentions, sort_by_dependency, written_name};
use crate::schema_diff::table_change::TableChange;

/// How the tables change, and what follows for the objects that depend on them.
pub(crate) struct Dependents<'d, 's> {
    pub(crate) old_schema: &'s Schema,
    pub(crate) new_schema: &'s Schema,
    pub(crate) changes: &'d [TableChange<'s>],
    pub(crate) dropped_tables: &'d [&'s Arc<Object>],
}

impl Dependents<'_, '_> {
    /// The views and triggers that are dropped, that differ, or that would make a change of a table
    /// fail.
    pub(crate) fn views_and_triggers_to_drop(&self) -> BTreeSet<ObjectKey> {
        let mut affected_names: BTreeSet<String> = self
            .changes
            .iter()
            .filter(|change| change.affects_dependents())
            .map(|change| change.table_name().to_ascii_lowercase())
            .collect();
        // ALTER TABLE makes SQLite parse every view and trigger again, and fails if one of them
        // names a missing table.
        let has_alterations = !affected_names.is_empty();
        if has_alterations {
            affected_names
                .extend(self.dropped_tables.iter().map(|table| table.name.to_ascii_lowercase()));
        }
        let mut found = BTreeSet::new();
        let mut affected_views = BTreeSet::new();
        loop {
            let count_before = found.len();
            for (key, object) in self.old_schema {
                if !matches!(object.kind, ObjectKind::View | ObjectKind::Trigger)
                    || found.contains(key)
                {
                    continue;
                }
                let is_on_affected_view = object.kind == ObjectKind::Trigger
                    && affected_views.contains(&object.table.to_ascii_lowercase());
                if self.is_kept(object)
                    && !mentions(object, &affected_names)
                    && !is_on_affected_view
                {
                    continue;
                }
                found.insert(key.clone());
                if object.kind == ObjectKind::View {
                    affected_views.insert(object.name.to_ascii_lowercase());
                    if has_alterations {
                        affected_names.insert(object.name.to_ascii_lowercase());
                    }
                }
            }
            if found.len() == count_before {
                return found;
            }
        }
    }

    /// The DROP statements of triggers, views and indexes, before the tables change. Objects that
    /// SQLite drops with their table are left out, unless they differ and the table stays.
    pub(crate) fn drop_statements(&self, views_and_triggers: &BTreeSet<ObjectKey>) -> Vec<String> {
        let mut statements = Vec::new();
        for kind in [ObjectKind::Trigger, ObjectKind::View, ObjectKind::Index] {
            for (key, object) in self.old_schema.iter().filter(|(_, object)| object.kind == kind) {
                let needs_drop = match kind {
                    ObjectKind::Index => !self.is_kept(object),
                    _ => views_and_triggers.contains(key),
                };
                let is_on_dropped_table = || {
                    let mut tables = self.dropped_tables.iter();
                    tables.any(|table| table.name.eq_ignore_ascii_case(&object.table))
                };
                let is_dropped_with_table = kind != ObjectKind::View
                    && (is_on_dropped_table()
                        || self.is_kept(object) && self.is_on_recreated_table(object));
                if needs_drop && !is_dropped_with_table {
                    let kind = kind.to_string().to_uppercase();
                    statements.push(format!("DROP {kind} IF EXISTS {};", written_name(object)));
                }
            }
        }
        statements
    }

    /// The indexes, views and triggers to be created after the tables have changed: new ones,
    /// different ones, and those that were dropped in between. One list per kind.
    pub(crate) fn objects_to_create(
        &self,
        views_and_triggers: &BTreeSet<ObjectKey>,
    ) -> Vec<Vec<&Arc<Object>>> {
        let kinds = [ObjectKind::Index, ObjectKind::View, ObjectKind::Trigger];
        let objects_of_kind = |kind: ObjectKind| {
            let mut objects =
                sort_by_dependency(self.new_schema.values().filter(|object| object.kind == kind));
            objects.retain(|object| {
                !self.exists_before(object)
                    || kind != ObjectKind::View && self.is_on_recreated_table(object)
                    || views_and_triggers.contains(&object.key())
            });
            objects
        };
        kinds.into_iter().map(objects_of_kind).filter(|objects| !objects.is_empty()).collect()
    }

    /// Whether a new unique index may reject rows of an existing table.
    pub(crate) fn is_new_unique_index(&self, object: &Object) -> bool {
        let table = ObjectKey::new(ObjectKind::Table, &object.table);
        object.kind == ObjectKind::Index
            && object.is_unique_index()
            && !self.exists_before(object)
            && self.old_schema.contains_key(&table)
    }

    /// Whether an object of the old schema is the same in the new one.
    fn is_kept(&self, object: &Object) -> bool {
        self.new_schema
            .get(&object.key())
            .is_some_and(|new_object| compare::is_equivalent(object, new_object))
    }

    /// Whether an object of the new schema is the same in the old one.
    fn exists_before(&self, object: &Object) -> bool {
        self.old_schema
            .get(&object.key())
            .is_some_and(|old_object| compare::is_equivalent(old_object, object))
    }

    /// Whether an object belongs to a table that is dropped and created again.
    fn is_on_recreated_table(&self, object: &Object) -> bool {
        self.changes.iter().any(|change| {
            change.drops_table() && change.table_name().eq_ignore_ascii_case(&object.table)
        })
    }
}
