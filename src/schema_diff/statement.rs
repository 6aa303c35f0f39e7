//! The text of one `CREATE` statement as SQLite keeps it: made whole, guarded, given another name,
//! and put in order with others.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::document::tag_parser;
use crate::schema::{Kind, Object};
use crate::sql::lexer;
use crate::sql::tokens::Words;

/// Where in a `CREATE` statement the name of what it makes stands.
fn name_at(words: &Words<'_>) -> usize {
    let at = if words.is(1, "UNIQUE") || words.is(1, "VIRTUAL") { 3 } else { 2 };
    let at = if words.are(at, &["IF", "NOT", "EXISTS"]) { at + 3 } else { at };
    words.qualified(at)
}

/// The name as the statement writes it, quoted or not.
pub(crate) fn written_name(object: &Object) -> String {
    let words = Words::of(&object.sql);
    let name = words.text(name_at(&words));
    if name.is_empty() { lexer::quote(&object.name) } else { name.to_owned() }
}

/// A column's name as its declaration writes it.
pub(crate) fn first_word(text: &str) -> &str {
    Words::of(text).text(0)
}

/// The statement with its semicolon, from its first token to its last. Comments that mean something
/// to tatmig, or that end it, are left out.
pub(crate) fn whole(text: &str) -> String {
    let words = Words::of(text);
    let last = (0..words.len()).rev().find(|at| !words.is(*at, ";")).unwrap_or(0);
    let text = text[..words.range(last).end].trim_start();
    let speaks = |comment: &str| {
        let is_tag =
            |line: &str| tag_parser::read(line).is_some() || tag_parser::mention(line).is_some();
        comment.contains("tatmig") || comment.contains('[') || comment.lines().any(is_tag)
    };
    let comments = lexer::tokens(text, 0).filter(|token| token.kind == lexer::Kind::Comment);
    let spoken: Vec<_> =
        comments.filter(|token| speaks(&text[token.range.clone()])).map(|t| t.range).collect();
    let mut out = text.to_owned();
    for range in spoken.into_iter().rev() {
        out.replace_range(range, " ");
    }
    out.push(';');
    out
}

/// The same with `IF NOT EXISTS`.
pub(crate) fn guarded(text: &str) -> String {
    let words = Words::of(text);
    let kind = if words.is(1, "UNIQUE") || words.is(1, "VIRTUAL") { 2 } else { 1 };
    if words.are(kind + 1, &["IF", "NOT", "EXISTS"]) {
        return whole(text);
    }
    let at = words.range(kind).end;
    whole(&format!("{} IF NOT EXISTS{}", &text[..at], &text[at..]))
}

/// The statement of a table under another name.
pub(crate) fn renamed(object: &Object, name: &str) -> String {
    let text = &object.sql;
    let words = Words::of(text);
    let at = name_at(&words);
    let mut out = text.clone();
    // A column may be called by its table's name too: `CHECK (t.a > 0)`.
    let qualified = (at + 1..words.len())
        .filter(|word| words.is_name(*word, &object.name) && words.is(word + 1, "."));
    let mut places: Vec<_> =
        std::iter::once(at).chain(qualified).map(|at| words.range(at)).collect();
    places.reverse();
    for place in places {
        out.replace_range(place, name);
    }
    whole(&out)
}

pub(crate) fn is_virtual(object: &Object) -> bool {
    object.kind == Kind::Table && Words::of(&object.sql).is(1, "VIRTUAL")
}

/// What stands behind `USING` of a virtual table: its module and its arguments.
pub(crate) fn module(object: &Object) -> (String, Vec<String>) {
    let words = Words::of(&object.sql);
    let Some(using) = words.outer(0, "USING") else { return (String::new(), Vec::new()) };
    let open = using + 2;
    let inside = open + 1..words.behind(open).saturating_sub(1);
    let arguments = if words.is(open, "(") && !inside.is_empty() {
        crate::sql::create_table::items(&words, inside)
    } else {
        Vec::new()
    };
    let folded = arguments.into_iter().map(|item| words.folded(item)).collect();
    (words.name(using + 1).to_lowercase(), folded)
}

/// The tables in which a virtual table of SQLite's own modules keeps its rows, in lower case.
pub(crate) fn shadows(object: &Object) -> Vec<String> {
    let endings: &[&str] = if is_virtual(object) {
        match module(object).0.as_str() {
            "fts3" | "fts4" => &["content", "segments", "segdir", "docsize", "stat"],
            "fts5" => &["data", "idx", "content", "docsize", "config"],
            "rtree" | "rtree_i32" | "geopoly" => &["node", "parent", "rowid"],
            _ => &[],
        }
    } else {
        &[]
    };
    let name = object.name.to_ascii_lowercase();
    endings.iter().map(|ending| format!("{name}_{ending}")).collect()
}

/// Whether a statement speaks of one of these names, given in lower case.
pub(crate) fn mentions(object: &Object, names: &BTreeSet<String>) -> bool {
    let words = Words::of(&object.sql);
    (0..words.len()).any(|at| names.contains(&words.name(at).to_ascii_lowercase()))
}

/// Objects in an order in which each comes after those that it is made of: tables after those that
/// they refer to, views after those that they select from.
pub(crate) fn in_order<'o>(objects: impl Iterator<Item = &'o Arc<Object>>) -> Vec<&'o Arc<Object>> {
    let objects: Vec<_> = objects.collect();
    let needs = |object: &Object, other: &Object| {
        !std::ptr::eq(object, other)
            && match object.kind {
                Kind::Table if is_virtual(object) => !is_virtual(other),
                Kind::Table => {
                    let mut keys = object.structure.foreign_keys.iter();
                    keys.any(|key| key.parent.eq_ignore_ascii_case(&other.name))
                }
                _ => mentions(object, &BTreeSet::from([other.name.to_ascii_lowercase()])),
            }
    };
    let mut waiting = objects;
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let free = waiting
            .iter()
            .position(|object| !waiting.iter().any(|other| needs(object, other)))
            // They refer to each other in a circle; no order is better than another.
            .unwrap_or(0);
        ordered.push(waiting.remove(free));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_guarded_once() {
        assert_eq!(guarded("CREATE TABLE t(a)"), "CREATE TABLE IF NOT EXISTS t(a);");
        assert_eq!(
            guarded("CREATE UNIQUE INDEX i ON t (a) ;"),
            "CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a);"
        );
        assert_eq!(
            guarded("CREATE VIEW IF NOT EXISTS v AS SELECT 1"),
            "CREATE VIEW IF NOT EXISTS v AS SELECT 1;"
        );
    }

    #[test]
    fn what_a_comment_says_to_tatmig_is_not_taken_over() {
        assert_eq!(
            whole(
                "CREATE TABLE t (a, -- tatmig:allow row-loss mine\n  b, -- the second\n c) -- end"
            ),
            "CREATE TABLE t (a,  \n  b, -- the second\n c);"
        );
    }
}
