//! What a table's SQL says that no PRAGMA tells: its checks, unique keys, collations, generated
//! columns and options, so that two tables can be held against each other whatever their spelling.

use std::collections::BTreeMap;

use crate::schema::{Object, ObjectKind, Schema, effects};
use crate::sql::create_table::count_clauses;

/// In what `is` differs from `should`, each in words.
pub(crate) fn differences(expected_schema: &Schema, actual_schema: &Schema) -> Vec<String> {
    let mut differences = effects::differences(expected_schema, actual_schema);
    for (key, expected_object) in expected_schema {
        if let Some(actual_object) = actual_schema.get(key) {
            differences.extend(clause_differences(expected_object, actual_object));
        }
    }
    differences
}

fn clause_differences(expected_table: &Object, actual_table: &Object) -> Vec<String> {
    if expected_table.kind != ObjectKind::Table
        || actual_table.kind != ObjectKind::Table
        || expected_table.sql == actual_table.sql
    {
        return Vec::new();
    }
    let (expected_clauses, actual_clauses) =
        (count_clauses(&expected_table.sql), count_clauses(&actual_table.sql));
    let excess_clauses = |one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| {
        one.iter()
            .filter(|(clause, count)| other.get(*clause).unwrap_or(&0) < count)
            .map(|(clause, _)| clause.clone())
            .collect::<Vec<_>>()
    };
    let name = &expected_table.name;
    let missing = excess_clauses(&expected_clauses, &actual_clauses)
        .into_iter()
        .map(|clause| format!("table `{name}` lacks `{clause}`"));
    let extra = excess_clauses(&actual_clauses, &expected_clauses)
        .into_iter()
        .map(|clause| format!("table `{name}` has `{clause}`, which is not expected"));
    missing.chain(extra).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_found_whatever_their_spelling() {
        let one =
            count_clauses("CREATE TABLE t (a TEXT UNIQUE CHECK (a <> ''), b AS (a || 'x')) STRICT");
        let two = count_clauses(
            "create table \"t\" (\"a\" text, b as (A||'x'), unique (a), check(a<>'')) strict",
        );
        assert_eq!(
            one.keys().collect::<Vec<_>>(),
            ["AS ( a | | 'x' )", "CHECK ( a < > '' )", "STRICT", "UNIQUE ( a )"]
        );
        assert_eq!(one, two);
    }
}
