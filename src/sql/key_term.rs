//! Reads one term of a primary key, a unique key or an index: a column or an expression, how its
//! values are compared, and their order.

use std::fmt;
use std::ops::Range;

use crate::sql::lexer::{TokenKind, quote_if_needed};
use crate::sql::tokens::Tokens;

/// A term of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyTerm {
    pub(crate) value: KeyValue,
    /// In lower case. `None` for the collation of the column, or of the expression.
    pub(crate) collation: Option<String>,
    pub(crate) order: KeyOrder,
}

/// What a key compares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyValue {
    /// In lower case.
    Column(String),
    /// In lower case and in one canonical spelling.
    Expression(String),
}

/// The order of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyOrder {
    Ascending,
    Descending,
}

impl KeyTerm {
    /// A column, in lower case, that is compared as its table does.
    pub(crate) fn from_column(name: String, order: KeyOrder) -> Self {
        Self { value: KeyValue::Column(name), collation: None, order }
    }

    /// Reads the tokens of a term.
    pub(crate) fn parse(tokens: &Tokens<'_>, range: Range<usize>) -> Self {
        let mut range = tokens.without_outer_brackets(range);
        let ends_with =
            |range: &Range<usize>, word: &str| range.len() > 1 && tokens.is(range.end - 1, word);
        if ends_with(&range, "AUTOINCREMENT") {
            range.end -= 1;
        }
        let is_descending = ends_with(&range, "DESC");
        if is_descending || ends_with(&range, "ASC") {
            range.end -= 1;
        }
        range = tokens.without_outer_brackets(range);
        let has_collation = range.len() > 2 && tokens.is(range.end - 2, "COLLATE");
        let collation = has_collation.then(|| tokens.name(range.end - 1).to_ascii_lowercase());
        if has_collation {
            range.end -= 2;
        }
        range = tokens.without_outer_brackets(range);
        let is_name = match tokens.kind(range.start) {
            Some(TokenKind::Word) => {
                !tokens.text(range.start).starts_with(|c: char| c.is_ascii_digit())
            }
            kind => kind == Some(TokenKind::Quoted),
        };
        let value = if range.len() == 1 && is_name {
            KeyValue::Column(tokens.name(range.start).to_ascii_lowercase())
        } else {
            KeyValue::Expression(tokens.normalized(range))
        };
        let order = if is_descending { KeyOrder::Descending } else { KeyOrder::Ascending };
        Self { value, collation, order }
    }

    /// The term without its collation if that is the one that its value has anyway.
    pub(crate) fn without_collation(mut self, default: &str) -> Self {
        self.collation = self.collation.filter(|collation| collation != default);
        self
    }

    /// The column, in lower case; none for an expression.
    pub(crate) fn column(&self) -> Option<&str> {
        match &self.value {
            KeyValue::Column(name) => Some(name),
            KeyValue::Expression(_) => None,
        }
    }

    /// The column, in lower case, if the key compares it as its table does.
    pub(crate) fn plain_column(&self) -> Option<&str> {
        self.column().filter(|_| self.collation.is_none())
    }
}

impl fmt::Display for KeyTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            KeyValue::Column(name) => f.write_str(&quote_if_needed(name))?,
            KeyValue::Expression(text) => f.write_str(text)?,
        }
        if let Some(collation) = &self.collation {
            write!(f, " collate {collation}")?;
        }
        match self.order {
            KeyOrder::Ascending => Ok(()),
            KeyOrder::Descending => f.write_str(" desc"),
        }
    }
}

/// The terms of a key as messages show them.
pub(crate) fn list_terms(terms: &[KeyTerm]) -> String {
    terms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether two keys forbid the same duplicates: their order does not matter.
pub(crate) fn compare_equally(left: &[KeyTerm], right: &[KeyTerm]) -> bool {
    let comparison = |term: &KeyTerm| (term.value.clone(), term.collation.clone());
    left.iter().map(comparison).eq(right.iter().map(comparison))
}

/// The columns of a key, in lower case; none if it compares one in another way than its table, or an
/// expression.
pub(crate) fn plain_columns(terms: &[KeyTerm]) -> Option<Vec<String>> {
    terms.iter().map(|term| term.plain_column().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, column: Option<&str>, plain_column: Option<&str>, shown: &str) {
        let tokens = Tokens::new(text);
        let term = KeyTerm::parse(&tokens, 0..tokens.len());
        assert_eq!(term.column(), column, "{text}");
        assert_eq!(term.plain_column(), plain_column, "{text}");
        assert_eq!(term.to_string(), shown, "{text}");
    }

    #[test]
    fn a_term_is_a_column_or_an_expression_with_its_collation_and_order() {
        check("A", Some("a"), Some("a"), "a");
        check("((a)) ASC", Some("a"), Some("a"), "a");
        check("((a) COLLATE nocase) DESC", Some("a"), None, "a collate nocase desc");
        check("(a) + (b)", None, None, "a + b");
        check("a autoincrement", Some("a"), Some("a"), "a");
        check("[A] Desc", Some("a"), Some("a"), "a desc");
        check("a COLLATE \"NoCase\" DESC", Some("a"), None, "a collate nocase desc");
        check("lower(A) COLLATE rtrim", None, None, "lower(a) collate rtrim");
        check("1", None, None, "1");
    }

    #[test]
    fn a_name_that_looks_like_a_clause_is_a_name() {
        for name in ["a desc", "a asc", "a autoincrement", "a collate nocase"] {
            check(&format!("\"{name}\""), Some(name), Some(name), &format!("\"{name}\""));
        }
        for name in ["asc", "desc"] {
            check(name, Some(name), Some(name), name);
        }
    }
}
