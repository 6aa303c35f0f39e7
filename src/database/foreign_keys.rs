//! Reads foreign keys: which columns of its parent a key refers to, and builds the queries that
//! find the rows whose parent row is missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::schema_reader::{TableWithKeys, read_foreign_keys, read_tables_with_keys};
use crate::database::session::{Query, Session, SessionError};
use crate::schema::{ForeignKey, ObjectKind, Schema};
use crate::sql::lexer;

/// The columns that a foreign key refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParentKey {
    /// The primary key or a unique index of the parent.
    Columns(Vec<String>),
    /// The parent table does not exist, so that every row of the child violates the key.
    NoTable,
    /// The parent's columns are not unique or do not exist. SQLite reports "foreign key mismatch".
    Mismatch,
}

impl ParentKey {
    /// Reads the columns that a foreign key refers to.
    pub(crate) fn read<S: Session>(session: &S, key: &ForeignKey) -> Result<Self, S::Error> {
        let parents = read_tables_with_keys(session, &[key.parent.as_str()])?;
        Ok(parents.first().map_or(Self::NoTable, |parent| Self::resolve(key, parent)))
    }

    /// Finds the columns in the definition of the parent, which has no columns if no such table
    /// or view exists.
    fn resolve(key: &ForeignKey, parent: &TableWithKeys) -> Self {
        let table = &parent.table;
        if parent.has_no_keys {
            return Self::Mismatch;
        }
        if table.columns.is_empty() {
            return Self::NoTable;
        }
        let columns = if key.parent_columns.is_empty() {
            table.primary_key()
        } else {
            key.parent_columns.clone()
        };
        if columns.len() != key.columns.len()
            || columns.iter().any(|name| table.column(name).is_none())
        {
            return Self::Mismatch;
        }
        let is_same_key = |names: &[String]| {
            names.len() == columns.len()
                && columns
                    .iter()
                    .all(|column| names.iter().any(|name| name.eq_ignore_ascii_case(column)))
        };
        // SQLite does not look at the collation of a primary key that the key does not name.
        let may_be_primary = key.parent_columns.is_empty() || !parent.has_collated_primary_key;
        if may_be_primary && is_same_key(&table.primary_key())
            || parent.unique_keys.iter().any(|names| is_same_key(names))
        {
            Self::Columns(columns)
        } else {
            Self::Mismatch
        }
    }
}

/// The rows of one foreign key whose parent row is missing.
#[derive(Clone, Debug)]
pub(crate) struct OrphanQuery {
    /// The table that has the key, in lower case.
    pub(crate) child: String,
    /// The table that the key refers to, in lower case.
    pub(crate) parent: String,
    /// The key's columns in the child, as SQL expressions.
    pub(crate) key_columns: Vec<String>,
    /// `FROM … WHERE …`.
    pub(crate) from_clause: String,
}

impl OrphanQuery {
    /// Builds the query. `parent_columns` is `None` if the parent table does not exist.
    fn new(table: &str, key: &ForeignKey, parent_columns: Option<&[String]>) -> Self {
        let columns = |alias: &str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{alias}.{}", lexer::quote_identifier(name))).collect()
        };
        let key_columns = columns("c", &key.columns);
        let mut conditions: Vec<String> =
            key_columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        if let Some(parent_columns) = parent_columns {
            let equalities = columns("p", parent_columns);
            let equalities = equalities
                .iter()
                .zip(&key_columns)
                .map(|(parent, child)| format!("{parent} = {child}"));
            conditions.push(format!(
                "NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
                lexer::quote_main_table(&key.parent),
                equalities.collect::<Vec<_>>().join(" AND ")
            ));
        }
        Self {
            child: table.to_ascii_lowercase(),
            parent: key.parent.to_ascii_lowercase(),
            key_columns,
            from_clause: format!(
                "FROM {} c WHERE {}",
                lexer::quote_main_table(table),
                conditions.join(" AND ")
            ),
        }
    }

    /// `GROUP BY …` for one group for each key value. A column's own collation, such as NOCASE,
    /// would put different values into one group.
    pub(crate) fn group_by_clause(&self) -> String {
        let columns: Vec<String> =
            self.key_columns.iter().map(|column| format!("{column} COLLATE BINARY")).collect();
        format!("GROUP BY {}", columns.join(", "))
    }

    /// The query for each key value and how many rows have it.
    pub(crate) fn grouped(&self) -> String {
        format!(
            "SELECT {}, count(*) AS n {} {}",
            self.key_columns.join(", "),
            self.from_clause,
            self.group_by_clause()
        )
    }
}

/// The queries for the violations of several foreign keys, and the keys that SQLite cannot use.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForeignKeySet {
    pub(crate) orphan_queries: Vec<OrphanQuery>,
    /// Keys with a mismatch, each as a message names it.
    pub(crate) unusable_keys: BTreeSet<String>,
    /// Child and parent of those keys, in lower case.
    pub(crate) unusable_pairs: BTreeSet<(String, String)>,
}

impl ForeignKeySet {
    /// Builds the queries for the tables in `modified_tables` (in lower case) and for the tables
    /// that refer to them.
    pub(crate) fn from_schema(schema: &Schema, modified_tables: &BTreeSet<String>) -> Self {
        let mut key_set = Self::default();
        for child in schema.values().filter(|object| object.kind == ObjectKind::Table) {
            let keys = &child.structure().foreign_keys;
            if !is_involved(&child.name, keys, modified_tables) {
                continue;
            }
            for key in keys {
                let parent = TableWithKeys::find(&key.parent, schema.values().map(AsRef::as_ref));
                key_set.push(&child.name, key, &ParentKey::resolve(key, &parent));
            }
        }
        key_set
    }

    /// Reads the foreign keys of the tables in which SQLite's own check finds a violation or a
    /// mismatch, and builds their queries. `modified_tables` limits the check to those tables (in
    /// lower case) and to the tables that refer to them.
    ///
    /// SQLite's check is exact, fast, and finds most tables without violations. But it stops at
    /// the first key with a mismatch, in whichever table, and does not return the values of the
    /// key. So it is run table by table, and only decides where to search.
    pub(crate) fn read_violated<S: Session>(
        session: &S,
        modified_tables: Option<&BTreeSet<String>>,
    ) -> Result<Self, S::Error> {
        const CHECK: &str = "SELECT 1 FROM pragma_foreign_key_check(?1, 'main') LIMIT 1";
        let mut key_set = Self::default();
        if modified_tables.is_some_and(BTreeSet::is_empty) {
            return Ok(key_set);
        }
        let mut tables = read_foreign_keys(session)?;
        if let Some(modified_tables) = modified_tables {
            tables.retain(|(name, keys)| is_involved(name, keys, modified_tables));
        }
        if tables.is_empty() {
            return Ok(key_set);
        }
        let checks: Vec<Query<'_>> =
            tables.iter().map(|(name, _)| Query::with_text(CHECK, name)).collect();
        let mut violated = Vec::new();
        for (table, result) in tables.iter().zip(session.query_all(&checks)?) {
            match result {
                Ok(rows) if rows.is_empty() => {}
                Err(error) if !error.is_sql_error() => return Err(error),
                Ok(_) | Err(_) => violated.push(table),
            }
        }
        let parent_names: BTreeSet<&str> =
            violated.iter().flat_map(|(_, keys)| keys).map(|key| key.parent.as_str()).collect();
        let parent_names: Vec<&str> = parent_names.into_iter().collect();
        if parent_names.is_empty() {
            return Ok(key_set);
        }
        let parents = read_tables_with_keys(session, &parent_names)?;
        let parents: BTreeMap<&str, &TableWithKeys> =
            parent_names.iter().copied().zip(&parents).collect();
        for (table, keys) in violated {
            for key in keys {
                let parent_key = ParentKey::resolve(key, parents[key.parent.as_str()]);
                key_set.push(table, key, &parent_key);
            }
        }
        Ok(key_set)
    }

    fn push(&mut self, table: &str, key: &ForeignKey, parent_key: &ParentKey) {
        let query = match parent_key {
            ParentKey::Columns(columns) => OrphanQuery::new(table, key, Some(columns)),
            ParentKey::NoTable => OrphanQuery::new(table, key, None),
            ParentKey::Mismatch => {
                self.unusable_keys.insert(format!("`{table}` {key}"));
                self.unusable_pairs
                    .insert((table.to_ascii_lowercase(), key.parent.to_ascii_lowercase()));
                return;
            }
        };
        self.orphan_queries.push(query);
    }

    /// How many columns the widest key has.
    pub(crate) fn max_key_width(&self) -> usize {
        self.orphan_queries.iter().map(|query| query.key_columns.len()).max().unwrap_or(0)
    }
}

/// Whether a table or a parent of it is in `modified_tables` (in lower case).
fn is_involved(table: &str, keys: &[ForeignKey], modified_tables: &BTreeSet<String>) -> bool {
    modified_tables.contains(&table.to_ascii_lowercase())
        || keys.iter().any(|key| modified_tables.contains(&key.parent.to_ascii_lowercase()))
}
