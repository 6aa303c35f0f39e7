//! What a table's SQL says that no PRAGMA tells: its checks, unique keys, collations, generated
//! columns and options, so that two tables can be held against each other whatever their spelling.

use std::collections::BTreeMap;
use std::ops::Range;

use super::words::Words;
use crate::database::effects;
use crate::database::schema::{Kind, Object, Schema};

/// In what `is` differs from `should`, each in words.
pub(super) fn differences(should: &Schema, is: &Schema) -> Vec<String> {
    let mut found = effects::differences(should, is);
    for (key, expected) in should {
        if let Some(object) = is.get(key) {
            found.extend(clause_differences(expected, object));
        }
    }
    found
}

fn clause_differences(should: &Object, is: &Object) -> Vec<String> {
    if should.kind != Kind::Table || is.kind != Kind::Table || should.sql == is.sql {
        return Vec::new();
    }
    let (expected, found) = (clauses(&should.sql), clauses(&is.sql));
    let lacks = |one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| {
        one.iter()
            .filter(|(clause, count)| other.get(*clause).unwrap_or(&0) < count)
            .map(|(clause, _)| clause.clone())
            .collect::<Vec<_>>()
    };
    let name = &should.name;
    let missing = lacks(&expected, &found)
        .into_iter()
        .map(|clause| format!("table `{name}` lacks `{clause}`"));
    let extra = lacks(&found, &expected)
        .into_iter()
        .map(|clause| format!("table `{name}` has `{clause}`, which is not expected"));
    missing.chain(extra).collect()
}

fn clauses(sql: &str) -> BTreeMap<String, usize> {
    let words = Words::of(sql);
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut note = |clause: String| *found.entry(clause).or_default() += 1;
    let Some(open) = (0..words.len()).find(|at| words.is(*at, "(")) else { return found };
    let end = words.behind(open);
    for item in items(&words, open + 1..end.saturating_sub(1)) {
        for at in item.clone().filter(|at| words.depth(*at) == 1 && !words.is_quoted(*at)) {
            let bracket = words.is(at + 1, "(").then(|| at + 1..words.behind(at + 1));
            if words.is(at, "CHECK") || words.is(at, "AS") || words.is(at, "UNIQUE") {
                let keyword = words.text(at).to_uppercase();
                match bracket {
                    Some(bracket) => note(format!("{keyword} {}", words.folded(bracket))),
                    None if keyword == "UNIQUE" => {
                        note(format!("UNIQUE ( {} )", words.folded(item.start..item.start + 1)));
                    }
                    None => {}
                }
            } else if words.is(at, "COLLATE") && !words.is(at + 1, "BINARY") {
                note(format!("COLLATE {}", words.folded(at + 1..at + 2)));
            } else if words.is(at, "AUTOINCREMENT") {
                note("AUTOINCREMENT".to_owned());
            }
        }
    }
    for at in end..words.len() {
        if words.is(at, "STRICT") {
            note("STRICT".to_owned());
        } else if words.are(at, &["WITHOUT", "ROWID"]) {
            note("WITHOUT ROWID".to_owned());
        }
    }
    found
}

/// The parts of a bracket's content between the commas that belong to it.
pub(crate) fn items(words: &Words<'_>, inside: Range<usize>) -> Vec<Range<usize>> {
    let depth = words.depth(inside.start);
    let mut found = Vec::new();
    let mut start = inside.start;
    for at in inside.clone() {
        if words.is(at, ",") && words.depth(at) == depth {
            found.push(start..at);
            start = at + 1;
        }
    }
    found.push(start..inside.end);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_seen_whatever_their_spelling() {
        let one = clauses("CREATE TABLE t (a TEXT UNIQUE CHECK (a <> ''), b AS (a || 'x')) STRICT");
        let two = clauses(
            "create table \"t\" (\"a\" text, b as (A||'x'), unique (a), check(a<>'')) strict",
        );
        assert_eq!(
            one.keys().collect::<Vec<_>>(),
            ["AS ( a | | 'x' )", "CHECK ( a < > '' )", "STRICT", "UNIQUE ( a )"]
        );
        assert_eq!(one, two);
    }
}
