//! Foreign keys of a namespace: the queries that find rows without their parents, made from its
//! schema. A file's are counted row by row; here the server counts.

use std::collections::BTreeSet;
use std::convert::Infallible;

use crate::database::foreign_keys::{orphans, usable_in};
use crate::libsql::introspect::Told;
use crate::schema::{Key, Kind};

/// The rows of one foreign key whose parents are missing.
#[derive(Clone, Debug)]
pub(crate) struct Orphans {
    /// In lower case.
    pub(crate) child: String,
    /// In lower case.
    pub(crate) parent: String,
    /// The key's columns.
    pub(crate) columns: Vec<String>,
    /// `FROM … WHERE …`.
    pub(crate) query: String,
}

/// The foreign keys that are looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) orphans: Vec<Orphans>,
    /// Keys that SQLite cannot use, each in words.
    pub(crate) unusable: BTreeSet<String>,
    /// Child and parent, in lower case, of those keys.
    pub(crate) unusable_between: BTreeSet<(String, String)>,
}

impl Keys {
    /// Those of the `touched` tables (lower case) and of the tables that refer to them; all where
    /// none are named.
    pub(crate) fn of(told: &Told, touched: Option<&BTreeSet<String>>) -> Self {
        let mut keys = Self::default();
        for (table, (name, structure)) in &told.tables {
            let involved = touched.is_none_or(|touched| {
                let refers = |key: &_| touched.contains(&parent(key));
                touched.contains(table) || structure.foreign_keys.iter().any(refers)
            });
            if !involved {
                continue;
            }
            for key in &structure.foreign_keys {
                let parent = parent(key);
                let is_view = || {
                    let found = told.schema.get(&Key::new(Kind::View, &parent));
                    found.is_some_and(|object| object.kind == Kind::View)
                };
                let structure = told.tables.get(&parent).map(|(_, t)| t.clone());
                let unique = || Ok(told.unique.get(&parent).cloned().unwrap_or_default());
                let usable =
                    match usable_in::<Infallible>(key, &structure.unwrap_or_default(), unique) {
                        Ok(Some(None)) if is_view() => None,
                        Ok(usable) => usable,
                        Err(never) => match never {},
                    };
                let Some(parent_columns) = usable else {
                    keys.unusable.insert(format!("`{name}` {key}"));
                    keys.unusable_between.insert((table.clone(), parent));
                    continue;
                };
                let (columns, query) = orphans(name, key, parent_columns.as_deref());
                keys.orphans.push(Orphans { child: table.clone(), parent, columns, query });
            }
        }
        keys
    }

    /// The columns of the widest key.
    pub(crate) fn width(&self) -> usize {
        self.orphans.iter().map(|orphans| orphans.columns.len()).max().unwrap_or(0)
    }
}

fn parent(key: &crate::schema::ForeignKey) -> String {
    key.parent.to_ascii_lowercase()
}
