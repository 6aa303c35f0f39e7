//! Lists candidate values for a column, from its affinity, its name and the literals of its CHECK
//! constraints. The values are neither random nor time-dependent, so that every run fills a database
//! with the same rows.

use rusqlite::types::Value;

use crate::schema::Column;
use crate::selftest::check_constraint::{CheckConstraint, timestamp_text};
use crate::sql::affinity::Affinity;

/// How many rows are inserted into a table at a time.
pub(crate) const ROWS_PER_TABLE: usize = 12;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    Value(Value),
    /// The column's default: the INSERT does not name the column.
    Default,
    /// The value of another column, by its index: the row refers to itself.
    SameAsColumn(usize),
}

/// The kind of values in generated rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataProfile {
    /// Unusual values wherever no constraint forbids them: NULL, duplicates, other types than the
    /// declared one, empty and long text, quotes, mixed case, negative and large numbers.
    EdgeCases,
    /// Values that an application would write: never NULL, all different.
    Typical,
}

/// What a generated row is to contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlan {
    /// The number that the values contain. Rows with different numbers have different values.
    pub(crate) number: usize,
    pub(crate) kind: RowKind,
}

/// The kind of a generated row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// Typical values.
    Plain,
    /// The unusual values with this number.
    EdgeCase(usize),
    /// The values of another row once more, with its text in upper case.
    UpperCase,
}

impl RowPlan {
    /// The plan of row `row` of the rows that are inserted at a time into a table with `base` rows.
    pub(crate) fn new(base: usize, row: usize, profile: DataProfile) -> Self {
        const LAST: usize = ROWS_PER_TABLE - 1;
        const LAST_BUT_ONE: usize = ROWS_PER_TABLE - 2;
        let (offset, kind) = match (profile, row) {
            (DataProfile::Typical, _) | (DataProfile::EdgeCases, 0 | 1) => (row, RowKind::Plain),
            (DataProfile::EdgeCases, LAST) => (0, RowKind::UpperCase),
            // The values of the first row once more.
            (DataProfile::EdgeCases, LAST_BUT_ONE) => (0, RowKind::Plain),
            (DataProfile::EdgeCases, _) => (row, RowKind::EdgeCase(row - 2)),
        };
        Self { number: base + offset, kind }
    }
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

/// The choices for a column of a row, in the order in which they should be tried.
pub(crate) fn column_choices(
    column: &Column,
    checks: &[CheckConstraint],
    column_index: usize,
    plan: RowPlan,
) -> Vec<Choice> {
    let generator = ValueGenerator::new(column, column_index);
    let mut suggested = Vec::new();
    for check in checks.iter().filter(|check| check.mentions(&column.name)) {
        check.suggest_values(plan.number, &mut suggested);
    }
    let mut values = suggested;
    let typical = (plan.number..plan.number + 2 * ROWS_PER_TABLE).map(|n| generator.typical(n));
    if plan.kind == RowKind::UpperCase {
        let upper_case: Vec<Value> =
            values.iter().cloned().chain(typical.clone().take(1)).map(to_upper_case).collect();
        values.splice(0..0, upper_case);
    }
    values.extend(typical);
    // For CHECK constraints whose literals suggest no fitting value.
    values.extend([0, 1, 2, 10].map(|offset| integer(plan.number, offset)));
    values.extend([
        Value::Real(0.5),
        Value::Text("a".to_owned()),
        Value::Text((1 + plan.number).to_string()),
    ]);
    values.push(Value::Blob(vec![0, 255]));
    let mut choices: Vec<Choice> = values.into_iter().map(Choice::Value).collect();
    if accepts_null(column) {
        choices.push(Choice::Value(Value::Null));
    }
    if column.default.is_some() {
        choices.push(Choice::Default);
    }
    if let RowKind::EdgeCase(number) = plan.kind {
        let edge_cases = generator.edge_cases(column);
        let first = edge_cases[(number + column_index) % edge_cases.len()].clone();
        choices.insert(0, first);
    }
    choices
}

/// Whether SQLite stores NULL in a column. It does so even in a primary key, except in a rowid.
fn accepts_null(column: &Column) -> bool {
    let is_rowid =
        column.primary_key_position > 0 && column.declared_type.eq_ignore_ascii_case("INTEGER");
    !column.not_null && !is_rowid
}

fn to_upper_case(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.to_uppercase()),
        value => value,
    }
}

fn integer(row: usize, offset: i64) -> Value {
    Value::Integer(offset + i64::try_from(row).unwrap_or(0))
}

/// Generates the values of one column.
struct ValueGenerator<'c> {
    name: &'c str,
    hint: ColumnHint,
    affinity: Affinity,
    /// Values differ between columns, so that swapped columns are noticed.
    column_index: i64,
}

impl<'c> ValueGenerator<'c> {
    fn new(column: &'c Column, column_index: usize) -> Self {
        let affinity = match Affinity::from_declared_type(&column.declared_type) {
            // `ANY` of a STRICT table converts no value; it gets the values of a column without
            // type.
            Affinity::Numeric if column.declared_type.eq_ignore_ascii_case("ANY") => Affinity::Blob,
            affinity => affinity,
        };
        let column_index = i64::try_from(column_index).unwrap_or(0);
        Self { name: &column.name, hint: ColumnHint::from_column(column), affinity, column_index }
    }

    /// The value with a number that an application would write.
    fn typical(&self, number: usize) -> Value {
        let base = 1000 * (self.column_index + 1);
        match (self.hint, self.affinity) {
            (ColumnHint::Timestamp, Affinity::Text | Affinity::Numeric) => {
                Value::Text(timestamp_text(number))
            }
            (ColumnHint::Timestamp, Affinity::Integer) => integer(number, 1_760_000_000 + base),
            (ColumnHint::Json, Affinity::Text) => Value::Text(format!("{{\"key\": {number}}}")),
            (ColumnHint::Boolean, _) => Value::Integer(i64::from(number.is_multiple_of(2))),
            (_, Affinity::Integer | Affinity::Numeric) => integer(number, base),
            (_, Affinity::Real) => {
                let whole = f64::from(u32::try_from(number).unwrap_or(0));
                Value::Real(whole + f64::from(i32::try_from(base).unwrap_or(0)) + 0.25)
            }
            (_, Affinity::Text) => Value::Text(format!("{} {}", self.name, number + 1)),
            (_, Affinity::Blob) => {
                let end = [0, 255, number.to_le_bytes()[0], number.to_le_bytes()[1]];
                Value::Blob([self.name.as_bytes(), &end].concat())
            }
        }
    }

    /// The unusual values that a column may have.
    fn edge_cases(&self, column: &Column) -> Vec<Choice> {
        let name = self.name;
        let text = |text: &str| Value::Text(text.to_owned());
        let values = match (self.hint, self.affinity) {
            (ColumnHint::Timestamp, Affinity::Integer) => {
                vec![Value::Integer(0), text(&timestamp_text(0)), Value::Integer(1_760_000_000_000)]
            }
            (ColumnHint::Timestamp, _) => vec![
                text(""),
                text("2025-10-01T12:34:56Z"),
                text("01.10.2025"),
                Value::Integer(1_760_000_000),
                text("2025-10-01"),
            ],
            (ColumnHint::Json, Affinity::Text) => {
                vec![text("[]"), text(""), text("{\"key\": \"naïve 日本語\"}"), text("null")]
            }
            (ColumnHint::Boolean, _) => vec![Value::Integer(2), text("true"), Value::Integer(0)],
            (_, Affinity::Integer | Affinity::Numeric) => vec![
                Value::Integer(-1 - self.column_index),
                Value::Integer(9_007_199_254_740_993 + self.column_index),
                Value::Real(1.5),
                text("n/a"),
                Value::Integer(0),
            ],
            (_, Affinity::Real) => {
                vec![Value::Real(-1.25), Value::Real(0.0), Value::Real(1e15), text("n/a")]
            }
            (_, Affinity::Text) => vec![
                text(""),
                Value::Text(format!("it's \"{name}\";\n-- two lines")),
                Value::Text(format!("naïve 日本語 🙂 {name}")),
                Value::Text(format!("long {name} ").repeat(200)),
                Value::Blob(vec![0, 159, 146]),
                text("007"),
            ],
            (_, Affinity::Blob) => vec![
                Value::Blob(vec![0, 159, 146]),
                Value::Text(format!("it's {name}")),
                Value::Blob(Vec::new()),
                Value::Integer(self.column_index),
                Value::Real(1.5),
            ],
        };
        let mut edge_cases = Vec::new();
        if accepts_null(column) {
            edge_cases.push(Choice::Value(Value::Null));
        }
        if column.default.is_some() {
            edge_cases.push(Choice::Default);
        }
        edge_cases.extend(values.into_iter().map(Choice::Value));
        edge_cases
    }
}
