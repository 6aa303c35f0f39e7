//! Reads one column or one table constraint of a `CREATE TABLE` statement.

use std::ops::Range;

use crate::sql::key_term::{KeyOrder, KeyTerm};
use crate::sql::table_definition::{
    ColumnDefinition, ColumnSpec, ForeignKey, GeneratedStorage, NO_ROWID_ALIAS, TableConstraints,
    TableDefinition, UniqueKey,
};
use crate::sql::tokens::{Tokens, one_line};

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

/// The words that are values, in lower case.
const LITERAL_WORDS: &[&str] =
    &["null", "true", "false", "current_timestamp", "current_date", "current_time"];

/// Reads one column or one table constraint: the tokens from `start` to `end`.
pub(crate) struct DefinitionParser<'w, 't> {
    tokens: &'w Tokens<'t>,
    start: usize,
    position: usize,
    end: usize,
}

impl<'w, 't> DefinitionParser<'w, 't> {
    pub(crate) fn new(tokens: &'w Tokens<'t>, item: Range<usize>) -> Self {
        Self { tokens, start: item.start, position: item.start, end: item.end }
    }

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

    /// Consumes an expression in brackets, if one comes next. Further brackets around all of it do not
    /// count.
    fn consume_expression(&mut self) -> String {
        if !self.is_at("(") {
            return String::new();
        }
        let start = self.position + 1;
        self.position = self.tokens.after_matching_close(self.position);
        let inner = start..self.position.saturating_sub(1).max(start);
        format!("({})", self.tokens.normalized(self.tokens.without_outer_brackets(inner)))
    }

    /// Consumes the terms of a key in brackets.
    fn consume_key(&mut self) -> Vec<KeyTerm> {
        if !self.is_at("(") {
            return Vec::new();
        }
        let end = self.tokens.after_matching_close(self.position);
        let token_range = self.position + 1..end.saturating_sub(1);
        self.position = end;
        let terms = self.tokens.split_at_commas(token_range).into_iter();
        terms.map(|term| KeyTerm::parse(self.tokens, term)).collect()
    }

    /// Consumes `ON CONFLICT …`; returns the action, or an empty text without such a clause.
    fn consume_conflict_clause(&mut self) -> String {
        if self.consume_if(&["ON", "CONFLICT"]) { self.consume(1) } else { String::new() }
    }

    /// Adds what the tokens declare to a definition. `sql` is the whole statement.
    pub(crate) fn parse(mut self, definition: &mut TableDefinition, sql: &str) {
        const TABLE_CONSTRAINT_KEYWORDS: &[&str] =
            &["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
        if self.is_at_any(TABLE_CONSTRAINT_KEYWORDS) && !self.tokens.is_quoted(self.position) {
            self.parse_constraints(None, definition);
            return;
        }
        let column_sql = self.written(self.position..self.end, sql);
        let name = self.tokens.name(self.position);
        self.position += 1;
        let type_start = self.position;
        while self.position < self.end && !self.is_at_any(TYPE_TERMINATORS) {
            self.position = if self.is_at("(") {
                self.tokens.after_matching_close(self.position)
            } else {
                self.position + 1
            };
        }
        let mut column = ColumnDefinition {
            spec: ColumnSpec {
                name: name.to_ascii_lowercase(),
                declared_type: self.tokens.normalized(type_start..self.position),
                ..ColumnSpec::default()
            },
            declared_type: one_line(&self.written(type_start..self.position, sql)),
            name,
            sql: column_sql,
            ..ColumnDefinition::default()
        };
        let default = self.parse_constraints(Some(&mut column.spec), definition);
        column.default = default.map(|tokens| one_line(&self.written(tokens, sql)));
        definition.columns.push(column);
    }

    /// The SQL from the first token of a range to its last, as written.
    fn written(&self, tokens: Range<usize>, sql: &str) -> String {
        if tokens.is_empty() {
            return String::new();
        }
        let first_byte = self.tokens.byte_range(tokens.start).start;
        sql[first_byte..self.tokens.byte_range(tokens.end - 1).end].to_owned()
    }

    /// Reads all remaining constraints, of the column if one is given, else of the table. Returns
    /// the tokens of the column's default.
    fn parse_constraints(
        &mut self,
        mut column: Option<&mut ColumnSpec>,
        table: &mut TableDefinition,
    ) -> Option<Range<usize>> {
        let mut default = None;
        while self.position < self.end {
            if column.is_some() && self.is_at("DEFAULT") {
                default = Some(self.default_tokens());
            }
            let is_recognized = self.parse_table_constraint(column.as_deref(), table)
                || self.parse_value_constraint(column.as_deref_mut());
            if !is_recognized {
                let token = self.consume(1);
                table.constraints.unrecognized_tokens.push(token);
            }
        }
        default
    }

    /// Reads a constraint that SQLite has for columns and for tables. Returns false if another
    /// token comes next.
    fn parse_table_constraint(
        &mut self,
        column: Option<&ColumnSpec>,
        definition: &mut TableDefinition,
    ) -> bool {
        let table = &mut definition.constraints;
        if self.consume_if(&["CONSTRAINT"]) {
            self.position += 1;
        } else if self.consume_if(&["PRIMARY", "KEY"]) {
            self.parse_primary_key(column, table);
        } else if self.consume_if(&["UNIQUE"]) {
            let terms = match column {
                Some(column) => {
                    vec![KeyTerm::from_column(column.name.clone(), KeyOrder::Ascending)]
                }
                None => self.consume_key(),
            };
            let conflict_action = self.consume_conflict_clause();
            table.unique_keys.push(UniqueKey { terms, conflict_action });
        } else if self.consume_if(&["CHECK"]) {
            let check = self.consume_expression();
            self.consume_conflict_clause();
            table.checks.push(check);
        } else if self.is_at("REFERENCES") {
            let columns = column.map(|_| self.tokens.name(self.start)).into_iter().collect();
            let key = self.parse_foreign_key(columns);
            definition.foreign_keys.push(key);
        } else if self.consume_if(&["FOREIGN", "KEY"]) {
            let columns = self.consume_names();
            let key = self.parse_foreign_key(columns);
            definition.foreign_keys.push(key);
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
                let order = if is_descending { KeyOrder::Descending } else { KeyOrder::Ascending };
                vec![KeyTerm::from_column(column.name.clone(), order)]
            }
            None => {
                let end = self.tokens.after_matching_close(self.position);
                if (self.position..end).any(|index| self.tokens.is(index, "AUTOINCREMENT")) {
                    table.primary_key_options.push("autoincrement".to_owned());
                }
                self.consume_key()
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
            // A column without a default has the default NULL.
            column.default = Some(self.consume_default()).filter(|default| default != "null");
        } else if self.consume_if(&["COLLATE"]) {
            let collation = self.consume(1);
            if collation != "binary" {
                column.collation = Some(collation);
            }
        } else if self.consume_if(&["GENERATED", "ALWAYS"]) {
            // The expression follows after `AS`.
        } else if self.consume_if(&["AS"]) {
            let expression = self.consume_expression();
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

    /// Consumes a default. Brackets around a literal and the kind of quotes around a string do not
    /// count.
    fn consume_default(&mut self) -> String {
        if !self.is_at("(") {
            return self.consume_literal();
        }
        let end = self.tokens.after_matching_close(self.position);
        let mut inner = DefinitionParser { position: self.position + 1, end: end - 1, ..*self };
        let is_literal = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_digit() || "'+-.".contains(first))
                || text.starts_with("x'")
                || LITERAL_WORDS.contains(&text)
        };
        let literal = inner.consume_literal();
        if inner.position == end - 1 && is_literal(&literal) {
            self.position = end;
            return literal;
        }
        self.consume_expression()
    }

    /// Consumes a default without brackets: a number with its sign and fraction, a string, a word.
    fn consume_literal(&mut self) -> String {
        let start = self.position;
        if self.tokens.is_quoted(start) {
            self.position += 1;
            return format!("'{}'", self.tokens.name(start).replace('\'', "''"));
        }
        let has_sign = self.is_at("+") || self.is_at("-");
        self.position += usize::from(has_sign) + 1;
        while self.position < self.end && self.continues_literal() {
            self.position += 1;
        }
        self.tokens.normalized(start..self.position)
    }

    /// Whether the next token belongs to the literal before it: `1.5` is three adjacent tokens, `x'00'`
    /// two, `1e+5` three. `1+1` is an expression.
    fn continues_literal(&self) -> bool {
        let last = self.position - 1;
        let ends_in_exponent = |index: usize| {
            let text = self.tokens.text(index).as_bytes();
            let is_hexadecimal = matches!(text, [b'0', b'x' | b'X', ..]);
            text.first().is_some_and(u8::is_ascii_digit)
                && matches!(text, [.., b'e' | b'E'])
                && !is_hexadecimal
        };
        let is_sign = |index: usize| self.tokens.is(index, "+") || self.tokens.is(index, "-");
        self.tokens.is_adjacent(last)
            && (self.is_at(".")
                || self.tokens.is(last, ".")
                || self.tokens.is(last, "x") && self.tokens.text(self.position).starts_with('\'')
                || ends_in_exponent(last) && is_sign(self.position)
                || is_sign(last) && last > self.start && ends_in_exponent(last - 1))
    }

    /// Consumes a `REFERENCES` clause. SQLite parses MATCH clauses and ignores them.
    fn parse_foreign_key(&mut self, columns: Vec<String>) -> ForeignKey {
        self.consume_if(&["REFERENCES"]);
        let parent = self.tokens.name(self.position);
        self.position += 1;
        let no_action = || "NO ACTION".to_owned();
        let mut key = ForeignKey {
            columns,
            parent,
            parent_columns: self.consume_names(),
            on_update: no_action(),
            on_delete: no_action(),
            is_deferred: false,
        };
        loop {
            if self.is_at("ON") && self.position + 2 < self.end {
                let is_two_word_action = self.tokens.is(self.position + 2, "SET")
                    || self.tokens.is(self.position + 2, "NO");
                let is_update = self.tokens.is(self.position + 1, "UPDATE");
                self.position += 2;
                let action =
                    self.consume(if is_two_word_action { 2 } else { 1 }).to_ascii_uppercase();
                if is_update { key.on_update = action } else { key.on_delete = action }
            } else if self.is_at("MATCH") {
                self.position += 2;
            } else if self.is_at("DEFERRABLE")
                || self.is_at("NOT") && self.tokens.is(self.position + 1, "DEFERRABLE")
            {
                let is_not_deferrable = self.consume_if(&["NOT"]);
                self.consume_if(&["DEFERRABLE"]);
                let is_deferred = self.consume_if(&["INITIALLY"]) && self.consume(1) == "deferred";
                key.is_deferred = is_deferred && !is_not_deferrable;
            } else {
                break;
            }
        }
        key
    }

    /// Consumes a list of names in brackets, if one comes next.
    fn consume_names(&mut self) -> Vec<String> {
        if !self.is_at("(") {
            return Vec::new();
        }
        let end = self.tokens.after_matching_close(self.position);
        let items = self.tokens.split_at_commas(self.position + 1..end.saturating_sub(1));
        self.position = end;
        items.into_iter().map(|item| self.tokens.name(item.start)).collect()
    }

    /// The tokens of the default that comes next, without the brackets around an expression.
    fn default_tokens(&self) -> Range<usize> {
        let start = self.position + 1;
        if self.tokens.is(start, "(") {
            return start + 1..self.tokens.after_matching_close(start) - 1;
        }
        let mut literal = DefinitionParser { position: start, ..*self };
        literal.consume_literal();
        start..literal.position
    }
}
