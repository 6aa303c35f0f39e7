//! The text of one `CREATE` statement as SQLite keeps it: made whole, guarded, given another name,
//! and put in order with others.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::document::{near_miss, tag_parser};
use crate::schema::{Object, ObjectKind};
use crate::sql::lexer;
use crate::sql::tokens::Tokens;

/// Where in a `CREATE` statement the name of what it makes stands.
fn name_index(tokens: &Tokens<'_>) -> usize {
    let index = if tokens.is(1, "UNIQUE") || tokens.is(1, "VIRTUAL") { 3 } else { 2 };
    let index = if tokens.match_seq(index, &["IF", "NOT", "EXISTS"]) { index + 3 } else { index };
    tokens.skip_schema_qualifier(index)
}

/// The name as the statement writes it, quoted or not.
pub(crate) fn written_name(object: &Object) -> String {
    let tokens = Tokens::new(&object.sql);
    let name = tokens.text(name_index(&tokens));
    if name.is_empty() { lexer::quote_identifier(&object.name) } else { name.to_owned() }
}

/// A column's name as its declaration writes it.
pub(crate) fn first_token(text: &str) -> &str {
    Tokens::new(text).text(0)
}

/// The statement with its semicolon, from its first token to its last. Comments that mean something
/// to tatmig, or that end it, are left out.
pub(crate) fn complete_statement(text: &str) -> String {
    let tokens = Tokens::new(text);
    let last_token = (0..tokens.len()).rev().find(|index| !tokens.is(*index, ";")).unwrap_or(0);
    let text = text[..tokens.byte_range(last_token).end].trim_start();
    let is_for_tatmig = |comment: &str| {
        let is_tag = |line: &str| {
            tag_parser::parse_tag_line(line).is_some()
                || near_miss::find_embedded_tag(line).is_some()
        };
        comment.contains("tatmig") || comment.contains('[') || comment.lines().any(is_tag)
    };
    let comments = lexer::tokens(text, 0).filter(|token| token.kind == lexer::TokenKind::Comment);
    let removed_ranges: Vec<_> = comments
        .filter(|token| is_for_tatmig(&text[token.range.clone()]))
        .map(|token| token.range)
        .collect();
    let mut statement = text.to_owned();
    for range in removed_ranges.into_iter().rev() {
        statement.replace_range(range, " ");
    }
    statement.push(';');
    statement
}

/// The same with `IF NOT EXISTS`.
pub(crate) fn with_if_not_exists(text: &str) -> String {
    let tokens = Tokens::new(text);
    let kind_index = if tokens.is(1, "UNIQUE") || tokens.is(1, "VIRTUAL") { 2 } else { 1 };
    if tokens.match_seq(kind_index + 1, &["IF", "NOT", "EXISTS"]) {
        return complete_statement(text);
    }
    let kind_end = tokens.byte_range(kind_index).end;
    complete_statement(&format!("{} IF NOT EXISTS{}", &text[..kind_end], &text[kind_end..]))
}

/// The statement of a table under another name.
pub(crate) fn with_name(object: &Object, name: &str) -> String {
    let text = &object.sql;
    let tokens = Tokens::new(text);
    let name_token = name_index(&tokens);
    let mut statement = text.clone();
    // A column may be called by its table's name too: `CHECK (t.a > 0)`.
    let qualifiers = (name_token + 1..tokens.len())
        .filter(|token| tokens.is_name(*token, &object.name) && tokens.is(token + 1, "."));
    let mut name_ranges: Vec<_> = std::iter::once(name_token)
        .chain(qualifiers)
        .map(|name_token| tokens.byte_range(name_token))
        .collect();
    name_ranges.reverse();
    for name_range in name_ranges {
        statement.replace_range(name_range, name);
    }
    complete_statement(&statement)
}

pub(crate) fn is_virtual_table(object: &Object) -> bool {
    object.kind == ObjectKind::Table && Tokens::new(&object.sql).is(1, "VIRTUAL")
}

/// What stands behind `USING` of a virtual table: its module and its arguments.
pub(crate) fn module_and_arguments(object: &Object) -> (String, Vec<String>) {
    let tokens = Tokens::new(&object.sql);
    let Some(using_index) = tokens.find_top_level(0, "USING") else {
        return (String::new(), Vec::new());
    };
    let opening = using_index + 2;
    let token_range = opening + 1..tokens.after_matching_close(opening).saturating_sub(1);
    let arguments = if tokens.is(opening, "(") && !token_range.is_empty() {
        tokens.split_at_commas(token_range)
    } else {
        Vec::new()
    };
    let normalized = arguments.into_iter().map(|item| tokens.normalized(item)).collect();
    (tokens.name(using_index + 1).to_lowercase(), normalized)
}

/// The tables in which a virtual table of SQLite's own modules keeps its rows, in lower case.
pub(crate) fn shadow_tables(object: &Object) -> Vec<String> {
    let suffixes: &[&str] = if is_virtual_table(object) {
        match module_and_arguments(object).0.as_str() {
            "fts3" | "fts4" => &["content", "segments", "segdir", "docsize", "stat"],
            "fts5" => &["data", "idx", "content", "docsize", "config"],
            "rtree" | "rtree_i32" | "geopoly" => &["node", "parent", "rowid"],
            _ => &[],
        }
    } else {
        &[]
    };
    let name = object.name.to_ascii_lowercase();
    suffixes.iter().map(|suffix| format!("{name}_{suffix}")).collect()
}

/// Whether a statement speaks of one of these names, given in lower case.
pub(crate) fn mentions(object: &Object, names: &BTreeSet<String>) -> bool {
    let tokens = Tokens::new(&object.sql);
    (0..tokens.len()).any(|index| names.contains(&tokens.name(index).to_ascii_lowercase()))
}

/// Objects in an order in which each comes after those that it is made of: tables after those that
/// they refer to, views after those that they select from.
pub(crate) fn sort_by_dependency<'o>(
    objects: impl Iterator<Item = &'o Arc<Object>>,
) -> Vec<&'o Arc<Object>> {
    let objects: Vec<_> = objects.collect();
    let depends_on = |object: &Object, other: &Object| {
        !std::ptr::eq(object, other)
            && match object.kind {
                ObjectKind::Table if is_virtual_table(object) => !is_virtual_table(other),
                ObjectKind::Table => {
                    let mut keys = object.structure.foreign_keys.iter();
                    keys.any(|key| key.parent.eq_ignore_ascii_case(&other.name))
                }
                _ => mentions(object, &BTreeSet::from([other.name.to_ascii_lowercase()])),
            }
    };
    let mut remaining = objects;
    let mut sorted = Vec::with_capacity(remaining.len());
    while !remaining.is_empty() {
        let next = remaining
            .iter()
            .position(|object| !remaining.iter().any(|other| depends_on(object, other)))
            // They refer to each other in a circle; no order is better than another.
            .unwrap_or(0);
        sorted.push(remaining.remove(next));
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_not_exists_is_added_once() {
        assert_eq!(with_if_not_exists("CREATE TABLE t(a)"), "CREATE TABLE IF NOT EXISTS t(a);");
        assert_eq!(
            with_if_not_exists("CREATE UNIQUE INDEX i ON t (a) ;"),
            "CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a);"
        );
        assert_eq!(
            with_if_not_exists("CREATE VIEW IF NOT EXISTS v AS SELECT 1"),
            "CREATE VIEW IF NOT EXISTS v AS SELECT 1;"
        );
    }

    #[test]
    fn comments_for_tatmig_are_removed() {
        assert_eq!(
            complete_statement(
                "CREATE TABLE t (a, -- tatmig:allow row-loss mine\n  b, -- the second\n c) -- end"
            ),
            "CREATE TABLE t (a,  \n  b, -- the second\n c);"
        );
    }
}
