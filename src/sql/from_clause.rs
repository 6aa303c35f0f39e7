//! Reads a FROM clause: its tables and subqueries with their aliases, and the expressions between
//! them.

use std::ops::Range;

use crate::sql::tokens::Tokens;

/// Keywords that end the result columns of a SELECT or its FROM clause.
pub(crate) const CLAUSE_KEYWORDS: [&str; 8] =
    ["FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "RETURNING"];

/// One entry of a FROM clause. Names are in lower case.
pub(crate) enum FromItem {
    Table { name: String, alias: String },
    Subquery { body: Range<usize>, alias: String },
}

impl FromItem {
    /// The name by which the query refers to the entry; empty for a subquery without an alias.
    pub(crate) fn alias(&self) -> &str {
        let (Self::Table { alias, .. } | Self::Subquery { alias, .. }) = self;
        alias
    }
}

/// A FROM clause.
#[derive(Default)]
pub(crate) struct FromClause {
    pub(crate) items: Vec<FromItem>,
    /// The conditions of its joins and the arguments of its functions.
    pub(crate) expressions: Vec<Range<usize>>,
}

/// Whether a query begins at a token.
pub(crate) fn is_query(tokens: &Tokens<'_>, index: usize) -> bool {
    ["SELECT", "WITH", "VALUES"].iter().any(|word| tokens.is(index, word))
}

/// Reads a FROM clause, given without its keyword.
pub(crate) fn read_from_clause(tokens: &Tokens<'_>, range: Range<usize>) -> FromClause {
    let mut clause = FromClause::default();
    let depth = tokens.depth(range.start);
    let mut is_item_due = true;
    let mut index = range.start;
    while index < range.end {
        let mut next = index + 1;
        if is_item_due {
            is_item_due = false;
            if tokens.is(index, "(") {
                next = tokens.after_matching_close(index);
                let body = index + 1..next - 1;
                if is_query(tokens, body.start) {
                    clause.items.push(FromItem::Subquery { body, alias: read_alias(tokens, next) });
                } else {
                    let inner = read_from_clause(tokens, body);
                    clause.items.extend(inner.items);
                    clause.expressions.extend(inner.expressions);
                }
            } else {
                let name_index = tokens.skip_schema_qualifier(index);
                next = name_index + 1;
                // A function such as `json_each(…)` has columns of a fixed order.
                if !tokens.is(next, "(") {
                    let name = tokens.name(name_index).to_lowercase();
                    let alias = read_alias(tokens, next);
                    let alias = if alias.is_empty() { name.clone() } else { alias };
                    clause.items.push(FromItem::Table { name, alias });
                }
            }
            clause.expressions.push(next..next);
        } else if tokens.depth(index) == depth {
            is_item_due = tokens.is(index, ",") || tokens.is(index, "JOIN");
        }
        if !is_item_due && let Some(last) = clause.expressions.last_mut() {
            last.end = next.max(last.start);
        }
        index = next;
    }
    clause
}

/// The alias of a FROM item, in lower case; empty without one.
fn read_alias(tokens: &Tokens<'_>, index: usize) -> String {
    const NOT_AN_ALIAS: [&str; 19] = [
        "",
        ",",
        "(",
        ")",
        ";",
        "JOIN",
        "LEFT",
        "RIGHT",
        "FULL",
        "INNER",
        "CROSS",
        "NATURAL",
        "ON",
        "USING",
        "NOT",
        "INDEXED",
        "UNION",
        "EXCEPT",
        "INTERSECT",
    ];
    let index = if tokens.is(index, "AS") { index + 1 } else { index };
    let mut keywords = NOT_AN_ALIAS.iter().chain(&CLAUSE_KEYWORDS);
    if keywords.any(|word| tokens.is(index, word)) {
        String::new()
    } else {
        tokens.name(index).to_lowercase()
    }
}
