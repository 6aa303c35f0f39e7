//! Builds, from a statement that failed on a constraint and SQLite's message, a query for the rows
//! that the statement failed on. Only statements whose rows a query can find have one: CREATE
//! UNIQUE INDEX, INSERT … SELECT with a list of columns, and UPDATE of one table.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::database::offending_query::{
    FailedConstraint, OffendingRowsQuery, duplicates_query, matching_query,
};
use crate::database::offending_update::Update;
use crate::sql::lexer::quote_identifier as quote;
use crate::sql::tokens::Tokens;

/// The query for the rows that the last of some statements failed on.
pub(crate) fn offending_rows_query(
    statements: &[&str],
    message: &str,
) -> Option<OffendingRowsQuery> {
    let (failed, earlier) = statements.split_last()?;
    let constraint = FailedConstraint::parse(message, |name| {
        // SQLite names a constraint by its name or, if it has none, by its expression.
        let named = earlier.iter().rev().find_map(|sql| named_check(sql, name));
        named.unwrap_or_else(|| name.to_owned())
    })?;
    let tokens = Tokens::new(failed);
    let statement = StatementText { tokens: &tokens };
    statement
        .unique_index_query(&constraint)
        .or_else(|| statement.insert_query(&constraint))
        .or_else(|| statement.update_query(&constraint))
}

/// The expression of `CONSTRAINT name CHECK (…)` in a statement.
fn named_check(sql: &str, name: &str) -> Option<String> {
    let tokens = Tokens::new(sql);
    (0..tokens.len()).find_map(|index| {
        let is_named = tokens.is(index, "CONSTRAINT")
            && tokens.is_name(index + 1, name)
            && tokens.is(index + 2, "CHECK");
        let end = tokens.after_matching_close(index + 3);
        is_named.then(|| tokens.text_between(index + 4..end.saturating_sub(1)).to_owned())
    })
}

/// A statement as tokens.
#[derive(Clone, Copy)]
struct StatementText<'s, 't> {
    tokens: &'s Tokens<'t>,
}

impl StatementText<'_, '_> {
    /// The end of the statement without its semicolon.
    fn end(self) -> usize {
        let last = (0..self.tokens.len()).rev().find(|index| !self.tokens.is(*index, ";"));
        last.map_or(0, |last| last + 1)
    }

    fn text(self, range: Range<usize>) -> String {
        self.tokens.text_between(range).to_owned()
    }

    /// Rows of which the index would have several.
    fn unique_index_query(self, constraint: &FailedConstraint) -> Option<OffendingRowsQuery> {
        let tokens = self.tokens;
        if !tokens.match_seq(0, &["CREATE", "UNIQUE", "INDEX"])
            || !matches!(constraint, FailedConstraint::Unique(_))
        {
            return None;
        }
        let on = tokens.find_top_level(3, "ON")?;
        let table = self.text(on + 1..on + 2);
        let end = tokens.after_matching_close(on + 2);
        let terms: Vec<String> = tokens
            .split_at_commas(on + 3..end.saturating_sub(1))
            .into_iter()
            .map(|mut term| {
                let last = term.end.saturating_sub(1);
                if tokens.is(last, "ASC") || tokens.is(last, "DESC") {
                    term.end = last;
                }
                self.text(term)
            })
            .collect();
        let filter = tokens.find_top_level(end, "WHERE");
        let filter = filter.map(|index| self.text(index + 1..self.end()));
        let table = format!("main.{table}");
        let filter = filter.as_deref();
        let without_row_ids = duplicates_query(&terms, &terms, &table, filter, None);
        let query = duplicates_query(&terms, &terms, &table, filter, Some("rowid"));
        Some(OffendingRowsQuery { without_row_ids: Some(Box::new(without_row_ids)), ..query })
    }

    /// Rows that the SELECT of an INSERT returns.
    fn insert_query(self, constraint: &FailedConstraint) -> Option<OffendingRowsQuery> {
        let tokens = self.tokens;
        let into = if tokens.match_seq(0, &["INSERT", "OR"]) { 3 } else { 1 };
        if !tokens.is(0, "INSERT") || !tokens.is(into, "INTO") {
            return None;
        }
        let table = tokens.skip_schema_qualifier(into + 1);
        let list_end = tokens.after_matching_close(table + 1);
        if !tokens.is(table + 1, "(") || !tokens.is(list_end, "SELECT") {
            return None;
        }
        let columns: Vec<String> = tokens
            .split_at_commas(table + 2..list_end - 1)
            .into_iter()
            .map(|column| self.text(column))
            .collect();
        let names: Vec<String> = tokens
            .split_at_commas(table + 2..list_end - 1)
            .into_iter()
            .map(|column| tokens.name(column.start).to_ascii_lowercase())
            .collect();
        let select = self.text(list_end..self.end());
        let source = format!("(WITH s ({}) AS ({select}\n) SELECT * FROM s)", columns.join(", "));
        match constraint {
            FailedConstraint::Unique(failed) => {
                if failed.is_empty() || failed.iter().any(|column| !names.contains(column)) {
                    return None;
                }
                let terms: Vec<String> = failed.iter().map(|column| quote(column)).collect();
                // The first column is the key as a rule.
                let key = names.first().filter(|name| !failed.contains(name));
                Some(duplicates_query(failed, &terms, &source, None, key.map(String::as_str)))
            }
            FailedConstraint::NotNull(column) => {
                let shown = shown_columns(&names, &BTreeSet::from([column.clone()]))?;
                Some(matching_query(&shown, &source, &format!("{} IS NULL", quote(column))))
            }
            FailedConstraint::Check(expression) => {
                let shown = shown_columns(&names, &names_in(expression))?;
                Some(matching_query(&shown, &source, &format!("NOT ({expression}\n)")))
            }
        }
    }

    /// Rows that an UPDATE of one table changes, by their row ids.
    fn update_query(self, constraint: &FailedConstraint) -> Option<OffendingRowsQuery> {
        let tokens = self.tokens;
        let first = if tokens.match_seq(0, &["UPDATE", "OR"]) { 3 } else { 1 };
        let table = tokens.skip_schema_qualifier(first);
        if !tokens.is(0, "UPDATE") || !tokens.is(table + 1, "SET") {
            return None;
        }
        let end = self.end();
        let is_complex = ["FROM", "RETURNING", "ORDER", "LIMIT"]
            .iter()
            .any(|keyword| tokens.find_top_level(table + 2, keyword).is_some());
        if is_complex {
            return None;
        }
        let where_index = tokens.find_top_level(table + 2, "WHERE").unwrap_or(end);
        let condition = (where_index < end).then(|| self.text(where_index + 1..end));
        let mut new_values = Vec::new();
        for assignment in tokens.split_at_commas(table + 2..where_index) {
            if !tokens.is(assignment.start + 1, "=") {
                return None;
            }
            let column = tokens.name(assignment.start).to_ascii_lowercase();
            new_values.push((column, self.text(assignment.start + 2..assignment.end)));
        }
        let source = format!("main.{}", self.text(table..table + 1));
        Update { source, condition, new_values }.query(constraint)
    }
}

/// The first column, which is the key as a rule, and the columns that the constraint is about.
/// None if the constraint is about none of the columns.
fn shown_columns(names: &[String], failed: &BTreeSet<String>) -> Option<Vec<String>> {
    if !names.iter().any(|name| failed.contains(name)) {
        return None;
    }
    let columns = names.iter().enumerate();
    let shown = columns.filter(|(index, name)| *index == 0 || failed.contains(*name));
    Some(shown.map(|(_, name)| name.clone()).collect())
}

/// All names in an expression, in lower case.
fn names_in(expression: &str) -> BTreeSet<String> {
    let tokens = Tokens::new(expression);
    (0..tokens.len()).map(|index| tokens.name(index).to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::database::assertion::failing_rows;

    /// Runs statements, the last of which fails; returns the rows that it failed on, with the names
    /// that a message shows.
    #[track_caller]
    fn rows(statements: &[&'static str]) -> Vec<String> {
        let connection = Connection::open_in_memory().unwrap();
        let (last, earlier) = statements.split_last().unwrap();
        for sql in earlier {
            connection.execute_batch(sql).unwrap();
        }
        let error = connection.execute_batch(last).unwrap_err();
        let message = crate::database::error::sqlite_message(&error);
        assert!(message.contains("constraint failed"), "{message}");
        let query = offending_rows_query(statements, &message);
        let Some(query) = query else { return Vec::new() };
        let mut select = connection.prepare(&query.sql).unwrap();
        assert_eq!(select.column_count(), query.columns.len());
        failing_rows(&mut select).unwrap().unwrap_or_default()
    }

    const NOTES: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, n INTEGER); \
                         INSERT INTO notes (body, n) VALUES ('tea', 1), ('tea', 2), ('milk', NULL), (NULL, 4), (NULL, -5)";

    #[test]
    fn duplicates_under_a_unique_index_are_named() {
        let rows_of = |sql| rows(&[NOTES, sql]);
        assert_eq!(
            rows_of("CREATE UNIQUE INDEX u ON notes (body);"),
            ["(body = 'tea', min(rowid) = 1, max(rowid) = 2, count(*) = 2)"]
        );
        assert_eq!(
            rows_of(
                "CREATE UNIQUE INDEX IF NOT EXISTS main.u ON notes (lower(body) DESC) WHERE n < 3 -- new"
            ),
            ["(lower(body) = 'tea', min(rowid) = 1, max(rowid) = 2, count(*) = 2)"]
        );
    }

    #[test]
    fn rows_that_a_copy_cannot_insert_are_named() {
        let copy = |table, sql| rows(&[NOTES, table, sql]);
        assert_eq!(
            copy(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
                "INSERT INTO t (id, body) SELECT id, body FROM notes;"
            ),
            ["(id = 4, body = NULL)", "(id = 5, body = NULL)"]
        );
        assert_eq!(
            copy(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT UNIQUE)",
                "INSERT INTO t (id, body) SELECT id, upper(body) FROM notes -- all"
            ),
            ["(body = 'TEA', min(\"id\") = 1, max(\"id\") = 2, count(*) = 2)"]
        );
        assert_eq!(
            copy(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 1))",
                "INSERT INTO t (id, n) SELECT id, n FROM notes"
            ),
            ["(id = 1, n = 1)", "(id = 5, n = -5)"]
        );
        assert_eq!(
            copy(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, CONSTRAINT \"is large\" CHECK (n > 1))",
                "INSERT INTO t (n) SELECT n FROM notes"
            ),
            ["(n = 1)", "(n = -5)"]
        );
    }

    #[test]
    fn rows_that_an_update_cannot_change_are_named() {
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE, n); \
                     INSERT INTO t VALUES (1, 'a', 1), (2, 'b', NULL), (3, 'c', 1)";
        assert_eq!(rows(&[table, "UPDATE t SET n = 0, body = n || '' WHERE id > 1"]), ["(id = 2)"]);
        let duplicates = rows(&[table, "UPDATE OR ABORT t SET body = 'x' WHERE n = 1;"]);
        assert_eq!(duplicates.len(), 1);
        assert!(
            duplicates[0].ends_with("= 'x', min(rowid) = 1, max(rowid) = 3, count(*) = 2)"),
            "{duplicates:?}"
        );
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, m INT, CHECK (n < m AND lower(n) <> 'x'));
                     INSERT INTO t VALUES (1, 1, 9), (2, 1, 3), (3, 1, 2)";
        assert_eq!(rows(&[table, "UPDATE t SET n = n + 1 WHERE id > 1"]), ["(tatmig_row = 3)"]);
    }

    #[test]
    fn rows_without_row_ids_have_none_to_name() {
        let table = "CREATE TABLE t (k TEXT PRIMARY KEY, n NOT NULL) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1)";
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(table).unwrap();
        let statement = StatementText { tokens: &Tokens::new("UPDATE t SET n = NULL") };
        let query = statement.update_query(&FailedConstraint::NotNull("n".to_owned())).unwrap();
        assert!(connection.prepare(&query.sql).is_err());
    }

    #[test]
    fn a_statement_whose_rows_no_query_can_find_has_none() {
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";
        assert_eq!(rows(&[NOTES, table, "INSERT INTO t SELECT id, body FROM notes"]), [""; 0]);
        assert_eq!(rows(&[table, "INSERT INTO t (body) VALUES (NULL)"]), [""; 0]);
        assert_eq!(rows(&[NOTES, table, "INSERT INTO t (id) SELECT id FROM notes"]), [""; 0]);
    }
}
