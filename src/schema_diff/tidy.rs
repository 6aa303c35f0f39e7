//! Prints a table that `ALTER TABLE … ADD COLUMN` has changed as a person would write it. SQLite adds
//! the text `, column TEXT` in front of the last bracket, wherever that is.

use std::borrow::Cow;

use crate::sql::lexer;
use crate::sql::lexer::{Token, TokenKind};

/// The statement with each added column on a line of its own, indented as the first column. A
/// statement whose columns are on one line, or that no ALTER TABLE has changed, stays as it is.
pub(crate) fn tidy_columns(sql: &str) -> Cow<'_, str> {
    let Some(tidy) = Body::find(sql).and_then(|body| body.with_added_columns_on_lines()) else {
        return Cow::Borrowed(sql);
    };
    // Only white space, and comments beside a comma, may have moved.
    if lexer::normalize(&tidy) == lexer::normalize(sql) {
        Cow::Owned(tidy)
    } else {
        Cow::Borrowed(sql)
    }
}

/// The columns of a `CREATE TABLE`.
struct Body<'s> {
    sql: &'s str,
    tokens: Vec<Token>,
    /// The indexes of the brackets around the columns.
    open: usize,
    close: usize,
}

impl<'s> Body<'s> {
    fn find(sql: &'s str) -> Option<Self> {
        let tokens: Vec<Token> = lexer::tokens(sql, 0).collect();
        let text = |index: usize| &sql[tokens[index].range.clone()];
        let open = (0..tokens.len()).find(|index| text(*index) == "(")?;
        let mut depth = 0_usize;
        let close = (open..tokens.len()).find(|index| {
            match text(*index) {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })?;
        Some(Self { sql, tokens, open, close })
    }

    fn text(&self, index: usize) -> &'s str {
        &self.sql[self.tokens[index].range.clone()]
    }

    fn is_trivia(&self, index: usize) -> bool {
        matches!(self.tokens[index].kind, TokenKind::Whitespace | TokenKind::Comment)
    }

    fn with_added_columns_on_lines(&self) -> Option<String> {
        let commas = self.commas();
        // The last comma that begins its line is where the first ALTER TABLE added a column. An
        // author who writes commas so puts the bracket on a line of its own.
        let first = commas.iter().rposition(|comma| self.begins_line(*comma))?;
        if self.begins_line(self.close) {
            return None;
        }
        let indent = self.indent()?;
        let added = &commas[first..];
        let before = (self.open..added[0]).rev().find(|index| !self.is_trivia(*index))?;
        let mut out = self.sql[..self.tokens[before].range.end].to_owned();
        out.push(',');
        let trivia = &self.sql[self.tokens[before].range.end..self.tokens[added[0]].range.start];
        out.push_str(trivia.trim_end());
        for (index, comma) in added.iter().enumerate() {
            let end = added.get(index + 1).copied().unwrap_or(self.close);
            let column = &self.sql[self.tokens[*comma].range.end..self.tokens[end].range.start];
            out.push('\n');
            out.push_str(indent);
            out.push_str(column.trim());
            if end != self.close {
                out.push(',');
            }
        }
        out.push('\n');
        out.push_str(&self.sql[self.tokens[self.close].range.start..]);
        Some(out)
    }

    /// The commas between the columns.
    fn commas(&self) -> Vec<usize> {
        let mut depth = 0_usize;
        let is_separator = |index: &usize| {
            match self.text(*index) {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                "," => return depth == 1,
                _ => {}
            }
            false
        };
        (self.open..self.close).filter(is_separator).collect()
    }

    /// Whether only white space precedes a token on its line.
    fn begins_line(&self, index: usize) -> bool {
        let before = &self.sql[..self.tokens[index].range.start];
        let line = before.rsplit('\n').next().unwrap_or(before);
        line.len() < before.len() && line.trim().is_empty()
    }

    /// The white space before the first column, which must begin a line.
    fn indent(&self) -> Option<&'s str> {
        let first = (self.open + 1..self.close).find(|index| !self.is_trivia(*index))?;
        let before = &self.sql[..self.tokens[first].range.start];
        let line = before.rsplit('\n').next().unwrap_or(before);
        (line.len() < before.len() && line.trim().is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_column_gets_a_line_of_its_own() {
        for (sql, expected) in [
            (
                "CREATE TABLE t (\n    id INTEGER PRIMARY KEY,\n    n TEXT\n, last_seen TEXT)",
                "CREATE TABLE t (\n    id INTEGER PRIMARY KEY,\n    n TEXT,\n    last_seen TEXT\n)",
            ),
            (
                "CREATE TABLE t (\n  a CHECK (a IN (1, 2)) -- one, two\n  , b TEXT DEFAULT 'x, y', c) STRICT",
                "CREATE TABLE t (\n  a CHECK (a IN (1, 2)), -- one, two\n  b TEXT DEFAULT 'x, y',\n  c\n) STRICT",
            ),
        ] {
            assert_eq!(tidy_columns(sql), expected);
            assert_eq!(tidy_columns(expected), expected);
        }
    }

    #[test]
    fn other_tables_stay_as_they_are() {
        for sql in [
            "CREATE TABLE t (id INTEGER, n TEXT, last_seen TEXT)",
            "CREATE TABLE t (\n    id INTEGER\n  , n TEXT\n)",
            "CREATE TABLE t (\n    id INTEGER,\n    n TEXT\n)",
            "CREATE TABLE t (\n    id INTEGER, n TEXT)",
            "CREATE TABLE t (id INTEGER\n, n TEXT)",
            "CREATE VIRTUAL TABLE v USING fts5",
            "CREATE TABLE t (",
            "",
        ] {
            assert_eq!(tidy_columns(sql), sql);
        }
    }
}
