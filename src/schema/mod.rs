//! What a database is made of, as values that can be compared: tables with their columns and
//! foreign keys, indexes, triggers and views.

pub(crate) mod compare;
pub(crate) mod effects;
pub(crate) mod renames;
pub(crate) mod tracker;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use crate::sql::lexer;

/// A column as `PRAGMA table_xinfo` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) declared_type: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    /// Position in the primary key, from 1; 0 for none.
    pub(crate) primary_key_position: i64,
    /// 0 ordinary, 1 hidden, 2 and 3 generated.
    pub(crate) hidden: i64,
}

impl Column {
    /// Whether the two mean the same, whatever the case of letters.
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

/// A type without its blanks and its case.
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
    /// Empty where the parent's primary key is meant.
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
    /// Reads a table; one that is not there has no columns.
    pub(crate) fn read(connection: &Connection, name: &str) -> rusqlite::Result<Self> {
        let mut statement = connection
            .prepare(&format!("PRAGMA table_xinfo({})", lexer::quote_identifier(name)))?;
        let columns = statement
            .query_map([], |row| {
                Ok(Column {
                    name: text_column(row, 1)?,
                    declared_type: text_column(row, 2)?,
                    not_null: row.get(3)?,
                    default: row.get::<_, Option<String>>(4)?,
                    primary_key_position: row.get(5)?,
                    hidden: row.get(6)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self { columns, foreign_keys: foreign_keys(connection, name)? })
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

    /// What an `ADD COLUMN` made, to be looked for elsewhere.
    pub(crate) fn definition(&self, column: &str) -> Option<ColumnDefinition> {
        Some(ColumnDefinition {
            column: self.column(column)?.clone(),
            foreign_keys: self.single_column_foreign_keys(column).cloned().collect(),
        })
    }
}

/// The foreign keys of a table, in the order of their declaration.
pub(crate) fn foreign_keys(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement = connection
        .prepare(&format!("PRAGMA foreign_key_list({})", lexer::quote_identifier(table)))?;
    let mut rows = statement.query([])?;
    let mut keys: BTreeMap<std::cmp::Reverse<i64>, ForeignKey> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let key = match keys.entry(std::cmp::Reverse(row.get(0)?)) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(ForeignKey {
                columns: Vec::new(),
                parent: text_column(row, 2)?,
                parent_columns: Vec::new(),
                on_update: text_column(row, 5)?,
                on_delete: text_column(row, 6)?,
            }),
        };
        key.columns.push(text_column(row, 3)?);
        key.parent_columns.extend(row.get::<_, Option<String>>(4)?);
    }
    Ok(keys.into_values().collect())
}

/// A column with the foreign keys that its declaration carries.
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

/// An index, apart from what its SQL may spell in many ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) is_unique: bool,
    pub(crate) is_partial: bool,
    /// Name (none for an expression), descending, collation.
    pub(crate) columns: Vec<(Option<String>, bool, String)>,
}

impl Index {
    fn read(connection: &Connection, table: &str, name: &str) -> rusqlite::Result<Self> {
        let mut index = Self { is_unique: false, is_partial: false, columns: Vec::new() };
        let mut list = connection
            .prepare(&format!("PRAGMA index_list({})", lexer::quote_identifier(table)))?;
        let mut rows = list.query([])?;
        while let Some(row) = rows.next()? {
            if text_column(row, 1)?.eq_ignore_ascii_case(name) {
                index.is_unique = row.get(2)?;
                index.is_partial = row.get(4)?;
            }
        }
        let mut info = connection
            .prepare(&format!("PRAGMA index_xinfo({})", lexer::quote_identifier(name)))?;
        let mut rows = info.query([])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, bool>(5)? {
                let column: Option<String> = row.get(2)?;
                let collation: Option<String> = row.get(4)?;
                index.columns.push((
                    column.map(|name| name.to_ascii_lowercase()),
                    row.get(3)?,
                    collation.unwrap_or_default().to_ascii_lowercase(),
                ));
            }
        }
        Ok(index)
    }

    /// Whether the columns alone tell what it is: no expression, no WHERE.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_partial && self.columns.iter().all(|(name, ..)| name.is_some())
    }
}

/// The kinds of objects that a schema holds.
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

/// A name as SQLite compares it. Tables, indexes and views share one space of names, triggers
/// have another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) is_trigger: bool,
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

/// One row of `sqlite_schema`, and what pragmas tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) sql: String,
    /// For tables; empty for the others.
    pub(crate) structure: Table,
    pub(crate) index: Option<Index>,
}

impl Object {
    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.kind, &self.name)
    }

    /// The names of its columns; none for what is no table.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.structure.columns.iter().map(|column| column.name.as_str())
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.structure.column(name).is_some()
    }

    /// Whether it is an index in which every entry is there once, whatever rows it covers.
    pub(crate) fn is_unique_index(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.is_unique)
    }

    /// The column of a unique index over all rows of one column, in lower case.
    pub(crate) fn unique_column(&self) -> Option<&str> {
        let index = self.index.as_ref().filter(|index| index.is_unique && !index.is_partial)?;
        let [(Some(column), ..)] = index.columns.as_slice() else { return None };
        Some(column)
    }

    pub(crate) fn with_pragma_details(mut self, connection: &Connection) -> rusqlite::Result<Self> {
        match self.kind {
            ObjectKind::Table => self.structure = Table::read(connection, &self.name)?,
            ObjectKind::Index => {
                self.index = Some(Index::read(connection, &self.table, &self.name)?);
            }
            ObjectKind::View | ObjectKind::Trigger => {}
        }
        Ok(self)
    }
}

/// Every object of a database but SQLite's own and tatmig's own.
pub(crate) type Schema = BTreeMap<ObjectKey, Arc<Object>>;

/// The names that belong to tatmig: no block may touch them.
pub(crate) fn is_tatmig_name(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("_tatmig_"))
}

/// The names that belong to SQLite.
pub(crate) fn is_sqlite_name(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

fn text_column(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(lossy_text_column(row, column)?.into_owned())
}

fn lossy_text_column<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Cow<'r, str>> {
    let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten();
    Ok(String::from_utf8_lossy(bytes.unwrap_or_default()))
}

/// One row of `SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema`.
fn object_from_row(row: &Row<'_>) -> rusqlite::Result<Option<(i64, Object)>> {
    let (kind, name) = (ObjectKind::parse(&text_column(row, 0)?), text_column(row, 1)?);
    let Some(kind) = kind.filter(|_| !is_tatmig_name(&name) && !is_sqlite_name(&name)) else {
        return Ok(None);
    };
    let object = Object {
        kind,
        name,
        table: text_column(row, 2)?,
        sql: text_column(row, 3)?,
        structure: Table::default(),
        index: None,
    };
    Ok(Some((row.get(4)?, object)))
}

/// The wanted rows of `sqlite_schema`, without what pragmas tell.
pub(crate) fn read_objects(
    connection: &Connection,
    is_wanted: impl Fn(&ObjectKey) -> bool,
) -> rusqlite::Result<BTreeMap<ObjectKey, Object>> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema")?;
    let mut rows = statement.query([])?;
    let mut objects = BTreeMap::new();
    let mut key = ObjectKey { is_trigger: false, name: String::new() };
    while let Some(row) = rows.next()? {
        key.is_trigger = row.get_ref(0)?.as_str() == Ok("trigger");
        key.name.clear();
        key.name.push_str(&lossy_text_column(row, 1)?);
        key.name.make_ascii_lowercase();
        if is_wanted(&key)
            && let Some((_, object)) = object_from_row(row)?
        {
            objects.insert(key.clone(), object);
        }
    }
    Ok(objects)
}

/// The whole schema of a database.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Schema> {
    let rows = read_objects(connection, |_| true)?;
    rows.into_iter()
        .map(|(key, object)| Ok((key, Arc::new(object.with_pragma_details(connection)?))))
        .collect()
}

impl Table {
    /// The names of the primary key's columns, in the key's order.
    pub(crate) fn primary_key(&self) -> Vec<String> {
        let mut columns: Vec<&Column> =
            self.columns.iter().filter(|column| column.primary_key_position > 0).collect();
        columns.sort_by_key(|column| column.primary_key_position);
        columns.into_iter().map(|column| column.name.clone()).collect()
    }
}

/// The columns of each whole unique index of a table.
pub(crate) fn unique_keys(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut statement =
        connection.prepare(&format!("PRAGMA index_list({})", lexer::quote_identifier(table)))?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let (is_unique, is_partial): (bool, bool) = (row.get(2)?, row.get(4)?);
        if is_unique && !is_partial {
            let index = Index::read(connection, table, &text_column(row, 1)?)?;
            keys.extend(
                index.columns.into_iter().map(|(name, ..)| name).collect::<Option<Vec<_>>>(),
            );
        }
    }
    Ok(keys)
}
