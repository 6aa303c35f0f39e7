//! Represents the changes of a schema, object by object.

use std::sync::Arc;

use crate::schema::{Object, ObjectKey, Schema};

/// What statements may have done to `sqlite_schema`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SchemaChange {
    /// No schema change.
    #[default]
    None,
    /// New objects only.
    Additive,
    /// Any change, such as dropped or altered objects.
    Any,
}

/// A change of one object: its new definition, or `None` if it was dropped.
pub(crate) type ObjectChange = (ObjectKey, Option<Arc<Object>>);

/// Applies changes to a schema.
pub(crate) fn apply_changes(schema: &mut Schema, changes: &[ObjectChange]) {
    for (key, object) in changes {
        match object {
            Some(object) => {
                schema.insert(key.clone(), object.clone());
            }
            None => {
                schema.remove(key);
            }
        }
    }
}
