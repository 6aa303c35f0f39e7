//! Foreign keys before and after: the violations among the tables that a run touches, as a
//! multiset, so that what was broken for years is told apart from what a migration broke.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::error::is_sql_error;
use crate::schema;
use crate::schema::renames::Renames;
use crate::schema::{ForeignKey, Table};
use crate::sql::lexer;

/// A row whose parent is missing: child table, key values, parent table; names in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    child: String,
    key_values: Vec<String>,
    parent: String,
}

/// What a look at the foreign keys found.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForeignKeyViolations {
    counts: BTreeMap<Violation, usize>,
    /// Keys that SQLite cannot use, each in words.
    pub(crate) unusable_keys: BTreeSet<String>,
    /// Child and parent, in lower case, of those keys.
    unusable_pairs: BTreeSet<(String, String)>,
}

impl ForeignKeyViolations {
    /// How many violations are told one by one.
    pub(crate) const MAX_LISTED: usize = 5;

    /// Counts the violations of every table.
    pub(crate) fn scan_all(connection: &Connection) -> rusqlite::Result<Self> {
        let mut violations = Self::default();
        for (table, keys) in foreign_keys_by_table(connection)? {
            violations.scan_table(connection, &table, &keys)?;
        }
        Ok(violations)
    }

    /// Counts the violations of the `touched` tables (lower case) and of those that refer to them.
    pub(crate) fn scan(
        connection: &Connection,
        modified_tables: &BTreeSet<String>,
    ) -> rusqlite::Result<Self> {
        let mut violations = Self::default();
        if modified_tables.is_empty() {
            return Ok(violations);
        }
        for (table, keys) in foreign_keys_by_table(connection)? {
            let is_involved = modified_tables.contains(&table.to_ascii_lowercase())
                || keys
                    .iter()
                    .any(|key| modified_tables.contains(&key.parent.to_ascii_lowercase()));
            if is_involved {
                violations.scan_table(connection, &table, &keys)?;
            }
        }
        Ok(violations)
    }

    fn scan_table(
        &mut self,
        connection: &Connection,
        table: &str,
        keys: &[ForeignKey],
    ) -> rusqlite::Result<()> {
        // SQLite's own check is exact and finds most tables clean; but it stops at the first key
        // that it cannot use, and does not tell the key values.
        match has_no_violations(connection, table) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if is_sql_error(&error) => {}
            Err(error) => return Err(error),
        }
        for key in keys {
            let Some(parent_columns) = resolve_parent(connection, key)? else {
                self.unusable_keys.insert(format!("`{table}` {key}"));
                let pair = (table.to_ascii_lowercase(), key.parent.to_ascii_lowercase());
                self.unusable_pairs.insert(pair);
                continue;
            };
            let (child_columns, from_clause) = orphan_query(table, key, parent_columns.as_deref());
            let mut statement = connection
                .prepare(&format!("SELECT {} {from_clause}", child_columns.join(", ")))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values = (0..child_columns.len())
                    .map(|column| row.get::<_, Value>(column).map(|value| format_value(&value)))
                    .collect::<rusqlite::Result<_>>()?;
                *self
                    .counts
                    .entry(Violation {
                        child: table.to_ascii_lowercase(),
                        key_values: values,
                        parent: key.parent.to_ascii_lowercase(),
                    })
                    .or_default() += 1;
            }
        }
        Ok(())
    }

    /// How many rows lack their parent.
    pub(crate) fn violation_count(&self) -> usize {
        self.counts.values().sum()
    }

    /// The violations that were not there before, in words, and how many rows they are. Tables
    /// renamed by the run carry their old violations with them.
    pub(crate) fn introduced_since(
        &self,
        before: &Self,
        renames: &Renames,
    ) -> (Vec<String>, usize) {
        let mut counts_before: BTreeMap<Violation, usize> = BTreeMap::new();
        for (violation, count) in &before.counts {
            *counts_before.entry(violation.clone()).or_default() += count;
            let renamed_violation = Violation {
                child: renames.final_name(&violation.child),
                parent: renames.final_name(&violation.parent),
                key_values: violation.key_values.clone(),
            };
            if renamed_violation != *violation {
                *counts_before.entry(renamed_violation).or_default() += count;
            }
        }
        let mut descriptions = Vec::new();
        let mut rows = 0;
        for (violation, count) in &self.counts {
            // A key that could not be used before held nobody to anything.
            let pair = (violation.child.clone(), violation.parent.clone());
            if before.unusable_pairs.contains(&pair) {
                continue;
            }
            let introduced =
                count.saturating_sub(counts_before.get(violation).copied().unwrap_or(0));
            if introduced > 0 {
                rows += introduced;
                let between = (violation.child.as_str(), violation.parent.as_str());
                descriptions.push(describe(between, &violation.key_values, introduced));
            }
        }
        (descriptions, rows)
    }
}

/// The columns of a key in the child `c`, and from `FROM` on the query for the rows of a table
/// whose parents are missing. Without the parent's columns there is no parent.
pub(crate) fn orphan_query(
    table: &str,
    key: &ForeignKey,
    parent_columns: Option<&[String]>,
) -> (Vec<String>, String) {
    let columns = |alias: &str, names: &[String]| -> Vec<String> {
        names.iter().map(|name| format!("{alias}.{}", lexer::quote_identifier(name))).collect()
    };
    let child_columns = columns("c", &key.columns);
    let missing_parent_condition = match parent_columns {
        Some(parent) => format!(
            "NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
            lexer::quote_identifier(&key.parent),
            columns("p", parent)
                .iter()
                .zip(&child_columns)
                .map(|(parent, child)| format!("{parent} = {child}"))
                .collect::<Vec<_>>()
                .join(" AND ")
        ),
        None => "1".to_owned(),
    };
    let not_null: Vec<String> =
        child_columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
    let query = format!(
        "FROM {} c WHERE {} AND {missing_parent_condition}",
        lexer::quote_identifier(table),
        not_null.join(" AND ")
    );
    (child_columns, query)
}

/// Rows whose parent is missing, in words.
pub(crate) fn describe((child, parent): (&str, &str), key: &[String], rows: usize) -> String {
    let row_suffix = if rows > 1 { format!(" in {rows} rows") } else { String::new() };
    let key = key.join(", ");
    format!("`{child}` refers to `{parent}` by {key}{row_suffix}, which is not there")
}

fn foreign_keys_by_table(
    connection: &Connection,
) -> rusqlite::Result<Vec<(String, Vec<ForeignKey>)>> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%references%' ORDER BY name",
    )?;
    let names = statement
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut found = Vec::new();
    for name in names {
        let keys = schema::foreign_keys(connection, &name)?;
        if !keys.is_empty() {
            found.push((name, keys));
        }
    }
    Ok(found)
}

fn has_no_violations(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare(&format!("PRAGMA foreign_key_check({})", lexer::quote_identifier(table)))?;
    let mut rows = statement.query([])?;
    Ok(rows.next()?.is_none())
}

/// The parent's columns that a key points at: `Some(None)` where the parent is not there (every
/// row is an orphan then), `None` where SQLite calls the key a mismatch.
#[allow(clippy::option_option)] // three answers, and the caller needs all of them
pub(crate) fn resolve_parent(
    connection: &Connection,
    key: &ForeignKey,
) -> rusqlite::Result<Option<Option<Vec<String>>>> {
    let parent = Table::read(connection, &key.parent)?;
    resolve_parent_in(key, &parent, || schema::unique_keys(connection, &key.parent))
}

/// The same, told by the parent and its unique keys.
#[allow(clippy::option_option)]
pub(crate) fn resolve_parent_in<E>(
    key: &ForeignKey,
    parent: &Table,
    unique_keys: impl FnOnce() -> Result<Vec<Vec<String>>, E>,
) -> Result<Option<Option<Vec<String>>>, E> {
    if parent.columns.is_empty() {
        return Ok(Some(None));
    }
    let columns = if key.parent_columns.is_empty() {
        parent.primary_key()
    } else {
        key.parent_columns.clone()
    };
    if columns.len() != key.columns.len()
        || columns.iter().any(|name| parent.column(name).is_none())
    {
        return Ok(None);
    }
    let is_same_key = |names: &[String]| {
        names.len() == columns.len()
            && columns
                .iter()
                .all(|column| names.iter().any(|name| name.eq_ignore_ascii_case(column)))
    };
    if is_same_key(&parent.primary_key()) || unique_keys()?.iter().any(|names| is_same_key(names)) {
        return Ok(Some(Some(columns)));
    }
    Ok(None)
}

pub(crate) fn format_value(value: &Value) -> String {
    const MAX_LENGTH: usize = 60;
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) if text.chars().count() > MAX_LENGTH => {
            format!("'{}…'", text.chars().take(MAX_LENGTH).collect::<String>().escape_debug())
        }
        Value::Text(text) => format!("'{}'", text.escape_debug()),
        Value::Blob(bytes) => {
            let hex: String =
                bytes.iter().take(MAX_LENGTH / 2).fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
            format!("x'{hex}{}'", if bytes.len() > MAX_LENGTH / 2 { "…" } else { "" })
        }
    }
}
