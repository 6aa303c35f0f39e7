//! Foreign keys of a namespace: the queries that find rows without their parents, made from its
//! schema. A file's are counted row by row; here the server counts.

use std::collections::BTreeSet;
use std::convert::Infallible;

use crate::database::foreign_keys::{orphan_query, resolve_parent_in};
use crate::libsql::introspect::RemoteSchema;
use crate::schema::{ObjectKey, ObjectKind};

/// The rows of one foreign key whose parents are missing.
#[derive(Clone, Debug)]
pub(crate) struct OrphanQuery {
    /// In lower case.
    pub(crate) child: String,
    /// In lower case.
    pub(crate) parent: String,
    /// The key's columns.
    pub(crate) key_columns: Vec<String>,
    /// `FROM … WHERE …`.
    pub(crate) from_clause: String,
}

/// The foreign keys that are looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForeignKeySet {
    pub(crate) orphan_queries: Vec<OrphanQuery>,
    /// Keys that SQLite cannot use, each in words.
    pub(crate) unusable_keys: BTreeSet<String>,
    /// Child and parent, in lower case, of those keys.
    pub(crate) unusable_pairs: BTreeSet<(String, String)>,
}

impl ForeignKeySet {
    /// Those of the `touched` tables (lower case) and of the tables that refer to them; all where
    /// none are named.
    pub(crate) fn from_schema(
        remote_schema: &RemoteSchema,
        modified_tables: Option<&BTreeSet<String>>,
    ) -> Self {
        let mut key_set = Self::default();
        for (table, (name, structure)) in &remote_schema.tables {
            let is_involved = modified_tables.is_none_or(|modified_tables| {
                let refers_to_modified = |key: &_| modified_tables.contains(&parent_name(key));
                modified_tables.contains(table)
                    || structure.foreign_keys.iter().any(refers_to_modified)
            });
            if !is_involved {
                continue;
            }
            for key in &structure.foreign_keys {
                let parent = parent_name(key);
                let is_view = || {
                    let parent_object =
                        remote_schema.schema.get(&ObjectKey::new(ObjectKind::View, &parent));
                    parent_object.is_some_and(|object| object.kind == ObjectKind::View)
                };
                let structure =
                    remote_schema.tables.get(&parent).map(|(_, parent_table)| parent_table.clone());
                let unique_keys =
                    || Ok(remote_schema.unique_keys.get(&parent).cloned().unwrap_or_default());
                let resolved_parent = match resolve_parent_in::<Infallible>(
                    key,
                    &structure.unwrap_or_default(),
                    unique_keys,
                ) {
                    Ok(Some(None)) if is_view() => None,
                    Ok(usable) => usable,
                    Err(never) => match never {},
                };
                let Some(parent_columns) = resolved_parent else {
                    key_set.unusable_keys.insert(format!("`{name}` {key}"));
                    key_set.unusable_pairs.insert((table.clone(), parent));
                    continue;
                };
                let (columns, from_clause) = orphan_query(name, key, parent_columns.as_deref());
                key_set.orphan_queries.push(OrphanQuery {
                    child: table.clone(),
                    parent,
                    key_columns: columns,
                    from_clause,
                });
            }
        }
        key_set
    }

    /// The columns of the widest key.
    pub(crate) fn max_key_width(&self) -> usize {
        self.orphan_queries
            .iter()
            .map(|orphan_query| orphan_query.key_columns.len())
            .max()
            .unwrap_or(0)
    }
}

fn parent_name(key: &crate::schema::ForeignKey) -> String {
    key.parent.to_ascii_lowercase()
}
