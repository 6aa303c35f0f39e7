//! Lists candidate values for a column, from its affinity, its name and the literals of its CHECK
//! constraints. The values are neither random nor time-dependent, so that every run fills a database
//! with the same rows.

use std::ops::Range;

use rusqlite::types::Value;

use crate::schema::Column;
use crate::sql::affinity::Affinity;
use crate::sql::create_table::check_clauses;
use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// How many rows a table gets.
pub(crate) const ROWS_PER_TABLE: usize = 6;

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
    fn suggest_values(&self, row: usize, values: &mut Vec<Value>) {
        let letter = char::from(b'a' + u8::try_from(row % 26).unwrap_or(0));
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

fn timestamp_text(row: usize) -> String {
    format!("{} 12:34:{:02}", date_text(row), row % 60)
}

fn rotate(mut values: Vec<Value>, offset: usize) -> Vec<Value> {
    if !values.is_empty() {
        let offset = offset % values.len();
        values.rotate_left(offset);
    }
    values
}

/// What applications probably store in a column, guessed from its name and type. Migrations may depend
/// on such values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnHint {
    Timestamp,
    Json,
    Boolean,
    Other,
}

impl ColumnHint {
    fn from_column(column: &Column) -> Self {
        let name = column.name.to_ascii_lowercase();
        let declared_type = column.declared_type.to_ascii_lowercase();
        let name_or_type_contains =
            |part: &str| name.contains(part) || declared_type.contains(part);
        if ["date", "time"].into_iter().any(name_or_type_contains) || name.ends_with("_at") {
            Self::Timestamp
        } else if name_or_type_contains("json") {
            Self::Json
        } else if declared_type.contains("bool") {
            Self::Boolean
        } else {
            Self::Other
        }
    }
}

/// The values for a column of a row, in the order in which they should be tried.
pub(crate) fn candidate_values(
    column: &Column,
    checks: &[CheckConstraint],
    column_index: usize,
    row: usize,
    profile: DataProfile,
) -> Vec<Value> {
    let affinity = match Affinity::from_declared_type(&column.declared_type) {
        // `ANY` of a STRICT table converts no value; it gets the values of a column without type.
        Affinity::Numeric if column.declared_type.eq_ignore_ascii_case("ANY") => Affinity::Blob,
        affinity => affinity,
    };
    let mut values = Vec::new();
    for check in checks.iter().filter(|check| check.mentions(&column.name)) {
        check.suggest_values(row, &mut values);
    }
    let hint = ColumnHint::from_column(column);
    let is_key = column.primary_key_position > 0;
    let profile_values = match (hint, affinity) {
        (ColumnHint::Timestamp, Affinity::Text | Affinity::Numeric) => {
            (0..2 * ROWS_PER_TABLE).map(|offset| Value::Text(timestamp_text(offset))).collect()
        }
        (ColumnHint::Timestamp, Affinity::Integer) => {
            integers(column_index, 1_760_000_000, DataProfile::Typical)
        }
        (ColumnHint::Json, Affinity::Text) => (0..2 * ROWS_PER_TABLE)
            .map(|offset| Value::Text(format!("{{\"key\": {offset}}}")))
            .collect(),
        (ColumnHint::Boolean, _) => vec![Value::Integer(1), Value::Integer(0)],
        (_, Affinity::Integer) if is_key => integers(column_index, 1000, profile),
        (_, Affinity::Integer) => integers(column_index, 0, profile),
        (_, Affinity::Real) => reals(column_index, profile),
        (_, Affinity::Numeric) => match profile {
            DataProfile::EdgeCases => {
                let pairs = integers(column_index, 0, profile)
                    .into_iter()
                    .zip(reals(column_index, profile));
                pairs.flat_map(|(integer, real)| [integer, real]).collect()
            }
            DataProfile::Typical => integers(column_index, 0, profile),
        },
        (_, Affinity::Text) => texts(&column.name, profile),
        (_, Affinity::Blob) => blobs(&column.name, column_index, profile),
    };
    values.extend(rotate(profile_values, row));
    // For CHECK constraints whose literals suggest no fitting value.
    values.extend(
        [0, 1, 2, 10].map(|offset| Value::Integer(offset + i64::try_from(row).unwrap_or(0))),
    );
    values.extend([
        Value::Real(0.5),
        Value::Text("a".to_owned()),
        Value::Text((1 + row).to_string()),
    ]);
    values.push(Value::Blob(vec![0, 255]));
    values
}

/// Integers from `base` that differ between rows and between columns, so that swapped columns are
/// noticed.
fn integers(column_index: usize, base: i64, profile: DataProfile) -> Vec<Value> {
    let index = i64::try_from(column_index).unwrap_or(0);
    let typical = (0..).map(|offset| base + 100 * (index + 1) + offset).take(2 * ROWS_PER_TABLE);
    let edge_cases = [base + index, -1 - index, 9_007_199_254_740_993 + index];
    match profile {
        DataProfile::EdgeCases => {
            edge_cases.into_iter().chain(typical).map(Value::Integer).collect()
        }
        DataProfile::Typical => typical.map(Value::Integer).collect(),
    }
}

fn reals(column_index: usize, profile: DataProfile) -> Vec<Value> {
    let index = f64::from(u32::try_from(column_index).unwrap_or(0));
    let typical = (0..2 * ROWS_PER_TABLE)
        .map(|offset| index + f64::from(u32::try_from(offset).unwrap_or(0)) + 0.25);
    match profile {
        DataProfile::EdgeCases => [0.5 + index, -1.25 - index, 0.0, 1e15 + index]
            .into_iter()
            .chain(typical)
            .map(Value::Real)
            .collect(),
        DataProfile::Typical => typical.map(Value::Real).collect(),
    }
}

fn texts(name: &str, profile: DataProfile) -> Vec<Value> {
    let typical = (1..=2 * ROWS_PER_TABLE).map(|n| format!("{name} {n}"));
    let edge_cases = [
        format!("it's \"{name}\""),
        format!("naïve 日本語 🙂 {name}"),
        String::new(),
        format!("{name};\n-- two lines"),
    ];
    match profile {
        DataProfile::EdgeCases => edge_cases.into_iter().chain(typical).map(Value::Text).collect(),
        DataProfile::Typical => typical.map(Value::Text).collect(),
    }
}

fn blobs(name: &str, column_index: usize, profile: DataProfile) -> Vec<Value> {
    let typical = (0..2 * ROWS_PER_TABLE)
        .map(|n| Value::Blob([name.as_bytes(), &[0, 255, n.to_le_bytes()[0]]].concat()));
    match profile {
        DataProfile::EdgeCases => {
            let edge_cases = [
                Value::Blob(vec![0, 159, 146, column_index.to_le_bytes()[0]]),
                Value::Text(format!("it's {name}")),
                Value::Blob(Vec::new()),
                Value::Integer(i64::try_from(column_index).unwrap_or(0)),
            ];
            edge_cases.into_iter().chain(typical).collect()
        }
        DataProfile::Typical => typical.collect(),
    }
}

/// The kind of values in generated rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataProfile {
    /// Unusual values that the constraints permit: NULL, empty text, quotes, negative and large numbers.
    EdgeCases,
    /// Values that an application would write: never NULL, all different.
    Typical,
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
