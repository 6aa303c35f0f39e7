//! Edits and orders `CREATE` statements as `sqlite_schema` stores them: adds the semicolon or
//! `IF NOT EXISTS`, changes the name, and sorts objects by dependency.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::document::{near_miss, tag_parser};
use crate::schema::{Object, ObjectKind};
use crate::sql::lexer;
use crate::sql::object_statement::ObjectStatement;
use crate::sql::tokens::Tokens;

/// The object's name as its statement writes it, quoted or not.
pub(crate) fn written_name(object: &Object) -> String {
    let tokens = Tokens::new(&object.sql);
    match ObjectStatement::parse(&tokens).map(|found| tokens.text(found.name)) {
        None | Some("") => lexer::quote_identifier(&object.name),
        Some(name) => name.to_owned(),
    }
}

/// A column's name as its declaration writes it.
pub(crate) fn first_token(text: &str) -> &str {
    Tokens::new(text).text(0)
}

/// The statement from its first token to its last, with a semicolon. Comments at its end, and those
/// that tatmig would read as tags or directives, are left out.
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

/// The complete statement with `IF NOT EXISTS`.
pub(crate) fn with_if_not_exists(text: &str) -> String {
    let tokens = Tokens::new(text);
    let Some(found) = ObjectStatement::parse(&tokens).filter(|found| !found.has_guard) else {
        return complete_statement(text);
    };
    let kind_end = tokens.byte_range(found.kind).end;
    complete_statement(&format!("{} IF NOT EXISTS{}", &text[..kind_end], &text[kind_end..]))
}

/// The complete statement of a table under another name.
pub(crate) fn with_name(object: &Object, name: &str) -> String {
    let text = &object.sql;
    let tokens = Tokens::new(text);
    let Some(ObjectStatement { name: name_token, .. }) = ObjectStatement::parse(&tokens) else {
        return complete_statement(text);
    };
    let mut statement = text.clone();
    // A column may be qualified with its table's name: `CHECK (t.a > 0)`.
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

/// Whether an object's statement contains one of the names, which are given in lower case.
pub(crate) fn mentions(object: &Object, names: &BTreeSet<String>) -> bool {
    let tokens = Tokens::new(&object.sql);
    (0..tokens.len()).any(|index| names.contains(&tokens.name(index).to_ascii_lowercase()))
}

/// Sorts objects so that each comes after those that it depends on: tables after the tables that
/// they refer to, views after the objects that they select from.
pub(crate) fn sort_by_dependency<'o>(
    objects: impl Iterator<Item = &'o Arc<Object>>,
) -> Vec<&'o Arc<Object>> {
    let objects: Vec<_> = objects.collect();
    let depends_on = |object: &Object, other: &Object| {
        !std::ptr::eq(object, other)
            && match object.kind {
                ObjectKind::Table if object.is_virtual_table() => !other.is_virtual_table(),
                ObjectKind::Table => {
                    let mut keys = object.structure().foreign_keys.iter();
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
            // The rest depend on each other in a circle, and no order is better than another.
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
