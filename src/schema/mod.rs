//! Represents schemas as values that can be compared: tables with their columns and foreign keys,
//! indexes, triggers and views.

pub(crate) mod changes;
pub(crate) mod compare;
pub(crate) mod effects;
pub(crate) mod renames;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::sql::lexer;

/// A column as `PRAGMA table_xinfo` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) declared_type: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    /// The position in the primary key, from 1; 0 if the column is not part of it.
    pub(crate) primary_key_position: i64,
    /// 0 for an ordinary column, 1 for a hidden one, 2 for a virtual generated one and 3 for a
    /// stored generated one.
    pub(crate) hidden: i64,
}

impl Column {
    /// Whether two columns have the same definition. The case of names and keywords is ignored.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && normalize_type(&self.declared_type) == normalize_type(&other.declared_type)
            && self.not_null == other.not_null
            && self.default.as_deref().map(lexer::normalize_case)
                == other.default.as_deref().map(lexer::normalize_case)
            && self.primary_key_position == other.primary_key_position
            && self.hidden == other.hidden
    }
}

/// A declared type in lower case and without white space.
fn normalize_type(declared_type: &str) -> String {
    declared_type.split_whitespace().collect::<String>().to_ascii_lowercase()
}

/// The definition without the name: `TEXT NOT NULL DEFAULT 'x'`.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.declared_type.is_empty() { "(no type)" } else { &self.declared_type })?;
        if self.not_null {
            f.write_str(" NOT NULL")?;
        }
        if let Some(default) = &self.default {
            write!(f, " DEFAULT {default}")?;
        }
        if self.primary_key_position > 0 {
            f.write_str(" PRIMARY KEY")?;
        }
        if self.hidden > 1 {
            f.write_str(" GENERATED")?;
        }
        Ok(())
    }
}

/// One foreign key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignKey {
    pub(crate) columns: Vec<String>,
    pub(crate) parent: String,
    /// Empty if the key references the primary key of the parent.
    pub(crate) parent_columns: Vec<String>,
    pub(crate) on_update: String,
    pub(crate) on_delete: String,
}

impl ForeignKey {
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let same = |left: &[String], right: &[String]| {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| left.eq_ignore_ascii_case(right))
        };
        same(&self.columns, &other.columns)
            && self.parent.eq_ignore_ascii_case(&other.parent)
            && same(&self.parent_columns, &other.parent_columns)
            && self.on_update == other.on_update
            && self.on_delete == other.on_delete
    }
}

impl fmt::Display for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) REFERENCES {}", self.columns.join(", "), self.parent)?;
        if !self.parent_columns.is_empty() {
            write!(f, "({})", self.parent_columns.join(", "))?;
        }
        for (event, action) in [("UPDATE", &self.on_update), ("DELETE", &self.on_delete)] {
            if action != "NO ACTION" {
                write!(f, " ON {event} {action}")?;
            }
        }
        Ok(())
    }
}

/// The columns and foreign keys of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
}

impl Table {
    /// The names of the primary key's columns, in the key's order.
    pub(crate) fn primary_key(&self) -> Vec<String> {
        let mut columns: Vec<&Column> =
            self.columns.iter().filter(|column| column.primary_key_position > 0).collect();
        columns.sort_by_key(|column| column.primary_key_position);
        columns.into_iter().map(|column| column.name.clone()).collect()
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    fn single_column_foreign_keys<'t>(
        &'t self,
        column: &'t str,
    ) -> impl Iterator<Item = &'t ForeignKey> {
        self.foreign_keys.iter().filter(move |key| {
            matches!(key.columns.as_slice(), [only] if only.eq_ignore_ascii_case(column))
        })
    }

    /// The definition of a column with its own foreign keys: what `ADD COLUMN` creates.
    pub(crate) fn definition(&self, column: &str) -> Option<ColumnDefinition> {
        Some(ColumnDefinition {
            column: self.column(column)?.clone(),
            foreign_keys: self.single_column_foreign_keys(column).cloned().collect(),
        })
    }
}

/// A column with the foreign keys of that column alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnDefinition {
    pub(crate) column: Column,
    pub(crate) foreign_keys: Vec<ForeignKey>,
}

impl ColumnDefinition {
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.column.matches(&other.column)
            && self.foreign_keys.len() == other.foreign_keys.len()
            && self.foreign_keys.iter().zip(&other.foreign_keys).all(|(l, r)| l.matches(r))
    }
}

impl fmt::Display for ColumnDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt(f)?;
        self.foreign_keys.iter().try_for_each(|key| write!(f, ", foreign key {key}"))
    }
}

/// The properties of an index that do not depend on how its SQL is spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) is_unique: bool,
    pub(crate) is_partial: bool,
    /// For each column: its name (`None` for an expression), whether it is descending, and its
    /// collation. Names and collations are in lower case.
    pub(crate) columns: Vec<(Option<String>, bool, String)>,
}

impl Index {
    /// The columns of a unique index over all rows, in lower case. None for an index that is not
    /// unique, is partial or has an expression.
    pub(crate) fn unique_columns(&self) -> Option<Vec<String>> {
        let names = self.columns.iter().map(|(name, ..)| name.clone());
        if self.is_unique && !self.is_partial { names.collect() } else { None }
    }

    /// Whether the columns describe the index completely: it has no expression and no WHERE.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_partial && self.columns.iter().all(|(name, ..)| name.is_some())
    }
}

/// The kinds of objects in a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ObjectKind {
    Table,
    Index,
    View,
    Trigger,
}

impl ObjectKind {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "table" => Some(Self::Table),
            "index" => Some(Self::Index),
            "view" => Some(Self::View),
            "trigger" => Some(Self::Trigger),
            _ => None,
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Index => "index",
            Self::View => "view",
            Self::Trigger => "trigger",
        })
    }
}

/// The name of an object as SQLite compares it. Tables, indexes and views share one namespace;
/// triggers have another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) is_trigger: bool,
    /// In lower case.
    pub(crate) name: String,
}

impl ObjectKey {
    pub(crate) fn new(kind: ObjectKind, name: &str) -> Self {
        Self { is_trigger: kind == ObjectKind::Trigger, name: name.to_ascii_lowercase() }
    }

    /// In lower case.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// One row of `sqlite_schema`, with the details that pragmas report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) sql: String,
    /// Empty for objects other than tables.
    pub(crate) structure: Table,
    pub(crate) index: Option<Index>,
}

impl Object {
    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.kind, &self.name)
    }

    /// The names of the columns of a table; no names for other objects.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.structure.columns.iter().map(|column| column.name.as_str())
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.structure.column(name).is_some()
    }

    /// Whether the object is a unique index, partial ones included.
    pub(crate) fn is_unique_index(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.is_unique)
    }

    /// The column, in lower case, of a unique index over one column and all rows.
    pub(crate) fn unique_column(&self) -> Option<&str> {
        let index = self.index.as_ref().filter(|index| index.is_unique && !index.is_partial)?;
        let [(Some(column), ..)] = index.columns.as_slice() else { return None };
        Some(column)
    }
}

/// All objects of a database except those of SQLite and of tatmig.
pub(crate) type Schema = BTreeMap<ObjectKey, Arc<Object>>;

/// Whether a name is reserved for tatmig; no block may use such a name.
pub(crate) fn is_tatmig_name(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("_tatmig_"))
}

/// Whether a name is reserved for SQLite.
pub(crate) fn is_sqlite_name(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}
