//! What a libSQL server's parser refuses of what SQLite takes: found by trying each on sqld
//! 0.24.32, whose SQLite is 3.45.1.

use std::ops::Range;

use crate::sql::lexer;
use crate::sql::lexer::{Kind, Token};

/// PRAGMAs that a block may hold and that the server refuses with a value.
const REFUSED_WITH_VALUE: &[&str] = &["application_id", "legacy_alter_table", "page_size"];

/// Words that a bracket may follow without being a function's.
const NO_FUNCTIONS: &[&str] = &[
    "AS", "OVER", "IN", "FROM", "JOIN", "EXISTS", "VALUES", "WHERE", "AND", "OR", "NOT", "SELECT",
];

/// Why the server refuses a statement that the replay has run, and the bytes of it that are meant.
pub(crate) fn refused(statement: &str) -> Option<(String, Range<usize>)> {
    let tokens: Vec<Token> = lexer::tokens(statement, 0)
        .filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment))
        .collect();
    let words = Words { text: statement, tokens: &tokens };
    let whole = |message: &str, last: usize| {
        Some((message.to_owned(), words.range(0).start..words.range(last).end))
    };
    match words.text(0).to_ascii_uppercase().as_str() {
        "ANALYZE" => return whole("a libSQL server refuses `ANALYZE`", 0),
        verb @ ("VACUUM" | "ATTACH" | "DETACH") => {
            return whole(&format!("a libSQL server refuses `{verb}`"), 0);
        }
        "PRAGMA" => return pragma(&words),
        "CREATE" => {
            if words.is(1, "TEMP") || words.is(1, "TEMPORARY") {
                return whole("a libSQL server has no temporary tables, views or triggers", 1);
            }
            let temp =
                (1..tokens.len().min(8)).find(|at| words.is(*at, "temp") && words.is(*at + 1, "."));
            if let Some(at) = temp {
                let message = "a libSQL server has no temporary tables, views or triggers";
                return Some((message.to_owned(), words.range(at)));
            }
        }
        _ => {}
    }
    let number = (0..tokens.len()).find(|at| {
        let text = words.text(*at);
        tokens[*at].kind == Kind::Word
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.contains('_')
    });
    if let Some(at) = number {
        let message = "a libSQL server does not read `_` inside of numbers".to_owned();
        return Some((message, words.range(at)));
    }
    ordered_aggregate(&words).map(|at| {
        let message = "a libSQL server does not read `ORDER BY` inside of a function's brackets";
        (message.to_owned(), words.range(at))
    })
}

fn pragma(words: &Words<'_>) -> Option<(String, Range<usize>)> {
    let at = if words.is(2, ".") { 3 } else { 1 };
    let name = words.text(at).to_ascii_lowercase();
    let has_value = words.is(at + 1, "=") || words.is(at + 1, "(");
    let refused = name == "optimize" || has_value && REFUSED_WITH_VALUE.contains(&name.as_str());
    refused.then(|| {
        let shown = if has_value && name != "optimize" { format!("{name} =") } else { name };
        let range = words.range(0).start..words.range(at).end;
        (format!("a libSQL server refuses `PRAGMA {shown}`"), range)
    })
}

/// `ORDER` directly inside the brackets of a function.
fn ordered_aggregate(words: &Words<'_>) -> Option<usize> {
    // Whether each bracket that stands open is a function's.
    let mut open = Vec::new();
    for at in 0..words.tokens.len() {
        match words.text(at) {
            "(" => {
                let before = at.checked_sub(1);
                let named = before.is_some_and(|before| {
                    words.tokens[before].kind == Kind::Word
                        && !NO_FUNCTIONS.iter().any(|word| words.is(before, word))
                });
                let query = ["SELECT", "WITH", "VALUES"].iter().any(|word| words.is(at + 1, word));
                open.push(named && !query);
            }
            ")" => {
                open.pop();
            }
            _ if words.is(at, "ORDER") && words.is(at + 1, "BY") && open.last() == Some(&true) => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

struct Words<'t> {
    text: &'t str,
    tokens: &'t [Token],
}

impl Words<'_> {
    fn range(&self, at: usize) -> Range<usize> {
        self.tokens.get(at).map_or(0..0, |token| token.range.clone())
    }

    fn text(&self, at: usize) -> &str {
        &self.text[self.range(at)]
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.text(at).eq_ignore_ascii_case(word)
    }
}

#[cfg(test)]
mod tests {
    use crate::sqld::dialect::refused;

    #[track_caller]
    fn says(statement: &str, token: &str) {
        let (_, range) = refused(statement).unwrap_or_else(|| panic!("{statement} passes"));
        assert_eq!(&statement[range], token);
    }

    #[test]
    fn what_the_server_refuses_is_found() {
        says("ANALYZE notes;", "ANALYZE");
        says("-- why\nCREATE TEMP TABLE t (x)", "CREATE TEMP");
        says("create temporary view v AS SELECT 1", "create temporary");
        says("CREATE TABLE temp.t (x)", "temp");
        says("PRAGMA optimize", "PRAGMA optimize");
        says("PRAGMA main.application_id = 7", "PRAGMA main.application_id");
        says("PRAGMA legacy_alter_table=ON", "PRAGMA legacy_alter_table");
        says("INSERT INTO t VALUES (1_000)", "1_000");
        says("SELECT group_concat(x ORDER BY y) FROM t", "ORDER");
        says("CREATE VIEW v AS SELECT string_agg(a, ',' ORDER BY (SELECT 1)) FROM t", "ORDER");
    }

    #[test]
    fn what_the_server_takes_passes() {
        for statement in [
            "CREATE TABLE temperature (temp INTEGER, x AS (temp + 1))",
            "PRAGMA user_version = 4",
            "PRAGMA foreign_keys = OFF",
            "SELECT row_number() OVER (ORDER BY x) FROM t",
            "SELECT sum(x) OVER w FROM t WINDOW w AS (ORDER BY x)",
            "INSERT INTO t SELECT (SELECT x FROM u ORDER BY x LIMIT 1)",
            "SELECT max((SELECT x FROM u ORDER BY x)) FROM t",
            "SELECT 'ANALYZE 1_000' FROM t",
            "CREATE INDEX i ON t (a, b)",
            "",
        ] {
            assert_eq!(refused(statement), None, "{statement}");
        }
    }
}
