//! Finds SQL that SQLite accepts and the parser of a libSQL server does not. Each case was found by
//! trying it on sqld 0.24.32, whose SQLite is 3.45.1.

use std::ops::Range;

use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// PRAGMAs that a block may contain and that the server refuses if they have a value.
const UNSUPPORTED_PRAGMA_ASSIGNMENTS: &[&str] =
    &["application_id", "legacy_alter_table", "page_size"];

/// Keywords before a parenthesis that does not belong to a function call.
const KEYWORDS_BEFORE_PARENTHESIS: &[&str] = &[
    "AS", "OVER", "IN", "FROM", "JOIN", "EXISTS", "VALUES", "WHERE", "AND", "OR", "NOT", "SELECT",
];

/// Returns why the server refuses a statement that the replay has run, and the bytes of the statement
/// that the message is about.
pub(crate) fn unsupported(statement: &str) -> Option<(String, Range<usize>)> {
    let tokens = Tokens::new(statement);
    let through_token = |message: &str, last: usize| {
        Some((message.to_owned(), tokens.byte_range(0).start..tokens.byte_range(last).end))
    };
    match tokens.text(0).to_ascii_uppercase().as_str() {
        "ANALYZE" => return through_token("a libSQL server refuses `ANALYZE`", 0),
        verb @ ("VACUUM" | "ATTACH" | "DETACH") => {
            return through_token(&format!("a libSQL server refuses `{verb}`"), 0);
        }
        "PRAGMA" => return unsupported_pragma(&tokens),
        "CREATE" => {
            if tokens.is(1, "TEMP") || tokens.is(1, "TEMPORARY") {
                return through_token(
                    "a libSQL server has no temporary tables, views or triggers",
                    1,
                );
            }
            let temp_index = (1..tokens.len().min(8))
                .find(|index| tokens.is(*index, "temp") && tokens.is(*index + 1, "."));
            if let Some(at) = temp_index {
                let message = "a libSQL server has no temporary tables, views or triggers";
                return Some((message.to_owned(), tokens.byte_range(at)));
            }
        }
        _ => {}
    }
    let number_index = (0..tokens.len()).find(|at| {
        let text = tokens.text(*at);
        tokens.kind(*at) == Some(TokenKind::Word)
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.contains('_')
    });
    if let Some(at) = number_index {
        let message = "a libSQL server does not accept `_` in numbers".to_owned();
        return Some((message, tokens.byte_range(at)));
    }
    find_ordered_aggregate(&tokens).map(|at| {
        let message = "a libSQL server does not accept `ORDER BY` in the arguments of a function";
        (message.to_owned(), tokens.byte_range(at))
    })
}

fn unsupported_pragma(tokens: &Tokens<'_>) -> Option<(String, Range<usize>)> {
    let name_index = if tokens.is(2, ".") { 3 } else { 1 };
    let name = tokens.text(name_index).to_ascii_lowercase();
    let has_value = tokens.is(name_index + 1, "=") || tokens.is(name_index + 1, "(");
    let is_unsupported =
        name == "optimize" || has_value && UNSUPPORTED_PRAGMA_ASSIGNMENTS.contains(&name.as_str());
    is_unsupported.then(|| {
        let pragma_text = if has_value && name != "optimize" { format!("{name} =") } else { name };
        let range = tokens.byte_range(0).start..tokens.byte_range(name_index).end;
        (format!("a libSQL server refuses `PRAGMA {pragma_text}`"), range)
    })
}

/// The index of an `ORDER` in the arguments of a function.
fn find_ordered_aggregate(tokens: &Tokens<'_>) -> Option<usize> {
    // Whether each open parenthesis belongs to a function call.
    let mut is_function_stack = Vec::new();
    for index in 0..tokens.len() {
        match tokens.text(index) {
            "(" => {
                let before = index.checked_sub(1);
                let follows_name = before.is_some_and(|before| {
                    tokens.kind(before) == Some(TokenKind::Word)
                        && !KEYWORDS_BEFORE_PARENTHESIS.iter().any(|word| tokens.is(before, word))
                });
                let opens_subquery =
                    ["SELECT", "WITH", "VALUES"].iter().any(|word| tokens.is(index + 1, word));
                is_function_stack.push(follows_name && !opens_subquery);
            }
            ")" => {
                is_function_stack.pop();
            }
            _ if tokens.is(index, "ORDER")
                && tokens.is(index + 1, "BY")
                && is_function_stack.last() == Some(&true) =>
            {
                return Some(index);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::sqld::dialect::unsupported;

    #[track_caller]
    fn assert_unsupported(statement: &str, token: &str) {
        let (_, range) = unsupported(statement).unwrap_or_else(|| panic!("{statement} passes"));
        assert_eq!(&statement[range], token);
    }

    #[test]
    fn unsupported_sql_is_found() {
        assert_unsupported("ANALYZE notes;", "ANALYZE");
        assert_unsupported("-- why\nCREATE TEMP TABLE t (x)", "CREATE TEMP");
        assert_unsupported("create temporary view v AS SELECT 1", "create temporary");
        assert_unsupported("CREATE TABLE temp.t (x)", "temp");
        assert_unsupported("PRAGMA optimize", "PRAGMA optimize");
        assert_unsupported("PRAGMA main.application_id = 7", "PRAGMA main.application_id");
        assert_unsupported("PRAGMA legacy_alter_table=ON", "PRAGMA legacy_alter_table");
        assert_unsupported("INSERT INTO t VALUES (1_000)", "1_000");
        assert_unsupported("SELECT group_concat(x ORDER BY y) FROM t", "ORDER");
        assert_unsupported(
            "CREATE VIEW v AS SELECT string_agg(a, ',' ORDER BY (SELECT 1)) FROM t",
            "ORDER",
        );
    }

    #[test]
    fn supported_sql_passes() {
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
            assert_eq!(unsupported(statement), None, "{statement}");
        }
    }
}
