//! `INSERT INTO t (a, b) SELECT a, lower(b) FROM …`: which columns such a statement computes, and
//! which it only copies. What a migration computes it means to change; what it copies is to
//! arrive as it was.

use crate::selftest::values::unquoted;
use crate::sql::lexer;
use crate::sql::lexer::{Kind, Token};

/// A column of the table inserted into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// In lower case.
    Name(String),
    /// Counted from 0, where the statement names no columns.
    Position(usize),
}

/// The columns that a statement fills with something other than a plain column, each with its
/// table in lower case; none if it is no such statement.
pub(crate) fn computed(text: &str) -> Vec<(String, Column)> {
    read(text).unwrap_or_default()
}

fn read(text: &str) -> Option<Vec<(String, Column)>> {
    let tokens: Vec<Token> = lexer::tokens(text, 0)
        .filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment))
        .collect();
    let word = |at: usize| tokens.get(at).map_or("", |token| &text[token.range.clone()]);
    let is = |at: usize, wanted: &str| word(at).eq_ignore_ascii_case(wanted);
    let mut at = 1;
    if is(0, "insert") && is(1, "or") {
        at = 3;
    } else if !is(0, "insert") && !is(0, "replace") {
        return None;
    }
    if !is(at, "into") {
        return None;
    }
    at += 1;
    if word(at + 1) == "." {
        at += 2;
    }
    let table = unquoted(word(at)).to_lowercase();
    at += 1;
    let mut names = Vec::new();
    if word(at) == "(" {
        at += 1;
        while at < tokens.len() && word(at) != ")" {
            if word(at) != "," {
                names.push(unquoted(word(at)).to_lowercase());
            }
            at += 1;
        }
        at += 1;
    }
    if !is(at, "select") {
        return None;
    }
    at += 1;
    if is(at, "distinct") || is(at, "all") {
        at += 1;
    }
    let mut found = Vec::new();
    let (mut position, mut depth, mut start) = (0, 0_usize, at);
    loop {
        let ends = at >= tokens.len() || depth == 0 && is(at, "from");
        if ends || depth == 0 && word(at) == "," {
            let expression: Vec<&Token> = tokens[start..at].iter().collect();
            if expression.last().is_some_and(|last| &text[last.range.clone()] == "*") {
                // How many columns that is, only the table knows.
                return Some(found);
            }
            if !is_plain(&expression, text) {
                let column = match names.get(position) {
                    Some(name) => Column::Name(name.clone()),
                    None => Column::Position(position),
                };
                found.push((table.clone(), column));
            }
            position += 1;
            start = at + 1;
        }
        if ends {
            return Some(found);
        }
        match word(at) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
}

/// Whether an expression is a column as it stands: `a`, `t.a`, `"a"`, `a AS b`.
fn is_plain(expression: &[&Token], text: &str) -> bool {
    let word = |token: &Token| &text[token.range.clone()];
    let is_name = |token: &Token| {
        let word = word(token);
        match token.kind {
            Kind::Quoted => !word.starts_with('\''),
            Kind::Word => {
                !word.starts_with(|c: char| c.is_ascii_digit())
                    && !["null", "true", "false"].contains(&word.to_lowercase().as_str())
                    && !word.to_lowercase().starts_with("current_")
            }
            _ => false,
        }
    };
    match expression {
        [name] => is_name(name),
        [table, point, name] if word(point) == "." => is_name(table) && is_name(name),
        [name, r#as, _] => is_name(name) && word(r#as).eq_ignore_ascii_case("as"),
        [table, point, name, r#as, _] => {
            word(point) == "."
                && is_name(table)
                && is_name(name)
                && word(r#as).eq_ignore_ascii_case("as")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: &[&str]) {
        let found: Vec<String> = computed(text)
            .into_iter()
            .map(|(table, column)| match column {
                Column::Name(name) => format!("{table}.{name}"),
                Column::Position(at) => format!("{table}.{at}"),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_copied_is_not_computed() {
        case("INSERT INTO n (a, \"B\") SELECT a, t.\"B\" FROM t", &[]);
        case("INSERT INTO n SELECT * FROM t", &[]);
        case("INSERT OR IGNORE INTO n (a) SELECT x AS a FROM t WHERE b > 1", &[]);
    }

    #[test]
    fn expressions_and_literals_are_computed() {
        case("INSERT INTO n (a, b, c) SELECT a, lower(b, 1), 0 FROM t", &["n.b", "n.c"]);
        case(
            "replace into main.N select NULL, (SELECT max(x), 2 FROM y), c from t",
            &["n.0", "n.1"],
        );
        case("INSERT INTO n (a) SELECT a || (b) FROM t", &["n.a"]);
    }

    #[test]
    fn other_statements_compute_nothing() {
        case("INSERT INTO n (a) VALUES (1)", &[]);
        case("UPDATE n SET a = 1", &[]);
        case("CREATE TABLE n (a)", &[]);
    }
}
