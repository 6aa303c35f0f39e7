//! Reads the CHECK constraints of a table and suggests values that satisfy them, from the literals of
//! their expressions.

use std::ops::Range;

use rusqlite::types::Value;

use crate::sql::create_table::check_clauses;
use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// A CHECK constraint with the names and literals of its expression.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CheckConstraint {
    /// What SQLite calls the constraint in messages: its name, else its expression.
    pub(crate) name: String,
    pub(crate) expression: String,
    /// The words and quoted names of the expression, in lower case. The columns are among them.
    identifiers: Vec<String>,
    string_literals: Vec<String>,
    numeric_literals: Vec<f64>,
}

impl CheckConstraint {
    /// Reads the CHECK constraints of a CREATE TABLE statement.
    pub(crate) fn parse_all(sql: &str) -> Vec<Self> {
        let tokens = Tokens::new(sql);
        let clauses = check_clauses(&tokens).into_iter();
        clauses
            .map(|clause| {
                let first_byte = tokens.byte_range(clause.expression.start).start;
                let expression = match clause.expression.clone().last() {
                    Some(last) => sql[first_byte..tokens.byte_range(last).end].to_owned(),
                    None => String::new(),
                };
                let name = clause.name.unwrap_or_else(|| expression.clone());
                let mut check = Self { name, expression, ..Self::default() };
                check.collect_literals(&tokens, clause.expression);
                check
            })
            .collect()
    }

    fn collect_literals(&mut self, tokens: &Tokens<'_>, token_range: Range<usize>) {
        let mut index = token_range.start;
        while index < token_range.end {
            let word = tokens.text(index);
            match tokens.kind(index) {
                Some(TokenKind::Word) if word.starts_with(|c: char| c.is_ascii_digit()) => {
                    let mut number_text = word.to_owned();
                    let has_fraction = index + 2 < token_range.end
                        && tokens.is(index + 1, ".")
                        && tokens.is_adjacent(index)
                        && tokens.is_adjacent(index + 1);
                    if has_fraction {
                        number_text.push('.');
                        number_text.push_str(tokens.text(index + 2));
                        index += 2;
                    }
                    if let Ok(number) = number_text.parse::<f64>() {
                        self.numeric_literals.extend([number, -number]);
                    }
                }
                Some(TokenKind::Word) => self.identifiers.push(word.to_lowercase()),
                Some(TokenKind::Quoted) if word.starts_with('\'') => {
                    self.string_literals.push(tokens.name(index));
                }
                // A name, or a string: SQLite reads `"x"` as a string if no column has that name.
                Some(TokenKind::Quoted) => {
                    self.identifiers.push(tokens.name(index).to_lowercase());
                    self.string_literals.extend(word.starts_with('"').then(|| tokens.name(index)));
                }
                _ => {}
            }
            index += 1;
        }
    }

    /// Whether the expression contains a name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.identifiers.contains(&name)
    }

    /// Appends the values that the expression suggests for the row with this number.
    pub(crate) fn suggest_values(&self, row: usize, values: &mut Vec<Value>) {
        let letter_of = |row: usize| char::from(b'a' + u8::try_from(row % 26).unwrap_or(0));
        let letter = letter_of(row);
        if self.mentions("length") {
            for length in
                self.numeric_literals.iter().filter(|length| (0.0..=10_000.0).contains(*length))
            {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the range is checked above"
                )]
                let length = *length as usize;
                for length in [length, length + 1, length.saturating_sub(1)] {
                    values.push(Value::Text(letter.to_string().repeat(length)));
                }
                let other_letters = (row + 1..row + 26).map(letter_of);
                values.extend(
                    other_letters.map(|letter| Value::Text(letter.to_string().repeat(length))),
                );
            }
        }
        if self.identifiers.iter().any(|word| word.starts_with("json")) {
            values.push(Value::Text(format!("{{\"key\": {row}}}")));
            values.push(Value::Text("[]".to_owned()));
        }
        if ["date", "datetime", "strftime", "julianday", "time"]
            .iter()
            .any(|function| self.mentions(function))
        {
            values.push(Value::Text(date_text(row)));
            values.push(Value::Text(timestamp_text(row)));
        }
        for pattern in &self.string_literals {
            if self.mentions("like") || self.mentions("glob") {
                let wildcards = if self.mentions("glob") { GLOB } else { LIKE };
                for filler in [format!("{letter}{row}"), (10 + row).to_string(), String::new()] {
                    values.push(Value::Text(text_matching(pattern, &wildcards, &filler, row)));
                }
            }
        }
        let literals = self.string_literals.iter().map(|text| Value::Text(text.clone()));
        let own: Vec<Value> = literals
            .chain(self.numeric_literals.iter().map(|literal| numeric_value(*literal)))
            .collect();
        values.extend(rotate(own, row));
        if !self.numeric_literals.is_empty() || self.string_literals.is_empty() {
            let nearby = self
                .numeric_literals
                .iter()
                .flat_map(|literal| [literal + 1.0, literal - 1.0, literal / 2.0]);
            values.extend(nearby.chain([0.0, 1.0, 0.5, -1.0]).map(numeric_value));
        }
    }
}

/// The wildcards of a pattern language.
struct Wildcards {
    any_text: char,
    one_character: char,
    /// Whether `[…]` is a character class.
    has_classes: bool,
}

const LIKE: Wildcards = Wildcards { any_text: '%', one_character: '_', has_classes: false };
const GLOB: Wildcards = Wildcards { any_text: '*', one_character: '?', has_classes: true };

/// A text that matches a pattern, with `filler` in the place of any text.
fn text_matching(pattern: &str, wildcards: &Wildcards, filler: &str, row: usize) -> String {
    let mut text = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            _ if char == wildcards.any_text => text.push_str(filler),
            _ if char == wildcards.one_character => text.push('a'),
            '[' if wildcards.has_classes => {
                let first = chars.next().unwrap_or('a');
                let class: String = chars.by_ref().take_while(|char| *char != ']').collect();
                text.push(match (first, class.starts_with('-')) {
                    ('^', _) if class.contains("0-9") => 'a',
                    ('^', _) => '1',
                    (first, true) => char::from_u32(first as u32 + u32::try_from(row).unwrap_or(0))
                        .unwrap_or(first),
                    (first, false) => first,
                });
            }
            char => text.push(char),
        }
    }
    text
}

/// An INTEGER for a whole number, else a REAL.
fn numeric_value(number: f64) -> Value {
    #[allow(clippy::cast_possible_truncation, reason = "only whole numbers that fit are cast")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Value::Integer(number as i64)
    } else {
        Value::Real(number)
    }
}

fn date_text(row: usize) -> String {
    format!("2025-10-{:02}", row % 28 + 1)
}

pub(crate) fn timestamp_text(row: usize) -> String {
    format!("{} 12:34:{:02}", date_text(row), row % 60)
}

fn rotate(mut values: Vec<Value>, offset: usize) -> Vec<Value> {
    if !values.is_empty() {
        let offset = offset % values.len();
        values.rotate_left(offset);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested_values(sql: &str) -> Vec<Value> {
        let mut values = Vec::new();
        for check in CheckConstraint::parse_all(sql) {
            check.suggest_values(0, &mut values);
        }
        values
    }

    fn text_value(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn check_literals_are_suggested() {
        let sql = "CREATE TABLE t (role TEXT CHECK (role IN ('user', 'it''s')), n INT)";
        assert_eq!(suggested_values(sql), [text_value("user"), text_value("it's")]);
        let check = &CheckConstraint::parse_all(sql)[0];
        assert_eq!(check.name, "role IN ('user', 'it''s')");
        assert!(check.mentions("ROLE") && !check.mentions("n"));
    }

    #[test]
    fn numbers_and_neighbouring_values_are_suggested() {
        let values =
            suggested_values("CREATE TABLE t (n, CONSTRAINT small CHECK (n > -2.5 AND n < 7))");
        for expected in [Value::Real(-2.5), Value::Integer(6), Value::Integer(8)] {
            assert!(values.contains(&expected), "{expected:?}");
        }
    }

    #[test]
    fn lengths_and_patterns_are_satisfied() {
        let values = suggested_values("CREATE TABLE t (a TEXT CHECK (length(a) = 3))");
        assert!(values.contains(&text_value("aaa")));
        let values = suggested_values("CREATE TABLE t (a TEXT CHECK (a LIKE '%@%.org'))");
        assert!(values.contains(&text_value("a0@a0.org")));
        let values = suggested_values("CREATE TABLE t (a TEXT CHECK (a GLOB '[A-Z][0-9]?*'))");
        assert!(values.contains(&text_value("A0aa0")));
    }
}
