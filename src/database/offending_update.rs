//! Builds the query for the rows that an UPDATE cannot change: its new values are put in the place of
//! the columns that it writes.

use std::collections::BTreeSet;

use crate::database::assertion::MAX_SHOWN_ROWS;
use crate::database::offending_query::{FailedConstraint, OffendingRowsQuery, duplicates_query};
use crate::sql::lexer::quote_identifier as quote;
use crate::sql::tokens::Tokens;

/// An UPDATE of one table.
pub(crate) struct Update {
    pub(crate) source: String,
    pub(crate) condition: Option<String>,
    /// The columns that it writes, in lower case, and their values.
    pub(crate) new_values: Vec<(String, String)>,
}

impl Update {
    fn new_value(&self, column: &str) -> Option<String> {
        let (_, value) = self.new_values.iter().find(|(name, _)| name == column)?;
        Some(match &self.condition {
            Some(condition) => {
                format!("CASE WHEN {condition}\n THEN {value} ELSE {} END", quote(column))
            }
            None => format!("({value}\n)"),
        })
    }

    fn value_or_column(&self, column: &str) -> String {
        self.new_value(column).unwrap_or_else(|| quote(column))
    }

    /// The rows that would violate the constraint, by their row ids.
    pub(crate) fn query(&self, constraint: &FailedConstraint) -> Option<OffendingRowsQuery> {
        let source = &self.source;
        let limit = MAX_SHOWN_ROWS + 1;
        let by_row_id = |sql| OffendingRowsQuery {
            columns: vec!["rowid".to_owned()],
            sql,
            without_row_ids: None,
        };
        match constraint {
            FailedConstraint::Unique(failed) if !failed.is_empty() => {
                let terms: Vec<String> =
                    failed.iter().map(|column| self.value_or_column(column)).collect();
                let query = |key| duplicates_query(failed, &terms, source, None, key);
                let without_row_ids = Some(Box::new(query(None)));
                Some(OffendingRowsQuery { without_row_ids, ..query(Some("rowid")) })
            }
            FailedConstraint::Unique(_) => None,
            FailedConstraint::NotNull(column) => {
                let value = self.new_value(column)?;
                Some(by_row_id(format!(
                    "SELECT rowid FROM {source} WHERE {value} IS NULL LIMIT {limit}"
                )))
            }
            FailedConstraint::Check(expression) => {
                let columns: BTreeSet<String> = column_names_in(expression).collect();
                let values = columns.iter().map(|column| {
                    format!(", {} AS {}", self.value_or_column(column), quote(column))
                });
                let values = values.collect::<String>();
                Some(by_row_id(format!(
                    "SELECT tatmig_row FROM (SELECT rowid AS tatmig_row{values} FROM {source}) \
                     WHERE NOT ({expression}\n) LIMIT {limit}"
                )))
            }
        }
    }
}

/// The names in an expression that can be columns, in lower case.
fn column_names_in(expression: &str) -> impl Iterator<Item = String> {
    const KEYWORDS: [&str; 20] = [
        "AND", "AS", "BETWEEN", "CASE", "CAST", "COLLATE", "ELSE", "END", "ESCAPE", "FALSE",
        "GLOB", "IN", "IS", "LIKE", "NOT", "NULL", "OR", "THEN", "TRUE", "WHEN",
    ];
    let tokens = Tokens::new(expression);
    let names: Vec<String> = (0..tokens.len())
        .filter(|index| {
            let text = tokens.text(*index);
            let starts_name =
                text.starts_with(|first: char| first.is_alphabetic() || "_\"`[".contains(first));
            let is_keyword = KEYWORDS.iter().any(|keyword| tokens.is(*index, keyword));
            let is_collation = tokens.preceded_by(*index, "COLLATE");
            starts_name && !is_keyword && !is_collation && !tokens.is(index + 1, "(")
        })
        .map(|index| tokens.name(index).to_ascii_lowercase())
        .collect();
    names.into_iter()
}
