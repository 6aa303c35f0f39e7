//! Compares schemas by definition: everything that CREATE statements say, however they spell it.
//! Detection, post-conditions, drift and the rules of `lint` all use this comparison.

use std::collections::BTreeMap;

use crate::schema::difference::Difference;
use crate::schema::{Definition, Object, Schema};
use crate::sql::table_definition::TableDefinition;
use crate::sql::tokens::{Tokens, one_line};

/// Which differences of a table count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of them.
    Complete,
    /// What the expected table has must exist; further columns may exist, in any order.
    AtLeast,
}

/// Every difference of the actual schema from the expected one.
pub(crate) fn differences(expected_schema: &Schema, actual_schema: &Schema) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (key, expected) in expected_schema {
        match actual_schema.get(key) {
            None => differences.push(missing(expected)),
            Some(actual) => {
                differences.extend(object_differences(expected, actual, Extent::Complete));
            }
        }
    }
    let unexpected = actual_schema.iter().filter(|(key, _)| !expected_schema.contains_key(key));
    differences.extend(unexpected.map(|(_, object)| Difference::Unexpected {
        kind: object.kind,
        name: object.name.clone(),
    }));
    differences
}

/// The differences, as messages show them, that matter to statements that name their columns.
pub(crate) fn significant_differences(expected: &Schema, actual: &Schema) -> Vec<String> {
    let differences = differences(expected, actual).into_iter();
    differences
        .filter(Difference::is_significant)
        .map(|difference| difference.to_string())
        .collect()
}

pub(crate) fn missing(expected: &Object) -> Difference {
    Difference::Missing { kind: expected.kind, name: expected.name.clone() }
}

/// The differences between two objects of the same name.
pub(crate) fn object_differences(
    expected: &Object,
    actual: &Object,
    extent: Extent,
) -> Vec<Difference> {
    let name = expected.name.clone();
    if actual.kind != expected.kind {
        return vec![Difference::OtherKind { name, expected: expected.kind, found: actual.kind }];
    }
    let is_same_table = actual.table.eq_ignore_ascii_case(&expected.table);
    if is_same_table && actual.sql == expected.sql {
        return Vec::new();
    }
    match (expected.definition(), actual.definition()) {
        (Definition::Table(expected), Definition::Table(actual)) => {
            table_differences(&name, expected, actual, extent)
        }
        (expected_definition, actual_definition)
            if is_same_table && expected_definition == actual_definition =>
        {
            Vec::new()
        }
        _ => vec![Difference::Definition {
            kind: expected.kind,
            name,
            expected: one_line(&expected.sql),
            found: one_line(&actual.sql),
        }],
    }
}

/// Whether two objects have the same definition. The order of a table's columns counts.
pub(crate) fn is_equivalent(left: &Object, right: &Object) -> bool {
    object_differences(left, right, Extent::Complete).is_empty()
}

/// The difference of one column of a table; none if it is as expected, or if it is not expected.
pub(crate) fn column_difference(
    table: &str,
    column: &str,
    expected: &TableDefinition,
    actual: &TableDefinition,
) -> Option<Difference> {
    let expected = expected.column(column)?;
    let (table, column) = (table.to_owned(), expected.name.clone());
    match actual.column(&column) {
        None => Some(Difference::MissingColumn { table, column, expected: expected.to_string() }),
        Some(found) if found == expected => None,
        Some(found) => Some(Difference::Column {
            table,
            column,
            expected: expected.to_string(),
            found: found.to_string(),
        }),
    }
}

fn table_differences(
    table: &str,
    expected: &TableDefinition,
    actual: &TableDefinition,
    extent: Extent,
) -> Vec<Difference> {
    let columns = expected.columns.iter();
    let mut differences: Vec<Difference> = columns
        .filter_map(|column| column_difference(table, &column.name, expected, actual))
        .collect();
    let extra_columns: Vec<&str> = actual
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| expected.column(name).is_none())
        .collect();
    let (expected_clauses, actual_clauses) = (expected.table_clauses(), actual.table_clauses());
    differences.extend(excess(&expected_clauses, &actual_clauses).map(|clause| {
        Difference::MissingClause { table: table.to_owned(), clause: clause.to_owned() }
    }));
    let is_about_extra_column = |clause: &str| {
        let tokens = Tokens::new(clause);
        (0..tokens.len()).any(|index| extra_columns.iter().any(|name| tokens.is_name(index, name)))
    };
    let unexpected = excess(&actual_clauses, &expected_clauses)
        .filter(|clause| extent == Extent::Complete || !is_about_extra_column(clause));
    differences.extend(unexpected.map(|clause| Difference::UnexpectedClause {
        table: table.to_owned(),
        clause: clause.to_owned(),
    }));
    if extent == Extent::Complete {
        differences.extend(extra_columns.iter().filter_map(|name| {
            let found = actual.column(name)?;
            let (table, column) = (table.to_owned(), found.name.clone());
            Some(Difference::UnexpectedColumn { table, column, found: found.to_string() })
        }));
        differences.extend(column_order_difference(table, expected, actual));
    }
    differences
}

/// The difference in the order of the columns that two tables share.
fn column_order_difference(
    table: &str,
    expected: &TableDefinition,
    actual: &TableDefinition,
) -> Option<Difference> {
    let shared = |definition: &TableDefinition, other: &TableDefinition| -> Vec<String> {
        let names = definition.columns.iter().map(|column| column.spec.name.clone());
        names.filter(|name| other.column(name).is_some()).collect()
    };
    if shared(expected, actual) == shared(actual, expected) {
        return None;
    }
    let names = |definition: &TableDefinition| {
        definition.columns.iter().map(|column| column.name.clone()).collect()
    };
    let (expected, found) = (names(expected), names(actual));
    Some(Difference::ColumnOrder { table: table.to_owned(), expected, found })
}

/// The clauses that one table has more often than another.
fn excess<'c>(clauses: &'c [String], other: &'c [String]) -> impl Iterator<Item = &'c str> {
    let mut remaining: BTreeMap<&str, usize> = BTreeMap::new();
    for clause in other {
        *remaining.entry(clause).or_default() += 1;
    }
    clauses.iter().map(String::as_str).filter(move |clause| match remaining.get_mut(clause) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ObjectKind;

    fn object(sql: &str) -> Object {
        let kind = if sql.contains("INDEX") { ObjectKind::Index } else { ObjectKind::Table };
        Object::new(kind, "t".to_owned(), "t".to_owned(), sql.to_owned())
    }

    #[track_caller]
    fn check(expected: &str, actual: &str, messages: &[&str]) {
        let differences = object_differences(&object(expected), &object(actual), Extent::Complete);
        let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(texts, messages);
    }

    #[test]
    fn everything_that_a_table_declares_is_compared() {
        let table = |columns: &str| format!("CREATE TABLE t ({columns})");
        let column = |expected: &str, actual: &str, message: &str| {
            check(&table(&format!("a {expected}")), &table(&format!("a {actual}")), &[message]);
        };
        column(
            "TEXT",
            "TEXT CHECK (a <> 'old')",
            "column `t.a` is `TEXT CHECK (a <> 'old')`, not `TEXT`",
        );
        column("TEXT UNIQUE", "TEXT", "column `t.a` is `TEXT`, not `TEXT UNIQUE`");
        column("TEXT COLLATE NOCASE", "TEXT", "column `t.a` is `TEXT`, not `TEXT COLLATE NOCASE`");
        column(
            "INT DEFAULT 1",
            "INT DEFAULT 2",
            "column `t.a` is `INT DEFAULT 2`, not `INT DEFAULT 1`",
        );
        column(
            "INT AS (1)",
            "INT AS (1) STORED",
            "column `t.a` is `INT AS (1) STORED`, not `INT AS (1)`",
        );
        column(
            "INT REFERENCES p DEFERRABLE INITIALLY DEFERRED",
            "INT REFERENCES p",
            "column `t.a` is `INT REFERENCES p`, not `INT REFERENCES p DEFERRABLE INITIALLY DEFERRED`",
        );
    }

    #[test]
    fn constraints_and_options_of_a_table_are_compared() {
        check(
            "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)",
            "CREATE TABLE t (a INTEGER PRIMARY KEY)",
            &[
                "table `t` lacks `PRIMARY KEY (a) AUTOINCREMENT`",
                "table `t` has `PRIMARY KEY (a)`, which is not expected",
            ],
        );
        check(
            "CREATE TABLE t (a INT) STRICT",
            "CREATE TABLE t (a INT)",
            &["table `t` lacks `STRICT`"],
        );
        check(
            "CREATE TABLE t (a, b, CHECK (a < b), UNIQUE (a, b))",
            "CREATE TABLE t (a, b, UNIQUE (a, b), CHECK (a<B), CHECK (a < 5 + b))",
            &["table `t` has `CHECK (a < 5 + b)`, which is not expected"],
        );
        check(
            "CREATE TABLE t (a, b)",
            "CREATE TABLE t (b, a)",
            &["the columns of table `t` have the order b, a, not a, b"],
        );
        check(
            "CREATE VIRTUAL TABLE t USING fts5(a)",
            "CREATE VIRTUAL TABLE t USING fts5(a, prefix = 2)",
            &[
                "table `t` is `CREATE VIRTUAL TABLE t USING fts5(a, prefix = 2)`, not `CREATE VIRTUAL TABLE t USING fts5(a)`",
            ],
        );
        check(
            "CREATE INDEX i ON t (a)",
            "CREATE UNIQUE INDEX i\n ON t (a)",
            &["index `t` is `CREATE UNIQUE INDEX i ON t (a)`, not `CREATE INDEX i ON t (a)`"],
        );
    }

    #[test]
    fn a_collation_counts_unless_the_column_has_it_anyway() {
        check(
            "CREATE TABLE t (a TEXT COLLATE NOCASE, UNIQUE (a))",
            "CREATE TABLE t (a TEXT COLLATE NOCASE, UNIQUE (a COLLATE BINARY))",
            &[
                "column `t.a` is `TEXT COLLATE NOCASE`, not `TEXT COLLATE NOCASE UNIQUE`",
                "table `t` has `UNIQUE (a collate binary)`, which is not expected",
            ],
        );
        check(
            "CREATE TABLE t (a TEXT COLLATE NOCASE, b, PRIMARY KEY (a, b COLLATE BINARY), UNIQUE (b))",
            "CREATE TABLE t (a TEXT COLLATE NOCASE, b, PRIMARY KEY (a COLLATE nocase, b), UNIQUE (b COLLATE binary ASC))",
            &[],
        );
        let index = |column: &str, term: &str| {
            let table = object(&format!("CREATE TABLE t (a TEXT {column})"));
            let index = object(&format!("CREATE INDEX i ON t ({term})"));
            let mut objects = [table, index];
            crate::schema::add_table_collations(&mut objects);
            let [_, index] = objects;
            index
        };
        for (column, left, right, is_same) in [
            ("", "a", "a COLLATE BINARY", true),
            ("", "lower(a)", "lower(a) COLLATE BINARY", true),
            ("COLLATE NOCASE", "a", "a COLLATE BINARY", false),
            ("COLLATE NOCASE", "a", "a COLLATE NOCASE ASC", true),
            ("COLLATE NOCASE", "a || 'x'", "(a || 'x') COLLATE BINARY", false),
        ] {
            let is_equivalent = is_equivalent(&index(column, left), &index(column, right));
            assert_eq!(is_equivalent, is_same, "{column}: {left}, {right}");
        }
    }

    #[test]
    fn the_spelling_of_expressions_and_options_does_not_count() {
        for (left, right) in [
            ("(1+1)", "(1 + 1)"),
            ("-1.5e+3", "(-1.5e+3)"),
            ("('a'||'x')", "( 'a' || 'x' )"),
            ("x'0a'", "(X'0A')"),
            ("CURRENT_TIMESTAMP", "(current_timestamp)"),
            ("TRUE", "(true)"),
            ("((1) + 1)", "(1 + 1)"),
        ] {
            let table = |default: &str| format!("CREATE TABLE t (a DEFAULT {default})");
            check(&table(left), &table(right), &[]);
        }
        check("CREATE TABLE t (a DEFAULT NULL)", "CREATE TABLE t (a)", &[]);
        check(
            "CREATE TABLE t (a CHECK (a <> '' AND a = 1), b AS (a + 1))",
            "CREATE TABLE t (a CHECK ((a != '' and (a) == 1)), b AS ((a + (1))))",
            &[],
        );
        check(
            "CREATE TABLE t (a CHECK (a <> 'x'))",
            "CREATE TABLE t (a CHECK (a != 'X'))",
            &["column `t.a` is `no type CHECK (a <> 'X')`, not `no type CHECK (a <> 'x')`"],
        );
        check(
            "CREATE VIRTUAL TABLE t USING fts5(n, tokenize='porter', content='t', prefix='2 3')",
            "CREATE VIRTUAL TABLE t USING fts5(\"n\", tokenize=\"porter\", content=T, prefix=\"2 3\")",
            &[],
        );
    }

    #[test]
    fn where_a_constraint_is_declared_does_not_count() {
        check(
            "CREATE TABLE t (a TEXT UNIQUE CHECK (a <> ''), b INT REFERENCES p (id))",
            "CREATE TABLE \"t\" (a text, [b] int, CONSTRAINT k CHECK(a<>''), UNIQUE(A), FOREIGN KEY (b) REFERENCES P(ID))",
            &[],
        );
    }

    #[test]
    fn further_columns_count_only_in_a_complete_comparison() {
        let expected = object("CREATE TABLE t (a, b)");
        let actual = object("CREATE TABLE t (b, x CHECK (x > 1), a, UNIQUE (x, a))");
        assert!(object_differences(&expected, &actual, Extent::AtLeast).is_empty());
        assert_eq!(object_differences(&expected, &actual, Extent::Complete).len(), 3);
    }
}
