//! Compares two schemas completely: the objects and columns that pragmas show, and the parts of a
//! table that only its SQL shows (checks, unique keys, collations, generated columns, options),
//! however that SQL is spelled.

use std::collections::BTreeMap;

use crate::schema::{Object, ObjectKind, Schema, effects};
use crate::sql::table_definition::TableDefinition;

/// Describes every difference of the actual schema from the expected one, one line each. Empty if
/// the two are equal.
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
    let expected_clauses = count_clauses(&TableDefinition::parse(&expected_table.sql));
    let actual_clauses = count_clauses(&TableDefinition::parse(&actual_table.sql));
    let name = &expected_table.name;
    let missing = excess_clauses(&expected_clauses, &actual_clauses)
        .map(|clause| format!("table `{name}` lacks `{clause}`"));
    let extra = excess_clauses(&actual_clauses, &expected_clauses)
        .map(|clause| format!("table `{name}` has `{clause}`, which is not expected"));
    missing.chain(extra).collect()
}

/// The clauses that one table has more often than another.
fn excess_clauses<'c>(
    clauses: &'c BTreeMap<String, usize>,
    other: &'c BTreeMap<String, usize>,
) -> impl Iterator<Item = &'c str> {
    clauses
        .iter()
        .filter(|(clause, count)| other.get(*clause).unwrap_or(&0) < count)
        .map(|(clause, _)| clause.as_str())
}

/// The clauses of a table that no pragma shows, each with the number of times that it occurs.
fn count_clauses(definition: &TableDefinition) -> BTreeMap<String, usize> {
    let constraints = &definition.constraints;
    let specs = || definition.columns.iter().map(|column| &column.spec);
    let checks = constraints.checks.iter().map(|check| format!("CHECK {check}"));
    let unique_keys = constraints
        .unique_keys
        .iter()
        .map(|(columns, _)| format!("UNIQUE ( {} )", columns.join(" , ")));
    let generated = specs()
        .filter_map(|spec| spec.generated.as_ref())
        .map(|(expression, _)| format!("AS {expression}"));
    let collations = specs()
        .filter_map(|spec| spec.collation.as_ref())
        .map(|collation| format!("COLLATE {collation}"));
    let autoincrement = definition.is_autoincrement().then(|| "AUTOINCREMENT".to_owned());
    let options = constraints.options.iter().map(|option| option.to_uppercase());
    let mut counts = BTreeMap::new();
    for clause in checks
        .chain(unique_keys)
        .chain(generated)
        .chain(collations)
        .chain(autoincrement)
        .chain(options)
    {
        *counts.entry(clause).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_found_whatever_their_spelling() {
        let clauses = |sql: &str| count_clauses(&TableDefinition::parse(sql));
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

    #[test]
    fn collations_and_autoincrement_are_clauses() {
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a COLLATE NOCASE, b COLLATE BINARY)";
        let clauses = count_clauses(&TableDefinition::parse(sql));
        assert_eq!(clauses.keys().collect::<Vec<_>>(), ["AUTOINCREMENT", "COLLATE nocase"]);
    }
}
