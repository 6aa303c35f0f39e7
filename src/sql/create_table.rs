//! Reads the SQL of a `CREATE TABLE` statement into a [`TableDefinition`], and finds its CHECK
//! constraints. Expects SQL that SQLite has accepted.

use std::ops::Range;

use crate::sql::table_definition::{
    ColumnDefinition, ColumnSpec, GeneratedStorage, NO_ROWID_ALIAS, TableConstraints,
    TableDefinition,
};
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
                DefinitionParser { tokens: &tokens, position: item.start, end: item.end }
                    .parse(&mut definition, sql);
            }
        }
        for option in tokens.split_at_commas(end..tokens.len()) {
            let normalized = tokens.normalized(option).trim_end_matches([' ', ';']).to_owned();
            if !normalized.is_empty() {
                definition.constraints.options.push(normalized);
            }
        }
        let constraints = &mut definition.constraints;
        constraints.unique_keys.sort();
        constraints.unique_keys.dedup();
        constraints.checks.sort();
        constraints.foreign_keys.sort();
        constraints.options.sort();
        if constraints.options.iter().any(|option| option == "without rowid") {
            constraints.primary_key_options.retain(|option| option != NO_ROWID_ALIAS);
        }
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

/// Keywords that end the type of a column.
const TYPE_TERMINATORS: &[&str] = &[
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
];

/// Reads one column or one table constraint: the tokens from `position` to `end`.
struct DefinitionParser<'w, 't> {
    tokens: &'w Tokens<'t>,
    position: usize,
    end: usize,
}

impl DefinitionParser<'_, '_> {
    fn is_at(&self, expected: &str) -> bool {
        self.position < self.end && self.tokens.is(self.position, expected)
    }

    fn is_at_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is_at(keyword))
    }

    /// Consumes a sequence of tokens if it comes next.
    fn consume_if(&mut self, expected: &[&str]) -> bool {
        let is_match = self.position + expected.len() <= self.end
            && self.tokens.match_seq(self.position, expected);
        if is_match {
            self.position += expected.len();
        }
        is_match
    }

    /// Consumes a number of tokens and returns them normalized.
    fn consume(&mut self, count: usize) -> String {
        let start = self.position;
        self.position = (self.position + count).min(self.end);
        self.tokens.normalized(start..self.position)
    }

    /// Consumes a pair of brackets with its content, if one comes next.
    fn consume_parenthesized(&mut self) -> String {
        if self.is_at("(") {
            self.consume(self.tokens.after_matching_close(self.position) - self.position)
        } else {
            String::new()
        }
    }

    /// Consumes a list of columns in brackets. Each item keeps its collation and order unless they
    /// are SQLite's defaults.
    fn consume_column_list(&mut self) -> Vec<String> {
        if !self.is_at("(") {
            return Vec::new();
        }
        let end = self.tokens.after_matching_close(self.position);
        let token_range = self.position + 1..end.saturating_sub(1);
        self.position = end;
        self.tokens
            .split_at_commas(token_range)
            .into_iter()
            .map(|item| {
                let mut text = self.tokens.normalized(item);
                for suffix in [" autoincrement", " asc", " collate binary"] {
                    text = text.strip_suffix(suffix).map(str::to_owned).unwrap_or(text);
                }
                text
            })
            .collect()
    }

    /// Consumes `ON CONFLICT …`; returns the action, or an empty text without such a clause.
    fn consume_conflict_clause(&mut self) -> String {
        if self.consume_if(&["ON", "CONFLICT"]) { self.consume(1) } else { String::new() }
    }

    fn parse(mut self, definition: &mut TableDefinition, sql: &str) {
        const TABLE_CONSTRAINT_KEYWORDS: &[&str] =
            &["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
        if self.is_at_any(TABLE_CONSTRAINT_KEYWORDS) {
            self.parse_constraints(None, &mut definition.constraints);
            return;
        }
        let first_byte = self.tokens.byte_range(self.position).start;
        let column_sql = sql[first_byte..self.tokens.byte_range(self.end - 1).end].to_owned();
        let mut spec = ColumnSpec { name: self.consume(1), ..ColumnSpec::default() };
        let type_start = self.position;
        while self.position < self.end && !self.is_at_any(TYPE_TERMINATORS) {
            self.position = if self.is_at("(") {
                self.tokens.after_matching_close(self.position)
            } else {
                self.position + 1
            };
        }
        spec.declared_type = self.tokens.normalized(type_start..self.position);
        self.parse_constraints(Some(&mut spec), &mut definition.constraints);
        definition.columns.push(ColumnDefinition { spec, sql: column_sql });
    }

    /// Reads all remaining constraints, of the column if one is given, else of the table.
    fn parse_constraints(
        &mut self,
        mut column: Option<&mut ColumnSpec>,
        table: &mut TableConstraints,
    ) {
        while self.position < self.end {
            let is_recognized = self.parse_table_constraint(column.as_deref(), table)
                || self.parse_value_constraint(column.as_deref_mut());
            if !is_recognized {
                let token = self.consume(1);
                table.unrecognized_tokens.push(token);
            }
        }
    }

    /// Reads a constraint that SQLite has for columns and for tables. Returns false if another
    /// token comes next.
    fn parse_table_constraint(
        &mut self,
        column: Option<&ColumnSpec>,
        table: &mut TableConstraints,
    ) -> bool {
        if self.consume_if(&["CONSTRAINT"]) {
            self.position += 1;
        } else if self.consume_if(&["PRIMARY", "KEY"]) {
            self.parse_primary_key(column, table);
        } else if self.consume_if(&["UNIQUE"]) {
            let names = match column {
                Some(column) => vec![column.name.clone()],
                None => self.consume_column_list(),
            };
            let conflict_clause = self.consume_conflict_clause();
            table.unique_keys.push((names, conflict_clause));
        } else if self.consume_if(&["CHECK"]) {
            let check = self.consume_parenthesized();
            self.consume_conflict_clause();
            table.checks.push(check);
        } else if self.is_at("REFERENCES") {
            let names = column.map(|column| vec![column.name.clone()]).unwrap_or_default();
            let key = self.parse_foreign_key(&names);
            table.foreign_keys.push(key);
        } else if self.consume_if(&["FOREIGN", "KEY"]) {
            let names = self.consume_column_list();
            let key = self.parse_foreign_key(&names);
            table.foreign_keys.push(key);
        } else {
            return false;
        }
        true
    }

    fn parse_primary_key(&mut self, column: Option<&ColumnSpec>, table: &mut TableConstraints) {
        table.primary_key = match column {
            Some(column) => {
                let is_descending = self.consume_if(&["DESC"]);
                self.consume_if(&["ASC"]);
                if is_descending && column.declared_type == "integer" {
                    table.primary_key_options.push(NO_ROWID_ALIAS.to_owned());
                }
                vec![format!("{}{}", column.name, if is_descending { " desc" } else { "" })]
            }
            None => {
                let end = self.tokens.after_matching_close(self.position);
                if (self.position..end).any(|index| self.tokens.is(index, "AUTOINCREMENT")) {
                    table.primary_key_options.push("autoincrement".to_owned());
                }
                self.consume_column_list()
            }
        };
        let conflict_clause = self.consume_conflict_clause();
        if !conflict_clause.is_empty() {
            table.primary_key_options.push(conflict_clause);
        }
        if self.consume_if(&["AUTOINCREMENT"]) {
            table.primary_key_options.push("autoincrement".to_owned());
        }
    }

    /// Reads a constraint that only columns have. Returns false if another token comes next.
    fn parse_value_constraint(&mut self, column: Option<&mut ColumnSpec>) -> bool {
        let mut ignored = ColumnSpec::default();
        let column = column.unwrap_or(&mut ignored);
        if self.consume_if(&["NOT", "NULL"]) {
            column.not_null = Some(self.consume_conflict_clause());
        } else if self.consume_if(&["NULL"]) {
            self.consume_conflict_clause();
        } else if self.consume_if(&["DEFAULT"]) {
            let default =
                if self.is_at("(") { self.consume_parenthesized() } else { self.consume_literal() };
            column.default = Some(default);
        } else if self.consume_if(&["COLLATE"]) {
            let collation = self.consume(1);
            if collation != "binary" {
                column.collation = Some(collation);
            }
        } else if self.consume_if(&["GENERATED", "ALWAYS"]) {
            // The expression follows after `AS`.
        } else if self.consume_if(&["AS"]) {
            let expression = self.consume_parenthesized();
            let is_stored = self.consume_if(&["STORED"]);
            self.consume_if(&["VIRTUAL"]);
            let storage =
                if is_stored { GeneratedStorage::Stored } else { GeneratedStorage::Virtual };
            column.generated = Some((expression, storage));
        } else {
            return false;
        }
        true
    }

    /// Consumes a default without brackets: a number with its sign and fraction, a string, a word.
    fn consume_literal(&mut self) -> String {
        let start = self.position;
        let has_sign = self.is_at("+") || self.is_at("-");
        self.position += usize::from(has_sign) + 1;
        // `1.5` is three adjacent tokens, `x'00'` two.
        while self.position < self.end
            && self.tokens.is_adjacent(self.position - 1)
            && !self.is_at("(")
        {
            self.position += 1;
        }
        self.tokens.normalized(start..self.position)
    }

    /// Consumes a `REFERENCES` clause; returns the whole key with its child columns. Defaults such
    /// as `NO ACTION` are left out, and the actions are sorted.
    fn parse_foreign_key(&mut self, columns: &[String]) -> String {
        let mut clause = format!("( {} ) ", columns.join(" , "));
        self.consume_if(&["REFERENCES"]);
        clause.push_str(&self.consume(1));
        clause.push(' ');
        clause.push_str(&self.consume_parenthesized());
        let mut actions = Vec::new();
        loop {
            if self.is_at("ON") && self.position + 2 < self.end {
                let is_two_word_action = self.tokens.is(self.position + 2, "SET")
                    || self.tokens.is(self.position + 2, "NO");
                let action = self.consume(if is_two_word_action { 4 } else { 3 });
                if !action.ends_with("no action") {
                    actions.push(action);
                }
            } else if self.is_at("MATCH") {
                // SQLite parses MATCH clauses and ignores them.
                self.consume(2);
            } else if self.is_at("DEFERRABLE")
                || self.is_at("NOT") && self.tokens.is(self.position + 1, "DEFERRABLE")
            {
                let is_not_deferrable = self.consume_if(&["NOT"]);
                self.consume_if(&["DEFERRABLE"]);
                let is_deferred = self.consume_if(&["INITIALLY"]) && self.consume(1) == "deferred";
                if is_deferred && !is_not_deferrable {
                    actions.push("initially deferred".to_owned());
                }
            } else {
                break;
            }
        }
        actions.sort();
        clause.push_str(&actions.join(" "));
        clause.trim_end().to_owned()
    }
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
    fn column_keeps_its_sql() {
        let definition = TableDefinition::parse(
            "CREATE TABLE t (\n  a INT, -- one\n  \"b c\" DECIMAL(10, 2) DEFAULT (1 + 2) -- two\n)",
        );
        assert_eq!(definition.columns[1].sql, "\"b c\" DECIMAL(10, 2) DEFAULT (1 + 2)");
        assert_eq!(definition.columns[1].spec.name, "b c");
        assert_eq!(definition.columns[1].spec.default.as_deref(), Some("( 1 + 2 )"));
    }
}
