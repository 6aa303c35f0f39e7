//! Distinguishes the columns that `INSERT INTO t (a, b) SELECT a, lower(b) FROM …` computes from
//! those that it copies. A migration changes computed columns on purpose; copied values must arrive
//! unchanged.

use std::ops::Range;

use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// A column of the table into which rows are inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InsertColumn {
    /// In lower case.
    Name(String),
    /// Counted from 0, if the statement names no columns.
    Position(usize),
}

/// The columns that a statement fills with anything but a plain column, each with its table in lower
/// case. The result is empty for statements other than `INSERT … SELECT`.
pub(crate) fn computed_columns(text: &str) -> Vec<(String, InsertColumn)> {
    parse_insert_select(text).unwrap_or_default()
}

fn parse_insert_select(text: &str) -> Option<Vec<(String, InsertColumn)>> {
    let tokens = Tokens::new(text);
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
    let end = tokens.find_top_level(start, "FROM").unwrap_or(tokens.len());
    let mut computed = Vec::new();
    for (position, expression) in tokens.split_at_commas(start..end).into_iter().enumerate() {
        if expression.clone().last().is_some_and(|last| tokens.is(last, "*")) {
            // The number of columns that `*` represents is unknown here, so the positions of further
            // columns are too.
            return Some(computed);
        }
        if !is_plain_column(&tokens, expression) {
            let column = match column_names.get(position) {
                Some(name) => InsertColumn::Name(name.clone()),
                None => InsertColumn::Position(position),
            };
            computed.push((table.clone(), column));
        }
    }
    Some(computed)
}

/// Whether an expression is just a column: `a`, `t.a`, `"a"`, `a AS b`.
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
    let has_alias = expression.len() >= 3 && tokens.is(expression.end - 2, "AS");
    match if has_alias { expression.len() - 2 } else { expression.len() } {
        1 => is_name(start),
        3 => is_name(start) && tokens.is(start + 1, ".") && is_name(start + 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_computed(text: &str, expected: &[&str]) {
        let found: Vec<String> = computed_columns(text)
            .into_iter()
            .map(|(table, column)| match column {
                InsertColumn::Name(name) => format!("{table}.{name}"),
                InsertColumn::Position(index) => format!("{table}.{index}"),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn copied_columns_are_not_computed() {
        assert_computed("INSERT INTO n (a, \"B\") SELECT a, t.\"B\" FROM t", &[]);
        assert_computed("INSERT INTO n SELECT * FROM t", &[]);
        assert_computed("INSERT OR IGNORE INTO n (a) SELECT x AS a FROM t WHERE b > 1", &[]);
    }

    #[test]
    fn expressions_and_literals_are_computed() {
        assert_computed("INSERT INTO n (a, b, c) SELECT a, lower(b, 1), 0 FROM t", &["n.b", "n.c"]);
        assert_computed(
            "replace into main.N select NULL, (SELECT max(x), 2 FROM y), c from t",
            &["n.0", "n.1"],
        );
        assert_computed("INSERT INTO n (a) SELECT a || (b) FROM t", &["n.a"]);
    }

    #[test]
    fn other_statements_compute_nothing() {
        assert_computed("INSERT INTO n (a) VALUES (1)", &[]);
        assert_computed("UPDATE n SET a = 1", &[]);
        assert_computed("CREATE TABLE n (a)", &[]);
    }
}
