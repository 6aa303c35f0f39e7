//! What may be put into a column: values by affinity and name, and the literals of its CHECK
//! constraints. Nothing is drawn by lot and nothing depends on the time, so that two runs fill a
//! database alike.

use std::ops::Range;

use rusqlite::types::Value;

use crate::schema::Column;
use crate::sql::lexer;
use crate::sql::lexer::{Kind, Token};

/// How many rows a table gets.
pub(crate) const ROWS: usize = 6;

/// A CHECK constraint, as far as its words and literals tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Check {
    /// What SQLite calls it: its name, else its expression.
    pub(crate) name: String,
    pub(crate) expression: String,
    /// Its words and quoted names, in lower case; the columns are among them.
    words: Vec<String>,
    texts: Vec<String>,
    numbers: Vec<f64>,
}

impl Check {
    /// The CHECK constraints in a table's SQL.
    pub(crate) fn read(sql: &str) -> Vec<Self> {
        let tokens: Vec<Token> = lexer::tokens(sql, 0)
            .filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment))
            .collect();
        let text = |token: &Token| &sql[token.range.clone()];
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let is_check = token.kind == Kind::Word && text(token).eq_ignore_ascii_case("check");
            if !is_check || tokens.get(at + 1).is_none_or(|next| text(next) != "(") {
                continue;
            }
            let inner = inside(&tokens, at + 1, sql);
            let named = at >= 2 && text(&tokens[at - 2]).eq_ignore_ascii_case("constraint");
            let expression = match &tokens[inner.clone()] {
                [first, .., last] => sql[first.range.start..last.range.end].to_owned(),
                [only] => text(only).to_owned(),
                [] => String::new(),
            };
            let name = if named { unquoted(text(&tokens[at - 1])) } else { expression.clone() };
            let mut check = Self { name, expression, ..Self::default() };
            check.take(&tokens[inner], sql);
            found.push(check);
        }
        found
    }

    fn take(&mut self, tokens: &[Token], sql: &str) {
        let text = |token: &Token| &sql[token.range.clone()];
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let word = text(token);
            match token.kind {
                Kind::Word if word.starts_with(|c: char| c.is_ascii_digit()) => {
                    let mut end = token.range.end;
                    if let [point, rest, ..] = &tokens[at + 1..]
                        && text(point) == "."
                        && rest.range.start == end + 1
                    {
                        end = rest.range.end;
                        at += 2;
                    }
                    if let Ok(number) = sql[token.range.start..end].parse::<f64>() {
                        self.numbers.extend([number, -number]);
                    }
                }
                Kind::Word => self.words.push(word.to_lowercase()),
                Kind::Quoted if word.starts_with('\'') => self.texts.push(unquoted(word)),
                // A name; or a string, as SQLite takes it where no column is called so.
                Kind::Quoted => {
                    self.words.push(unquoted(word).to_lowercase());
                    self.texts.extend(word.starts_with('"').then(|| unquoted(word)));
                }
                _ => {}
            }
            at += 1;
        }
    }

    pub(crate) fn mentions(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        self.words.contains(&word)
    }

    /// What its literals suggest for the row of a number.
    fn values(&self, row: usize, out: &mut Vec<Value>) {
        let letter = char::from(b'a' + u8::try_from(row % 26).unwrap_or(0));
        if self.mentions("length") {
            for length in self.numbers.iter().filter(|length| (0.0..=10_000.0).contains(*length)) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
                let length = *length as usize;
                for length in [length, length + 1, length.saturating_sub(1)] {
                    out.push(Value::Text(letter.to_string().repeat(length)));
                }
            }
        }
        if self.words.iter().any(|word| word.starts_with("json")) {
            out.push(Value::Text(format!("{{\"key\": {row}}}")));
            out.push(Value::Text("[]".to_owned()));
        }
        if ["date", "datetime", "strftime", "julianday", "time"].iter().any(|w| self.mentions(w)) {
            out.push(Value::Text(day(row)));
            out.push(Value::Text(moment(row)));
        }
        for pattern in &self.texts {
            if self.mentions("like") || self.mentions("glob") {
                let wild = if self.mentions("glob") { ['*', '?'] } else { ['%', '_'] };
                for filler in [format!("{letter}{row}"), (10 + row).to_string(), String::new()] {
                    out.push(Value::Text(fitting(pattern, wild, (&filler, row))));
                }
            }
        }
        let own = self.texts.iter().map(|text| Value::Text(text.clone()));
        let own: Vec<Value> = own.chain(self.numbers.iter().map(|n| number(*n))).collect();
        out.extend(rotated(own, row));
        if !self.numbers.is_empty() || self.texts.is_empty() {
            let near = self.numbers.iter().flat_map(|n| [n + 1.0, n - 1.0, n / 2.0]);
            out.extend(near.chain([0.0, 1.0, 0.5, -1.0]).map(number));
        }
    }
}

/// The tokens between the parenthesis at `open` and its counterpart.
fn inside(tokens: &[Token], open: usize, sql: &str) -> Range<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match &sql[token.range.clone()] {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + 1..at;
        }
    }
    open + 1..tokens.len()
}

/// A string or a quoted name without its quotes.
pub(crate) fn unquoted(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(quote @ ('\'' | '"' | '`')) => {
            let inner = chars.as_str();
            let inner = inner.strip_suffix(quote).unwrap_or(inner);
            inner.replace(&format!("{quote}{quote}"), &quote.to_string())
        }
        Some('[') => chars.as_str().trim_end_matches(']').to_owned(),
        _ => text.to_owned(),
    }
}

/// A text that a pattern takes: `filler` for what stands for any text.
fn fitting(pattern: &str, [any, one]: [char; 2], (filler, row): (&str, usize)) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            _ if char == any => out.push_str(filler),
            _ if char == one => out.push('a'),
            '[' if any == '*' => {
                let first = chars.next().unwrap_or('a');
                let class: String = chars.by_ref().take_while(|char| *char != ']').collect();
                out.push(match (first, class.starts_with('-')) {
                    ('^', _) if class.contains("0-9") => 'a',
                    ('^', _) => '1',
                    (first, true) => char::from_u32(first as u32 + u32::try_from(row).unwrap_or(0))
                        .unwrap_or(first),
                    (first, false) => first,
                });
            }
            char => out.push(char),
        }
    }
    out
}

/// A whole number as an integer.
fn number(number: f64) -> Value {
    #[allow(clippy::cast_possible_truncation)] // only whole numbers that fit
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Value::Integer(number as i64)
    } else {
        Value::Real(number)
    }
}

fn day(row: usize) -> String {
    format!("2025-10-{:02}", row % 28 + 1)
}

fn moment(row: usize) -> String {
    format!("{} 12:34:{:02}", day(row), row % 60)
}

fn rotated(mut values: Vec<Value>, by: usize) -> Vec<Value> {
    if !values.is_empty() {
        let by = by % values.len();
        values.rotate_left(by);
    }
    values
}

/// SQLite's rules for a declared type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    fn of(declared_type: &str) -> Self {
        let name = declared_type.to_ascii_uppercase();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if has(&["INT"]) {
            Self::Integer
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if name.is_empty() || has(&["BLOB", "ANY"]) {
            Self::Blob
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// What a column is called tells what applications keep in it: a block may well work on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    Moment,
    Json,
    Truth,
    Plain,
}

impl Theme {
    fn of(column: &Column) -> Self {
        let name = column.name.to_ascii_lowercase();
        let declared = column.declared_type.to_ascii_lowercase();
        let either = |part: &str| name.contains(part) || declared.contains(part);
        if ["date", "time"].into_iter().any(either) || name.ends_with("_at") {
            Self::Moment
        } else if either("json") {
            Self::Json
        } else if declared.contains("bool") {
            Self::Truth
        } else {
            Self::Plain
        }
    }
}

/// The values for a column, the one to be tried first in front.
pub(crate) fn candidates(
    column: &Column,
    checks: &[Check],
    (at, row): (usize, usize),
    manner: Manner,
) -> Vec<Value> {
    let affinity = Affinity::of(&column.declared_type);
    let mut out = Vec::new();
    for check in checks.iter().filter(|check| check.mentions(&column.name)) {
        check.values(row, &mut out);
    }
    let theme = Theme::of(column);
    let is_key = column.primary_key > 0;
    let plain = match (theme, affinity) {
        (Theme::Moment, Affinity::Text | Affinity::Numeric) => {
            (0..2 * ROWS).map(|n| Value::Text(moment(n))).collect()
        }
        (Theme::Moment, Affinity::Integer) => integers((at, 1_760_000_000), Manner::Tame),
        (Theme::Json, Affinity::Text) => {
            (0..2 * ROWS).map(|n| Value::Text(format!("{{\"key\": {n}}}"))).collect()
        }
        (Theme::Truth, _) => vec![Value::Integer(1), Value::Integer(0)],
        (_, Affinity::Integer) if is_key => integers((at, 1000), manner),
        (_, Affinity::Integer) => integers((at, 0), manner),
        (_, Affinity::Real) => reals(at, manner),
        (_, Affinity::Numeric) => match manner {
            Manner::Rich => {
                let mixed = integers((at, 0), manner).into_iter().zip(reals(at, manner));
                mixed.flat_map(|(whole, part)| [whole, part]).collect()
            }
            Manner::Tame => integers((at, 0), manner),
        },
        (_, Affinity::Text) => texts(&column.name, manner),
        (_, Affinity::Blob) => blobs(&column.name, (at, manner)),
    };
    out.extend(rotated(plain, row));
    // For what a CHECK wants and its literals do not tell.
    out.extend([0, 1, 2, 10].map(|n| Value::Integer(n + i64::try_from(row).unwrap_or(0))));
    out.extend([Value::Real(0.5), Value::Text("a".to_owned()), Value::Text((1 + row).to_string())]);
    out.push(Value::Blob(vec![0, 255]));
    out
}

/// Different ones in each row and in each column, so that swapped columns show.
fn integers((at, base): (usize, i64), manner: Manner) -> Vec<Value> {
    let at = i64::try_from(at).unwrap_or(0);
    let more = (0..).map(|n| base + 100 * (at + 1) + n).take(2 * ROWS);
    let strange = [base + at, -1 - at, 9_007_199_254_740_993 + at];
    match manner {
        Manner::Rich => strange.into_iter().chain(more).map(Value::Integer).collect(),
        Manner::Tame => more.map(Value::Integer).collect(),
    }
}

fn reals(at: usize, manner: Manner) -> Vec<Value> {
    let at = f64::from(u32::try_from(at).unwrap_or(0));
    let more = (0..2 * ROWS).map(|n| at + f64::from(u32::try_from(n).unwrap_or(0)) + 0.25);
    match manner {
        Manner::Rich => [0.5 + at, -1.25 - at, 0.0, 1e15 + at]
            .into_iter()
            .chain(more)
            .map(Value::Real)
            .collect(),
        Manner::Tame => more.map(Value::Real).collect(),
    }
}

fn texts(name: &str, manner: Manner) -> Vec<Value> {
    let more = (1..=2 * ROWS).map(|n| format!("{name} {n}"));
    let strange = [
        format!("it's \"{name}\""),
        format!("naïve 日本語 🙂 {name}"),
        String::new(),
        format!("{name};\n-- two lines"),
    ];
    match manner {
        Manner::Rich => strange.into_iter().chain(more).map(Value::Text).collect(),
        Manner::Tame => more.map(Value::Text).collect(),
    }
}

fn blobs(name: &str, (at, manner): (usize, Manner)) -> Vec<Value> {
    let more = (0..2 * ROWS)
        .map(|n| Value::Blob([name.as_bytes(), &[0, 255, n.to_le_bytes()[0]]].concat()));
    match manner {
        Manner::Rich => {
            let strange = [
                Value::Blob(vec![0, 159, 146, at.to_le_bytes()[0]]),
                Value::Text(format!("it's {name}")),
                Value::Blob(Vec::new()),
                Value::Integer(i64::try_from(at).unwrap_or(0)),
            ];
            strange.into_iter().chain(more).collect()
        }
        Manner::Tame => more.collect(),
    }
}

/// What rows are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All that the constraints permit: NULL, the empty text, quotes, signs, large numbers.
    Rich,
    /// What an application would write: nothing missing, no two alike.
    Tame,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(sql: &str) -> Vec<Value> {
        let mut out = Vec::new();
        for check in Check::read(sql) {
            check.values(0, &mut out);
        }
        out
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn the_literals_of_a_check_are_candidates() {
        let sql = "CREATE TABLE t (role TEXT CHECK (role IN ('user', 'it''s')), n INT)";
        assert_eq!(values(sql), [text("user"), text("it's")]);
        let check = &Check::read(sql)[0];
        assert_eq!(check.name, "role IN ('user', 'it''s')");
        assert!(check.mentions("ROLE") && !check.mentions("n"));
    }

    #[test]
    fn numbers_and_what_is_beside_them_are_candidates() {
        let found = values("CREATE TABLE t (n, CONSTRAINT small CHECK (n > -2.5 AND n < 7))");
        for wanted in [Value::Real(-2.5), Value::Integer(6), Value::Integer(8)] {
            assert!(found.contains(&wanted), "{wanted:?}");
        }
    }

    #[test]
    fn lengths_and_patterns_are_met() {
        let found = values("CREATE TABLE t (a TEXT CHECK (length(a) = 3))");
        assert!(found.contains(&text("aaa")));
        let found = values("CREATE TABLE t (a TEXT CHECK (a LIKE '%@%.org'))");
        assert!(found.contains(&text("a0@a0.org")));
        let found = values("CREATE TABLE t (a TEXT CHECK (a GLOB '[A-Z][0-9]?*'))");
        assert!(found.contains(&text("A0aa0")));
    }
}
