//! Classifies what `INSERT … SELECT` and `UPDATE` do to each column that they write: copied values
//! must arrive unchanged, converted ones must keep their meaning, and computed ones must not vanish.

use std::ops::Range;

use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// A column of the table that a statement writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WrittenColumn {
    /// In lower case.
    Name(String),
    /// Counted from 0, if the statement names no columns.
    Position(usize),
}

/// How a column is written. Of two writes the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ColumnWrite {
    /// Not at all, or with the values that it had.
    Copied,
    /// `CAST (column AS …)`: the values stay, in another type.
    Cast,
    /// With an expression that nowhere says NULL.
    Computed,
    /// With an expression that may mean NULL.
    Free,
}

/// A column that a statement writes with anything but a plain column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatementWrite {
    /// In lower case.
    pub(crate) table: String,
    pub(crate) column: WrittenColumn,
    pub(crate) write: ColumnWrite,
}

/// The columns that a statement fills with anything but a plain column. The result is empty for
/// statements other than `INSERT … SELECT` and `UPDATE`.
pub(crate) fn column_writes(text: &str) -> Vec<StatementWrite> {
    let tokens = Tokens::new(text);
    insert_select_writes(&tokens).or_else(|| update_writes(&tokens)).unwrap_or_default()
}

fn insert_select_writes(tokens: &Tokens<'_>) -> Option<Vec<StatementWrite>> {
    let into_index = if tokens.match_seq(0, &["INSERT", "OR"]) { 3 } else { 1 };
    let is_insert = tokens.is(0, "INSERT") || tokens.is(0, "REPLACE");
    if !is_insert || !tokens.is(into_index, "INTO") {
        return None;
    }
    let table_index = tokens.skip_schema_qualifier(into_index + 1);
    let table = tokens.name(table_index).to_lowercase();
    let mut select_index = table_index + 1;
    let mut column_names = Vec::new();
    if tokens.is(select_index, "(") {
        let end = tokens.after_matching_close(select_index);
        let names = (select_index + 1..end - 1).filter(|index| !tokens.is(*index, ","));
        column_names.extend(names.map(|index| tokens.name(index).to_lowercase()));
        select_index = end;
    }
    if !tokens.is(select_index, "SELECT") {
        return None;
    }
    let has_quantifier =
        tokens.is(select_index + 1, "DISTINCT") || tokens.is(select_index + 1, "ALL");
    let start = select_index + if has_quantifier { 2 } else { 1 };
    let end = tokens.find_top_level(start, "FROM").unwrap_or(end_of_statement(tokens));
    let mut writes = Vec::new();
    for (position, expression) in tokens.split_at_commas(start..end).into_iter().enumerate() {
        if expression.clone().last().is_some_and(|last| tokens.is(last, "*")) {
            // The number of columns that `*` represents is unknown here, so the positions of further
            // columns are too.
            return Some(writes);
        }
        let write = classify(tokens, without_alias(tokens, expression));
        if write != ColumnWrite::Copied {
            let column = match column_names.get(position) {
                Some(name) => WrittenColumn::Name(name.clone()),
                None => WrittenColumn::Position(position),
            };
            writes.push(StatementWrite { table: table.clone(), column, write });
        }
    }
    Some(writes)
}

fn update_writes(tokens: &Tokens<'_>) -> Option<Vec<StatementWrite>> {
    let update_index = tokens.main_keyword();
    if !tokens.is(update_index, "UPDATE") {
        return None;
    }
    let has_conflict_clause = tokens.is(update_index + 1, "OR");
    let first = update_index + if has_conflict_clause { 3 } else { 1 };
    let table = tokens.name(tokens.skip_schema_qualifier(first)).to_lowercase();
    let start = tokens.find_top_level(first, "SET")? + 1;
    let end = ["FROM", "WHERE", "RETURNING"]
        .into_iter()
        .filter_map(|keyword| tokens.find_top_level(start, keyword))
        .min()
        .unwrap_or(end_of_statement(tokens));
    let mut writes = Vec::new();
    for assignment in tokens.split_at_commas(start..end) {
        // `(a, b) = (SELECT …)` is left out, and so counts as free.
        if tokens.is(assignment.start + 1, "=") {
            let name = tokens.name(assignment.start).to_lowercase();
            let expression = assignment.start + 2..assignment.end;
            let write = match classify(tokens, expression.clone()) {
                // The value of another column.
                ColumnWrite::Copied if !tokens.is_name(expression.start, &name) => {
                    ColumnWrite::Free
                }
                write => write,
            };
            let column = WrittenColumn::Name(name);
            writes.push(StatementWrite { table: table.clone(), column, write });
        }
    }
    Some(writes)
}

/// The number of tokens without the semicolon.
fn end_of_statement(tokens: &Tokens<'_>) -> usize {
    let last = tokens.len().saturating_sub(1);
    if tokens.is(last, ";") { last } else { tokens.len() }
}

/// An expression without `AS name`.
fn without_alias(tokens: &Tokens<'_>, expression: Range<usize>) -> Range<usize> {
    let has_alias = expression.len() >= 3
        && tokens.is(expression.end - 2, "AS")
        && tokens.depth(expression.end - 2) == tokens.depth(expression.start);
    if has_alias { expression.start..expression.end - 2 } else { expression }
}

fn classify(tokens: &Tokens<'_>, expression: Range<usize>) -> ColumnWrite {
    if is_plain_column(tokens, expression.clone()) {
        return ColumnWrite::Copied;
    }
    let start = expression.start;
    let is_cast = tokens.is(start, "CAST")
        && tokens.is(start + 1, "(")
        && tokens.after_matching_close(start + 1) >= expression.end;
    if is_cast
        && let Some(as_index) = expression.clone().find(|index| tokens.is(*index, "AS"))
        && is_plain_column(tokens, start + 2..as_index)
    {
        return ColumnWrite::Cast;
    }
    let may_mean_null =
        |index: usize| ["NULL", "NULLIF", "CASE", "IIF"].iter().any(|word| tokens.is(index, word));
    if expression.into_iter().any(may_mean_null) {
        ColumnWrite::Free
    } else {
        ColumnWrite::Computed
    }
}

/// Whether an expression is just a column: `a`, `t.a`, `"a"`.
fn is_plain_column(tokens: &Tokens<'_>, expression: Range<usize>) -> bool {
    let is_name = |index: usize| match tokens.kind(index) {
        Some(TokenKind::Quoted) => !tokens.text(index).starts_with('\''),
        Some(TokenKind::Word) => {
            let word = tokens.text(index).to_lowercase();
            !word.starts_with(|character: char| character.is_ascii_digit())
                && !["null", "true", "false"].contains(&word.as_str())
                && !word.starts_with("current_")
        }
        _ => false,
    };
    let start = expression.start;
    match expression.len() {
        1 => is_name(start),
        3 => is_name(start) && tokens.is(start + 1, ".") && is_name(start + 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_writes(text: &str, expected: &[(&str, ColumnWrite)]) {
        let found: Vec<(String, ColumnWrite)> = column_writes(text)
            .into_iter()
            .map(|StatementWrite { table, column, write }| match column {
                WrittenColumn::Name(name) => (format!("{table}.{name}"), write),
                WrittenColumn::Position(index) => (format!("{table}.{index}"), write),
            })
            .collect();
        let expected: Vec<(String, ColumnWrite)> =
            expected.iter().map(|(name, write)| ((*name).to_owned(), *write)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn copied_columns_are_not_writes() {
        assert_writes("INSERT INTO n (a, \"B\") SELECT a, t.\"B\" FROM t", &[]);
        assert_writes("INSERT INTO n SELECT * FROM t", &[]);
        assert_writes("INSERT OR IGNORE INTO n (a) SELECT x AS a FROM t WHERE b > 1", &[]);
    }

    #[test]
    fn expressions_and_literals_are_computed() {
        use ColumnWrite::{Computed, Free};
        assert_writes(
            "INSERT INTO n (a, b, c) SELECT a, lower(b, 1), 0 FROM t",
            &[("n.b", Computed), ("n.c", Computed)],
        );
        assert_writes(
            "replace into main.N select NULL, (SELECT max(x), 2 FROM y), c from t",
            &[("n.0", Free), ("n.1", Computed)],
        );
        assert_writes("INSERT INTO n (a) SELECT a || (b) FROM t", &[("n.a", Computed)]);
    }

    #[test]
    fn casts_and_assignments_are_classified() {
        use ColumnWrite::{Cast, Computed, Copied, Free};
        assert_writes(
            "INSERT INTO n (a) SELECT CAST(t.a AS INTEGER) AS a FROM t",
            &[("n.a", Cast)],
        );
        assert_writes(
            "INSERT INTO n (a) SELECT CAST(a AS INTEGER) + 1 FROM t",
            &[("n.a", Computed)],
        );
        assert_writes(
            "UPDATE OR FAIL main.t SET a = date(a), b = NULLIF(b, ''), c = c, d = e WHERE f IS NULL",
            &[("t.a", Computed), ("t.b", Free), ("t.c", Copied), ("t.d", Free)],
        );
        assert_writes(
            "WITH x AS (SELECT 1) UPDATE t SET a = cast(a AS TEXT) FROM x",
            &[("t.a", Cast)],
        );
        assert_writes("UPDATE t SET a = CAST(a AS INTEGER);", &[("t.a", Cast)]);
    }

    #[test]
    fn other_statements_write_nothing() {
        assert_writes("INSERT INTO n (a) VALUES (1)", &[]);
        assert_writes("DELETE FROM n WHERE a = 1", &[]);
        assert_writes("CREATE TABLE n (a)", &[]);
    }
}
