//! Represents the constraint that a statement failed on, and the query for the rows that it failed on.

use crate::database::assertion::{MAX_SHOWN_ROWS, describe_row};
use crate::sql::lexer::quote_identifier;
use crate::sql::value::Rows;

/// A query for offending rows. The names of its columns are those that a message shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffendingRowsQuery {
    pub(crate) columns: Vec<String>,
    pub(crate) sql: String,
    /// The query for a table that has no row ids, with which this one fails.
    pub(crate) without_row_ids: Option<Box<Self>>,
}

impl OffendingRowsQuery {
    /// The rows that the query returned, each as a message shows it.
    pub(crate) fn describe(&self, rows: &Rows) -> Vec<String> {
        rows.iter().map(|row| describe_row(&self.columns, &row.0)).collect()
    }
}

/// The constraint that SQLite's message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FailedConstraint {
    /// The columns, in lower case; none if the message names an index on expressions.
    Unique(Vec<String>),
    /// The column, in lower case.
    NotNull(String),
    /// The constraint's expression as SQL.
    Check(String),
}

impl FailedConstraint {
    pub(crate) fn parse(message: &str, check: impl Fn(&str) -> String) -> Option<Self> {
        let column = |name: &str| {
            let column = name.rsplit_once('.').map_or(name, |(_, column)| column);
            column.to_ascii_lowercase()
        };
        if let Some(names) = message.strip_prefix("UNIQUE constraint failed: ") {
            let is_index = names.starts_with("index ");
            let columns = names.split(", ").map(column);
            return Some(Self::Unique(if is_index { Vec::new() } else { columns.collect() }));
        }
        if let Some(name) = message.strip_prefix("NOT NULL constraint failed: ") {
            return Some(Self::NotNull(column(name)));
        }
        message.strip_prefix("CHECK constraint failed: ").map(check).map(Self::Check)
    }
}

pub(crate) fn matching_query(
    columns: &[String],
    source: &str,
    condition: &str,
) -> OffendingRowsQuery {
    let selected: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    let limit = MAX_SHOWN_ROWS + 1;
    OffendingRowsQuery {
        columns: columns.to_vec(),
        sql: format!(
            "SELECT {} FROM {source} WHERE {condition} LIMIT {limit}",
            selected.join(", ")
        ),
        without_row_ids: None,
    }
}

/// Values that several rows have, with the keys of two of these rows. NULLs are distinct.
pub(crate) fn duplicates_query(
    labels: &[String],
    terms: &[String],
    source: &str,
    filter: Option<&str>,
    key: Option<&str>,
) -> OffendingRowsQuery {
    let not_null = terms.iter().map(|term| format!("({term}) IS NOT NULL"));
    let conditions: Vec<String> =
        filter.iter().map(|filter| format!("({filter}\n)")).chain(not_null).collect();
    let terms = terms.join(", ");
    let limit = MAX_SHOWN_ROWS + 1;
    let keys = key.iter().flat_map(|key| [format!("first {key}"), format!("last {key}")]);
    let columns = labels.iter().cloned().chain(keys).chain(["rows".to_owned()]).collect();
    let keys = key.map_or_else(String::new, |key| {
        let key = if key == "rowid" { key.to_owned() } else { quote_identifier(key) };
        format!("min({key}), max({key}), ")
    });
    OffendingRowsQuery {
        columns,
        without_row_ids: None,
        sql: format!(
            "SELECT {terms}, {keys}count(*) FROM {source} WHERE {} GROUP BY {terms} HAVING count(*) > 1 LIMIT {limit}",
            conditions.join(" AND ")
        ),
    }
}
