//! What a `CREATE TABLE` says, whatever its spelling: two tables are the same if and only if their
//! definitions are equal. Each column remembers the text that declares it.

use std::ops::Range;

use crate::sql::tokens::Tokens;

/// A column, names and keywords in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    pub(crate) name: String,
    pub(crate) declared_type: String,
    /// With its `ON CONFLICT`, if it has one.
    pub(crate) not_null: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) collation: Option<String>,
    /// The expression of a generated column, and whether it is stored.
    pub(crate) generated: Option<(String, GeneratedStorage)>,
}

/// Where the value of a generated column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GeneratedStorage {
    Virtual,
    Stored,
}

/// A column and the text that declares it.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDefinition {
    pub(crate) spec: ColumnSpec,
    pub(crate) sql: String,
}

/// A table's definition.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableDefinition {
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) constraints: TableConstraints,
}

/// What holds for a table beyond its columns one by one; each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableConstraints {
    /// The columns of the primary key, each with its collation and its order if they are given.
    pub(crate) primary_key: Vec<String>,
    /// `AUTOINCREMENT` and `ON CONFLICT` of the primary key.
    pub(crate) primary_key_options: Vec<String>,
    /// The columns of each unique key, then its `ON CONFLICT`.
    pub(crate) unique_keys: Vec<(Vec<String>, String)>,
    pub(crate) checks: Vec<String>,
    pub(crate) foreign_keys: Vec<String>,
    /// `strict` and `without rowid`.
    pub(crate) options: Vec<String>,
    /// Words that are none of all this.
    unrecognized_tokens: Vec<String>,
}

impl PartialEq for TableDefinition {
    fn eq(&self, other: &Self) -> bool {
        self.constraints == other.constraints
            && self
                .columns
                .iter()
                .map(|column| &column.spec)
                .eq(other.columns.iter().map(|column| &column.spec))
    }
}

impl TableDefinition {
    /// Reads the SQL of an ordinary table as SQLite keeps it.
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
        definition
    }

    pub(crate) fn column(&self, name: &str) -> Option<&ColumnDefinition> {
        self.columns.iter().find(|column| column.spec.name.eq_ignore_ascii_case(name))
    }

    /// The column that is another name of the row id, in lower case.
    pub(crate) fn rowid_alias(&self) -> Option<&str> {
        let [only_column] = self.constraints.primary_key.as_slice() else { return None };
        let column = self.column(only_column)?;
        (column.spec.declared_type == "integer" && !self.has_option("without rowid"))
            .then_some(column.spec.name.as_str())
    }

    pub(crate) fn has_option(&self, option: &str) -> bool {
        self.constraints.options.iter().any(|table_option| table_option == option)
    }

    pub(crate) fn is_autoincrement(&self) -> bool {
        self.constraints.primary_key_options.iter().any(|option| option == "autoincrement")
    }

    /// Whether SQLite refuses NULL in a column.
    pub(crate) fn rejects_null(&self, column: &ColumnSpec) -> bool {
        let is_in_primary_key = self.constraints.primary_key.contains(&column.name);
        column.not_null.is_some() || is_in_primary_key && self.has_option("without rowid")
    }

    /// Whether no two rows may have the same value in a column.
    pub(crate) fn is_unique(&self, column: &str) -> bool {
        let is_only_column = |key: &[String]| key == [column];
        is_only_column(&self.constraints.primary_key)
            || self.constraints.unique_keys.iter().any(|(key, _)| is_only_column(key))
    }
}

/// Words at which a column's type ends.
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

/// One column or table constraint that is being read.
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

    /// Takes words if they stand next.
    fn consume_if(&mut self, expected: &[&str]) -> bool {
        let is_match = self.position + expected.len() <= self.end
            && self.tokens.match_seq(self.position, expected);
        if is_match {
            self.position += expected.len();
        }
        is_match
    }

    /// Takes so many words, folded.
    fn consume(&mut self, count: usize) -> String {
        let start = self.position;
        self.position = (self.position + count).min(self.end);
        self.tokens.normalized(start..self.position)
    }

    /// Takes a bracket, folded; nothing if none stands here.
    fn consume_parenthesized(&mut self) -> String {
        if self.is_at("(") {
            self.consume(self.tokens.after_matching_close(self.position) - self.position)
        } else {
            String::new()
        }
    }

    /// Takes a bracket of names, each with what is said of it.
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

    fn consume_conflict_clause(&mut self) -> String {
        if self.consume_if(&["ON", "CONFLICT"]) { self.consume(1) } else { String::new() }
    }

    fn parse(mut self, definition: &mut TableDefinition, sql: &str) {
        const TABLE_CONSTRAINT_KEYWORDS: &[&str] =
            &["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
        if self.is_at_any(TABLE_CONSTRAINT_KEYWORDS) {
            self.parse_constraints(None, definition);
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
        self.parse_constraints(Some(&mut spec), definition);
        definition.columns.push(ColumnDefinition { spec, sql: column_sql });
    }

    /// Reads constraints to the end, those of a column or of the table.
    fn parse_constraints(
        &mut self,
        mut column: Option<&mut ColumnSpec>,
        definition: &mut TableDefinition,
    ) {
        let table = &mut definition.constraints;
        while self.position < self.end {
            if self.consume_if(&["CONSTRAINT"]) {
                self.position += 1;
            } else if self.consume_if(&["PRIMARY", "KEY"]) {
                table.primary_key = match &column {
                    Some(column) => {
                        let is_descending = self.consume_if(&["DESC"]);
                        self.consume_if(&["ASC"]);
                        vec![format!("{}{}", column.name, if is_descending { " desc" } else { "" })]
                    }
                    None => {
                        let end = self.tokens.after_matching_close(self.position);
                        if (self.position..end).any(|index| self.tokens.is(index, "AUTOINCREMENT"))
                        {
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
            } else if self.consume_if(&["NOT", "NULL"]) {
                let conflict_clause = self.consume_conflict_clause();
                if let Some(column) = &mut column {
                    column.not_null = Some(conflict_clause);
                }
            } else if self.consume_if(&["NULL"]) {
                self.consume_conflict_clause();
            } else if self.consume_if(&["UNIQUE"]) {
                let names = match &column {
                    Some(column) => vec![column.name.clone()],
                    None => self.consume_column_list(),
                };
                let conflict_clause = self.consume_conflict_clause();
                table.unique_keys.push((names, conflict_clause));
            } else if self.consume_if(&["CHECK"]) {
                let check = self.consume_parenthesized();
                self.consume_conflict_clause();
                table.checks.push(check);
            } else if self.consume_if(&["DEFAULT"]) {
                let has_sign = self.is_at("+") || self.is_at("-");
                let default = if self.is_at("(") {
                    self.consume_parenthesized()
                } else {
                    self.consume_literal(has_sign)
                };
                if let Some(column) = &mut column {
                    column.default = Some(default);
                }
            } else if self.consume_if(&["COLLATE"]) {
                let collation = self.consume(1);
                if let Some(column) = &mut column
                    && collation != "binary"
                {
                    column.collation = Some(collation);
                }
            } else if self.is_at("REFERENCES") {
                let names = column.as_ref().map(|column| vec![column.name.clone()]);
                let key = self.parse_foreign_key(&names.unwrap_or_default());
                table.foreign_keys.push(key);
            } else if self.consume_if(&["FOREIGN", "KEY"]) {
                let names = self.consume_column_list();
                let key = self.parse_foreign_key(&names);
                table.foreign_keys.push(key);
            } else if self.consume_if(&["GENERATED", "ALWAYS"]) {
            } else if self.consume_if(&["AS"]) {
                let expression = self.consume_parenthesized();
                let is_stored = self.consume_if(&["STORED"]);
                self.consume_if(&["VIRTUAL"]);
                if let Some(column) = &mut column {
                    let storage = if is_stored {
                        GeneratedStorage::Stored
                    } else {
                        GeneratedStorage::Virtual
                    };
                    column.generated = Some((expression, storage));
                }
            } else {
                let token = self.consume(1);
                table.unrecognized_tokens.push(token);
            }
        }
    }

    /// A default without brackets: a number with its sign and its fraction, a string, a word.
    fn consume_literal(&mut self, has_sign: bool) -> String {
        let start = self.position;
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
                // SQLite reads it and does nothing about it.
                self.consume(2);
            } else if self.is_at("DEFERRABLE")
                || self.is_at("NOT") && self.tokens.is(self.position + 1, "DEFERRABLE")
            {
                let is_not_deferrable = self.consume_if(&["NOT"]);
                self.consume_if(&["DEFERRABLE"]);
                let mut is_deferred = false;
                if self.consume_if(&["INITIALLY"]) {
                    is_deferred = self.consume(1) == "deferred";
                }
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

/// A CHECK constraint in the SQL of a table.
pub(crate) struct CheckClause {
    /// The name behind `CONSTRAINT`, if it has one.
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
