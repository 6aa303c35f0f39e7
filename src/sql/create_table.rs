//! Reads the SQL of a `CREATE TABLE` statement into a [`TableDefinition`], and finds its CHECK
//! constraints. Expects SQL that SQLite has accepted.

use std::ops::Range;

use crate::sql::definition_parser::DefinitionParser;
use crate::sql::table_definition::{NO_ROWID_ALIAS, TableDefinition};
use crate::sql::tokens::Tokens;

impl TableDefinition {
    /// Reads the SQL of an ordinary table as `sqlite_schema` stores it.
    pub(crate) fn parse(sql: &str) -> Self {
        let tokens = Tokens::new(sql);
        let mut definition = Self::default();
        let Some(opening) = (0..tokens.len()).find(|index| tokens.is(*index, "(")) else {
            return definition;
        };
        let end = tokens.after_matching_close(opening);
        for item in tokens.split_at_commas(opening + 1..end.saturating_sub(1)) {
            if !item.is_empty() {
                DefinitionParser::new(&tokens, item).parse(&mut definition, sql);
            }
        }
        for option in tokens.split_at_commas(end..tokens.len()) {
            let normalized = tokens.normalized(option).trim_end_matches([' ', ';']).to_owned();
            if !normalized.is_empty() {
                definition.constraints.options.push(normalized);
            }
        }
        let columns = &definition.columns;
        let constraints = &mut definition.constraints;
        let collation_of = |name: &str| {
            let column = columns.iter().find(|column| column.spec.name == name);
            column.and_then(|column| column.spec.collation.as_deref()).unwrap_or("binary")
        };
        let keys = constraints.unique_keys.iter_mut().map(|key| &mut key.terms);
        for term in keys.chain([&mut constraints.primary_key]).flatten() {
            let default = term.column().map_or("binary", collation_of);
            *term = term.clone().without_collation(default);
        }
        constraints.unique_keys.sort();
        constraints.unique_keys.dedup();
        constraints.checks.sort();
        constraints.foreign_keys = definition
            .foreign_keys
            .iter()
            .map(|key| key.to_string().to_ascii_lowercase())
            .collect();
        constraints.foreign_keys.sort();
        constraints.options.sort();
        if constraints.options.iter().any(|option| option == "without rowid") {
            constraints.primary_key_options.retain(|option| option != NO_ROWID_ALIAS);
        }
        definition.assign_column_constraints();
        definition
    }
}

/// A CHECK constraint in the SQL of a table.
pub(crate) struct CheckClause {
    /// The name after `CONSTRAINT`, if it has one.
    pub(crate) name: Option<String>,
    /// The tokens between the brackets.
    pub(crate) expression: Range<usize>,
}

/// The CHECK constraints of columns and of the table, in the order of the text.
pub(crate) fn check_clauses(tokens: &Tokens<'_>) -> Vec<CheckClause> {
    let is_check = |index: &usize| {
        tokens.is(*index, "CHECK") && !tokens.is_quoted(*index) && tokens.is(index + 1, "(")
    };
    let clause = |index: usize| CheckClause {
        name: (index >= 2 && tokens.is(index - 2, "CONSTRAINT")).then(|| tokens.name(index - 1)),
        expression: index + 2..tokens.after_matching_close(index + 1) - 1,
    };
    (0..tokens.len()).filter(is_check).map(clause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_same(left: &str, right: &str) {
        assert_eq!(TableDefinition::parse(left), TableDefinition::parse(right));
    }

    #[track_caller]
    fn assert_different(left: &str, right: &str) {
        assert_ne!(TableDefinition::parse(left), TableDefinition::parse(right));
    }

    #[test]
    fn spelling_is_ignored() {
        assert_same(
            "CREATE TABLE t (a TEXT PRIMARY KEY)",
            "create table \"t\" ( A text, primary key(a asc) )",
        );
        assert_same(
            "CREATE TABLE t (a INT REFERENCES p ON DELETE CASCADE ON UPDATE NO ACTION, b UNIQUE)",
            "CREATE TABLE t (a INT, b, UNIQUE (b), CONSTRAINT k FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE)",
        );
        assert_same(
            "CREATE TABLE t (a INT NULL CHECK (a>1))",
            "CREATE TABLE t (a INT, CHECK(a > 1))",
        );
        assert_same(
            "CREATE TABLE t (a TEXT DEFAULT \"No\", b INT DEFAULT (1), c INT DEFAULT - 1)",
            "CREATE TABLE t ([a] text DEFAULT 'No', b INT DEFAULT 1, c INT DEFAULT -1)",
        );
        assert_same(
            "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)",
            "CREATE TABLE t (a INTEGER, PRIMARY KEY (a AUTOINCREMENT))",
        );
    }

    #[test]
    fn meaning_is_compared() {
        for (left, right) in [
            ("a INT", "a TEXT"),
            ("a, b", "b, a"),
            ("a NOT NULL", "a"),
            ("a DEFAULT 1", "a DEFAULT 1.5"),
            ("a DEFAULT 'x'", "a DEFAULT 'X'"),
            ("a DEFAULT -1", "a DEFAULT 1"),
            ("a, b, UNIQUE (a, b)", "a, b, UNIQUE (b, a)"),
            ("a COLLATE NOCASE, b", "a, b COLLATE NOCASE"),
            ("a UNIQUE ON CONFLICT IGNORE", "a UNIQUE"),
            ("a REFERENCES p (x)", "a REFERENCES p (y)"),
            ("a REFERENCES p DEFERRABLE INITIALLY DEFERRED", "a REFERENCES p"),
            ("a, b AS (a) STORED", "a, b AS (a)"),
            ("a TEXT PRIMARY KEY DESC", "a TEXT PRIMARY KEY"),
            ("a INTEGER PRIMARY KEY DESC", "a INTEGER PRIMARY KEY"),
            ("a INTEGER PRIMARY KEY DESC", "a INTEGER, PRIMARY KEY (a DESC)"),
        ] {
            assert_different(
                &format!("CREATE TABLE t ({left})"),
                &format!("CREATE TABLE t ({right})"),
            );
        }
        assert_different("CREATE TABLE t (a INT) STRICT", "CREATE TABLE t (a INT)");
        assert_same(
            "CREATE TABLE t (a INT) STRICT, WITHOUT ROWID",
            "CREATE TABLE t(a INT) without rowid,strict",
        );
    }

    /// SQLite keeps an old bug for the files that depend on it: `DESC` beside the column, and only
    /// there, makes the column no alias of the rowid.
    #[test]
    fn a_descending_integer_key_of_a_column_is_no_rowid_alias() {
        for (columns, alias) in [
            ("a INTEGER PRIMARY KEY", Some("a")),
            ("a INTEGER PRIMARY KEY ASC", Some("a")),
            ("a INTEGER PRIMARY KEY DESC", None),
            ("a INTEGER, PRIMARY KEY (a DESC)", Some("a")),
            ("a INT PRIMARY KEY", None),
            ("a INTEGER, b, PRIMARY KEY (a, b)", None),
            ("a INTEGER, PRIMARY KEY (a COLLATE NOCASE)", Some("a")),
        ] {
            let sql = format!("CREATE TABLE t ({columns})");
            assert_eq!(TableDefinition::parse(&sql).rowid_alias(), alias, "{columns}");
            // A NULL shows what SQLite does: a rowid cannot be NULL.
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            connection.execute_batch(&format!("{sql}; INSERT INTO t (a) VALUES (NULL)")).unwrap();
            let is_alias =
                connection.query_row("SELECT a IS NOT NULL FROM t", [], |row| row.get(0));
            assert_eq!(is_alias, Ok(alias.is_some()), "{columns}");
        }
        assert_same(
            "CREATE TABLE t (a INTEGER PRIMARY KEY DESC) WITHOUT ROWID",
            "CREATE TABLE t (a INTEGER, PRIMARY KEY (a DESC)) WITHOUT ROWID",
        );
    }

    #[test]
    fn a_column_of_a_key_may_be_named_like_a_clause() {
        for name in ["a desc", "a asc", "a autoincrement", "a collate nocase"] {
            let sql = format!("CREATE TABLE t (\"{name}\" INTEGER PRIMARY KEY, a UNIQUE)");
            let definition = TableDefinition::parse(&sql);
            assert_eq!(definition.rowid_alias(), Some(name));
            assert_eq!(definition.primary_key_position(name), 1);
            assert_eq!(definition.primary_key_position("a"), 0);
            let clauses = definition.table_clauses();
            assert_eq!(clauses, [format!("PRIMARY KEY (\"{name}\")")]);
        }
        for name in ["a desc", "a asc", "a collate nocase"] {
            assert_different(
                &format!("CREATE TABLE t (a, \"{name}\", UNIQUE (\"{name}\"))"),
                &format!("CREATE TABLE t (a, \"{name}\", UNIQUE ({name}))"),
            );
        }
    }

    #[test]
    fn column_keeps_its_sql() {
        let definition = TableDefinition::parse(
            "CREATE TABLE t (\n  a INT, -- one\n  \"b c\" DECIMAL(10, 2) DEFAULT (1 + 2) -- two\n)",
        );
        assert_eq!(definition.columns[1].sql, "\"b c\" DECIMAL(10, 2) DEFAULT (1 + 2)");
        assert_eq!(definition.columns[1].spec.name, "b c");
        assert_eq!(definition.columns[1].spec.default.as_deref(), Some("(1 + 2)"));
        assert_eq!(definition.columns[1].to_string(), "DECIMAL(10, 2) DEFAULT (1 + 2)");
    }
}
