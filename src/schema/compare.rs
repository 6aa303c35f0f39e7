//! What a table's SQL says that no PRAGMA tells: its checks, unique keys, collations, generated
//! columns and options, so that two tables can be held against each other whatever their spelling.

use std::collections::BTreeMap;

use crate::schema::{Kind, Object, Schema, effects};
use crate::sql::create_table::clauses;

/// In what `is` differs from `should`, each in words.
pub(crate) fn differences(should: &Schema, is: &Schema) -> Vec<String> {
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
