//! `INSERT INTO t (a, b) SELECT a, lower(b) FROM …`: which columns such a statement computes, and
//! which it only copies. What a migration computes it means to change; what it copies is to
//! arrive as it was.

use crate::sql::lexer;
use crate::sql::lexer::{Token, TokenKind};

/// A column of the table inserted into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InsertColumn {
    /// In lower case.
    Name(String),
    /// Counted from 0, where the statement names no columns.
    Position(usize),
}

/// The columns that a statement fills with something other than a plain column, each with its
/// table in lower case; none if it is no such statement.
pub(crate) fn computed_columns(text: &str) -> Vec<(String, InsertColumn)> {
    parse_insert_select(text).unwrap_or_default()
}

fn parse_insert_select(text: &str) -> Option<Vec<(String, InsertColumn)>> {
    let tokens: Vec<Token> = lexer::tokens(text, 0)
        .filter(|token| !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comment))
        .collect();
    let token_text =
        |index: usize| tokens.get(index).map_or("", |token| &text[token.range.clone()]);
    let is_word = |at: usize, expected: &str| token_text(at).eq_ignore_ascii_case(expected);
    let mut index = 1;
    if is_word(0, "insert") && is_word(1, "or") {
        index = 3;
    } else if !is_word(0, "insert") && !is_word(0, "replace") {
        return None;
    }
    if !is_word(index, "into") {
        return None;
    }
    index += 1;
    if token_text(index + 1) == "." {
        index += 2;
    }
    let table = lexer::unquote(token_text(index)).to_lowercase();
    index += 1;
    let mut column_names = Vec::new();
    if token_text(index) == "(" {
        index += 1;
        while index < tokens.len() && token_text(index) != ")" {
            if token_text(index) != "," {
                column_names.push(lexer::unquote(token_text(index)).to_lowercase());
            }
            index += 1;
        }
        index += 1;
    }
    if !is_word(index, "select") {
        return None;
    }
    index += 1;
    if is_word(index, "distinct") || is_word(index, "all") {
        index += 1;
    }
    let mut computed = Vec::new();
    let (mut position, mut depth, mut start) = (0, 0_usize, index);
    loop {
        let is_end = index >= tokens.len() || depth == 0 && is_word(index, "from");
        if is_end || depth == 0 && token_text(index) == "," {
            let expression: Vec<&Token> = tokens[start..index].iter().collect();
            if expression.last().is_some_and(|last| &text[last.range.clone()] == "*") {
                // How many columns that is, only the table knows.
                return Some(computed);
            }
            if !is_plain_column(&expression, text) {
                let column = match column_names.get(position) {
                    Some(name) => InsertColumn::Name(name.clone()),
                    None => InsertColumn::Position(position),
                };
                computed.push((table.clone(), column));
            }
            position += 1;
            start = index + 1;
        }
        if is_end {
            return Some(computed);
        }
        match token_text(index) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        index += 1;
    }
}

/// Whether an expression is a column as it stands: `a`, `t.a`, `"a"`, `a AS b`.
fn is_plain_column(expression: &[&Token], text: &str) -> bool {
    let token_text = |token: &Token| &text[token.range.clone()];
    let is_name = |token: &Token| {
        let token_text = token_text(token);
        match token.kind {
            TokenKind::Quoted => !token_text.starts_with('\''),
            TokenKind::Word => {
                !token_text.starts_with(|character: char| character.is_ascii_digit())
                    && !["null", "true", "false"].contains(&token_text.to_lowercase().as_str())
                    && !token_text.to_lowercase().starts_with("current_")
            }
            _ => false,
        }
    };
    match expression {
        [name] => is_name(name),
        [table, dot, name] if token_text(dot) == "." => is_name(table) && is_name(name),
        [name, as_keyword, _] => is_name(name) && token_text(as_keyword).eq_ignore_ascii_case("as"),
        [table, point, name, r#as, _] => {
            token_text(point) == "."
                && is_name(table)
                && is_name(name)
                && token_text(r#as).eq_ignore_ascii_case("as")
        }
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
